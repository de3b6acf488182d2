// The one source that knows MPI.

#include <sched.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <thread>

#include "rsm/base/communicator.h"
#include "rsm/base/error.h"

#ifdef RSM_MPI
#include <mpi.h>
#endif

namespace rsm {
namespace {

/** A number in the environment; 0: there is none. */
int64_t number_of(const char* variable) {
  const char* text = std::getenv(variable);
  int64_t number = 0;
  if (text == nullptr) return 0;
  std::from_chars(text, text + std::strlen(text), number);
  return number;
}

#ifdef RSM_MPI

/** What MPI counts in one call: its counts are int. */
constexpr int64_t kMostBytes = int64_t{1} << 30;
/** What other ranks wait longer, so that rank 0 is the one that names. */
constexpr double kLater = 5;
/** What a rank that is asked whether it is there has to say so. */
constexpr double kAnswer = 2;
constexpr int kMeetTag = 1, kDataTag = 2, kAskTag = 3, kHereTag = 4;

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

/** What ranks tell each other when they meet. */
struct Call {
  int64_t number;  ///< of the calls so far
  int64_t kind;    ///< 'g'ather, 'b'roadcast, 'l'eave
  int64_t bytes;
};

class MpiRanks : public Communicator {
 public:
  MpiRanks() {
    MPI_Comm_rank(MPI_COMM_WORLD, &rank_);
    MPI_Comm_size(MPI_COMM_WORLD, &size_);
    MPI_Comm local;
    MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL,
                        &local);
    MPI_Comm_rank(local, &local_rank_);
    MPI_Comm_size(local, &local_size_);
    MPI_Comm_free(&local);
  }

  int64_t rank() const override { return rank_; }
  int64_t size() const override { return size_; }
  int64_t local_rank() const override { return local_rank_; }
  int64_t local_size() const override { return local_size_; }
  int64_t bytes_sent() const override { return sent_; }
  void set_timeout(double seconds) override {
    timeout_ = seconds;
    of_run_ = true;
  }

  std::vector<std::string> gather(const std::string& bytes) override {
    const auto calls = meet('g', std::ssize(bytes));
    std::vector<std::string> out;
    std::vector<int> counts, places;
    int64_t all = 0;
    for (const auto& call : calls) {
      out.emplace_back(call.bytes, '\0');
      counts.push_back(static_cast<int>(call.bytes));
      places.push_back(static_cast<int>(all));
      all += call.bytes;
    }
    RSM_CHECK(all < kMostBytes, "[ranks] ", all, " bytes to gather at once; ",
              kMostBytes, " is the most");
    if (all == 0) return out;
    std::string joined(all, '\0');
    MPI_Request request;
    MPI_Iallgatherv(bytes.data(), counts[rank_], MPI_BYTE, joined.data(),
                    counts.data(), places.data(), MPI_BYTE, MPI_COMM_WORLD,
                    &request);
    finish({request}, "while numbers were gathered");
    for (int r = 0; r < size_; ++r) {
      out[r] = joined.substr(places[r], counts[r]);
    }
    sent_ += std::ssize(bytes) * (size_ - 1);
    return out;
  }

  void broadcast(torch::Tensor& values, int64_t from) override {
    auto* data = static_cast<char*>(values.data_ptr());
    const auto bytes = static_cast<int64_t>(values.nbytes());
    for (const auto& call : meet('b', bytes)) {
      RSM_CHECK(call.bytes == bytes, "[ranks] ", call.bytes, " and ", bytes,
                " bytes of one tensor: ranks hold other states");
    }
    in_messages(bytes, cat("while rank ", from, " handed on tensors"),
                [&](int64_t at, int count, MPI_Request* request) {
                  MPI_Ibcast(data + at, count, MPI_BYTE, static_cast<int>(from),
                             MPI_COMM_WORLD, request);
                });
    if (from == rank_) sent_ += bytes;
  }

  void send(const torch::Tensor& values, int64_t to) override {
    const auto bytes = static_cast<int64_t>(values.nbytes());
    const auto* data = static_cast<const char*>(values.const_data_ptr());
    in_messages(bytes, cat("while rank ", to, " was to take a sum"),
                [&](int64_t at, int count, MPI_Request* request) {
                  MPI_Isend(data + at, count, MPI_BYTE, static_cast<int>(to),
                            kDataTag, MPI_COMM_WORLD, request);
                });
    sent_ += bytes;
  }

  void receive(torch::Tensor& values, int64_t from) override {
    auto* data = static_cast<char*>(values.data_ptr());
    in_messages(static_cast<int64_t>(values.nbytes()),
                cat("while rank ", from, " was to hand on a sum"),
                [&](int64_t at, int count, MPI_Request* request) {
                  MPI_Irecv(data + at, count, MPI_BYTE, static_cast<int>(from),
                            kDataTag, MPI_COMM_WORLD, request);
                });
  }

  void leave() override {
    meet('l', 0);
    MPI_Finalize();
  }

  void abort(int status) override { MPI_Abort(MPI_COMM_WORLD, status); }

 private:
  /** Waits until all ranks have come to the same call; what each brings. Every
   * two of them exchange a message, so that each sees who is missing. */
  std::vector<Call> meet(char kind, int64_t bytes) {
    const Call own = {++calls_, kind, bytes};
    std::vector<Call> all(size_, own);
    std::vector<MPI_Request> hear(size_, MPI_REQUEST_NULL), tell(hear);
    for (int r = 0; r < size_; ++r) {
      if (r == rank_) continue;
      MPI_Irecv(&all[r], sizeof(Call), MPI_BYTE, r, kMeetTag, MPI_COMM_WORLD,
                &hear[r]);
      MPI_Isend(&own, sizeof(Call), MPI_BYTE, r, kMeetTag, MPI_COMM_WORLD,
                &tell[r]);
    }
    await(hear, [&](const std::string& who) {
      return cat(who, " did not come to where the others wait within ",
                 waited(), ": it hangs, is stopped or far slower; ", way_on());
    });
    await(tell, [&](const std::string& who) {
      return cat(who, " takes no messages");
    });
    for (int r = 0; r < size_; ++r) {
      RSM_CHECK(all[r].number == own.number && all[r].kind == own.kind,
                "[ranks] rank ", r, " is at another point of the run (call ",
                all[r].number, " ", static_cast<char>(all[r].kind), ") than ",
                "rank ", rank_, " (call ", own.number, " ", kind,
                "): they saw other numbers, or one was stopped alone; ",
                way_on());
    }
    return all;
  }

  /** How long, and which key says so: a run's config alone does. */
  std::string waited() const {
    return cat(timeout_, of_run_ ? " s (compute.rank_timeout)" : " s");
  }
  const char* way_on() const {
    return of_run_ ? "the same command goes on from the last checkpoint"
                   : "see to it and give the command again";
  }

  /** Waits for requests by rank; `error` of who is missing. */
  template <typename Error>
  void await(std::vector<MPI_Request>& requests, const Error& error) const {
    const auto start = Clock::now();
    const double most = timeout_ + (rank_ == 0 ? 0 : kLater);
    for (int done = 0; true;) {
      MPI_Testall(static_cast<int>(requests.size()), requests.data(), &done,
                  MPI_STATUSES_IGNORE);
      if (done != 0) return;
      const double waited = seconds_since(start);
      if (waited > most) break;
      answer();
      pause(waited);
    }
    const auto missing = unfinished(requests);
    if (missing.empty()) return;
    throw rsm::Error(cat("[ranks] ", error("rank " + join(missing))));
  }

  /** The ranks whose requests are not done. */
  static std::vector<std::string> unfinished(
      std::vector<MPI_Request>& requests) {
    std::vector<std::string> out;
    for (size_t r = 0; r < requests.size(); ++r) {
      int done = 0;
      MPI_Test(&requests[r], &done, MPI_STATUS_IGNORE);
      if (done == 0) out.push_back(std::to_string(r));
    }
    return out;
  }

  /** Says that this rank is there where another asks. */
  static void answer() {
    int is_asked = 0;
    MPI_Status asked;
    MPI_Iprobe(MPI_ANY_SOURCE, kAskTag, MPI_COMM_WORLD, &is_asked, &asked);
    if (is_asked == 0) return;
    MPI_Recv(nullptr, 0, MPI_BYTE, asked.MPI_SOURCE, kAskTag, MPI_COMM_WORLD,
             MPI_STATUS_IGNORE);
    MPI_Request told;
    MPI_Isend(nullptr, 0, MPI_BYTE, asked.MPI_SOURCE, kHereTag, MPI_COMM_WORLD,
              &told);
    MPI_Request_free(&told);
  }

  /** Asks all others; who of them does not say that it is there. */
  std::string who_is_silent() const {
    std::vector<MPI_Request> hear(size_, MPI_REQUEST_NULL);
    for (int r = 0; r < size_; ++r) {
      if (r == rank_) continue;
      MPI_Request told;
      MPI_Irecv(nullptr, 0, MPI_BYTE, r, kHereTag, MPI_COMM_WORLD, &hear[r]);
      MPI_Isend(nullptr, 0, MPI_BYTE, r, kAskTag, MPI_COMM_WORLD, &told);
      MPI_Request_free(&told);
    }
    const auto start = Clock::now();
    auto silent = unfinished(hear);
    while (!silent.empty() && seconds_since(start) < kAnswer) {
      answer();
      pause(seconds_since(start));
      silent = unfinished(hear);
    }
    return silent.empty() ? "every rank answers, so that messages are slow"
                          : cat("rank ", join(silent), " does not answer");
  }

  /** Begins what moves `bytes` bytes in messages as long as MPI counts, and
   * waits for them: begin(first byte, how many, request). */
  template <typename Begin>
  void in_messages(int64_t bytes, const std::string& what,
                   const Begin& begin) const {
    std::vector<MPI_Request> requests;
    for (int64_t at = 0; at < bytes; at += kMostBytes) {
      requests.emplace_back();
      begin(at, static_cast<int>(std::min(kMostBytes, bytes - at)),
            &requests.back());
    }
    finish(requests, what);
  }

  /** Waits for requests that all ranks are at. */
  void finish(std::vector<MPI_Request> requests,
              const std::string& what) const {
    const auto start = Clock::now();
    const double most = timeout_ + (rank_ == 0 ? 0 : kLater);
    for (int done = 0; true;) {
      MPI_Testall(static_cast<int>(requests.size()), requests.data(), &done,
                  MPI_STATUSES_IGNORE);
      if (done != 0) return;
      RSM_CHECK(seconds_since(start) < most, "[ranks] rank ", rank_, " waited ",
                waited(), " ", what, ": ", who_is_silent(), "; ", way_on());
      answer();
      sched_yield();
    }
  }

  /** Leaves the core to others the longer the more was waited. */
  static void pause(double waited) {
    constexpr double kSoon = 1e-3;  // seconds
    if (waited < kSoon) {
      sched_yield();
    } else {
      std::this_thread::sleep_for(std::chrono::microseconds(200));
    }
  }

  int rank_ = 0, size_ = 1, local_rank_ = 0, local_size_ = 1;
  int64_t calls_ = 0, sent_ = 0;
  double timeout_ = 600;
  bool of_run_ = false;  ///< whether that is a run's
};

#endif

}  // namespace

int64_t launched_processes() {
  // Of srun's step: a batch script has SLURM_NTASKS though it is one process.
  return std::max({int64_t{1}, number_of("OMPI_COMM_WORLD_SIZE"),
                   number_of("PMI_SIZE"), number_of("SLURM_STEP_NUM_TASKS")});
}

void check_sole_process(const std::string& who, const std::string& advice) {
  const int64_t launched = launched_processes();
  if (launched == 1) return;
  throw UsageError(cat(who, " the launcher started ", launched,
                       " processes, and each would do all of it; start one",
                       advice));
}

std::unique_ptr<Communicator> join_ranks() {
  const int64_t launched = launched_processes();
  if (launched == 1) return std::make_unique<Communicator>();
#ifdef RSM_MPI
  int level = 0, is_begun = 0, size = 1;
  MPI_Initialized(&is_begun);
  if (is_begun == 0)
    MPI_Init_thread(nullptr, nullptr, MPI_THREAD_FUNNELED, &level);
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  if (size != launched) {
    throw UsageError(
        cat("[ranks] the launcher started ", launched,
            " processes, and MPI "
            "sees ",
            size,
            ": they would all be the same run; start them with "
            "the mpirun of the MPI that this program was built with, or "
            "`srun --mpi=pmix` (`srun --mpi=list` says what there is)"));
  }
  return std::make_unique<MpiRanks>();
#else
  throw UsageError(
      cat("[ranks] the launcher started ", launched,
          " processes, and this "
          "program was built without MPI: they would all be the same run; "
          "start one, or install MPI (libopenmpi-dev, openmpi-bin) and build "
          "again"));
#endif
}

}  // namespace rsm
