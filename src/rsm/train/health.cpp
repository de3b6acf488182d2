#include "rsm/train/health.h"

#include <cmath>

#include "rsm/base/error.h"

namespace rsm {
namespace {

/** Of exact KL, a step and latent element. */
constexpr double kMostKl = 1;
/** Of root mean squares of outputs. */
constexpr double kMostOutputRatio = 2;
/** Root mean square of latents; of pictures in [-1,1] it is at most 1, of a
 * VAE's about 1. */
constexpr double kMostLatentSize = 3;

bool is_apart(double output_ratio) {
  return !(output_ratio < kMostOutputRatio &&
           output_ratio > 1 / kMostOutputRatio);
}

std::string drift_text(double kl, double output_ratio) {
  return cat("KL ", kl, " a step and latent element, outputs ", output_ratio,
             " times as large as the reference's");
}

}  // namespace

std::string way_back(const std::string& run_folder) {
  return cat(
      "The weights have most likely exploded: `rsm finetune CONFIG "
      "--from ",
      run_folder,
      " --set name=OTHER --set train.lr=LOWER` goes on with a lower "
      "train.lr from the newest checkpoint that was still whole");
}

std::string drift_warning(double mean_kl, double output_ratio,
                          const std::string& run_folder) {
  if (mean_kl <= kMostKl && !is_apart(output_ratio)) {
    return "";
  }
  return cat("the model is far from where it began (",
             drift_text(mean_kl, output_ratio), "). ", way_back(run_folder));
}

std::string broken_pictures(const torch::Tensor& latents) {
  const auto whole = latents.isfinite().flatten(1).all(1);
  const auto broken = latents.size(0) - whole.sum().item<int64_t>();
  if (broken > 0) {
    return cat(broken, " of ", latents.size(0),
               " pictures hold numbers that are not finite");
  }
  const double size =
      std::sqrt(latents.to(at::kDouble).square().mean().item<double>());
  return size > kMostLatentSize
             ? cat("the pictures' values are ", size,
                   " in root mean square, where about 1 is usual")
             : "";
}

void check_finite(const torch::Tensor& latents, const std::string& run_folder) {
  RSM_CHECK(latents.isfinite().all().item<bool>(), "[finetune] ",
            broken_pictures(latents),
            ", so there is nothing to judge. With compute.rollout_type float16 "
            "an overflow may be the reason: try bfloat16. ",
            way_back(run_folder));
}

EpochBefore epoch_before(const nlohmann::json& line) {
  EpochBefore out;
  if (const auto kl = line.find("kl"); kl != line.end()) {
    out.kl = kl->is_number() ? kl->get<double>() : NAN;
  }
  const auto groups = line.find("groups");
  out.is_trained = groups != line.end();
  if (out.is_trained) {
    out.dead_epochs =
        line.value("dead_epochs", int64_t{line.at("dead_groups") >= *groups});
  }
  return out;
}

std::string dead_groups_warning(const Sampled& sampled,
                                const Advantages& advantages,
                                const std::string& reward,
                                const EpochBefore& before,
                                const RunOptions& options) {
  const int64_t dead = advantages.dead_groups, all = advantages.groups();
  if (dead < all) {
    return 2 * dead >= all
               ? cat(dead, " of ", all, " groups have no reward spread")
               : "";
  }
  auto broken = broken_pictures(sampled.rollout.latents);
  if (broken.empty() && !(before.kl <= kMostKl)) {
    broken = cat("KL to the reference was ", before.kl,
                 " a step and latent element in the epoch before");
  }
  const auto what = cat("all ", all, " groups have rewards without spread");
  RSM_CHECK(broken.empty(), "[finetune] ", what,
            ", and the model is broken: ", broken, ". ",
            way_back(options.folder));
  const auto said =
      cat(what, " (the first reward is ", sampled.scores.value[0].item<float>(),
          "), so nothing can be learnt");
  const int64_t in_a_row = before.dead_epochs + 1;
  RSM_CHECK(before.is_trained && in_a_row <= options.dead_epochs, "[reward ",
            reward, "] ", said,
            "; use a graded reward, easier or other prompts, more samples a "
            "group, or more noise (sampling.noise_level)",
            before.is_trained
                ? ". train.dead_epochs: so many in a row are passed over"
                : "");
  return cat(said, " of this epoch, ", in_a_row, " in a row of the ",
             options.dead_epochs, " that train.dead_epochs passes over");
}

std::string why_not_finite(const torch::Tensor& y_old, double mean_kl,
                           double output_ratio) {
  if (!y_old.isfinite().all().item<bool>()) {
    return "the network's outputs are not finite already, so its weights are "
           "broken";
  }
  if (mean_kl > kMostKl || is_apart(output_ratio)) {
    return cat("the model is far from where it began (",
               drift_text(mean_kl, output_ratio),
               "), so train.lr is likely too high");
  }
  return "outputs and drift are as usual: a single overflow, which a lower "
         "train.lr makes rarer";
}

}  // namespace rsm
