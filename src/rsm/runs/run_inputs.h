#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

namespace rsm {

class JsonFields;
struct RunOptions;

/** SHA-256 by file name. */
using Checksums = std::map<std::string, std::string>;

/** What a run rests on besides its config: contents, by checksum. */
struct RunInputs {
  struct Prompts {
    std::string source;  ///< as the config names it
    int64_t count = 0;
    std::string sha256;  ///< of texts, categories, metadata in order
  };

  std::string model;        ///< the folder, as the config names it
  std::string model_place;  ///< the folder, absolute, when the run began
  Checksums model_files;    ///< names within the folder
  std::map<std::string, Prompts> prompts;  ///< by key of the config
  Checksums judges;  ///< files of networks and commands that are rewards
  /** The LoRA it began with, as the config names it, or empty. */
  std::string lora = {};
  Checksums lora_files = {};
  /** The same of the consistency model it predicts pictures by. */
  std::string predictor = {};
  Checksums predictor_files = {};
};

/** Keys of the config that only name what RunInputs compares by content. */
const std::vector<std::string>& input_keys();

/** Reads them all. Throws rsm::Error naming the file that cannot be read. */
RunInputs run_inputs(const RunOptions& options);

/** Of model_index.json and, in the folders of its parts, of configs, tokenizer
 * files and weights: JSON, text, safetensors. Other files (a README) change
 * nothing. Throws rsm::Error naming what cannot be read. */
Checksums model_checksums(const std::string& folder);

/** What has changed so that a run may not go on, each naming the file and what
 * to do; none where only folders moved. */
std::vector<std::string> changed_inputs(const RunInputs& before,
                                        const RunInputs& now);

/** Files of a model folder that differ: "a (changed), b (missing), c (new)";
 * "" for none. */
std::string changed_files(const Checksums& before, const Checksums& now);

/** Judges' files that changed, which may be a mend: for people. */
std::vector<std::string> changed_judges(const RunInputs& before,
                                        const RunInputs& now);

nlohmann::json to_json(const RunInputs& inputs);

/** The reverse. Throws rsm::Error as JsonFields does for anything else. */
RunInputs inputs_from_json(const JsonFields& saved);
/** So too of checksums alone. */
Checksums checksums_in(const JsonFields& saved);

}  // namespace rsm
