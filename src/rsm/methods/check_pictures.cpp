#include "rsm/methods/check_pictures.h"

#include "rsm/methods/names.h"
#include "rsm/methods/require.h"

namespace rsm {

using Coefficient = PictureKnobs::Coefficient;
using Importance = RegularisationKnobs::Importance;
using KlForm = RegularisationKnobs::KlForm;

namespace {

/** What holds wherever pictures are noised again; `section` names the knobs,
 * `shape` and `shape_key` say what their distance is times. */
void check_noising(const Method& method, const char* section,
                   const PictureKnobs& knobs, StrengthKnobs::Shape shape,
                   const char* shape_key) {
  require(knobs.t_min < knobs.t_max, method, section, ".t_min is ", knobs.t_min,
          ", t_max ", knobs.t_max,
          "; the noisiest time must be above the cleanest");
  require(knobs.coefficient != Coefficient::linear ||
              knobs.distance == PictureKnobs::Distance::square,
          method, section,
          ".coefficient: linear with distance: ", to_string(knobs.distance),
          ": nothing grows with the distance; set distance: square");
  require(StrengthKnobs::is_of_time(shape), method, shape_key, ": ",
          to_string(shape),
          ": it is of a step's noise, and pictures are at no step; set flat, "
          "linear, quadratic, predicted, predicted_squared or exact");
}

}  // namespace

void check_pictures(const Method& method) {
  using Weight = PictureKnobs::Weight;
  const auto& pictures = method.estimator.pictures;
  const auto& knobs = method.regularisation;
  const auto coefficient = to_string(pictures.coefficient);
  check_noising(method, "pictures", pictures, method.strength.shape,
                "strength.shape");
  require(!pictures.follows_gradients() || knobs.importance == Importance::none,
          method, "pictures.guidance: ", to_string(pictures.guidance),
          " with importance: ratio: a gradient has no ratio; set importance: "
          "none");
  require(pictures.guidance != PictureKnobs::Guidance::step ||
              pictures.times == PictureKnobs::Times::grid,
          method,
          "pictures.guidance: step with times: ", to_string(pictures.times),
          ": only the sampler's own times have a next one; set times: grid");
  require(knobs.importance != Importance::matching, method,
          "source: pictures with importance: matching: a distance has no sides "
          "to be cut at; set importance: none, or ratio");
  require(knobs.kl_form == KlForm::output || knobs.kl_form == KlForm::elbo ||
              knobs.beta == 0,
          method, "source: pictures with kl_form: ", to_string(knobs.kl_form),
          ": states are at no step, which has a variance; set kl_form: output, "
          "or elbo");
  require(knobs.importance == Importance::none ||
              (pictures.coefficient != Coefficient::linear &&
               pictures.coefficient != Coefficient::reflected),
          method, "pictures.coefficient: ", coefficient,
          " with importance: ratio: it has no density; set importance: none");
  require(!pictures.distinct || (pictures.times == PictureKnobs::Times::grid &&
                                 !pictures.stratified),
          method, "pictures.distinct with times: ", to_string(pictures.times),
          pictures.stratified ? " and stratified: true" : "",
          ": it says how the grid's times are shared out; set times: grid and "
          "stratified: false");
  require(pictures.clip == 0 || knobs.importance == Importance::none, method,
          "pictures.clip = ", pictures.clip,
          " with importance: ratio, which is cut by clip_range; set "
          "importance: none, or clip: 0");
  require(pictures.weight != Weight::pairs ||
              pictures.coefficient == Coefficient::plain,
          method, "pictures.weight: pairs with coefficient: ", coefficient,
          ": a pair has its own; set coefficient: plain");
  require(pictures.sampled == PictureKnobs::Sampled::policy ||
              pictures.old.is_kept(),
          method,
          "pictures.sampled: old without a slower copy; give it a decay, "
          "pictures.old: {cap: 0.9, rate: 0.01}");
}

void check_forward(const Method& method) {
  const auto& estimator = method.estimator;
  const auto& knobs = estimator.forward;
  if (!knobs.is_on()) return;
  const auto& pictures = knobs.pictures;
  require(estimator.source == EstimatorKnobs::Source::branches, method,
          "forward.rows with source: ", to_string(estimator.source),
          ": only branches' pictures are trained on beside their steps; set "
          "forward: {rows: 0}");
  require(!estimator.has_surrogate(), method,
          "forward.rows with surrogate.at: ", to_string(estimator.surrogate.at),
          ": advantages are what a scorer gets wrong of a branch, which says "
          "nothing of its picture; set surrogate.at: none");
  require(!pictures.compares_outputs(), method,
          "forward.coefficient: ", to_string(pictures.coefficient),
          ": it compares outputs at one time and noise, and forward rows share "
          "none; set plain, residual, linear or reflected");
  check_noising(method, "forward", pictures, knobs.shape, "forward.shape");
}

}  // namespace rsm
