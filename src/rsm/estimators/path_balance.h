#pragma once

#include <torch/types.h>

#include "rsm/base/decoder.h"
#include "rsm/base/denoiser.h"
#include "rsm/base/estimator.h"
#include "rsm/base/reward.h"
#include "rsm/paths/path.h"

namespace rsm {

// The detailed balance of stochastic paths' steps. P paths of N - 1 rows, all
// but the last step, as matrices of float64 in host memory; log-densities are
// means over latent elements. Source: DAG, arXiv 2406.00633, and its release.

/** [P,N-1] log-density of each row's step, where the network says y [R,C,H,W]:
 * that of x' under N(a_x x + m_y y, s^2). Throws rsm::Error unless the rollout
 * is of whole stochastic paths. */
torch::Tensor forward_log_density(const Rollout& rollout,
                                  const torch::Tensor& y);

/** [P,N-1] log-density of the way back: that of x under N(c x', n^2), the noise
 * that leads from t' to t. It is the forward process's own where its steps
 * forget the way they came: DDIM of eta 1, Flow-SDE of level sqrt(2). */
torch::Tensor backward_log_density(const Rollout& rollout, const Path& path);

/** [P,N] the reward of the pictures that the network predicts at the rows'
 * states and, in the last column, that of the paths' samples. */
torch::Tensor rewards_on_the_way(const Sampled& sampled, const Path& path,
                                 Denoiser& network, const Decoder& decoder,
                                 const Reward& reward);

/** [P,N-1] F + what is known - F', of flows F [P,N-1] of the rows' states,
 * where nothing is learnt of a path's end. */
torch::Tensor residuals(const torch::Tensor& known, const torch::Tensor& flow);

/** [P,N-1] dL/dF of L, the mean square of residuals. */
torch::Tensor flow_slope(const torch::Tensor& residual);

}  // namespace rsm
