#include "rsm/judges/torchscript_reward.h"

#include <torch/csrc/autograd/autograd.h>

#include <mutex>
#include <optional>
#include <sstream>
#include <utility>
#include <vector>

#include "rsm/base/error.h"
#include "rsm/judges/judge_files.h"
#include "rsm/judges/network_reward.h"
#include "rsm/judges/script_module.h"
#include "rsm/text/clip_tokenizer.h"

namespace rsm {
namespace {

using Schema = c10::FunctionSchema;

/** What stands beside the pictures. */
enum class Beside { nothing, ids, prompts };

class TorchScriptReward : public NetworkReward {
 public:
  TorchScriptReward(const RewardSpec& spec, std::string file)
      : NetworkReward(spec), file_(std::move(file)) {}

  void check() const override;

 protected:
  torch::Tensor judged(const torch::Tensor& images,
                       const Prompts& prompts) const override;

 private:
  /** A module with what it takes. */
  struct Network {
    torch::jit::Module module;
    Beside beside = Beside::nothing;
    std::optional<ClipTokenizer> tokenizer = {};
  };

  Network& network() const;
  Beside beside_in(const Schema& forward) const;
  void check_scores(const torch::Tensor& scores,
                    const torch::Tensor& images) const;

  std::string file_;
  mutable std::mutex reading_;
  mutable std::optional<Network> network_;
};

Beside TorchScriptReward::beside_in(const Schema& forward) const {
  const auto& arguments = forward.arguments();  // the first is self
  const auto is_tensor = [&](size_t i) {
    return arguments[i].type()->kind() == c10::TypeKind::TensorType;
  };
  size_t needed = arguments.size();
  while (needed > 0 && arguments[needed - 1].default_value()) --needed;
  const bool pictures = arguments.size() > 1 && is_tensor(1);
  if (pictures && needed <= 2) return Beside::nothing;
  if (pictures && needed == 3 && is_tensor(2)) return Beside::ids;
  if (pictures && needed == 3 &&
      *arguments[2].type() == *c10::ListType::ofStrings()) {
    return Beside::prompts;
  }
  std::ostringstream shown;
  shown << forward;
  throw Error(cat("[", who(), "] ", file_, " takes ", shown.str(),
                  "; allowed: (images: Tensor), alone or with ids: Tensor or "
                  "prompts: List[str]"));
}

TorchScriptReward::Network& TorchScriptReward::network() const {
  const std::lock_guard lock(reading_);
  if (!network_) {
    Network made{read_script(who(), file_, device(), type())};
    made.beside =
        beside_in(made.module.get_method("forward").function().getSchema());
    if (made.beside == Beside::ids) {
      made.tokenizer = ClipTokenizer::load(tokenizer_folder(parent_of(file_)));
    }
    network_ = std::move(made);
  }
  return *network_;
}

torch::Tensor TorchScriptReward::judged(const torch::Tensor& images,
                                        const Prompts& prompts) const {
  Network& n = network();
  const auto texts = texts_of(prompts);
  std::vector<c10::IValue> inputs = {images.to(type())};
  if (n.beside == Beside::ids) {
    inputs.emplace_back(n.tokenizer->encode_batch(texts).to(images.device()));
  } else if (n.beside == Beside::prompts) {
    inputs.emplace_back(texts);
  }
  const auto out = run_script(who(), n.module, std::move(inputs));
  RSM_CHECK(out.isTensor(), "[", who(), "] it returns a ", out.tagKind(),
            "; a tensor of a score for each picture is needed");
  check_scores(out.toTensor(), images);
  return out.toTensor().flatten();
}

void TorchScriptReward::check_scores(const torch::Tensor& scores,
                                     const torch::Tensor& images) const {
  const int64_t count = images.size(0);
  const bool right =
      scores.is_floating_point() && scores.numel() == count &&
      (scores.dim() == 1 || (scores.dim() == 2 && scores.size(1) == 1));
  RSM_CHECK(right, "[", who(), "] it returns scores ", scores.sizes(), " of ",
            scores.scalar_type(), " for pictures ", images.sizes(), "; [",
            count, "] or [", count, ",1] of floating point are needed");
}

void TorchScriptReward::check() const {
  auto images = pictures_to_try(who(), network().module).to(device());
  const at::AutoGradMode gradient(spec().gradient);
  images.requires_grad_(spec().gradient);
  // As the run will: a trace may hold the number of pictures it was made of.
  const auto scores =
      value_of(images, {{0, "a cup", ""}, {1, "two red birds", ""}});
  check_tried(who(), file_, scores.unsqueeze(1), "score");
  if (!spec().gradient) return;
  RSM_CHECK(scores.requires_grad(), "[", who(),
            "] its scores carry no gradient, and the method follows one; "
            "export ",
            file_,
            " without torch.no_grad() and detach(), or take "
            "a method of zeroth order");
  const auto found = torch::autograd::grad({scores.sum()}, {images}, {}, {},
                                           false, /*allow_unused=*/true)[0];
  RSM_CHECK(found.defined(), "[", who(),
            "] its scores do not depend on the pictures; mend ", file_);
  check_tried(who(), file_, found, "gradient");
}

}  // namespace

std::unique_ptr<Reward> make_torchscript_reward(const RewardSpec& spec,
                                                const std::string& file) {
  if (file.empty()) {
    throw UsageError(
        cat("[reward] got \"", spec.name, "\"; torchscript:FILE is needed"));
  }
  return std::make_unique<TorchScriptReward>(spec, file);
}

}  // namespace rsm
