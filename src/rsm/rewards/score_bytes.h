#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "rsm/base/reward.h"

namespace rsm {

// Scores on their way from one process of a run to another.

/** A tensor in host memory as JSON that CBOR keeps bit for bit; the reverse. */
nlohmann::json packed(const torch::Tensor& values);
torch::Tensor unpacked_tensor(const nlohmann::json& packed);

/** Scores with all that belongs to them; the reverse. */
nlohmann::json packed(const RewardScores& scores);
RewardScores unpacked_scores(const nlohmann::json& packed);

/** JSON with such tensors as bytes; the reverse. */
std::string to_bytes(const nlohmann::json& all);
nlohmann::json from_bytes(const std::string& bytes);

}  // namespace rsm
