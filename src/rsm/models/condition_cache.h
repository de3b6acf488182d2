#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "rsm/base/conditioner.h"
#include "rsm/base/progress.h"
#include "rsm/models/text_encoders.h"

namespace rsm {

struct ConditionCacheOptions {
  std::string folder;      ///< on disk; empty: in memory alone
  int64_t disk_bytes = 0;  ///< what lies there at most
  int64_t memory_bytes = 1 << 28;
  /** What made the conditions, beside the text: checksums of the encoders and
   * how they were asked. */
  std::string encoders;
  torch::Device device = torch::kCPU;  ///< of what encode() returns
};

/** The `encoders` of a model folder whose files have these checksums (by name
 * in the folder, runs/run_inputs.h). */
std::string encoders_key(const TextEncoders& text,
                         const std::map<std::string, std::string>& checksums);

/** Conditions that were computed once, by text: in memory, and on disk one file
 * each, which other runs with the same encoders find. What is returned has the
 * same bits wherever it comes from. Not for several threads; several processes
 * may share a folder. */
class ConditionCache : public Conditioner {
 public:
  ConditionCache(std::shared_ptr<TextEncoders> text,
                 const ConditionCacheOptions& options);

  Condition encode(const std::vector<std::string>& texts) const override;

  /** Encodes all that is not on disk yet and frees the encoders' weights.
   * Nothing happens without a folder, or where it could not hold them all. */
  void prepare(std::vector<std::string> texts, Progress& progress);

 private:
  std::string path_of(const std::string& text) const;
  /** Undefined tensors where it lies nowhere, or not whole. */
  Condition find(const std::string& text) const;
  void keep(const std::string& text, const Condition& one) const;
  void keep_on_disk(const std::string& text, const Condition& one) const;
  /** Removes what was asked for longest ago until `more` bytes fit. */
  void make_room(int64_t more) const;

  std::shared_ptr<TextEncoders> text_;
  ConditionCacheOptions options_;
  mutable std::map<std::string, Condition> memory_;
  mutable int64_t memory_bytes_ = 0;
  mutable int64_t disk_bytes_ = -1;  ///< not counted yet
};

}  // namespace rsm
