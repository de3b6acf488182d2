#include "rsm/judges/judge_files.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <filesystem>
#include <string_view>

#include "rsm/base/error.h"
#include "rsm/io/files.h"
#include "rsm/io/sharded.h"

namespace rsm {
namespace {

namespace fs = std::filesystem;

constexpr std::array<std::string_view, 4> kPickles = {".pt", ".pth", ".bin",
                                                      ".ckpt"};
constexpr const char* kStem = "model";
constexpr const char* kOpenClipStem = "open_clip_model";

bool is_pickle(const std::string& path) {
  return std::any_of(kPickles.begin(), kPickles.end(),
                     [&](auto ending) { return path.ends_with(ending); });
}

/** `once` says what to do, before the command that writes `to`. */
[[noreturn]] void refuse(const std::string& who, const std::string& path,
                         const char* once, const std::string& to) {
  throw Error(cat(
      "[", who, "] ", path,
      " is a pickle, which can run any code when it is read; ", once,
      ": python3 -c \"import torch; from safetensors.torch import save_file; "
      "d = torch.load('",
      path, "', map_location='cpu', weights_only=True); ",
      "save_file({k: v.clone() for k, v in d.get('state_dict', d).items()}, '",
      to, "')\""));
}

/** The largest pickle in a folder, as a head beside the weights is small; empty
 * where there is none. */
std::string pickle_in(const std::string& folder) {
  std::string largest;
  uintmax_t most = 0;
  for (const auto& name : names_in(folder)) {
    const std::string path = folder + "/" + name;
    if (!is_pickle(name) || !is_file(path)) continue;
    const auto size = fs::file_size(path);
    if (largest.empty() || size > most) {
      largest = path;
      most = size;
    }
  }
  return largest;
}

JudgeWeights of_folder(const std::string& who, const std::string& folder) {
  bool plain = false, open_clip = false;
  for (const auto& name : names_in(folder)) {
    const bool tensors = name.find(".safetensors") != std::string::npos;
    plain = plain || (tensors && name.starts_with(kStem));
    open_clip = open_clip || (tensors && name.starts_with(kOpenClipStem));
  }
  if (!plain && !open_clip) {
    const std::string pickle = pickle_in(folder);
    if (!pickle.empty()) {
      // Its tensors' names tell its layout, so this name does for either.
      refuse(who, pickle, "convert it once",
             cat(folder, "/", kStem, ".safetensors"));
    }
  }
  const char* const stem = !plain && open_clip ? kOpenClipStem : kStem;
  return {folder, view_sharded(folder, stem).tensors};
}

}  // namespace

void refuse_pickle(const std::string& who, const std::string& path) {
  if (!is_pickle(path)) return;
  refuse(who, path, "convert it once, and name the new file in its place",
         fs::path(path).replace_extension(".safetensors"));
}

JudgeWeights read_judge(const std::string& who, const std::string& path) {
  refuse_pickle(who, path);
  if (is_folder(path)) return of_folder(who, path);
  RSM_CHECK(is_file(path), "[", who, "] there is no folder or file ", path,
            "; docs/rewards.md says how to get it: put it there, or name its "
            "place behind a colon");
  return {parent_of(path), view_safetensors(path).tensors};
}

std::string parent_of(const std::string& file) {
  const std::string parent = fs::path(file).parent_path();
  return parent.empty() ? "." : parent;
}

std::string tokenizer_folder(const std::string& folder) {
  const std::string own = folder + "/tokenizer";
  return is_folder(own) ? own : folder;
}

}  // namespace rsm
