#pragma once

#include <cstdint>
#include <functional>

namespace rsm {

/** Runs job(0) .. job(count - 1) on `workers` threads, each job computing on
 * one core: what a job computes can't depend on the number of workers.
 * Other threads, also new ones, compute on as many as before.
 * Rethrows the first job's exception (by number) after all have ended. */
void run_jobs(int64_t count, int64_t workers,
              const std::function<void(int64_t)>& job);

}  // namespace rsm
