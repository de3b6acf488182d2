#include "rsm/runs/noise_options.h"

#include <iterator>

#include "rsm/base/error.h"
#include "rsm/methods/names.h"

namespace rsm {
namespace {

constexpr double kQuietest = 1e-6;  // levels are above 0
constexpr double kLoudest = 10;
constexpr double kLargestWeight = 1e30;  // float32 still holds it

}  // namespace

void read_noise(const Config& sampling, Family family, RunOptions& o) {
  auto& kind = o.method.estimator.noise;
  kind = parse<SamplerNoise>(
      sampling.choice("sampler", to_string(kind), words<SamplerNoise>()));
  o.noise.kind = kind;
  if (sampling.has("noise_level") && !sampling.is_scalar("noise_level")) {
    o.noise.levels = sampling.reals("noise_level", {}, kQuietest, kLoudest);
    const auto listed = std::ssize(o.noise.levels);
    if (listed != o.steps && listed != o.steps - 1) {
      sampling.note(
          "noise_level",
          cat("lists ", listed, " levels, the sampler takes ", o.steps,
              " steps; give one for each, or for all but the last"));
    }
  } else {
    o.noise.level = sampling.real("noise_level", usual_level(kind, family),
                                  kQuietest, kLoudest);
  }
  if (kind == SamplerNoise::even_weight || sampling.is_wrong("sampler")) {
    o.noise.weight = sampling.real("even_weight", o.noise.weight, 1 + kQuietest,
                                   kLargestWeight);
  }
}

}  // namespace rsm
