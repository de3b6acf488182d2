#pragma once

#include "rsm/base/communicator.h"
#include "rsm/runs/run_inputs.h"
#include "rsm/runs/run_options.h"

namespace rsm {

/** Whether all ranks are of one run: compares the program file, the config key
 * by key (threads and device apart) and the checksums of what the run rests on.
 * Throws rsm::Error naming the first rank that differs from rank 0, and in
 * what. Collective. */
void check_same_run(Communicator& ranks, const RunOptions& options,
                    const RunInputs& inputs);

/** Throws rsm::Error naming a rank whose weights are not those of rank 0, after
 * `epoch` epochs. Collective. */
void check_same_weights(Communicator& ranks, int64_t epoch,
                        const std::vector<torch::Tensor>& weights);

/** The threads of a rank by default: its part of the cores that the ranks of
 * its machine may use, whichever they are bound to. Collective. */
int64_t threads_of_rank(Communicator& ranks);

/** Lets LibTorch's own kernels take as many cores as in a process without a
 * launcher, unless OMP_NUM_THREADS says: MKL gives it fewer where it sees
 * that of MPI, and long sums have other last bits on another number. Nothing
 * where no launcher is seen. */
void keep_cores_of_kernels();

/** The GPU of a rank where "cuda" is asked for: that of its number among the
 * ranks of its machine, in turn where these are more. A sole process, and what
 * names another device, stays as it is. */
torch::Device device_of_rank(const Communicator& ranks,
                             const torch::Device& device);

/** Gives a rank its GPU, and the judges that would share it. */
void take_devices(const Communicator& ranks, RunOptions& options);

}  // namespace rsm
