#include "rsm/worlds/shapes_scorer.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "rsm/base/error.h"
#include "rsm/base/random.h"
#include "rsm/io/files.h"
#include "rsm/io/json_fields.h"
#include "rsm/io/safetensors.h"

namespace rsm::shapes {
namespace {

constexpr const char* kWho = "[shapes scorer]";
constexpr const char* kClass = "ShapesScorer";
constexpr int64_t kGroups = 8;  ///< of the norms
constexpr int64_t kFold = 2;    ///< pixels of a side that become channels
constexpr int64_t kFolded = kSize / kFold;
constexpr int64_t kInputs = 3 * kFold * kFold + 2;  // and where they lie

/** Where what stands in caption_numbers. */
constexpr int64_t kWords = 6 + 2 * 4 + 2 * 8 + 4 + 4;  ///< one-hot
constexpr int64_t kKinds = kCellShapes * kCellColors;  ///< of objects
constexpr int64_t kWanted = kWords;  ///< which kinds each of two phrases means
constexpr int64_t kNeeded =
    kWanted + 2 * kKinds;                    ///< how many: in all, of both
constexpr int64_t kDirection = kNeeded + 3;  ///< from second to first: x, y
static_assert(kDirection + 2 == kCaptionNumbers);

constexpr int64_t kComparisons = 9;

/** One caption's numbers. */
void put_numbers(const Spec& spec, float* out) {
  const bool counting = spec.category == Category::counting;
  const auto phrases = static_cast<int64_t>(spec.shapes.size());
  out[static_cast<int64_t>(spec.category)] = 1;
  for (int64_t i = 0; i < phrases; ++i) {
    const int64_t color = spec.colors.empty() ? -1 : spec.colors[i];
    out[6 + 4 * i + spec.shapes[i]] = 1;
    if (color >= 0) out[14 + 8 * i + color] = 1;
    float* wanted = out + kWanted + i * kKinds + spec.shapes[i] * kCellColors;
    for (int64_t c = 0; c < kCellColors; ++c) {
      wanted[c] = color < 0 || color == c ? 1.0f : 0.0f;
    }
    out[kNeeded + 1 + i] = counting ? static_cast<float>(spec.count) : 1.0f;
  }
  out[30 + spec.objects() - 1] = 1;
  out[kNeeded] = static_cast<float>(spec.objects());
  if (spec.relation < 0) return;
  out[34 + spec.relation] = 1;
  out[kDirection + spec.relation / 2] = spec.relation % 2 == 0 ? -1.0f : 1.0f;
}

/** How far the middles of `n` parts of a side lie along it, in [0,1]. */
torch::Tensor middles(int64_t n, const torch::TensorOptions& options) {
  return (at::arange(n, options) + 0.5) / static_cast<double>(n);
}

std::map<std::string, std::vector<int64_t>> shapes_of(const ScorerConfig& c) {
  std::map<std::string, std::vector<int64_t>> out;
  const auto add = [&](const std::string& name, std::vector<int64_t> shape) {
    out[name + ".bias"] = {shape[0]};
    out[name + ".weight"] = std::move(shape);
  };
  add("stem", {c.stem, kInputs, 3, 3});
  add("stem_norm", {c.stem});
  add("down", {c.width, c.stem, 3, 3});
  for (int64_t i = 0; i < c.blocks; ++i) {
    for (const char* half : {"1", "2"}) {
      add(cat("blocks.", i, ".norm", half), {c.width});
      add(cat("blocks.", i, ".conv", half), {c.width, c.width, 3, 3});
    }
  }
  add("norm", {c.width});
  add("cell", {kCellPlanes, c.width, 1, 1});
  add("judge.0", {c.judge, kComparisons + kWords});
  add("judge.1", {c.judge, c.judge});
  add("judge.2", {1, c.judge});
  return out;
}

bool ends_with(const std::string& text, const std::string& end) {
  return text.size() >= end.size() &&
         text.compare(text.size() - end.size(), end.size(), end) == 0;
}

/** Residual parts, cells and the answer begin at 0, norms at 1; but an object
 * in few cells, or sums over them begin far from what captions ask for. */
torch::Tensor initial(const std::string& name,
                      const std::vector<int64_t>& shape, uint64_t seed) {
  constexpr float kFew = -3;  ///< a logit: 3 of 64 cells
  if (name == "cell.bias") {
    auto bias = at::zeros(shape);
    bias[0] = kFew;
    return bias;
  }
  const bool silent = name.find("conv2.") != std::string::npos ||
                      name.find("cell.") == 0 || name.find("judge.2.") == 0;
  if (silent || ends_with(name, "bias")) return at::zeros(shape);
  if (shape.size() == 1) return at::ones(shape);
  const auto normal = counted_normal(seed, shape);
  const double fan = static_cast<double>(normal[0].numel());
  return normal / std::sqrt(fan);
}

ScorerConfig read_config(const std::string& path) {
  constexpr int64_t kMost = 4096;
  const auto json = read_python_json(path);
  const JsonFields fields(json, cat(kWho, " ", path));
  const auto name = fields.text("_class_name");
  fields.only("_class_name", name == kClass, cat("\"", kClass, "\""));
  ScorerConfig config;
  config.stem = fields.integer("stem", kGroups, kMost);
  config.width = fields.integer("width", kGroups, kMost);
  config.blocks = fields.integer("blocks", 0, 64);
  config.judge = fields.integer("judge", 1, kMost);
  fields.check("stem", config.stem % kGroups == 0, "a multiple of 8");
  fields.check("width", config.width % kGroups == 0, "a multiple of 8");
  return config;
}

}  // namespace

torch::Tensor caption_numbers(const std::vector<Spec>& specs) {
  const auto count = static_cast<int64_t>(specs.size());
  auto out = at::zeros({count, kCaptionNumbers});
  for (int64_t i = 0; i < count; ++i) {
    put_numbers(specs[i], out.data_ptr<float>() + i * kCaptionNumbers);
  }
  return out;
}

Scorer::Scorer(const ScorerConfig& config, uint64_t seed) : config_(config) {
  uint64_t index = 0;
  for (const auto& [name, shape] : shapes_of(config)) {
    weights_[name] = initial(
        name, shape, counted_seed(seed, Purpose::model_init, {index++}));
  }
}

Scorer Scorer::load(const std::string& folder) {
  const auto config = read_config(folder + "/config.json");
  const auto path = folder + "/model.safetensors";
  const auto file = read_safetensors(path);
  const auto needed = shapes_of(config);
  for (const auto& [name, tensor] : file.tensors) {
    RSM_CHECK(needed.contains(name), kWho, " ", path, " has a tensor \"", name,
              "\" that is no weight of a scorer; take its file from where the "
              "config is from");
  }
  Scorer out(config, 0);
  for (const auto& [name, shape] : needed) {
    const auto found = file.tensors.find(name);
    RSM_CHECK(found != file.tensors.end(), kWho, " ", path, " has no \"", name,
              "\"; it needs one of shape ", at::IntArrayRef(shape));
    RSM_CHECK(found->second.sizes() == shape, kWho, " ", path, ": \"", name,
              "\" has shape ", found->second.sizes(), "; the config asks for ",
              at::IntArrayRef(shape));
    out.weights_[name] = found->second.to(at::kFloat);
  }
  return out;
}

void Scorer::save(const std::string& folder, torch::ScalarType type) const {
  make_folders(folder);
  StateDict weights;
  for (const auto& [name, tensor] : weights_) {
    weights[name] = tensor.detach().to(type);
  }
  write_safetensors(folder + "/model.safetensors", weights);
  write_json_atomic(folder + "/config.json", {{"_class_name", kClass},
                                              {"stem", config_.stem},
                                              {"width", config_.width},
                                              {"blocks", config_.blocks},
                                              {"judge", config_.judge}});
}

Scorer Scorer::on(torch::Device device) const {
  Scorer out = *this;
  for (auto& [name, tensor] : out.weights_) tensor = tensor.to(device);
  return out;
}

torch::Tensor Scorer::convolved(const torch::Tensor& x, const std::string& name,
                                int64_t stride) const {
  const auto& weight = weights_.at(name + ".weight");
  return at::conv2d(x, weight, weights_.at(name + ".bias"), stride,
                    weight.size(2) / 2);
}

torch::Tensor Scorer::normed(const torch::Tensor& x,
                             const std::string& name) const {
  return at::silu(at::group_norm(x, kGroups, weights_.at(name + ".weight"),
                                 weights_.at(name + ".bias")));
}

torch::Tensor Scorer::linear(const torch::Tensor& x,
                             const std::string& name) const {
  return at::linear(x, weights_.at(name + ".weight"),
                    weights_.at(name + ".bias"));
}

torch::Tensor Scorer::cells(const torch::Tensor& images) const {
  const int64_t count = images.size(0);
  const auto middle = middles(kFolded, images.options()) * 2 - 1;
  const auto columns = middle.view({1, 1, 1, -1});
  const auto rows = middle.view({1, 1, -1, 1});
  auto x = at::cat({at::pixel_unshuffle(images * 2 - 1, kFold),
                    columns.expand({count, 1, kFolded, kFolded}),
                    rows.expand({count, 1, kFolded, kFolded})},
                   1);
  x = convolved(normed(convolved(x, "stem"), "stem_norm"), "down", 2);
  for (int64_t i = 0; i < config_.blocks; ++i) {
    const auto block = cat("blocks.", i);
    const auto inner = convolved(normed(x, block + ".norm1"), block + ".conv1");
    x = x + convolved(normed(inner, block + ".norm2"), block + ".conv2");
  }
  return convolved(normed(x, "norm"), "cell");
}

torch::Tensor Scorer::logits(const torch::Tensor& cells,
                             const torch::Tensor& captions) const {
  constexpr double kSoft = 0.05;  ///< objects; where none is, none lies at 0
  const int64_t count = cells.size(0), each = captions.size(1);
  const auto parts =
      cells.split_with_sizes({1, kCellShapes, kCellColors, 1, 1}, 1);
  const auto middle = middles(kCells, cells.options());
  const auto x = middle.view({1, 1, 1, -1}) + parts[3] / double{kCells};
  const auto y = middle.view({1, 1, -1, 1}) + parts[4] / double{kCells};
  const auto shapes = at::sigmoid(parts[0]) * at::softmax(parts[1], 1);
  const auto colors = at::softmax(parts[2], 1).flatten(2);
  // Of every kind: how many there are, and the sums of where they are.
  const auto sums =
      at::bmm(at::cat({shapes, shapes * x, shapes * y}, 1).flatten(2),
              colors.transpose(1, 2))
          .view({count, 3, kKinds});
  const auto wanted = captions.narrow(2, kWanted, 2 * kKinds)
                          .reshape({count, 2 * each, kKinds});
  const auto found =
      at::bmm(wanted, sums.transpose(1, 2)).view({count, each, 2, 3});
  const auto number = found.select(3, 0);
  const auto place = found.narrow(3, 1, 2) / (number.unsqueeze(3) + kSoft);
  const auto all = sums.select(1, 0).sum(1, true).expand({count, each});
  const auto needed = captions.narrow(2, kNeeded, 3);
  const auto missing = number - needed.narrow(2, 1, 2);
  const auto extra = all - needed.select(2, 0);
  const auto way = place.select(2, 0) - place.select(2, 1);
  const auto direction = captions.narrow(2, kDirection, 2);
  const auto ahead = 4 * (way * direction).sum(2);
  // The other axis; 0 where no relation is asked for.
  const auto across =
      4 * ((way * direction.flip(2)).square().sum(2) + 1e-6).sqrt() *
      direction.abs().sum(2);
  const auto compared =
      at::stack({extra, missing.select(2, 0), missing.select(2, 1), ahead,
                 across, ahead - across, all - number.sum(2), extra.square(),
                 missing.square().sum(2)},
                2);
  auto h = at::cat({compared, captions.narrow(2, 0, kWords)}, 2);
  h = at::silu(linear(h, "judge.0"));
  h = at::silu(linear(h, "judge.1"));
  return linear(h, "judge.2").squeeze(2);
}

}  // namespace rsm::shapes
