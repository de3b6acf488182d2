#pragma once

#include <torch/script.h>

#include <string>
#include <vector>

namespace rsm {

/** What to do for a file that cannot be taken, for errors. */
inline constexpr const char* kExportScript =
    "export it by torch.jit.trace or torch.jit.script and save() "
    "(docs/rewards.md)";

/** Reads an exported network, to be judged with: nothing of it is trained. Its
 * weights are converted to other types than float32. Throws rsm::Error,
 * "[who] ..." naming the file, where it cannot be read, is a pickle or has no
 * forward. */
torch::jit::Module read_script(const std::string& who, const std::string& file,
                               torch::Device device, torch::ScalarType type);

/** What its forward returns. The first of `inputs` are pictures [B,3,H,W]: they
 * and what the network says stand in the rsm::Error of one that fails. Repeats
 * its bits from call to call on the CPU. */
c10::IValue run_script(const std::string& who, torch::jit::Module& module,
                       std::vector<c10::IValue> inputs);

/** [2,3,S,S] float32: a black picture and one of noise, in [0,1], to try a
 * network with before a run. S is its attribute picture_size: int, or 224.
 * Throws rsm::Error where that is no number of pixels. */
torch::Tensor pictures_to_try(const std::string& who,
                              const torch::jit::Module& module);

}  // namespace rsm
