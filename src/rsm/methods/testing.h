#pragma once

#include <functional>
#include <string>

#include "rsm/base/method.h"

/** What tests of methods share; no part of the library includes this. */
namespace rsm {

/** A change that makes a method contradict itself. */
struct Contradiction {
  std::string method;
  std::function<void(Method&)> change;
  std::string answer;  ///< part of the message
};

}  // namespace rsm
