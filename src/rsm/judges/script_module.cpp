#include "rsm/judges/script_module.h"

#include <torch/csrc/jit/runtime/graph_executor.h>

#include <fstream>
#include <string_view>
#include <utility>

#include "rsm/base/error.h"
#include "rsm/io/files.h"
#include "rsm/judges/foreign_errors.h"
#include "rsm/judges/network_reward.h"

namespace rsm {
namespace {

constexpr const char* kSizeAttribute = "picture_size";
constexpr const char* kMarker = "<--- HERE";  // how LibTorch points at code

/** Behind the stack of calls; what may follow is a table of all devices. */
constexpr const char* kRaised = "\nRuntimeError: ";

/** What went wrong: what was raised, else the last line, or the first where
 * the text goes on with the code that is meant. */
std::string said_by(const std::exception& error) {
  const auto* own = dynamic_cast<const c10::Error*>(&error);
  std::string text = own ? own->what_without_backtrace() : error.what();
  while (text.ends_with('\n')) text.pop_back();
  if (const auto at = text.rfind(kRaised); at != std::string::npos) {
    text.erase(0, at + std::string_view(kRaised).size());
    return text.substr(0, text.find('\n'));
  }
  return text.ends_with(kMarker) ? text.substr(0, text.find('\n'))
                                 : text.substr(text.rfind('\n') + 1);
}

/** A file of torch.save() lacks the code that one of save() has. */
torch::jit::Module load(const std::string& who, const std::string& file,
                        torch::Device device) {
  RSM_CHECK(is_file(file), "[", who, "] there is no file ", file, "; ",
            kExportScript);
  // Zip files begin so; pickles of old and everything else do not.
  std::ifstream start(file, std::ios::binary);
  char magic[2] = {};
  start.read(magic, sizeof magic);
  if (magic[0] != 'P' || magic[1] != 'K') {
    throw Error(cat("[", who, "] ", file,
                    " is no TorchScript file, which is a zip file; a pickle "
                    "is not read, as it can run any code: ",
                    kExportScript));
  }
  return asked(
      cat("[", who, "] ", file, " cannot be read as TorchScript: "),
      cat("; a file that is cut short is to be copied again, and a pickle of "
          "torch.save() is not read: ",
          kExportScript),
      said_by, [&] { return torch::jit::load(file, device); });
}

}  // namespace

torch::jit::Module read_script(const std::string& who, const std::string& file,
                               torch::Device device, torch::ScalarType type) {
  auto module = load(who, file, device);
  RSM_CHECK(module.find_method("forward"), "[", who, "] ", file,
            " has no forward; ", kExportScript);
  if (module.hasattr("training")) module.eval();
  for (at::Tensor weight : module.parameters()) {
    weight.set_requires_grad(false);
  }
  if (type == at::kFloat) return module;  // as it was exported
  // Module::to() would change integers, too.
  const auto convert = [&](at::Tensor weight) {
    if (weight.is_floating_point()) weight.set_data(weight.to(type));
  };
  for (const at::Tensor& weight : module.parameters()) convert(weight);
  for (const at::Tensor& weight : module.buffers()) convert(weight);
  return module;
}

c10::IValue run_script(const std::string& who, torch::jit::Module& module,
                       std::vector<c10::IValue> inputs) {
  const auto images = inputs.at(0).toTensor();
  // What it optimises after some calls may have other last bits.
  const torch::jit::GraphOptimizerEnabledGuard plain(false);
  return asked(
      cat("[", who, "] it fails at pictures ", images.sizes(), " on ",
          images.device(), ": "),
      "; it may be traced for another size, number of pictures or device",
      said_by, [&] { return module.forward(std::move(inputs)); });
}

torch::Tensor pictures_to_try(const std::string& who,
                              const torch::jit::Module& module) {
  int64_t size = kTriedSize;
  if (const auto own = module.attr(kSizeAttribute, c10::IValue());
      own.isInt()) {
    size = own.toInt();
    RSM_CHECK(size > 0, "[", who, "] its ", kSizeAttribute, " is ", size,
              "; a number of pixels is needed");
  }
  return pictures_to_try(size, size);
}

}  // namespace rsm
