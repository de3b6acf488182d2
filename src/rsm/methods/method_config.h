#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "rsm/base/method.h"
#include "rsm/io/config.h"

namespace rsm {

/** Reads a config's `method` section: a catalogue entry by `name`, any knob
 * replaced by what the section says. A method of the user's own has a `name` of
 * its own and says `from` which entry its other knobs are. Fitted to
 * the sampler's steps and the model's family; without one nothing is
 * fitted or refused. Wrong values and an entry of the other family are noted
 * (rsm::Config); check_method is left to the caller. `warnings` gains what was
 * fitted so that it is no longer as published: replaced_sampler(). */
Method read_method(const Config& config, int64_t steps,
                   std::optional<Family> family,
                   std::vector<std::string>* warnings = nullptr);

/** {name, source, summary, family, as_published, estimator, strength,
 * regularisation}: every knob (knobs.h) in the words of configs, and in
 * `estimator` also `noise`, and `branches` and `profile` where there are. */
nlohmann::json to_json(Method method);

}  // namespace rsm
