#include "rsm/models/network.h"

#include "rsm/models/loading.h"

namespace rsm {

Network copy_of(const Network& network, torch::ScalarType type,
                torch::Device device) {
  auto copy = network->fresh();
  copy->to(device, type);
  load_parameters(*copy, state_dict(*network), "copy_of");
  return copy;
}

}  // namespace rsm
