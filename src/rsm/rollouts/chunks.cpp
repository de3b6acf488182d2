#include "rsm/rollouts/chunks.h"

#include <type_traits>

#include "rsm/base/error.h"

namespace rsm {
namespace {

/** States stand by root, and every root has one. */
int64_t roots_of(const Rollout& chunk) {
  return chunk.state_root.empty() ? 0 : chunk.state_root.back() + 1;
}

void append(std::vector<int64_t>& to, const std::vector<int64_t>& from,
            int64_t shift) {
  for (const int64_t value : from) {
    to.push_back(value + shift);
  }
}

/** Adds all but the tensors. */
void append_lists(Rollout& out, const Rollout& chunk) {
  const auto prompts = static_cast<int64_t>(out.prompts.size());
  const int64_t states = out.states();
  const int64_t images = out.images();
  append(out.state_root, chunk.state_root, roots_of(out));
  append(out.state_prompt, chunk.state_prompt, prompts);
  append(out.state_step, chunk.state_step, 0);
  append(out.row_state, chunk.row_state, states);
  append(out.row_image, chunk.row_image, images);
  append(out.row_images, chunk.row_images, 0);
  append(out.image_prompt, chunk.image_prompt, prompts);
  out.prompts.insert(out.prompts.end(), chunk.prompts.begin(),
                     chunk.prompts.end());
  out.evaluations += chunk.evaluations;
}

/** Puts one tensor of the chunks together and drops theirs, so that not much
 * more than one of them is held twice. */
void move_tensor(Rollout& out, std::vector<Rollout>& chunks,
                 torch::Tensor Rollout::*tensor) {
  std::vector<torch::Tensor> parts;
  for (auto& chunk : chunks) {
    parts.push_back(std::move(chunk.*tensor));
  }
  out.*tensor = at::cat(parts);
}

}  // namespace

RolloutRequest part_of(const RolloutRequest& whole, int64_t first,
                       int64_t count) {
  const auto prompts = static_cast<int64_t>(whole.prompts.size());
  RSM_CHECK(first >= 0 && count > 0 && first <= prompts - count, "[part_of] ",
            count, " prompts from ", first, " on of a request with ", prompts,
            "; at least one, within 0 to ", prompts - 1, ", is needed");
  const auto members = whole.first_members();
  const auto slice = [&](const auto& all) {
    return std::decay_t<decltype(all)>(all.begin() + first,
                                       all.begin() + first + count);
  };
  RolloutRequest part = whole;
  part.prompts = slice(whole.prompts);
  part.first_member = slice(members);
  part.conditions =
      whole.conditions.select(at::arange(first, first + count, at::kLong)
                                  .to(whole.conditions.tokens.device()));
  return part;
}

Rollout joined(std::vector<Rollout> chunks) {
  RSM_CHECK(!chunks.empty(),
            "[joined] no chunks arrived; at least one is needed");
  const Rollout& first = chunks[0];
  Rollout out;
  out.transitions = first.transitions;
  out.shared = first.shared;
  for (size_t i = 0; i < chunks.size(); ++i) {
    const Rollout& chunk = chunks[i];
    RSM_CHECK(chunk.transitions.size() == first.transitions.size() &&
                  chunk.shared == first.shared &&
                  chunk.row_images.empty() == first.row_images.empty(),
              "[joined] chunk ", i, " with ", chunk.transitions.size(),
              " steps is not of the plan of chunk 0 with ",
              first.transitions.size(), " steps; draw all chunks by one plan");
    append_lists(out, chunk);
  }
  for (const auto tensor :
       {&Rollout::x, &Rollout::y, &Rollout::x_next, &Rollout::latents}) {
    move_tensor(out, chunks, tensor);
  }
  return out;
}

}  // namespace rsm
