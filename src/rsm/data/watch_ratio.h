#pragma once

#include <map>
#include <string>

namespace rsm {

/** Numbers of an evaluation that nobody optimises, by name: edges, colours,
 * saturation (data/picture_watch.h), diversity, outputs, the logarithm of the
 * size of a network's outputs over the reference's, and what is measured by
 * files of the user's: feature_diversity, niqe, brisque. */
using WatchNumbers = std::map<std::string, double>;

/** What a number is times what it was: of outputs, of their sizes; NaN where
 * one of them is not known, or was 0. */
double watch_ratio(const std::string& name, const WatchNumbers& first,
                   const WatchNumbers& now);

/** How much of it is left, at most 1: the ratio, or its inverse where that is
 * above 1 and a hacked reward raises the number as well as it lowers it (edges,
 * saturation, outputs), or more is worse (niqe, brisque, whose fall loses
 * nothing). NaN of NaN. */
double kept_share(const std::string& name, double ratio);

/** The least of all that are known; NaN where none is. */
double least_kept(const WatchNumbers& first, const WatchNumbers& now);

}  // namespace rsm
