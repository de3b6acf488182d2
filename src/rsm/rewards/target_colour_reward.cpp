#include "rsm/rewards/target_colour_reward.h"

#include <algorithm>
#include <cctype>
#include <cstdint>
#include <vector>

#include "rsm/base/error.h"
#include "rsm/rewards/formula_reward.h"

namespace rsm {
namespace {

constexpr const char* kName = "target-colour";
constexpr const char* kDefault = "ff0000";
constexpr size_t kDigits = 6;
constexpr double kLargestByte = 255;

/** [3,1,1] in [0,1], float64 on the CPU. */
torch::Tensor parse_colour(const std::string& colour) {
  const bool hexadecimal =
      colour.size() == kDigits &&
      std::all_of(colour.begin(), colour.end(),
                  [](unsigned char c) { return std::isxdigit(c) != 0; });
  if (!hexadecimal) {
    throw UsageError(cat("[reward ", kName, "] got the colour \"", colour,
                         "\"; allowed: six hexadecimal digits RRGGBB, as in ",
                         kName, ":ff8000"));
  }
  std::vector<double> channels;
  for (size_t at = 0; at < kDigits; at += 2) {
    channels.push_back(std::stoi(colour.substr(at, 2), nullptr, 16) /
                       kLargestByte);
  }
  return torch::tensor(channels, at::kDouble).reshape({3, 1, 1});
}

std::unique_ptr<Reward> make_named(const std::string& name,
                                   const torch::Tensor& target) {
  return make_formula_reward(
      name, [target](const torch::Tensor& pixels) -> PictureNumbers {
        const auto colour = target.to(pixels.device());
        const auto mean = pixels.mean({1, 2}, /*keepdim=*/true);
        return {-(pixels - colour).square().mean(),
                {{"off_colour", (mean - colour).square().mean().sqrt()},
                 {"detail", (pixels - mean).square().mean().sqrt()}}};
      });
}

}  // namespace

std::unique_ptr<Reward> make_target_colour(const std::string& colour) {
  return make_named(cat(kName, ":", colour), parse_colour(colour));
}

std::unique_ptr<Reward> make_target_colour() {
  return make_named(kName, parse_colour(kDefault));
}

}  // namespace rsm
