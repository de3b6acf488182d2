#include "rsm/layers/activation_checkpointing.h"

#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/custom_function.h>

#include "rsm/base/error.h"
#include "rsm/layers/adaptable.h"

namespace rsm {
namespace {

using torch::autograd::AutogradContext;

/** What is trained of a module, LoRAs included, which are no parameters. */
void add_trained(const torch::nn::Module& module, Tensors& out) {
  const auto add = [&](const torch::Tensor& tensor) {
    if (tensor.defined() && tensor.requires_grad()) out.push_back(tensor);
  };
  for (const auto& parameter : module.parameters()) {
    add(parameter);
  }
  for (const auto& part : module.modules()) {
    const auto* layer = dynamic_cast<const Adaptable*>(part.get());
    if (layer == nullptr || !layer->lora.enabled) continue;
    add(layer->lora.down);
    add(layer->lora.up);
  }
}

/** The node of a block in the graph. `read`: `count` inputs, then what is
 * trained. */
class Checkpoint : public torch::autograd::Function<Checkpoint> {
 public:
  static Tensors forward(AutogradContext* context, const Block& block,
                         size_t count, at::TensorList read) {
    context->save_for_backward(read.vec());
    context->saved_data["kept"] =
        c10::IValue::make_capsule(c10::make_intrusive<Kept>(block, count));
    return block(read.slice(0, count).vec());
  }

  static Tensors backward(AutogradContext* context, const Tensors& seeds) {
    RSM_CHECK(!at::GradMode::is_enabled(),
              "[checkpointed] a second derivative was asked for; a block that "
              "is computed again has only the first");
    const auto kept = c10::static_intrusive_pointer_cast<Kept>(
        context->saved_data.at("kept").toCapsule());
    auto read = context->get_saved_variables();
    for (size_t i = 0; i < kept->count; ++i) {
      const bool trained = read[i].requires_grad();
      read[i] = read[i].detach().requires_grad_(trained);
    }
    const auto gradients = gradients_of(*kept, read, seeds);
    Tensors out(kArguments);  // of the arguments that are no tensors
    size_t next = 0;
    for (const auto& tensor : read) {
      out.push_back(tensor.requires_grad() ? gradients[next++]
                                           : torch::Tensor());
    }
    return out;
  }

 private:
  /** Arguments of forward before its tensors. */
  static constexpr size_t kArguments = 2;

  struct Kept : torch::CustomClassHolder {
    Kept(Block own, size_t inputs) : block(std::move(own)), count(inputs) {}
    Block block;
    size_t count;
  };

  /** Of those in `read` that require one, undefined where unused. */
  static Tensors gradients_of(const Kept& kept, const Tensors& read,
                              const Tensors& seeds) {
    const at::AutoGradMode with_graph(true);
    const auto outputs = kept.block({read.begin(), read.begin() + kept.count});
    Tensors roots, root_seeds, wanted;
    for (size_t i = 0; i < outputs.size(); ++i) {
      if (!outputs[i].requires_grad()) continue;
      roots.push_back(outputs[i]);
      root_seeds.push_back(seeds[i]);
    }
    for (const auto& tensor : read) {
      if (tensor.requires_grad()) wanted.push_back(tensor);
    }
    return torch::autograd::grad(roots, wanted, root_seeds,
                                 /*retain_graph=*/false,
                                 /*create_graph=*/false,
                                 /*allow_unused=*/true);
  }
};

}  // namespace

Tensors checkpointed(const Block& block, const Tensors& inputs,
                     const std::vector<const torch::nn::Module*>& modules) {
  if (!at::GradMode::is_enabled()) return block(inputs);
  Tensors read = inputs;
  for (const auto* module : modules) {
    add_trained(*module, read);
  }
  return Checkpoint::apply(block, inputs.size(), at::TensorList(read));
}

}  // namespace rsm
