#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "rsm/models/activation_memory.h"
#include "rsm/runs/forecast.h"
#include "rsm/runs/run_options.h"

namespace rsm {

/** What a run holds at its fullest in one of its parts, in bytes. */
struct MemoryStation {
  std::string name;  ///< "the update"
  double bytes = 0;
  std::string keys;  ///< of the config, that lower it
};

/** The parts of a run, in their order: of the device's memory on a GPU, else of
 * what is resident. */
struct MemoryForecast {
  std::vector<MemoryStation> stations;

  const MemoryStation& fullest() const;
  double peak() const { return fullest().bytes; }
};

/** Counts what runs of a model take, from its configs and the headers of its
 * weights; no weight is read. */
class MemoryCount {
 public:
  /** Throws rsm::Error for what is missing or wrong in the model's folder. */
  explicit MemoryCount(const RunOptions& options);

  /** Of options that differ from those at most in tiles, threads and
   * checkpointing. */
  MemoryForecast of(const RunOptions& options) const;

  /** Numbers of the weights that are trained, and of one latent. */
  double trained_numbers() const { return trained_; }
  double latent_numbers() const;
  /** [H,W] of a picture, in pixels. */
  const std::vector<int64_t>& picture() const { return picture_; }

 private:
  struct Part {
    double numbers = 0, bytes = 0;  ///< bytes: in the files
    void add(const StateDict& weights);
  };

  void read_network(const std::string& folder, const RunOptions& options);
  void read_value(const StateDict& weights, const RunOptions& options);
  void read_text(const RunOptions& options);
  void read_decoder(const RunOptions& options);
  /** `guided`: both halves of text guidance go through at once. */
  NetworkCall call_of(const RunOptions& options, int64_t tile,
                      torch::ScalarType type, bool guided) const;
  /** Text encoders' weights, while texts are encoded. */
  double encoding(const RunOptions& options) const;
  /** Weights and what belongs to them, from the first epoch to the last. */
  double held(const RunOptions& options) const;
  double decoding(const RunOptions& options) const;
  double update(const RunOptions& options) const;
  void read_judges(const RunOptions& options);
  /** What trains so many numbers beside their weights, by calls of `call` each:
   * gradients, and what is kept for them. */
  double training(const RunOptions& options, const CallMemory& call,
                  double trained, int64_t rows) const;
  double guidance(const RunOptions& options) const;
  double learning(const RunOptions& options) const;

  std::string path_;
  bool flow_ = false;
  Forecast forecast_;
  Part network_, text_, decoder_;
  double largest_text_ = 0;   ///< bytes of the largest encoder's file
  bool text_leaves_ = false;  ///< once all conditions are kept
  double trained_ = 0;        ///< numbers
  int64_t text_tokens_ = 0;
  int64_t text_width_ = 0;
  double kept_conditions_ = 0;  ///< bytes, of an epoch and of the cache
  std::vector<int64_t> latent_shape_;
  std::vector<int64_t> picture_;  ///< [H,W] in pixels
  std::function<CallMemory(const NetworkCall&)> call_memory_;
  std::function<double(int64_t bytes)> decoding_;  ///< of one latent
  /** The same with its gradient. */
  std::function<double(int64_t bytes)> decoding_gradient_;
  /** Of rewards that are networks on the run's device: their weights, and what
   * the gradient of the pictures that are judged at once takes. */
  double judges_ = 0, judging_ = 0;
  /** A value network. */
  struct {
    double numbers = 0, trained = 0;
    std::function<CallMemory(const NetworkCall&)> call_memory;
  } value_;
};

}  // namespace rsm
