#pragma once

#include <exception>
#include <string>

#include "rsm/base/error.h"

namespace rsm {

/** Runs what throws exceptions of another library, as an rsm::Error: `before`,
 * what said_by(exception) makes of it, `after`. */
template <typename SaidBy, typename Action>
auto asked(const std::string& before, const std::string& after,
           const SaidBy& said_by, const Action& action) {
  try {
    return action();
  } catch (const Error&) {
    throw;
  } catch (const std::exception& error) {
    throw Error(cat(before, said_by(error), after));
  }
}

}  // namespace rsm
