#include "rsm/pretrain/pretrain.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "rsm/base/error.h"
#include "rsm/base/random.h"
#include "rsm/io/files.h"
#include "rsm/models/initial_values.h"
#include "rsm/models/loading.h"
#include "rsm/models/sd3_transformer.h"
#include "rsm/models/unet.h"
#include "rsm/paths/ddim.h"
#include "rsm/paths/flow_matching.h"
#include "rsm/worlds/shapes_world.h"

namespace rsm {
namespace {

bool contains(const std::string& text, const char* part) {
  return text.find(part) != std::string::npos;
}

bool ends_with(const std::string& text, const std::string& end) {
  return text.size() >= end.size() &&
         text.compare(text.size() - end.size(), end.size(), end) == 0;
}

/** Last layers of residual parts and of the network, and adaptive norms. */
bool is_zero_initialised(const std::string& name) {
  for (const char* part :
       {"norm1.linear", "norm1_context.linear", "norm_out.linear", "proj_out.",
        "conv2.", "unet.conv_out."}) {
    if (contains(name, part)) return true;
  }
  return false;
}

/** Hidden matrices and filters of both networks' blocks: Muon's share. */
bool is_block_matrix(const std::string& name, const torch::Tensor& p) {
  bool block = false;
  for (const char* part :
       {"transformer_blocks.", "encoder.layers.", "_blocks.", "mid_block."}) {
    block = block || contains(name, part);
  }
  return block && p.dim() >= 2 && !contains(name, "norm1.linear") &&
         !contains(name, "norm1_context.linear");
}

void initialise(const std::string& name, const torch::Tensor& p,
                uint64_t seed) {
  constexpr double kWordStd = 0.5, kPositionStd = 0.1;
  const auto normal = [&] { return counted_normal(seed, p.sizes()); };
  if (ends_with(name, "token_embedding.weight")) {
    p.copy_(normal() * kWordStd);
  } else if (ends_with(name, "position_embedding.weight")) {
    p.copy_(normal() * kPositionStd);
  } else if (is_zero_initialised(name)) {
    p.zero_();
  } else {
    set_initial_value(name, p, seed);
  }
}

std::map<std::string, torch::Tensor> all_parameters(const ImageModel& model) {
  std::map<std::string, torch::Tensor> out;
  for (const auto& p : model.network->named_parameters()) {
    out[model.network->part() + "." + p.key()] = p.value();
  }
  for (const auto& p : model.text->clip()->named_parameters()) {
    out["text_encoder." + p.key()] = p.value();
  }
  return out;
}

/** [B] times in [0,1] that a batch is trained at. */
torch::Tensor batch_times(const PretrainOptions& o, uint64_t counter) {
  const auto z = counted_normal(
      counted_seed(o.seed, Purpose::step_noise, {counter}), {o.batch});
  if (o.family == Family::flow) {
    return at::sigmoid(z * o.time_std + o.time_mean);
  }
  constexpr double kTimesteps = 1000;
  return at::floor(at::special_ndtr(z) * kTimesteps).clamp(0, kTimesteps - 1) /
         kTimesteps;
}

/** f of every time, to multiply pictures with. */
template <typename F>
torch::Tensor of_times(const torch::Tensor& t, const F& f) {
  auto values = at::empty_like(t);
  std::transform(t.const_data_ptr<float>(),
                 t.const_data_ptr<float>() + t.numel(),
                 values.data_ptr<float>(),
                 [&](double at) { return static_cast<float>(f(at)); });
  return values.view({-1, 1, 1, 1});
}

/** One batch's loss: E |y(x_t, t) - target|^2. Data are made on the CPU. */
torch::Tensor batch_loss(const PretrainOptions& o, const ImageModel& model,
                         int64_t first) {
  const auto counter = static_cast<uint64_t>(first);
  auto data = shapes::captioned_images(counted_seed(o.seed, Purpose::data, {}),
                                       first, o.batch, o.caption_noise);
  const auto chance = at::special_ndtr(counted_normal(
      counted_seed(o.seed, Purpose::dropout, {counter}), {o.batch}));
  for (int64_t i = 0; i < o.batch; ++i) {
    if (chance.const_data_ptr<float>()[i] < o.caption_dropout) {
      data.captions[i].clear();
    }
  }
  const auto noise =
      counted_normal(counted_seed(o.seed, Purpose::initial_noise, {counter}),
                     data.images.sizes());
  const auto t = batch_times(o, counter);
  const Path& path = *model.path;
  const auto x =
      data.images * of_times(t, [&](double at) { return path.signal(at); }) +
      noise * of_times(t, [&](double at) { return path.noise(at); });
  const auto& tokenizer = model.text->tokenizer();
  const auto condition = model.text->encode_ids(
      tokenizer.encode_batch(data.captions).to(o.device));
  const auto y =
      model.network->predict(x.to(o.device), t.to(o.device), condition);
  const auto target = path.target(data.images, noise).to(o.device);
  return (y - target).square().mean();
}

ClipTextConfig text_config(const PretrainOptions& o,
                           const ClipTokenizer& tokenizer) {
  ClipTextConfig text;
  text.vocab_size = tokenizer.vocabulary_size();
  text.hidden_size = o.width;
  text.intermediate_size = 4 * o.width;
  text.num_hidden_layers = o.text_layers;
  text.num_attention_heads = o.heads;
  text.max_position_embeddings = o.max_tokens;
  text.projection_dim = o.width;
  text.bos_token_id = tokenizer.start_id();
  text.eos_token_id = tokenizer.end_id();
  text.pad_token_id = tokenizer.pad_id();
  return text;
}

Network new_transformer(const PretrainOptions& o) {
  Sd3Config config;
  config.sample_size = shapes::kSize;
  config.patch_size = o.patch;
  config.in_channels = 3;
  config.out_channels = 3;
  config.num_layers = o.layers;
  config.num_attention_heads = o.heads;
  config.attention_head_dim = o.width / o.heads;
  config.joint_attention_dim = o.width;
  config.caption_projection_dim = o.width;
  config.pooled_projection_dim = o.width;
  config.pos_embed_max_size = shapes::kSize / o.patch;
  config.qk_rms_norm = true;
  return std::make_shared<Sd3TransformerImpl>(config);
}

Network new_unet(const PretrainOptions& o) {
  const size_t levels = o.channels.size();
  UnetConfig config;
  config.sample_size = shapes::kSize;
  config.in_channels = 3;
  config.out_channels = 3;
  config.block_out_channels = o.channels;
  config.down_attention.clear();
  config.up_attention.clear();
  // Attention where the picture is 8 pixels wide and below: wider, it costs
  // most of the time and the shapes are told apart without it.
  for (size_t level = 0; level < levels; ++level) {
    const bool attends = (shapes::kSize >> level) <= 8;
    config.down_attention.push_back(attends);
    config.up_attention.insert(config.up_attention.begin(), attends);
  }
  config.layers_per_block = 1;
  config.norm_num_groups = 8;
  config.cross_attention_dim = o.width;
  config.heads.assign(levels, o.heads);
  return std::make_shared<UnetImpl>(config);
}

}  // namespace

ImageModel new_shapes_model(const PretrainOptions& o,
                            const std::string& folder) {
  const bool flow = o.family == Family::flow;
  write_word_vocabulary(folder + "/tokenizer", shapes::caption_words(),
                        o.max_tokens);
  auto tokenizer = ClipTokenizer::load(folder + "/tokenizer");
  const auto text = text_config(o, tokenizer);
  ImageModel model{flow ? new_transformer(o) : new_unet(o),
                   std::make_shared<TextEncoders>(ClipTextModel(text, flow),
                                                  tokenizer, folder),
                   Path::from_json(flow ? FlowMatchSchedule{}.to_json()
                                        : DdimSchedule{}.to_json())};
  const torch::NoGradGuard no_grad;
  uint64_t index = 0;
  for (auto& [name, p] : all_parameters(model)) {
    initialise(name, p, counted_seed(o.seed, Purpose::model_init, {index++}));
  }
  return model;
}

bool pretrain(const PretrainOptions& options, Progress& progress) {
  if (options.threads > 0) {
    at::set_num_threads(static_cast<int>(options.threads));
  }
  make_folders(options.run_folder);
  const auto unfinished = options.run_folder + "/model";
  const auto model = new_shapes_model(options, unfinished);
  model.network->to(options.device);
  model.text->clip()->to(options.device);
  Learner learner(options, all_parameters(model), is_block_matrix);
  const auto write = [&](const std::string& folder) {
    learner.with_averages([&] { model.save(folder, at::kBFloat16); });
  };
  const bool finished = learner.train(
      [&](int64_t first) { return batch_loss(options, model, first); },
      [&] { write(unfinished); }, progress);
  if (finished) write(options.model_folder);
  return finished;
}

}  // namespace rsm
