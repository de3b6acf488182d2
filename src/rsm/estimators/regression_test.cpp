// Methods that train on noised samples against the losses of their papers,
// written as these write them and differentiated by autograd.

#include "rsm/estimators/regression.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "rsm/base/error.h"
#include "rsm/estimators/distance.h"
#include "rsm/estimators/picture_problem_testing.h"
#include "rsm/methods/catalogue.h"
#include "rsm/methods/names.h"
#include "rsm/rollouts/gaussian_testing.h"

namespace rsm {
namespace {

/** x0hat - x0: of flows x0hat = x_t - t v. */
torch::Tensor picture_error(const PictureProblem& p, const torch::Tensor& v) {
  return -p.reach.view({-1, 1, 1, 1}) * (v - p.y_c);
}

/** The ELBO of rethinking-diffusion-rl: "adaptive". */
torch::Tensor evidence(const PictureProblem& p, const torch::Tensor& v) {
  const auto apart = picture_error(p, v);
  const auto w = mean_of(apart.abs()).clamp_min(1e-5).detach();
  return -mean_of(apart.square()) / w;
}

torch::Tensor to_reference(const PictureProblem& p, const torch::Tensor& v) {
  return mean_of((v - p.y_ref).square());
}

/** By advantages of at most 5. */
torch::Tensor nft(const PictureProblem& p, const torch::Tensor& v,
                  const torch::Tensor& advantage) {
  const double b = 1;
  const auto good = (advantage / 10 + 0.5).clamp(0, 1);
  const auto branch = [&](double sign) {
    const auto apart = picture_error(
        p, sign > 0 ? b * v + (1 - b) * p.y_old : (1 + b) * p.y_old - b * v);
    const auto w = mean_of(apart.abs()).clamp_min(1e-5).detach();
    return mean_of(apart.square()) / w;
  };
  return 5 / b * (good * branch(1) + (1 - good) * branch(-1)) +
         1e-4 * to_reference(p, v);
}

/** AWM's log-density under its weighting "ghuber". */
torch::Tensor ghuber(const PictureProblem& p, const torch::Tensor& v) {
  const double power = 0.25;
  return -p.reach / power *
         ((error(p, v) + 1e-10).pow(power) - std::pow(1e-10, power));
}

torch::Tensor awm(const PictureProblem& p, const torch::Tensor& v,
                  const torch::Tensor& log_p, const torch::Tensor& kl_weight) {
  const auto a = p.by_all().clamp(-5, 5) / 5;
  const auto ratio = (log_p - log_p.detach()).exp();
  return torch::maximum(-a * ratio, -a * ratio.clamp(0, 2)) +
         1e-3 * kl_weight * to_reference(p, v) +
         mean_of((v - p.y_old).square());
}

torch::Tensor pepg(const PictureProblem& p, const torch::Tensor& v) {
  const auto elbo = evidence(p, v);
  const auto delta = elbo.detach() - evidence(p, p.y_old);
  return -delta.exp() * (0.1 * p.centred() - delta) * elbo +
         1e-4 * to_reference(p, v);
}

torch::Tensor par(const PictureProblem& p, const torch::Tensor& v) {
  const auto delta = evidence(p, v) - evidence(p, p.y_old);
  return 0.5 * delta.detach().exp() * (0.1 * p.centred() - delta).square() +
         1e-4 * to_reference(p, v);
}

torch::Tensor v_grpo(const PictureProblem& p, const torch::Tensor& v) {
  const auto a = 3 * (p.by_group() / 3).tanh();
  const auto ratio = (evidence(p, v) - evidence(p, p.y_old)).exp();
  return torch::maximum(-a * ratio, -a * ratio.clamp(1 - 1e-3, 1 + 1e-3));
}

/** Errors of rows that went the way of their advantage by more are held. */
torch::Tensor dgpo(const PictureProblem& p, const torch::Tensor& v) {
  const double range = 0.01;
  const auto d = error(p, v);
  const auto a = p.by_group();
  const auto w =
      PictureProblem::draw_mean(100 * a * (d.detach() - error(p, p.y_ref)))
          .sigmoid();
  const auto ratio = (-d.detach() + error(p, p.y_old)).exp();
  const auto clipped =
      torch::where(a > 0, ratio > 1 + range, ratio < 1 - range);
  const auto count = clipped.sum().item<int64_t>();
  EXPECT_GT(count, 0);
  EXPECT_LT(count, PictureProblem::kRows);
  return w * a * torch::where(clipped, d.detach(), d) +
         1e-3 * to_reference(p, v);
}

/** Its loss over 10, the KL's weight too: to the reference under guidance, and
 * the more the better a sample is. */
torch::Tensor crd(const PictureProblem& p, const torch::Tensor& v) {
  const auto r = evidence(p, v) - evidence(p, p.y_old);
  const auto a = (p.by_group() / 5).clamp(-1, 1) / 2 + 0.5;
  const auto apart =
      (r - PictureProblem::draw_mean(r)) - (a - PictureProblem::draw_mean(a));
  const double least = 1e-4 / 0.1;
  const auto kl =
      0.1 * (least + a * (1 - least)) * mean_of((v - p.y_guided).square());
  return 0.1 * (5 * apart.square() + kl);
}

/** Of a pair, on the better one's rows. */
torch::Tensor dpo(const PictureProblem& p, const torch::Tensor& v) {
  const auto further = error(p, v) - error(p, p.y_ref);
  std::vector<torch::Tensor> out;
  for (const auto& [best, worst] : {std::pair{2, 1}, {4, 7}}) {
    for (int64_t draw = 0; draw < PictureProblem::kDraws; ++draw) {
      const auto behind = further[best * PictureProblem::kDraws + draw] -
                          further[worst * PictureProblem::kDraws + draw];
      out.push_back(-(-2000 * behind).sigmoid().log());
    }
  }
  return torch::stack(out);
}

const std::map<std::string, PublishedLoss>& published() {
  static const std::map<std::string, PublishedLoss> all = {
      {"rwr",
       [](const PictureProblem& p, const torch::Tensor& v) {
         const auto w =
             (p.centred() / (PictureProblem::group_std(p.reward) + 1e-8)).exp();
         return w / PictureProblem::group_mean(w) * error(p, v);
       }},
      {"sft",
       [](const PictureProblem& p, const torch::Tensor& v) {
         const auto chosen =
             torch::tensor({1, 0, 1, 0, 1, 0, 1, 0}, torch::kFloat64)
                 .repeat_interleave(PictureProblem::kDraws);
         return chosen * error(p, v);
       }},
      {"orw-cfm",
       [](const PictureProblem& p, const torch::Tensor& v) {
         return p.reward.exp() * error(p, v) + to_reference(p, v);
       }},
      {"diffusion-nft",
       [](const PictureProblem& p, const torch::Tensor& v) {
         return nft(p, v, p.by_all().clamp(-5, 5));
       }},
      {"awm",
       [](const PictureProblem& p, const torch::Tensor& v) {
         return awm(p, v, ghuber(p, v), torch::ones_like(p.t));
       }},
      {"ram",
       [](const PictureProblem& p, const torch::Tensor& v) {
         const auto a = p.by_group().view({-1, 1, 1, 1});
         return mean_of((v - (p.y_ref + 100 * a * (p.y_c - p.y_old))).square());
       }},
      {"rvm",
       [](const PictureProblem& p, const torch::Tensor& v) {
         return 0.1 * p.by_group() * error(p, v);
       }},
      {"pepg", pepg},
      {"par", par},
      {"v-grpo", v_grpo},
      {"dgpo", dgpo},
      {"crd", crd},
      {"dpo", dpo},
      {"rsm-pictures",
       [](const PictureProblem& p, const torch::Tensor& v) {
         return -0.1 * p.centred() * evidence(p, v) + 1e-2 * to_reference(p, v);
       }},
  };
  return all;
}

TEST(Regression, EveryEntryHasItsPublishedGradient) {
  for (const auto& path : both_paths()) {
    const PictureProblem problem(*path);
    for (const auto& entry : catalogue()) {
      if (!entry.estimator.is_of_pictures() ||
          entry.estimator.needs_gradients()) {
        continue;
      }
      SCOPED_TRACE(cat(entry.name, " on ", name_of(*path)));
      const auto found = published().find(entry.name);
      ASSERT_NE(found, published().end()) << "say its published loss above";
      expect_gradient(entry, problem, found->second);
    }
  }
}

/** What is not asked for is not needed: methods that are never compared with
 * y_old have one gradient, wherever that is. */
TEST(Regression, OfDistancesAloneTheGradientIsFreeOfTheOldOutput) {
  const PictureProblem far;
  auto near = far;
  near.y_old = near.y;
  int64_t tried = 0;
  for (const auto& entry : catalogue()) {
    if (!entry.is_free_of_old_outputs()) continue;
    SCOPED_TRACE(entry.name);
    ++tried;
    const auto method = for_family(entry, Family::flow);
    const auto there = our_gradient(method, far);
    EXPECT_LT(relative(our_gradient(method, near), there), 1e-6);
  }
  EXPECT_GE(tried, 4);
}

TEST(Regression, ModesChooseAdvantagesAsDiffusionNftDoes) {
  using Mode = PictureKnobs::Mode;
  const PictureProblem problem;
  auto method = find_method("diffusion-nft");
  // Some are cut: a sign is 1 all the same.
  method.regularisation.advantage_clip = 0.5;
  const auto a = problem.by_all().clamp(-0.5, 0.5);
  ASSERT_LT((a.abs() < 0.5).sum().item<int64_t>(), PictureProblem::kRows);
  const std::map<Mode, torch::Tensor> left = {
      {Mode::all, a},
      {Mode::positive, a.clamp(0, 5)},
      {Mode::negative, a.clamp(-5, 0)},
      {Mode::one, torch::where(a > 0, torch::ones_like(a), 0)},
      {Mode::sign, torch::sign(a)}};
  for (const auto& [mode, advantage] : left) {
    SCOPED_TRACE(to_string(mode));
    method.estimator.pictures.mode = mode;
    expect_gradient(method, problem,
                    [&advantage = advantage](const PictureProblem& p,
                                             const torch::Tensor& v) {
                      return nft(p, v, advantage);
                    });
  }
}

/** A weighting of AWM's release, and what says it here. */
struct Weighting {
  std::string name;
  PictureKnobs::Distance distance;
  double exponent;
  StrengthKnobs strength;
  PublishedLoss log_p;
};

TEST(Regression, WeightingsOfAwmAreDistancesAndStrengths) {
  using Distance = PictureKnobs::Distance;
  using Shape = StrengthKnobs::Shape;
  const std::vector<Weighting> all = {
      {"ghuber", Distance::power, 0.25, {Shape::predicted}, ghuber},
      {"huber",
       Distance::power,
       0.5,
       {Shape::predicted, 0.5},
       [](const PictureProblem& p, const torch::Tensor& v) {
         return -p.t * ((error(p, v) + 1e-10).sqrt() - 1e-5);
       }},
      {"t",
       Distance::square,
       1,
       {Shape::predicted},
       [](const PictureProblem& p, const torch::Tensor& v) {
         return -p.t * error(p, v);
       }},
      {"t**2",
       Distance::square,
       1,
       {Shape::predicted_squared},
       [](const PictureProblem& p, const torch::Tensor& v) {
         return -p.t.square() * error(p, v);
       }},
      {"Uniform",
       Distance::square,
       1,
       {Shape::flat},
       [](const PictureProblem& p, const torch::Tensor& v) {
         return -error(p, v);
       }},
      {"PEPG's exact",
       Distance::square,
       1,
       {Shape::exact},
       [](const PictureProblem& p, const torch::Tensor& v) {
         return -(1 - p.t) / (p.t + 1e-3) * error(p, v);
       }}};
  const PictureProblem problem;
  for (const auto& weighting : all) {
    SCOPED_TRACE(weighting.name);
    auto method = find_method("awm");
    method.estimator.pictures.distance = weighting.distance;
    method.estimator.pictures.exponent = weighting.exponent;
    method.strength = weighting.strength;
    expect_gradient(
        method, problem, [&](const PictureProblem& p, const torch::Tensor& v) {
          return awm(p, v, weighting.log_p(p, v), torch::ones_like(p.t));
        });
  }
}

TEST(Regression, PullsToTheReferenceAsAwmsElbo) {
  const PictureProblem problem;
  auto method = find_method("awm");
  method.regularisation.kl_form = RegularisationKnobs::KlForm::elbo;
  expect_gradient(
      method, problem, [](const PictureProblem& p, const torch::Tensor& v) {
        const auto std = 0.7 * (p.t / (1 - p.t.clamp(0, 0.99))).sqrt();
        return awm(p, v, ghuber(p, v), 1 / (2 * std.square()));
      });
  // All but the noisiest hundredth.
  const double latest =
      kl_factor(method.regularisation, forward_row(FlowPath(), 1));
  EXPECT_NEAR(latest, 1e-3 * (1 - 0.99) / (2 * 0.7 * 0.7), 1e-15);
}

TEST(DistanceOf, HasThePublishedLogDensityOfAwm) {
  const PictureKnobs knobs = {.distance = PictureKnobs::Distance::power,
                              .exponent = 0.25};
  struct Published {
    double t, m, log_p, slope;  ///< m the mean square, slope d log p / dm
  };
  for (const auto& [t, m, log_p, slope] :
       {Published{0.5, 0.5, -1.67547, -0.840896},
        Published{0.9, 0.2, -2.39608, -3.00933}}) {
    const auto at = [&](double d) {
      return distance_of(knobs, torch::full({1, 2, 2, 2}, d, torch::kDouble));
    };
    const auto here = at(std::sqrt(m));
    // Six digits are published.
    EXPECT_NEAR(-t * (here.value - at(0).value).item<double>(), log_p, 5e-6);
    EXPECT_NEAR(-t * here.pull.item<double>(), slope, 5e-6);
  }
}

}  // namespace
}  // namespace rsm
