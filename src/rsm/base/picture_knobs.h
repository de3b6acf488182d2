#pragma once

#include <algorithm>
#include <cstdint>

namespace rsm {

/** Of the policy's slower copy. After every epoch, with k updates behind it,
 * copy = d copy + (1 - d) policy, where d = min(start + rate (k - from), cap),
 * 0 before `from`. Cap 0: there is none; the policy of the epoch's beginning
 * stands for it. */
struct OldKnobs {
  double start = 0;
  double rate = 0;
  double cap = 0;
  int64_t from = 0;

  bool is_kept() const { return cap > 0; }
  double decay(int64_t updates) const {
    return updates < from
               ? 0
               : std::min(start + rate * static_cast<double>(updates - from),
                          cap);
  }
  bool operator==(const OldKnobs&) const = default;
};

/** Regression onto clean pictures that are noised again: at x_t = a picture +
 * b e the output y is pulled to what the network is to say of (picture, e),
 * y_c, by how good the picture is. */
struct PictureKnobs {
  /** How times are spread: even, by density t^power, as the sigmoid of a normal
   * number, or the times of the sampler's own steps. */
  enum class Times { uniform, power, logit_normal, grid };
  /** What a picture's pull weighs. advantage: A. exponential: e^(A / tau), over
   * its mean in the group unless `raw`. top: 1 for the best share of a group,
   * 0 for others. pairs: the best and the worst of a group, by how sure the
   * policy is of their order (DPO). */
  enum class Weight { advantage, exponential, top, pairs };
  /** Which advantages count, after they are clipped: all; the good or the bad
   * alone, the others 0; 1 of the good, else 0; their signs (DiffusionNFT's
   * adv_mode, the last its "binary"). */
  enum class Mode { all, positive, negative, one, sign };
  /** What stands before the distance's gradient, with the row's log-density
   * taken as minus its distance and delta = L(y_old) - L(y).
   * plain: A. residual: A - sharpness delta (PEPG, PAR); centred: delta less
   * its group's mean (CRD). linear: A pulls, and nothing grows with y (RAM).
   * reflected: the two branches of DiffusionNFT. sigmoid: A times
   * sigmoid(mean of sharpness A (L - L_ref) over the group) (DGPO). */
  enum class Coefficient {
    plain,
    residual,
    centred,
    linear,
    reflected,
    sigmoid
  };
  /** L of a row, d = y - y_c: <d^2>; <d^2> / <|d|>, the divisor held; or
   * (<d^2> + 1e-10)^exponent / exponent. Times h(t) of the strength. */
  enum class Distance { square, relative, power };
  /** Whose samples: of what is trained, or of its slower copy. */
  enum class Sampled { policy, old };

  /** What pulls: samples, by their rewards; or the derivative of the reward of
   * the picture that is predicted from a state, or that one step and the known
   * noise lead to. */
  enum class Guidance { rewards, picture, step };

  Guidance guidance = Guidance::rewards;
  int64_t draws = 1;  ///< (t, e) of a picture
  Times times = Times::uniform;
  bool stratified = true;
  bool distinct = false;  ///< of the grid: none twice before all came
  double t_min = 0;
  double t_max = 1;
  double power = 1;
  double shift = 1;
  bool shared = false;
  Weight weight = Weight::advantage;
  double temperature = 1;
  bool raw = false;
  double top = 0.5;
  Mode mode = Mode::all;
  double squash = 0;
  double advantage_scale = 1;
  Coefficient coefficient = Coefficient::plain;
  double sharpness = 1;
  double clip = 0;  ///< of a row's ratio, which weighs nothing; 0: none
  Distance distance = Distance::square;
  double exponent = 1;
  Sampled sampled = Sampled::policy;
  OldKnobs old = {};

  bool follows_gradients() const { return guidance != Guidance::rewards; }
  bool uses_sharpness() const {
    return weight == Weight::pairs || (coefficient != Coefficient::plain &&
                                       coefficient != Coefficient::linear);
  }
  /** Whether a row has a log-density, and so a ratio. */
  bool has_ratio() const {
    return !follows_gradients() && coefficient != Coefficient::linear &&
           coefficient != Coefficient::reflected;
  }
  /** Whether rows are weighed by a group's outputs before the updates. */
  bool compares_outputs() const {
    return weight == Weight::pairs || coefficient == Coefficient::centred ||
           coefficient == Coefficient::sigmoid;
  }
  /** ... and by those of the model before training. */
  bool compares_reference() const {
    return compares_outputs() && coefficient != Coefficient::centred;
  }
  bool operator==(const PictureKnobs&) const = default;
};

}  // namespace rsm
