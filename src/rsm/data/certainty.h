#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

/** How sure a mean over pictures is. NaN: not known. */
namespace rsm {

/** Standard errors of many prompts beyond which a single change is called one:
 * 95 %. */
inline constexpr double kSureErrors = 2;

/** What Student's t of so many degrees of freedom (> 0, infinite ones are the
 * normal distribution's) exceeds with this probability (in (0,1)), upwards or
 * downwards; NaN for others. */
double t_quantile(double two_sided_tail, double freedom);

/** How far a mean, or a difference of means, is off by chance. */
struct MeanError {
  double standard = std::numeric_limits<double>::quiet_NaN();
  /** Degrees of freedom of the standard error, from 1 on. */
  double freedom = std::numeric_limits<double>::infinity();

  bool is_known() const;
  /** What is called a change has to be larger. A true 0 is larger as rarely as
   * a normal number is beyond kSureErrors, and where one of so many statements
   * (>= 1) is picked for being large, all of them together are (Bonferroni).
   */
  double sure(size_t statements = 1) const;
  /** Half of sure(): the standard error where prompts are many, more where they
   * are few. */
  double shown() const;
};

/** Of the sum or difference of two independent means (Welch). */
MeanError error_of_both(const MeanError& a, const MeanError& b);

/** Of the numbers that are there; NaN without any. */
double mean_of(const std::vector<double>& values);

/** Of mean_of(values). Lists have one entry a picture: its number, its prompt's
 * id, its category.
 *
 * Pictures of one prompt are not independent, so it is the spread of prompts
 * that counts: in every category each prompt is left out in turn (jackknife),
 * which for equally many pictures a prompt is the standard error of the mean
 * over prompts. Categories are weighted as in the mean and not drawn by chance:
 * how they differ adds nothing. A category of one prompt is that prompt: there
 * its pictures are left out in turn. Categories of one picture are taken
 * together. The degrees of freedom are Satterthwaite's. Not known where only
 * one number is there. */
MeanError error_of_mean(const std::vector<double>& values,
                        const std::vector<int64_t>& prompts,
                        const std::vector<std::string>& categories);

}  // namespace rsm
