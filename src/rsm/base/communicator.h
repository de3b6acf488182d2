#pragma once

#include <torch/types.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace rsm {

/** Some of a list: [first, last). */
struct Share {
  int64_t first = 0, last = 0;

  int64_t count() const { return last - first; }
};

/** Which of `count` things a rank of `size` takes: consecutive ones, and of all
 * ranks together each once; a rank has one more than another at most. */
Share share_of(int64_t count, int64_t rank, int64_t size);

/** The processes (ranks) of one run, as one of them sees them. By itself it is
 * a sole process, for which every call is free and gives back what came.
 *
 * Calls are collective unless they say otherwise: every rank makes the same
 * ones in the same order, each from one thread. They throw rsm::Error naming
 * the ranks that do not come in time or are somewhere else. */
class Communicator {
 public:
  Communicator() = default;
  Communicator(const Communicator&) = delete;
  virtual ~Communicator() = default;

  virtual int64_t rank() const { return 0; }
  virtual int64_t size() const { return 1; }
  /** Among the ranks on this machine, and how many these are. */
  virtual int64_t local_rank() const { return 0; }
  virtual int64_t local_size() const { return 1; }
  /** Whether this rank is the one that writes and speaks. */
  bool is_first() const { return rank() == 0; }
  bool is_sole() const { return size() == 1; }
  Share share_of(int64_t count) const {
    return rsm::share_of(count, rank(), size());
  }

  /** How long the others may be behind, in seconds: a run's
   * compute.rank_timeout, until which it is 600. Not collective. */
  virtual void set_timeout(double /*seconds*/) {}

  /** What every rank hands in, by rank. */
  virtual std::vector<std::string> gather(const std::string& bytes) {
    return {bytes};
  }
  /** Fills a contiguous tensor in host memory, of one shape on all ranks, with
   * that of rank `from`. */
  virtual void broadcast(torch::Tensor& /*values*/, int64_t /*from*/) {}
  /** Between two ranks, not collective: such tensors as broadcast() takes.
   * Never called of a sole process. */
  virtual void send(const torch::Tensor& values, int64_t to);
  virtual void receive(torch::Tensor& values, int64_t from);

  /** Bytes that this rank has sent so far, headers apart. */
  virtual int64_t bytes_sent() const { return 0; }

  /** The end of a run that all ranks come to. */
  virtual void leave() {}
  /** Ends all ranks at once, whatever they do. Not collective. A sole process
   * only returns. */
  virtual void abort(int /*status*/) {}

  /** Numbers of rank 0, then those of rank 1, and so on. */
  std::vector<double> gather(const std::vector<double>& numbers);
  void barrier();
  /** Whether it is so on any rank. */
  bool any(bool here);
  double sum(double here);
  /** What rank 0 says. */
  std::string first_says(const std::string& here);
  double first_says(double here);
  /** Throws rsm::Error, naming the first rank where `here` is another text than
   * on rank 0, `what` that is, and both as far as they are short. */
  void check_same(const std::string& what, const std::string& here);
  /** Fills rows of `all` that other ranks hold: rank r those of shares[r]. */
  void gather_rows(torch::Tensor& all, const std::vector<Share>& shares);
  /** The same of `all` in `parts` equal parts, of which ranks hold their shares
   * (share_of) of those from `first` on; all have the parts before. */
  void gather_parts(torch::Tensor& all, int64_t parts, int64_t first = 0);
};

/** One round of adding up flat tensors of one length in their order, as a sole
 * process does, in the same bits: ((s + p_0) + p_1) + ..., where the parts p
 * are the `own` of rank 0, then those of rank 1 and so on. `counts` [size] says
 * how many each has: rank 0 some, and none behind a rank that has none. `sum`
 * is what the round before gave, on the last rank; nothing is looked at in
 * round 0. Returns the sum on the last rank that has parts, else an undefined
 * tensor. Pieces of it travel on while others are added; `own` are overwritten.
 * Collective. */
torch::Tensor sum_in_order(Communicator& ranks, int64_t round,
                           const torch::Tensor& sum,
                           const std::vector<torch::Tensor>& own,
                           const std::vector<int64_t>& counts);

/** The processes that this one was started among by mpirun or srun; a sole one
 * where it was started by itself. Throws rsm::UsageError where the launcher
 * says that there are others, and this program was built without MPI or MPI
 * does not see them. */
std::unique_ptr<Communicator> join_ranks();

/** Throws rsm::UsageError, beginning with `who`, where a launcher started more
 * than one process for work that each would do whole; `advice` is what to do
 * besides starting one, "" nothing. */
void check_sole_process(const std::string& who, const std::string& advice);

/** How many processes the launcher's environment says there are; 1: no launcher
 * did. A batch script's own shell (SLURM_NTASKS) counts as none. */
int64_t launched_processes();

}  // namespace rsm
