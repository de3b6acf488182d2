#include "rsm/models/network.h"

#include <nlohmann/json.hpp>

#include "rsm/models/loading.h"
#include "rsm/models/scalar_unet.h"
#include "rsm/models/small_unet.h"

namespace rsm {

Network NetworkModule::small_network(
    const std::vector<int64_t>& channels) const {
  return small_unet(small_unet_config(channels, config_json().at("in_channels"),
                                      condition_widths().first));
}

Network NetworkModule::scalar_network(const UnetConfig& config) const {
  return std::make_shared<ScalarUnetImpl>(config);
}

Network copy_of(const Network& network, torch::ScalarType type,
                torch::Device device) {
  auto copy = network->fresh();
  copy->to(device, type);
  load_parameters(*copy, state_dict(*network), "copy_of");
  return copy;
}

}  // namespace rsm
