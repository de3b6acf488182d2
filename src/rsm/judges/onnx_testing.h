#pragma once

#include <gtest/gtest.h>

#include "rsm/judges/onnx_network.h"

/** For tests that run ONNX networks: skips them where the runtime is missing,
 * saying so. */
#define RSM_NEEDS_ONNX()                                                \
  if (!rsm::has_onnx()) {                                               \
    GTEST_SKIP() << "built without OpenVINO: `make setup` installs it"; \
  }
