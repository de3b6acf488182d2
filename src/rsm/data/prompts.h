#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "rsm/base/prompt.h"

namespace rsm {

/** Loads prompts by name or from a file.
 *
 * - `shapes:train`, `shapes:held_out`, `shapes:all`: captions of the shapes
 *   world; ids are indices in all_specs().
 * - a file, as read_prompt_file (data/prompt_files.h) takes it.
 *
 * Throws rsm::UsageError where `what` names nothing, and as read_prompt_file.
 */
Prompts load_prompts(const std::string& what);

/** Of each prompt's id where it stands in `prompts`, rising. */
std::map<int64_t, std::vector<int64_t>> places_by_prompt(
    const Prompts& prompts);

/** Which of `prompts` an epoch uses, `count` indices: categories take turns, in
 * an order of the epoch's own, and each goes through a permutation of its
 * prompts, again and again where `count` asks for more than it has. So small
 * categories come up as often as large ones.
 * Keys: (run_seed, prompt_order, epoch, category, pass). */
std::vector<int64_t> epoch_prompts(uint64_t run_seed, int64_t epoch,
                                   const Prompts& prompts, int64_t count);

}  // namespace rsm
