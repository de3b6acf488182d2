#pragma once

#include <memory>
#include <utility>

#include "rsm/base/denoiser.h"
#include "rsm/paths/path.h"
#include "rsm/verify/density.h"

namespace rsm::verify {

/** Signal and noise of times t [B], in the type and where `like` lies. */
std::pair<torch::Tensor, torch::Tensor> shares_at(const Path& path,
                                                  const torch::Tensor& t,
                                                  const torch::Tensor& like);

/** What a perfect network says at points x [B,D] with such signal and noise
 * [B]: the path's target at E[point | x] and E[noise | x]. */
torch::Tensor exact_output(const Path& path, const Density& density,
                           const torch::Tensor& x, const torch::Tensor& signal,
                           const torch::Tensor& noise);

/** A network without error: latents [B,D,1,1] are points of the density. */
class ExactDenoiser : public Denoiser {
 public:
  ExactDenoiser(std::shared_ptr<const Path> path, Density density)
      : path_(std::move(path)), density_(std::move(density)) {}

  torch::Tensor predict(const torch::Tensor& x, const torch::Tensor& t,
                        const ConditionRows& conditions) override;

 private:
  std::shared_ptr<const Path> path_;
  Density density_;
};

}  // namespace rsm::verify
