#include "rsm/runs/lora_options.h"

#include <algorithm>
#include <optional>

#include "rsm/base/error.h"
#include "rsm/io/printable.h"
#include "rsm/models/image_model.h"
#include "rsm/models/lora_start.h"

namespace rsm {
namespace {

constexpr int64_t kMostRank = 4096;
constexpr double kSmallestAlpha = 1e-6;
constexpr double kLargestAlpha = 1e30;  // float32 still holds it

/** What a LoRA to go on from says of itself. */
struct Start {
  LoraConfig config;
  std::vector<std::string> layers;  ///< that it adapts
  StateDict weights;                ///< the network's, not read
};

std::optional<Start> read_start(const Config& section, const std::string& model,
                                const RunOptions& o) {
  if (o.lora_from.empty() || model.empty()) return std::nullopt;
  std::optional<Start> start;
  section.check("from", [&] {
    RSM_CHECK(o.lora, "[LoRA] ", o.lora_from,
              " stands beside train.weights \"full\"; a LoRA goes on training "
              "with weights: lora");
    auto [part, weights] = view_network(model);
    const auto config = load_lora_start(o.lora_from, part, weights).config;
    RSM_CHECK(config.rank <= kMostRank && config.alpha >= kSmallestAlpha &&
                  config.alpha <= kLargestAlpha,
              "[LoRA] ", o.lora_from, " has rank ", config.rank, " and alpha ",
              config.alpha, "; ranks up to ", kMostRank,
              " and an alpha above 0 go on training");
    auto layers = adapted_layers(config, weights);
    start = Start{config, std::move(layers), std::move(weights)};
  });
  return start;
}

/** A list of endings, or the one word for all linear layers. */
std::vector<std::string> read_targets(
    const Config& section, const std::vector<std::string>& fallback) {
  const bool given = section.has("targets");
  if (given ? !section.is_scalar("targets")
            : fallback != std::vector<std::string>{kAllLinear}) {
    return section.texts("targets", fallback);
  }
  const std::string word = section.text("targets", kAllLinear);
  if (word != kAllLinear) {
    section.note("targets", cat("\"", word, "\"; ", kAllLinear,
                                " or a list of endings of layer names is "
                                "needed, such as [to_q, to_v]"));
  }
  return {word};
}

/** A few of many words. */
std::string some_of(const std::vector<std::string>& words) {
  constexpr size_t kShown = 4;
  const auto shown_words = std::vector<std::string>(
      words.begin(), words.begin() + std::min(words.size(), kShown));
  return cat(
      "[", join(shown_words),
      words.size() > kShown ? cat(", ... ", words.size(), " in all") : "", "]");
}

/** Notes what is given otherwise than the LoRA has it. */
void note_contradictions(const Config& section, const LoraConfig& given,
                         const Start& start, const std::string& from) {
  const auto other = [&](const char* key, const auto& value,
                         const auto& found) {
    section.note(key, cat("got ", value, "; the LoRA it goes on from (", from,
                          ") has ", found, ": leave the key out, or `from`"));
  };
  if (given.rank != start.config.rank) {
    other("rank", given.rank, start.config.rank);
  }
  if (given.alpha != start.config.alpha) {
    other("alpha", given.alpha, start.config.alpha);
  }
  const auto layers = adapted_layers(given, start.weights);
  if (layers == start.layers) return;
  const char* key = section.has("targets") ? "targets" : "exclude";
  const auto& words = section.has("targets") ? given.targets : given.exclude;
  other(key, cat(some_of(words), ", which choose ", layers.size(), " layers"),
        cat(start.layers.size(), " layers: ", some_of(start.layers)));
}

}  // namespace

void read_lora(const Config& section, const std::string& model, RunOptions& o) {
  o.lora_from = section.text("from", "");
  o.reference_has_lora =
      section.choice("reference", "base", {"base", "from"}) == "from";
  const auto start = read_start(section, model, o);
  auto& lora = o.lora_config;
  lora = start ? start->config : LoraConfig{.targets = {kAllLinear}};
  lora.rank = section.integer("rank", lora.rank, 1, kMostRank);
  lora.alpha = section.real("alpha", lora.alpha, kSmallestAlpha, kLargestAlpha);
  lora.targets = read_targets(section, lora.targets);
  // Those of the file narrow its targets, not others.
  if (section.has("targets")) lora.exclude.clear();
  lora.exclude = section.texts("exclude", lora.exclude);
  section.check("targets", [&] { lora.check(); });
  if (start) note_contradictions(section, lora, *start, o.lora_from);
}

void read_predictor(const Config& config, Family family, RunOptions& o) {
  if (o.method.estimator.gradient.through !=
      GradientKnobs::Through::predictor) {
    return;
  }
  const std::string key = "predictor";
  const auto section =
      config.section("method").section("estimator").section("gradient");
  if (family != Family::diffusion) {
    section.note("through",
                 "\"predictor\" with a flow: the LoRAs that make consistency "
                 "models are of diffusion models; allowed: reference, policy");
  }
  o.predictor = section.text(key);
  if (section.is_wrong(key) || config.is_wrong("model")) return;
  section.check(key, [&] {
    const auto [part, weights] = view_network(o.model);
    load_lora_start(o.predictor, part, weights);
  });
}

}  // namespace rsm
