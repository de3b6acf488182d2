#pragma once

#include <string>

#include "rsm/io/safetensors.h"

namespace rsm {

/** PATH of a reward whose name has none, from the folder in which rsm runs. */
inline std::string default_place(const std::string& name) {
  return "models/" + name;
}

/** The weights of a judge, and the folder that everything else of it lies in.
 */
struct JudgeWeights {
  std::string folder;
  StateDict tensors;  ///< views of their files
};

/** Reads PATH of a reward NAME:PATH: a .safetensors file, whose folder has the
 * rest; or a folder with model.safetensors or open_clip_model.safetensors, in
 * one file or in shards. Throws rsm::Error naming `who` and the path where
 * there is neither, and as view_sharded (io/sharded.h). A pickle is refused by
 * its name, with the command that converts it: that in a folder to
 * model.safetensors there, another to a file beside it. */
JudgeWeights read_judge(const std::string& who, const std::string& path);

/** Throws that refusal where `path` ends as a pickle's name does (.pt, .pth,
 * .bin, .ckpt). */
void refuse_pickle(const std::string& who, const std::string& path);

/** The folder that a file lies in, "." of a name alone. */
std::string parent_of(const std::string& file);

/** Where the tokenizer of a judge's folder lies: in tokenizer/, or beside the
 * rest. */
std::string tokenizer_folder(const std::string& folder);

}  // namespace rsm
