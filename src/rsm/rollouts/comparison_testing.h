#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

#include "rsm/base/rollout.h"

/** Comparing rollouts; for tests alone. */
namespace rsm {

/** One root's part of a rollout, numbered from 0, but for its evaluations:
 * roots may share some. */
inline Rollout root_of(const Rollout& all, int64_t root) {
  const int64_t roots = all.state_root.back() + 1;
  const auto slice = [&](const torch::Tensor& x) {
    const int64_t each = x.size(0) / roots;
    return x.slice(0, root * each, (root + 1) * each);
  };
  const auto part = [&](const std::vector<int64_t>& list, int64_t shift) {
    const auto each = static_cast<int64_t>(list.size()) / roots;
    std::vector<int64_t> out(list.begin() + root * each,
                             list.begin() + (root + 1) * each);
    for (auto& value : out) {
      value -= shift;
    }
    return out;
  };
  const int64_t prompt = all.state_prompt[root * all.states() / roots];
  Rollout out;
  out.prompts = {all.prompts[prompt]};
  out.transitions = all.transitions;
  out.x = slice(all.x);
  out.y = slice(all.y);
  out.x_next = slice(all.x_next);
  out.latents = slice(all.latents);
  out.state_root = part(all.state_root, root);
  out.state_prompt = part(all.state_prompt, prompt);
  out.state_step = part(all.state_step, 0);
  out.row_state = part(all.row_state, root * all.states() / roots);
  out.row_image = part(all.row_image, root * all.images() / roots);
  out.row_images = part(all.row_images, 0);
  out.image_prompt = part(all.image_prompt, prompt);
  out.shared = all.shared;
  return out;
}

/** Every number and every bit. */
inline void expect_equal(const Rollout& a, const Rollout& b) {
  ASSERT_EQ(a.prompts.size(), b.prompts.size());
  for (size_t p = 0; p < a.prompts.size(); ++p) {
    EXPECT_EQ(a.prompts[p].id, b.prompts[p].id);
  }
  EXPECT_EQ(a.transitions.size(), b.transitions.size());
  EXPECT_EQ(a.state_root, b.state_root);
  EXPECT_EQ(a.state_prompt, b.state_prompt);
  EXPECT_EQ(a.state_step, b.state_step);
  EXPECT_EQ(a.row_state, b.row_state);
  EXPECT_EQ(a.row_image, b.row_image);
  EXPECT_EQ(a.row_images, b.row_images);
  EXPECT_EQ(a.image_prompt, b.image_prompt);
  EXPECT_TRUE(at::equal(a.x, b.x));
  EXPECT_TRUE(at::equal(a.y, b.y));
  EXPECT_TRUE(at::equal(a.x_next, b.x_next));
  EXPECT_TRUE(at::equal(a.latents, b.latents));
  EXPECT_EQ(a.shared, b.shared);
  EXPECT_EQ(a.evaluations, b.evaluations);
}

}  // namespace rsm
