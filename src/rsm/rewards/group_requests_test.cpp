// What programs and servers are sent of pictures in groups.

#include <gtest/gtest.h>

#include "rsm/rewards/exec_reward.h"
#include "rsm/rewards/http_testing.h"
#include "rsm/rewards/rewards.h"
#include "rsm/rewards/testing.h"
#include "rsm/rewards/win_rate_reward.h"

namespace rsm {
namespace {

using Labels = std::vector<int64_t>;

/** Of a picture, a hundred times its group's number in the request and how many
 * are in it; -1 where the request knows of no groups. */
constexpr const char* kByGroup = R"(
def by_group(request):
    groups = request.get("groups")
    if groups is None:
        return [-1.0] * len(request["prompts"])
    assert len(groups) == len(request["prompts"])
    return [100.0 * group + groups.count(group) for group in groups]
)";

constexpr const char* kProgram = R"(
import json, sys
print(json.dumps({"ready": True, "name": "groups"}), flush=True)
for line in sys.stdin.buffer:
    request = json.loads(line)
    sys.stdin.buffer.read(request["count"] * request["height"] *
                          request["width"] * 3)
    print(json.dumps({"id": request["id"], "scores": by_group(request)}),
          flush=True)
)";

constexpr const char* kServes = R"(
def judge(self, request):
    self.answer(200, {"scores": by_group(request)})
)";

/** Three of a group, five of another, one of a third. */
const Labels kGroups = {7, 7, 7, 3, 3, 3, 3, 3, 9};

torch::Tensor in_groups(const Reward& reward) {
  const auto pictures = test_pictures(9, 2, 3);
  return reward.score_groups(pictures.images, pictures.prompts, kGroups).value;
}

/** Both kinds, with requests of `batch` pictures at most. */
struct Judges {
  Judges(int64_t batch, bool groups) : server(std::string(kByGroup) + kServes) {
    ExecOptions options;
    options.command =
        python_program(folder, "main.py", std::string(kByGroup) + kProgram);
    options.batch = batch;
    options.groups = groups;
    server.options.batch = batch;
    server.options.groups = groups;
    rewards.push_back(make_exec_reward(options, kNeverStops));
    rewards.push_back(server.make());
  }

  TemporaryFolder folder;
  TestServer server;
  std::vector<std::unique_ptr<Reward>> rewards;
};

TEST(GroupRequests, HoldWholeGroups) {
  const std::map<int64_t, std::vector<float>> expected = {
      {1, {3, 3, 3, 5, 5, 5, 5, 5, 1}},
      {4, {3, 3, 3, 5, 5, 5, 5, 5, 1}},
      {8, {3, 3, 3, 105, 105, 105, 105, 105, 1}},
      {64, {3, 3, 3, 105, 105, 105, 105, 105, 201}}};
  for (const auto& [batch, scores] : expected) {
    const Judges judges(batch, true);
    for (const auto& reward : judges.rewards) {
      EXPECT_TRUE(reward->sees_groups());
      EXPECT_TRUE(in_groups(*reward).equal(torch::tensor(scores)))
          << reward->name() << " " << batch;
    }
  }
}

TEST(GroupRequests, OfPicturesAloneKnowOfNoGroups) {
  const auto pictures = test_pictures(3, 2, 3);
  const auto none = -torch::ones({3});
  const Judges seeing(64, true), other(64, false);
  for (size_t i = 0; i < 2; ++i) {
    EXPECT_TRUE(score(*seeing.rewards[i], pictures).value.equal(none));
    EXPECT_FALSE(other.rewards[i]->sees_groups());
    EXPECT_TRUE(in_groups(*other.rewards[i]).equal(-torch::ones({9})));
  }
}

TEST(GroupRequests, AreRefusedWhereGroupsStandApart) {
  const Judges judges(64, true);
  const auto pictures = test_pictures(3, 2, 3);
  for (const auto& reward : judges.rewards) {
    expect_parts(
        error_of([&] {
          reward->score_groups(pictures.images, pictures.prompts, {1, 2, 1});
        }),
        {"[reward " + reward->name() + "]", "image 2", "group 1"});
  }
}

TEST(GroupRequests, ConfigsNameThem) {
  RewardSpec spec;
  spec.name = "exec:judge";
  EXPECT_FALSE(make_reward(spec, kNeverStops)->sees_groups());
  spec.groups = true;
  EXPECT_TRUE(make_rewards({spec}, kNeverStops)->sees_groups());
  spec.name = "http://127.0.0.1:1/score";
  EXPECT_TRUE(make_rewards({spec}, kNeverStops)->sees_groups());
}

TEST(GroupRequests, TheExampleComparesSiblings) {
  TestServer server(Command{"python3 '" + std::string(RSM_SOURCE_DIR) +
                            "/docs/examples/group_reward.py' 0"});
  server.options.groups = true;
  const auto reward = server.make();
  reward->check();
  const auto pictures = test_pictures(5, 4, 6);
  const Labels group = {2, 2, 2, 2, 0};
  std::vector<float> kilobytes;
  for (int64_t i = 0; i < 5; ++i) {
    const auto bytes = std::ssize(encode_png(pictures.images[i]));
    kilobytes.push_back(static_cast<float>(static_cast<double>(bytes) / 1000));
  }
  const auto smaller = -torch::tensor(kilobytes);
  EXPECT_TRUE(score(*reward, pictures).value.equal(smaller));
  EXPECT_TRUE(reward->score_groups(pictures.images, pictures.prompts, group)
                  .value.allclose(win_rates(smaller, group), 0, 1e-6));
}

}  // namespace
}  // namespace rsm
