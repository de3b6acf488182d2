#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

/** How sure a mean over pictures is. NaN: not known. */
namespace rsm {

/** Errors beyond which a single change is called one: 95 %. */
inline constexpr double kSureErrors = 2;

/** The same where one of so many statements (>= 1) is picked for being large:
 * all of them together are wrong as rarely as a single one (Bonferroni). */
double sure_errors(size_t statements);

/** By how much a standard error of so many degrees of freedom has to grow for
 * kSureErrors of it to cover what they cover of a normal distribution: the
 * quantile of Student's t over the normal one; NaN below 1. From 3 on by
 * Abramowitz and Stegun 26.7.5, to 0.2 %. */
double small_sample_factor(double freedom);

/** Of the numbers that are there; NaN without any. */
double mean_of(const std::vector<double>& values);

/** Standard error of mean_of(values), times small_sample_factor. Lists have one
 * entry a picture: its number, its prompt's id, its category.
 *
 * Pictures of one prompt are not independent, so it is the spread of prompts
 * that counts: in every category each prompt is left out in turn (jackknife),
 * which for equally many pictures a prompt is the standard error of the mean
 * over prompts. Categories are weighted as in the mean and not drawn by chance:
 * how they differ adds nothing. A category of one prompt is that prompt: there
 * its pictures are left out in turn. Categories of one picture are taken
 * together. The degrees of freedom are Satterthwaite's. NaN where only one
 * number is there. */
double error_of_mean(const std::vector<double>& values,
                     const std::vector<int64_t>& prompts,
                     const std::vector<std::string>& categories);

}  // namespace rsm
