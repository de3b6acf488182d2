#include "rsm/cli/among_ranks.h"

#include <chrono>
#include <cstdio>
#include <string>
#include <thread>

#include "rsm/base/error.h"
#include "rsm/cli/commands.h"
#include "rsm/runs/ranks.h"

namespace rsm {

int among_ranks(const std::function<int(Communicator&)>& work) {
  // Rank 0 has the time to say what it meets too, and to finish what it writes.
  constexpr auto kFirst = std::chrono::seconds(3);
  const auto ranks = join_ranks();
  keep_cores_of_kernels();
  if (ranks->is_sole()) return work(*ranks);
  int status = kFailed;
  std::string failure;
  try {
    status = work(*ranks);
    ranks->leave();
    return status;
  } catch (const UsageError& error) {
    status = kUsage;
    failure = error.what();
  } catch (const Interrupted& stop) {
    status = stopped_status();
    failure = stop.what();
  } catch (...) {
    failure = failure_text();
  }
  if (!ranks->is_first()) std::this_thread::sleep_for(kFirst);
  std::fprintf(stderr, "rsm: rank %lld: %s\n",
               static_cast<long long>(ranks->rank()), failure.c_str());
  ranks->abort(status);
  return status;
}

}  // namespace rsm
