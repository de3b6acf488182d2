// The example of docs/examples that asks vision-language models.

#include <gtest/gtest.h>

#include "rsm/rewards/http_testing.h"
#include "rsm/rewards/testing.h"

namespace rsm {
namespace {

/** A server like OpenAI's, whose answers a prompt chooses. */
constexpr const char* kModel = R"(
SAYS = {
    "good": "Two birds, as asked: 2 of 2.\nFinal Score: 4",
    "half": "**Final Score: 2.5**\n\n",
    "mute": "It is a fine picture.",
    "sorry": "I'm sorry, I can't help with that.",
    "twice": "Final Score: 3\nNo.\nFinal Score: 4",
    "after": "Final Score: 4\nSorry, I cannot judge.",
    "zero": "Final Score: 0",
    "six": "Final Score: 6",
    "minus": "Final Score: -3",
    "inside": "I would say Final Score: 4 out of 5, or 3.",
}
busy = set()

def judge(self, request):
    assert self.path == "/v1/chat/completions", self.path
    assert request["model"] == "judge" and request["temperature"] == 0
    (message,) = request["messages"]
    image, text = message["content"]
    url = image["image_url"]["url"]
    assert base64.b64decode(url.removeprefix("data:image/png;base64,"))[1:4] == b"PNG"
    word = text["text"].split("The text it was made from is:")[1].split()[0]
    if word == "busy" and word not in busy:
        busy.add(word)
        return self.answer(503, {"error": "loading"})
    if word == "wrong":
        return self.answer(400, {"error": "no such model"})
    said = {"role": "assistant", "content": SAYS.get(word, "Final Score: 5")}
    if word == "refusal":
        said = {"role": "assistant", "content": None, "refusal": "I will not"}
    reason = {"long": "length", "filter": "content_filter"}.get(word, "stop")
    self.answer(200, {"choices": [{"message": said, "finish_reason": reason}]})
)";

class VlmJudge : public testing::Test {
 protected:
  VlmJudge()
      : model_(std::string(kModel)),
        judge_(Command{"python3 '" + std::string(RSM_SOURCE_DIR) +
                       "/docs/examples/vlm_judge.py' 0 " + base() + " judge"}) {
    judge_.options.pause_seconds = 0.05;
  }

  std::string base() const {
    const auto& address = model_.options.address;
    return address.substr(0, address.rfind("/score"));
  }

  RewardScores scores_of(const std::vector<std::string>& prompts) const {
    auto pictures = test_pictures(std::ssize(prompts), 4, 4);
    for (size_t i = 0; i < prompts.size(); ++i) {
      pictures.prompts[i].text = prompts[i];
    }
    return score(*judge_.make(), pictures);
  }

  std::string error_for(const std::string& prompt) const {
    return error_of([&] { scores_of({"good", prompt}); });
  }

  TestServer model_, judge_;
};

TEST_F(VlmJudge, GivesTheScoresThatTheModelEndsWith) {
  judge_.make()->check();
  EXPECT_TRUE(scores_of({"good", "half", "any"})
                  .value.equal(torch::tensor({0.8f, 0.5f, 1.f})));
}

TEST_F(VlmJudge, ARefusalIsAnErrorAndNoScore) {
  for (const std::string prompt :
       {"sorry", "mute", "twice", "after", "zero", "six", "minus", "inside"}) {
    expect_parts(error_for(prompt), {"'" + prompt + "'", "Final Score: X"});
  }
  expect_parts(error_for("refusal"), {"refused to judge 'refusal'"});
  expect_parts(error_for("long"), {"'long'", "ended by 'length'"});
  expect_parts(error_for("filter"), {"ended by 'content_filter'"});
  expect_parts(error_for("wrong"), {"status 400", "no such model"});
}

TEST_F(VlmJudge, ABusyServerIsAskedAgain) {
  const auto scores = scores_of({"busy"});
  EXPECT_EQ(scores.value[0].item<float>(), 1);
  ASSERT_EQ(scores.mended.size(), 1u);
  EXPECT_EQ(scores.mended.begin()->second, 1);
}

}  // namespace
}  // namespace rsm
