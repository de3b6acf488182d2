#include <c10/util/Exception.h>

#include <exception>

#include "rsm/cli/commands.h"
#include "rsm/runs/memory_advice.h"

namespace rsm {

std::string failure_text() {
  if (const auto asked = memory_refused()) {
    return "out of memory: " + (*asked == "memory"
                                    ? "more was asked for than there is"
                                    : *asked + " were asked for");
  }
  try {
    throw;
  } catch (const c10::Error& error) {
    return error.what_without_backtrace();
  } catch (const std::exception& error) {
    return error.what();
  } catch (...) {
    return "an exception of an unknown kind";
  }
}

}  // namespace rsm
