#include "rsm/objective/rows.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "rsm/base/error.h"
#include "rsm/base/random.h"
#include "rsm/objective/strength.h"
#include "rsm/objective/testing.h"
#include "rsm/paths/flow_matching.h"
#include "rsm/paths/testing.h"

namespace rsm {
namespace {

using Importance = RegularisationKnobs::Importance;

Method method_of(const std::string& name, Importance importance) {
  Method method = reweighted(name, importance);
  method.estimator.source = EstimatorKnobs::Source::rollout;
  return method;
}

torch::Tensor latent(std::vector<double> values) {
  return torch::tensor(values, torch::kFloat64).view({1, 1, 2, 2});
}

/** One state at step i of a path, x = y_old = 0, whose noise is given. */
Rollout one_row(int64_t i, const torch::Tensor& eps) {
  Rollout rollout;
  rollout.transitions = ten_steps();
  rollout.x = torch::zeros_like(eps);
  rollout.x_next = rollout.transitions[i].s * eps;
  rollout.state_root = {0};
  rollout.state_prompt = {0};
  rollout.state_step = {i};
  rollout.row_state = {0};
  rollout.row_image = {0};
  rollout.image_prompt = {0};
  return rollout;
}

RowLosses published_case(const Method& method, int64_t i, float advantage) {
  const auto eps = latent({0.5, -1, 0.25, 2});
  const auto y = latent({2e-4, -4e-4, 6e-4, 1e-4});
  const auto rollout = one_row(i, eps);
  const auto advantages = given({advantage});
  const auto weights = update_weights(method, rollout, advantages, {0});
  const auto zero = torch::zeros_like(y);
  const auto terms = loss_terms(method, rollout, outputs_of(zero, zero),
                                {advantages, {}}, weights, {0});
  return row_losses(y, terms.states, terms.rows);
}

struct Vector {
  int64_t i;
  std::string method;
  double t1, t2, u, match_up, match_down, ratio_up, ratio_down;
};

// t1 and t2 are the parts of U, so PCPO's are scaled; 0 = no published value.
const std::vector<Vector> kVectors = {
    {0, "base", 2.31151e-10, 1.21036e-05, 1.21038e-05, 0.000145735, 0.000114265,
     -1.29998427, 1.29998427},
    {0, "tempflow", 2.31151e-10, 1.21036e-05, 1.90635e-05, 0.000154783,
     0.000105217, -2.04747522, 2.04747522},
    {0, "pcpo", 2.1091e-09, 3.65607e-05, 3.65628e-05, 0.000177532, 8.24683e-05,
     -1.29995247, 1.29995247},
    {0, "guard", 2.31151e-10, 1.21036e-05, 8.47252e-06, 0.00353679, 0.00298429,
     -32.6051292, 32.6051292},
    {0, "fairclip", 2.31151e-10, 1.21036e-05, 5.93088e-06, 0.000281041,
     0.000249571, -2.65304549, 2.65304549},
    {0, "fairclip2", 2.31151e-10, 1.21036e-05, 5.93088e-06, 0.00493417,
     0.00438166, 0, 0},
    {3, "base", 2.51765e-09, 3.99451e-05, 3.99476e-05, 0.000181932, 7.80681e-05,
     -1.29994807, 1.29994807},
    {3, "tempflow", 2.51765e-09, 3.99451e-05, 4.00782e-05, 0.000182102,
     7.78983e-05, -1.30419701, 1.30419701},
    {3, "pcpo", 6.01353e-09, 6.1735e-05, 6.1741e-05, 0.000210263, 4.97367e-05,
     -1.29991974, 1.29991974},
    {3, "guard", 2.51765e-09, 3.99451e-05, 1.78114e-05, 0.00227489, 0.00158703,
     -19.3092531, 19.3092531},
    {3, "fairclip", 2.51765e-09, 3.99451e-05, 7.94256e-06, 0.000705776,
     0.000601912, -6.53838579, 6.53838579},
    {3, "fairclip2", 2.51765e-09, 3.99451e-05, 7.94256e-06, 0.00467446,
     0.00398655, 0, 0},
    {8, "base", 1.57493e-07, 0.000315934, 0.000316092, 0.000540919, 0,
     -1.29958915, 1.29987},
    {8, "tempflow", 1.57493e-07, 0.000315934, 0.000160278, 0.000338361, 0,
     -0.658971086, 0.659113497},
    {8, "pcpo", 9.60909e-08, 0.000246779, 0.000246875, 0.000450937, 0,
     -1.29967907, 1.29987},
    {8, "guard", 1.57493e-07, 0.000315934, 7.11991e-05, 0.000826987,
     0.000139124, -4.83021119, 4.83021119},
    {8, "fairclip", 1.57493e-07, 0.000315934, 1.60535e-05, 0.00297061,
     0.00214877, -25.5965155, 25.5965155},
    {8, "fairclip2", 1.57493e-07, 0.000315934, 1.60535e-05, 0.00248758,
     0.00179938, 0, 0}};

TEST(RowLosses, ReproducePublishedMatchingValues) {
  for (const auto& row : kVectors) {
    SCOPED_TRACE(row.method + " " + std::to_string(row.i));
    const auto method = method_of(row.method, Importance::matching);
    const auto up = published_case(method, row.i, 1.3f);
    const auto down = published_case(method, row.i, -1.3f);
    const double g = row.method == "pcpo"
                         ? strength(method.strength, ten_steps()[row.i])
                         : 1;
    expect_digits(g * g * up.t1.item<double>(), row.t1);
    expect_digits(g * up.t2.item<double>(), row.t2);
    expect_digits(up.scaled.item<double>(), row.u);
    expect_digits(up.loss.item<double>(), row.match_up);
    expect_digits(down.loss.item<double>(), row.match_down);
    EXPECT_FALSE(up.clipped.item<bool>());
    EXPECT_EQ(down.clipped.item<bool>(), row.match_down == 0);
  }
}

TEST(RowLosses, ReproducePublishedRatioValues) {
  for (const auto& row : kVectors) {
    if (row.ratio_up == 0) continue;
    SCOPED_TRACE(row.method + " " + std::to_string(row.i));
    const auto method = method_of(row.method, Importance::ratio);
    const auto up = published_case(method, row.i, 1.3f);
    const auto down = published_case(method, row.i, -1.3f);
    // Nine digits are published; A is 1.3 in float32, 4e-8 off.
    EXPECT_NEAR(up.loss.item<double>(), row.ratio_up,
                1e-7 * std::abs(row.ratio_up));
    EXPECT_NEAR(down.loss.item<double>(), row.ratio_down,
                1e-7 * std::abs(row.ratio_down));
  }
}

TEST(RowFactors, ReproducePublishedThresholds) {
  // |log rho| and |<D_y eps>| at which xi = 1e-4 clips.
  const std::vector<std::string> names = {"base", "tempflow", "pcpo", "guard",
                                          "fairclip"};
  const std::map<int64_t, std::vector<double>> ratio = {
      {0, {0.0001, 6.34921e-05, 3.31055e-05, 0.000142857, 0.000204082}},
      {1, {0.0001, 5.98204e-05, 3.88328e-05, 0.000134596, 0.000181161}},
      {2, {0.0001, 8.28952e-05, 5.3812e-05, 0.000186514, 0.000347876}},
      {3, {0.0001, 9.96742e-05, 6.47042e-05, 0.000224267, 0.000502957}},
      {4, {0.0001, 0.000113438, 7.36392e-05, 0.000255236, 0.000651454}},
      {5, {0.0001, 0.000125977, 8.1779e-05, 0.000283449, 0.000803434}},
      {6, {0.0001, 0.000139294, 9.04234e-05, 0.000313411, 0.000982263}},
      {7, {0.0001, 0.000157601, 0.000102308, 0.000354601, 0.00125742}},
      {8, {0.0001, 0.000197215, 0.000128023, 0.000443734, 0.00196899}}};
  const std::map<int64_t, std::vector<double>> change = {
      {0, {0.00175568, 0.00111471, 0.000581225, 0.00250811, 0.00358301}},
      {1, {0.00127566, 0.000763105, 0.000495375, 0.00171699, 0.002311}},
      {2, {0.000773752, 0.000641403, 0.000416371, 0.00144316, 0.00269169}},
      {3, {0.00053198, 0.000530247, 0.000344213, 0.00119306, 0.00267563}},
      {4, {0.00037874, 0.000429636, 0.000278901, 0.000966681, 0.00246732}},
      {5, {0.000269549, 0.000339571, 0.000220434, 0.000764034, 0.00216565}},
      {6, {0.000186693, 0.000260051, 0.000168814, 0.000585114, 0.00183381}},
      {7, {0.000121241, 0.000191077, 0.000124039, 0.000429923, 0.00152451}},
      {8, {6.72608e-05, 0.000132648, 8.61096e-05, 0.000298459, 0.00132436}}};
  for (int64_t i = 0; i < 9; ++i) {
    for (size_t m = 0; m < names.size(); ++m) {
      const auto method = method_of(names[m], Importance::matching);
      const auto factors = row_factors(method, ten_steps()[i], 1);
      expect_digits(1e-4 / factors.exponent, ratio.at(i)[m]);
      expect_digits(1e-4 / factors.exponent / std::abs(factors.slope),
                    change.at(i)[m]);
    }
  }
}

TEST(RowFactors, GuidanceIsMinusAdvantageTimesNoiseTimesH) {
  // p = -(A h / s) eps at every step, also at t = 1.
  for (const std::string name :
       {"base", "tempflow", "pcpo", "guard", "fairclip", "fairclip2"}) {
    for (const auto& step : ten_steps()) {
      const auto method = method_of(name, Importance::matching);
      const double h = guidance_strength(method.strength, step);
      EXPECT_NEAR(row_factors(method, step, 1.3).guidance, -1.3 * h / step.s,
                  1e-12 * h / step.s);
    }
  }
}

double published_kl(int64_t i, RegularisationKnobs::KlForm form) {
  Method method = method_of("base", Importance::matching);
  method.regularisation.beta = 1;
  method.regularisation.kl_form = form;
  const auto y = latent({2e-4, -4e-4, 6e-4, 1e-4});
  const auto rollout = one_row(i, torch::ones_like(y));
  const auto advantages = given({1});
  const auto terms = loss_terms(
      method, rollout, outputs_of(y, torch::zeros_like(y)), {advantages, {}},
      update_weights(method, rollout, advantages, {0}), {0});
  return rsm_loss(y, terms.states, terms.rows).pull;
}

TEST(ReferenceKl, ReproducesPublishedValues) {
  using KlForm = RegularisationKnobs::KlForm;
  const std::map<int64_t, std::pair<double, double>> expected = {
      {0, {2.31151e-10, 9.21616e-12}},
      {3, {2.51765e-09, 1.69498e-10}},
      {8, {1.57493e-07, 4.23845e-08}}};
  for (const auto& [i, values] : expected) {
    expect_digits(published_kl(i, KlForm::exact), values.first);
    expect_digits(published_kl(i, KlForm::heuristic), values.second);
  }
}

}  // namespace
}  // namespace rsm
