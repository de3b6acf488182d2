#pragma once

#include <string>

#include "rsm/report/run_record.h"
#include "rsm/report/run_summary.h"

/** Parts of the report's page as HTML; "" where a run has nothing to show. */
namespace rsm::report {

/** What training reached: scores by category, and against time. */
std::string result_figures(const RunRecord& record, const RunSummary& summary);
/** Scores against epochs and drift. */
std::string curve_figures(const RunRecord& record, const RunSummary& summary);
/** Each of several rewards alone: its course, how it stands to the others, and
 * what the log warns of it. */
std::string reward_figures(const RunRecord& record, const RunSummary& summary);
/** Drift from the reference, and what training should not raise. */
std::string safety_figures(const RunRecord& record);
/** The method at each sampler step: guidance strength, clipping, spread. */
std::string step_figures(const RunRecord& record);
/** Loss, gradients and the like over epochs. */
std::string health_figures(const RunRecord& record);

/** Pictures before and after, with their prompts and scores. */
std::string samples_html(const RunRecord& record);
/** A few pictures over training: prompts as rows, evaluations as columns. */
std::string strip_html(const RunRecord& record);

}  // namespace rsm::report
