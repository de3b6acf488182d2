#pragma once

#include <optional>
#include <string>

#include "rsm/base/estimator_knobs.h"
#include "rsm/base/regularisation_knobs.h"
#include "rsm/base/strength_knobs.h"

namespace rsm {

// What the words of knobs mean. What each knob does, and its range, is said
// where they are listed: methods/knobs.h.

/** How models turn pictures into noise; see paths/path.h. */
enum class Family { flow, diffusion };

/** One published method or a user's own: a name and three knobs, pure data. */
struct Method {
  std::string name;
  std::optional<Family> family;  ///< of models it makes sense for; none: both
  std::string source;            ///< paper and equation
  std::string summary;           ///< one line
  EstimatorKnobs estimator;
  StrengthKnobs strength;
  RegularisationKnobs regularisation;
  /** Quirks of the public release instead of the corrected form. */
  bool as_published = false;

  /** Whether its loss has the same gradient wherever y_old is: distances to
   * samples alone, without ratios. */
  bool is_free_of_old_outputs() const {
    const auto& pictures = estimator.pictures;
    return estimator.is_of_pictures() && !estimator.compares_outputs() &&
           pictures.coefficient == PictureKnobs::Coefficient::plain &&
           !pictures.old.is_kept() && regularisation.old == 0 &&
           regularisation.importance == RegularisationKnobs::Importance::none;
  }
  bool is_for(Family models) const { return !family || *family == models; }
  bool operator==(const Method&) const = default;
};

}  // namespace rsm
