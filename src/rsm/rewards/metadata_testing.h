#pragma once

#include <gtest/gtest.h>
#include <torch/types.h>

#include <cstdlib>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "rsm/base/error.h"
#include "rsm/base/reward.h"
#include "rsm/data/prompt_files.h"
#include "rsm/io/files.h"
#include "rsm/io/testing.h"

/** What tests of judges share that are told more than texts. */
namespace rsm {

/** In Python: whether what a request tells of its pictures is what the files of
 * prompts `FILES`, which Python reads for itself, say one line after the
 * other, from where the last request ended. */
inline constexpr const char* kSameMetadata = R"(
import json

LINES = [json.loads(line) for file in FILES
         for line in open(file, encoding="utf-8")]
seen = 0

def same_metadata(request):
    global seen
    prompts, told = request["prompts"], request.get("metadata")
    lines = LINES[seen:seen + len(prompts)]
    seen += len(prompts)
    objects = [line if isinstance(line, dict) else None for line in lines]
    texts = [line["prompt"] if isinstance(line, dict) else line
             for line in lines]
    if texts != prompts or told != (objects if any(objects) else None):
        raise ValueError(f"{request} is not {lines}")
    return [float(i) for i in range(seen - len(prompts), seen)]
)";

/** Fails unless the judge that `make` makes of a program's beginning, which
 * scores by same_metadata(request), is told all that files of prompts say. */
inline void expect_metadata_arrives(
    const std::function<std::unique_ptr<Reward>(const std::string&)>& make) {
  const TemporaryFolder folder;
  write_file_atomic(folder / "own.jsonl",
                    "\"none\"\n\"none\"\n\"none\"\n"
                    "{\"prompt\": \"a\", \"größer\": {\"b\": [1, [null]]}}\n"
                    "\"none\"\n"
                    "{\"prompt\": \"\\u00e4\", \"\\ud83d\\ude00\": [0.1, -7,"
                    " 12345678901234567890, true], \"text\": \"\\n\\\"\"}\n");
  std::vector<std::string> files = {folder / "own.jsonl"};
  if (const char* assets = std::getenv("RSM_ASSETS")) {
    for (const char* name : {"geneval/evaluation_metadata.jsonl",
                             "flow_grpo/dataset/geneval/test_metadata.jsonl"}) {
      const auto file = cat(assets, "/prompts/", name);
      if (std::filesystem::exists(file)) files.push_back(file);
    }
  }
  Prompts prompts;
  std::string list;
  for (const auto& file : files) {
    list += "\"" + file + "\",";
    for (const auto& prompt : read_prompt_file(file)) prompts.push_back(prompt);
  }
  const auto reward = make("FILES = [" + list + "]\n" + kSameMetadata);
  const int64_t count = std::ssize(prompts);
  const auto value = reward->score(torch::zeros({count, 3, 2, 2}), prompts);
  EXPECT_TRUE(value.value.equal(torch::arange(count, torch::kFloat32)));
  if (files.size() < 3) GTEST_SKIP() << "RSM_ASSETS has no prompts of GenEval";
  EXPECT_EQ(count, 6 + 553 + 2212);
}

}  // namespace rsm
