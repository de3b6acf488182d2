#include "rsm/rewards/score_bytes.h"

#include <cstring>
#include <utility>
#include <vector>

namespace rsm {

using nlohmann::json;

json packed(const torch::Tensor& values) {
  if (!values.defined()) return {};
  const auto host = values.cpu().contiguous();
  const auto* data = static_cast<const uint8_t*>(host.const_data_ptr());
  return {{"type", static_cast<int>(host.scalar_type())},
          {"shape", host.sizes().vec()},
          {"data", json::binary({data, data + host.nbytes()})}};
}

torch::Tensor unpacked_tensor(const json& packed) {
  if (packed.is_null()) return {};
  auto out =
      at::empty(packed.at("shape").get<std::vector<int64_t>>(),
                static_cast<torch::ScalarType>(packed.at("type").get<int>()));
  const auto& data = packed.at("data").get_binary();
  if (!data.empty()) std::memcpy(out.data_ptr(), data.data(), data.size());
  return out;
}

json packed(const RewardScores& scores) {
  json metrics = json::object(), parts = json::array();
  for (const auto& [name, values] : scores.metrics) {
    metrics[name] = packed(values);
  }
  for (const auto& part : scores.parts) {
    parts.push_back({{"name", part.name},
                     {"weight", part.weight},
                     {"value", packed(part.value)}});
  }
  return {{"value", packed(scores.value)},
          {"metrics", metrics},
          {"parts", parts},
          {"mended", scores.mended},
          {"features", packed(scores.features)}};
}

RewardScores unpacked_scores(const json& packed) {
  RewardScores out;
  out.value = unpacked_tensor(packed.at("value"));
  for (const auto& [name, values] : packed.at("metrics").items()) {
    out.metrics[name] = unpacked_tensor(values);
  }
  for (const auto& part : packed.at("parts")) {
    out.parts.push_back({part.at("name").get<std::string>(),
                         part.at("weight").get<double>(),
                         unpacked_tensor(part.at("value"))});
  }
  out.mended = packed.at("mended").get<std::map<std::string, int64_t>>();
  out.features = unpacked_tensor(packed.at("features"));
  return out;
}

std::string to_bytes(const json& all) {
  std::string out;
  json::to_cbor(all, out);
  return out;
}

json from_bytes(const std::string& bytes) { return json::from_cbor(bytes); }

}  // namespace rsm
