#include "rsm/paths/ddim.h"

#include <gtest/gtest.h>
#include <torch/types.h>

#include <cmath>
#include <utility>
#include <vector>

#include "rsm/base/random.h"
#include "rsm/paths/ddim_path.h"
#include "rsm/paths/testing.h"

namespace rsm {
namespace {

const StepNoise kDdpm = {SamplerNoise::usual, 1};
const StepNoise kWeighted = {SamplerNoise::even_weight, 1, 4.5};

/** alpha_bar of each of `times`. */
std::vector<double> alpha_bars_at(const DdimPath& path,
                                  const std::vector<double>& times) {
  std::vector<double> out;
  for (const double t : times) out.push_back(std::pow(path.signal(t), 2));
  return out;
}

/** t, t', alpha_bar, alpha_bar', then s and w of DDPM, then s, w, M, Omega of
 * the weight 4.5, and delta. */
const std::vector<std::vector<double>> kFiftySteps = {
    {981, 961, 0.0057755, 0.00728173, 0.454463, 0.512551, 0.446712, 0.512647,
     0.229005, 0.228343, 1.0029},
    {961, 941, 0.00728173, 0.00911731, 0.448282, 0.504381, 0.445562, 0.504393,
     0.224738, 0.223918, 1.00366},
    {941, 921, 0.00911731, 0.0113379, 0.44206, 0.496339, 0.444346, 0.496347,
     0.22055, 0.219542, 1.00459},
    {921, 901, 0.0113379, 0.0140049, 0.435797, 0.488435, 0.443053, 0.488517,
     0.216439, 0.215209, 1.00572},
    {901, 881, 0.0140049, 0.0171852, 0.429491, 0.48068, 0.441667, 0.480913,
     0.212404, 0.210911, 1.00708},
    {881, 861, 0.0171852, 0.0209508, 0.423142, 0.473087, 0.440173, 0.473542,
     0.20844, 0.206642, 1.0087},
    {861, 841, 0.0209508, 0.0253786, 0.41675, 0.465667, 0.438554, 0.466412,
     0.204547, 0.202393, 1.01064},
    {841, 821, 0.0253786, 0.0305493, 0.410315, 0.458433, 0.436791, 0.459533,
     0.20072, 0.198157, 1.01294},
    {821, 801, 0.0305493, 0.0365465, 0.403837, 0.451399, 0.434865, 0.452913,
     0.196956, 0.193924, 1.01563},
    {801, 781, 0.0365465, 0.043456, 0.397315, 0.444577, 0.432757, 0.446558,
     0.193251, 0.189687, 1.01879},
    {781, 761, 0.043456, 0.0513639, 0.39075, 0.437982, 0.430445, 0.440477,
     0.189601, 0.185436, 1.02246},
    {761, 741, 0.0513639, 0.0603556, 0.384143, 0.431627, 0.427908, 0.434677,
     0.186002, 0.181162, 1.02672},
    {741, 721, 0.0603556, 0.0705137, 0.377494, 0.425526, 0.425125, 0.429165,
     0.182449, 0.176857, 1.03162},
    {721, 701, 0.0705137, 0.0819167, 0.370803, 0.419693, 0.422073, 0.423947,
     0.178936, 0.172512, 1.03724},
    {701, 681, 0.0819167, 0.0946369, 0.364072, 0.414142, 0.418732, 0.419028,
     0.17546, 0.16812, 1.04366},
    {681, 661, 0.0946369, 0.108739, 0.357301, 0.408886, 0.415079, 0.414414,
     0.172015, 0.163673, 1.05097},
    {661, 641, 0.108739, 0.124276, 0.350492, 0.403938, 0.411096, 0.41011,
     0.168595, 0.159164, 1.05925},
    {641, 621, 0.124276, 0.141292, 0.343645, 0.399313, 0.406762, 0.406121,
     0.165195, 0.15459, 1.0686},
    {621, 601, 0.141292, 0.159816, 0.336763, 0.395025, 0.40206, 0.402453,
     0.16181, 0.149944, 1.07914},
    {601, 581, 0.159816, 0.179864, 0.329846, 0.391086, 0.396973, 0.39911,
     0.158436, 0.145225, 1.09097},
    {581, 561, 0.179864, 0.201432, 0.322895, 0.387513, 0.391486, 0.396098,
     0.155067, 0.140431, 1.10422},
    {561, 541, 0.201432, 0.224505, 0.315913, 0.384319, 0.385586, 0.393424,
     0.151699, 0.135562, 1.11904},
    {541, 521, 0.224505, 0.249045, 0.308899, 0.381521, 0.379262, 0.391095,
     0.148327, 0.13062, 1.13556},
    {521, 501, 0.249045, 0.274999, 0.301856, 0.379136, 0.372506, 0.38912,
     0.144949, 0.12561, 1.15397},
    {501, 481, 0.274999, 0.302296, 0.294785, 0.377184, 0.36531, 0.38751,
     0.141561, 0.120535, 1.17444},
    {481, 461, 0.302296, 0.330846, 0.287685, 0.375685, 0.357671, 0.386279,
     0.138161, 0.115404, 1.19719},
    {461, 441, 0.330846, 0.360543, 0.280559, 0.374664, 0.349587, 0.385442,
     0.134745, 0.110224, 1.22247},
    {441, 421, 0.360543, 0.391267, 0.273406, 0.37415, 0.341057, 0.385021,
     0.131314, 0.105007, 1.25053},
    {421, 401, 0.391267, 0.422882, 0.266227, 0.374174, 0.332084, 0.385041,
     0.127866, 0.0997627, 1.2817},
    {401, 381, 0.422882, 0.455239, 0.259022, 0.374777, 0.322672, 0.385535,
     0.124401, 0.0945054, 1.31634},
    {381, 361, 0.455239, 0.48818, 0.25179, 0.376006, 0.312825, 0.386542,
     0.12092, 0.0892486, 1.35487},
    {361, 341, 0.48818, 0.52154, 0.244529, 0.377917, 0.302552, 0.388114,
     0.117425, 0.0840075, 1.39779},
    {341, 321, 0.52154, 0.555145, 0.237238, 0.380581, 0.291861, 0.390315,
     0.113918, 0.0787977, 1.4457},
    {321, 301, 0.555145, 0.588819, 0.229914, 0.384086, 0.280758, 0.39323,
     0.110402, 0.0736355, 1.49931},
    {301, 281, 0.588819, 0.622385, 0.222552, 0.388543, 0.269252, 0.396964,
     0.106883, 0.0685373, 1.55949},
    {281, 261, 0.622385, 0.655669, 0.215148, 0.394094, 0.25735, 0.40166,
     0.103367, 0.0635195, 1.62733},
    {261, 241, 0.655669, 0.688499, 0.207694, 0.400924, 0.245057, 0.407506,
     0.099862, 0.0585987, 1.70417},
    {241, 221, 0.688499, 0.720709, 0.200178, 0.409277, 0.232373, 0.414756,
     0.0963782, 0.0537909, 1.79172},
    {221, 201, 0.720709, 0.752143, 0.192585, 0.419488, 0.219296, 0.423764,
     0.0929298, 0.0491115, 1.89222},
    {201, 181, 0.752143, 0.782654, 0.184892, 0.432019, 0.205814, 0.435033,
     0.0895359, 0.0445756, 2.00863},
    {181, 161, 0.782654, 0.812108, 0.177068, 0.447536, 0.191904, 0.449306,
     0.0862233, 0.0401976, 2.14499},
    {161, 141, 0.812108, 0.840382, 0.169061, 0.467032, 0.177525, 0.467719,
     0.0830317, 0.0359914, 2.30699},
    {141, 121, 0.840382, 0.86737, 0.160792, 0.49207, 0.162611, 0.492109,
     0.0800225, 0.0319708, 2.50299},
    {121, 101, 0.86737, 0.892981, 0.152124, 0.525262, 0.147054, 0.525643,
     0.0772981, 0.0281507, 2.74586},
    {101, 81, 0.892981, 0.917138, 0.142809, 0.571382, 0.130672, 0.574294,
     0.0750441, 0.0245498, 3.05681},
    {81, 61, 0.917138, 0.939783, 0.132329, 0.640338, 0.113143, 0.650844,
     0.0736381, 0.0211973, 3.47394},
    {61, 41, 0.939783, 0.960873, 0.119422, 0.757327, 0.093836, 0.788584,
     0.0739976, 0.0181584, 4.07512},
    {41, 21, 0.960873, 0.980381, 0.0998873, 1.01726, 0.0712052, 1.11206,
     0.0791843, 0.0156631, 5.05546},
    {21, 1, 0.980381, 0.998296, 0.0394795, 3.27479, 0.0359269, 3.36836,
     0.121015, 0.0169504, 7.13935},
    {1, 0, 0.998296, 0.99915, 0.0206483, 1.00319, 0.0147638, 1.09434, 0.0161566,
     0.000666933, 24.2253}};

TEST(Ddim, ReproducesPublishedTableOfFiftySteps) {
  const DdimPath path;
  const auto timesteps = DdimSchedule{}.timesteps(50);
  const auto times = path.times(50);
  const auto a = alpha_bars_at(path, times);
  const auto ddpm = path.noisy_steps(times, kDdpm);
  const auto weighted = path.noisy_steps(times, kWeighted);
  ASSERT_EQ(ddpm.size(), kFiftySteps.size());
  ASSERT_EQ(weighted.size(), kFiftySteps.size());
  for (size_t i = 0; i < ddpm.size(); ++i) {
    SCOPED_TRACE(i);
    const auto& row = kFiftySteps[i];
    EXPECT_EQ(static_cast<double>(timesteps[i]), row[0]);
    EXPECT_EQ(static_cast<double>(timesteps[i + 1]), row[1]);
    EXPECT_EQ(times[i], row[0] / 1000);
    expect_digits(a[i], row[2]);
    expect_digits(a[i + 1], row[3]);
    expect_digits(ddpm[i].s, row[4]);
    expect_digits(ddpm[i].w(), row[5]);
    expect_digits(weighted[i].s, row[6]);
    expect_digits(weighted[i].w(), row[7]);
    expect_digits(weighted[i].M(), row[8]);
    expect_digits(weighted[i].omega(), row[9]);
    expect_digits(weighted[i].delta, row[10]);
    EXPECT_EQ(ddpm[i].delta, weighted[i].delta);
    EXPECT_LT(ddpm[i].m_y, 0);
    EXPECT_LT(weighted[i].m_y, 0);
  }
}

TEST(Ddim, ReproducesPublishedMeansOfTheWeights) {
  const DdimPath path;
  const auto sum = [&](const StepNoise& noise, size_t steps) {
    const auto all = path.noisy_steps(path.times(50), noise);
    double total = 0;
    for (size_t i = 0; i < steps; ++i) total += all[i].w();
    return total;
  };
  EXPECT_NEAR(sum(kDdpm, 50) / 50, 0.516900165, 5e-10);
  EXPECT_NEAR(sum(kDdpm, 49) / 49, 0.506975905, 5e-10);
  // The release divides its weight 4.5 by this number, which it has from a
  // schedule in float32: 8.705743 in double.
  EXPECT_NEAR(4.5 / (sum(kDdpm, 50) / 50), 8.70575076181, 1e-5);
  EXPECT_NEAR(sum(kWeighted, 50) / 50, 0.52814, 5e-6);
}

TEST(Ddim, ReproducesPublishedGuidanceOfTheFiveActiveSteps) {
  const DdimPath path;
  const auto steps = path.noisy_steps(path.times(50), kWeighted);
  const std::vector<double> s = {0.446712, 0.430445, 0.391486, 0.312825,
                                 0.191904};
  const std::vector<double> share = {0.251900, 0.242727, 0.220758, 0.176401,
                                     0.108214};
  double sum = 0;
  for (size_t k = 0; k < 5; ++k) {
    expect_digits(steps[10 * k].s, s[k]);
    sum += steps[10 * k].s;
  }
  for (size_t k = 0; k < 5; ++k) {
    expect_digits(steps[10 * k].s / sum, share[k]);
  }
}

TEST(Ddim, WeightIsTheSumOfBothCoefficientsOverTheDeviation) {
  const DdimPath path;
  const auto times = path.times(50);
  for (const double weight : {4.5, 6.0, 20.0}) {
    for (const auto& step :
         path.noisy_steps(times, {SamplerNoise::even_weight, 1, weight})) {
      const double c1 = path.noise(step.t) * step.a_x;
      const double c2 = c1 - step.M();
      EXPECT_NEAR((c1 + c2) / step.s, weight, 1e-10 * weight);
    }
  }
}

TEST(Ddim, WithoutNoiseIsTheDeterministicStep) {
  // x' = sqrt(a') picture + sqrt(1 - a') y, where the picture is what x is
  // without the noise y.
  const DdimPath path;
  for (const int64_t n : {1, 7, 50}) {
    const auto times = path.times(n);
    const auto alpha_bar = alpha_bars_at(path, times);
    for (int64_t i = 0; i < n; ++i) {
      const double a = alpha_bar[i];
      const double next = alpha_bar[i + 1];
      const auto step = path.ode_step(times, i);
      EXPECT_EQ(step.s, 0);
      for (const auto& [x, y] : {std::pair(0.7, -1.2), std::pair(-2.0, 0.4)}) {
        const double picture = (x - std::sqrt(1 - a) * y) / std::sqrt(a);
        EXPECT_NEAR(step.a_x * x + step.m_y * y,
                    std::sqrt(next) * picture + std::sqrt(1 - next) * y,
                    kRounding * std::abs(picture));
      }
    }
  }
}

TEST(Ddim, WithAllNoiseIsTheStepOfDdpm) {
  // Ho et al. 2020, equations 7 and 11, with alpha of the whole step.
  const DdimPath path;
  const auto times = path.times(50);
  const auto alpha_bar = alpha_bars_at(path, times);
  for (int64_t i = 0; i < 50; ++i) {
    const double a = alpha_bar[i];
    const double next = alpha_bar[i + 1];
    const double alpha = a / next;
    const auto step = path.noisy_step(times, i, kDdpm);
    EXPECT_NEAR(step.a_x, 1 / std::sqrt(alpha), kRounding);
    EXPECT_NEAR(step.M(), (1 - alpha) / std::sqrt(alpha * (1 - a)), kRounding);
    EXPECT_NEAR(step.s * step.s, (1 - next) / (1 - a) * (1 - alpha), kRounding);
  }
}

// -log rho = 1/2 <(w d)^2> + <w d eps>, d the change of the output: what all
// ratios and losses rest on.
TEST(Ddim, LogRatioIsAQuadraticOfTheOutputs) {
  const auto normal = [](uint64_t index) {
    return counted_normal(counted_seed(7, Purpose::bench, {index}), {3, 4})
        .to(at::kDouble);
  };
  const auto x = normal(1);
  const auto y = normal(2);
  const auto d = 0.1 * normal(3);
  const auto eps = normal(4);
  const DdimPath path;
  for (const auto& noise : {kDdpm, kWeighted}) {
    for (const auto& t : path.noisy_steps(path.times(50), noise)) {
      const auto next = step(t, x, y, eps);
      const auto ratio = log_prob(t, x, y + d, next) - log_prob(t, x, y, next);
      const auto expected =
          -((t.w() * d).square() / 2 + t.w() * d * eps).mean(1);
      EXPECT_LT((ratio - expected).abs().max().item<double>(), 1e-11);
    }
  }
}

}  // namespace
}  // namespace rsm
