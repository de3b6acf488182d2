#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "rsm/base/method.h"
#include "rsm/base/transition.h"

namespace rsm {

/** The ten steps that a method's numbers are shown for: of its own family, of
 * flows where it is for both. Of pictures, ten draws. */
Transitions shown_steps(const Method& method);

/** h(t) of these, normalised to sum 1. */
std::vector<double> shown_h(const Method& method);

/** A method with its numbers by time: to_json(), `notes` (of models where it is
 * not as published), and `by_time`, a list of
 * {step, t, K, g, h, C1, gamma, C2, clip_log_ratio}; what is infinite is null.
 * C1 is 0 where nothing is pulled to the reference, gamma and C2 where there
 * are no rows: an anchor, if any, is all there is. */
nlohmann::json described(const Method& method);

/** Bars of a list of numbers, one character each, the largest full. */
std::string sparkline(const std::vector<double>& values);

/** The tables of docs/methods.md, each between its marks: every knob there is;
 * the entries of the catalogue, and their h(t). */
std::vector<std::string> docs_tables();

}  // namespace rsm
