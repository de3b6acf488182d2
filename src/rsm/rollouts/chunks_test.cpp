#include "rsm/rollouts/chunks.h"

#include <gtest/gtest.h>

#include "rsm/base/error.h"
#include "rsm/rollouts/comparison_testing.h"
#include "rsm/rollouts/testing.h"

namespace rsm {
namespace {

/** Five entries, two of them of one prompt. */
RolloutRequest five_entries() {
  return entries_of(request_for(4, 2), {0, 1, 2, 1, 3});
}

TEST(Chunks, JoinedAreTheWhole) {
  for (const auto& [name, path, plan] : planned_catalogue()) {
    SCOPED_TRACE(name);
    const auto request = five_entries();
    const auto whole = roll_out_with_gaussian(path, plan, request);
    for (const auto& sizes : std::vector<std::vector<int64_t>>{
             {5}, {2, 3}, {3, 1, 1}, {1, 1, 1, 1, 1}}) {
      std::vector<Rollout> chunks;
      int64_t first = 0;
      for (const int64_t size : sizes) {
        chunks.push_back(
            roll_out_with_gaussian(path, plan, part_of(request, first, size)));
        first += size;
      }
      expect_equal(joined(std::move(chunks)), whole);
    }
  }
}

TEST(Chunks, KeepTheMemberNumbersOfTheWhole) {
  EXPECT_EQ(five_entries().first_members(),
            (std::vector<int64_t>{0, 0, 0, 2, 0}));
  EXPECT_EQ(part_of(five_entries(), 3, 2).first_member,
            (std::vector<int64_t>{2, 0}));
  auto numbered = five_entries();
  numbered.first_member = {4, 3, 2, 1, 0};
  EXPECT_EQ(part_of(part_of(numbered, 1, 4), 2, 1).first_member,
            (std::vector<int64_t>{1}));
}

TEST(Chunks, OfMembersAreTheWholeToo) {
  const auto path = flow_path();
  const auto plan = plan_on(*path, find_method("rsm-flow"));
  auto part = request_for(1, 2);
  const auto first = roll_out_with_gaussian(path, plan, part);
  part.first_member = {2};
  const auto second = roll_out_with_gaussian(path, plan, part);
  const auto whole = roll_out_with_gaussian(path, plan, request_for(1, 4));
  const auto both = joined({first, second});
  EXPECT_TRUE(at::equal(both.x, whole.x));
  EXPECT_TRUE(at::equal(both.x_next, whole.x_next));
  EXPECT_TRUE(at::equal(both.latents, whole.latents));
  EXPECT_EQ(both.row_image, whole.row_image);
}

TEST(Chunks, RefuseWhatIsNotOfOneRequestOrPlan) {
  EXPECT_THROW(part_of(five_entries(), 3, 3), Error);
  EXPECT_THROW(part_of(five_entries(), -1, 2), Error);
  EXPECT_THROW(part_of(five_entries(), 0, 0), Error);
  EXPECT_THROW(joined({}), Error);
  const auto path = flow_path();
  const auto tree = tree_plan(*path, 6, {0}, 2);
  const auto draw = [&](const RolloutPlan& plan) {
    return roll_out_with_gaussian(path, plan, request_for(1, 1));
  };
  auto other_steps = tree;
  other_steps.steps = 5;
  auto unshared = tree;
  unshared.sharing = Sharing::sampling;
  auto paths = tree;
  paths.source = EstimatorKnobs::Source::rollout;
  for (const auto& other : {other_steps, unshared, paths}) {
    EXPECT_THROW(joined({draw(tree), draw(other)}), Error);
  }
}

}  // namespace
}  // namespace rsm
