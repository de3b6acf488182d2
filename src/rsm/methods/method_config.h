#pragma once

#include <nlohmann/json_fwd.hpp>

#include "rsm/base/method.h"
#include "rsm/io/config.h"

namespace rsm {

/** Reads a config's `method` section: a catalogue entry by `name`, any knob
 * replaced by what the section says. A method of the user's own has a `name` of
 * its own and says `from` which entry its other knobs are. Throws UsageError
 * (rsm::Config's) for wrong values; check_method is left to the caller, who
 * knows the number of steps. */
Method read_method(const Config& section);

/** {name, source, summary, as_published, estimator, strength,
 * regularisation}, in the words of configs. */
nlohmann::json to_json(const Method& method);

}  // namespace rsm
