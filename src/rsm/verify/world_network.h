#pragma once

#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "rsm/layers/linear.h"
#include "rsm/models/network.h"
#include "rsm/paths/path.h"
#include "rsm/verify/density.h"

namespace rsm::verify {

/** A small MLP of a point and its time. Latents [B,D,1,1] are points; texts
 * change nothing. */
class PointNetworkImpl : public NetworkModule {
 public:
  /** Of points of R^points, to so many numbers. The weights are arbitrary until
   * they are set. */
  PointNetworkImpl(std::shared_ptr<const Path> path, int64_t points,
                   int64_t outputs);

  /** -> [B,outputs,1,1] */
  torch::Tensor predict(const torch::Tensor& x, const torch::Tensor& t,
                        const Condition& condition) override;
  Network fresh() const override;
  std::vector<int64_t> latent_shape() const override;
  std::vector<int64_t> latent_shape(int64_t height,
                                    int64_t width) const override;
  std::pair<int64_t, int64_t> condition_widths() const override;
  nlohmann::json config_json() const override;
  std::string part() const override { return "transformer"; }

  /** MLPs too, whatever is asked for. */
  Network small_network(const std::vector<int64_t>& channels) const override;
  Network scalar_network(const UnetConfig& config) const override;

 protected:
  const std::shared_ptr<const Path>& path() const { return path_; }

 private:
  std::shared_ptr<const Path> path_;
  int64_t points_, outputs_;
  Linear proj_in_{nullptr}, hidden_{nullptr}, proj_out_{nullptr};
};

/** A model of a density that is pretrained perfectly: what a network without
 * error says, and beside it a small one that begins as 0 and learns,
 *
 *     y = y_reference(x, t) + noise(t) MLP(x, t).
 *
 * Only the MLP has parameters. */
class WorldNetworkImpl : public PointNetworkImpl {
 public:
  WorldNetworkImpl(std::shared_ptr<const Path> path, Density reference);

  torch::Tensor predict(const torch::Tensor& x, const torch::Tensor& t,
                        const Condition& condition) override;
  Network fresh() const override;

 private:
  Density reference_;
};

/** What the models here are conditioned on: nothing, [rows] times. */
Condition no_condition(int64_t rows);

/** One that says what the reference's perfect network does. */
Network new_world_network(std::shared_ptr<const Path> path,
                          const Density& reference, uint64_t seed);

}  // namespace rsm::verify
