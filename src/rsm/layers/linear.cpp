#include "rsm/layers/linear.h"

namespace rsm {

LinearImpl::LinearImpl(int64_t in, int64_t out, bool with_bias) {
  weight = register_parameter("weight", torch::empty({out, in}));
  if (with_bias) {
    bias = register_parameter("bias", torch::empty({out}));
  }
}

}  // namespace rsm
