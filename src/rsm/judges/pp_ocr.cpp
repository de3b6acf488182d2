#include "rsm/judges/pp_ocr.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <sstream>
#include <utility>

#include "rsm/base/error.h"
#include "rsm/io/files.h"
#include "rsm/io/plain_text.h"
#include "rsm/judges/network_reward.h"
#include "rsm/judges/onnx_pixels.h"

namespace rsm {
namespace {

constexpr const char* kCharacters = "character";  // of the file's metadata
constexpr int64_t kCell = 32;                     // sides are multiples of it
constexpr int64_t kLineHeight = 48;               // of PP-OCRv4's recogniser
constexpr int64_t kLeastLine = 320;               // its width, at least
constexpr double kTall = 1.5;  // height over width of what is read upwards
constexpr double kMostByte = 255;

/** What both networks are shown: B, G, R in [-1,1]. */
torch::Tensor normalised(const torch::Tensor& bytes) {
  static const OnnxPixels pixels = {
      .mean = {0.5, 0.5, 0.5}, .std = {0.5, 0.5, 0.5}, .bgr = true};
  return shown_pixels(bytes / kMostByte, pixels);
}

double distance(const Point& a, const Point& b) {
  return std::hypot(a.x - b.x, a.y - b.y);
}

/** The projection [3,3] that takes the corners of a width x height rectangle to
 * those of a quad. */
torch::Tensor projection(const Quad& quad, double width, double height) {
  const std::array<Point, 4> from = {
      Point{0, 0}, {width, 0}, {width, height}, {0, height}};
  std::vector<double> rows, right;
  for (size_t i = 0; i < from.size(); ++i) {
    const auto [x, y] = from[i];
    const auto [u, v] = quad[i];
    for (const double one : {x, y, 1.0, 0.0, 0.0, 0.0, -u * x, -u * y}) {
      rows.push_back(one);
    }
    for (const double one : {0.0, 0.0, 0.0, x, y, 1.0, -v * x, -v * y}) {
      rows.push_back(one);
    }
    right.push_back(u);
    right.push_back(v);
  }
  const auto solved =
      at::linalg_solve(at::tensor(rows, at::kDouble).view({8, 8}),
                       at::tensor(right, at::kDouble));
  return at::cat({solved, at::ones({1}, at::kDouble)}).view({3, 3});
}

/** What a quad of a picture [1,3,H,W] holds, laid straight: [1,3,h,w]. Tall
 * ones are turned, so that what is written upwards is read. */
torch::Tensor cut_out(const torch::Tensor& bytes, const Quad& quad) {
  const auto longer = [](double a, double b) {
    return std::max<int64_t>(1, static_cast<int64_t>(std::max(a, b)));
  };
  const int64_t width =
      longer(distance(quad[0], quad[1]), distance(quad[2], quad[3]));
  const int64_t height =
      longer(distance(quad[0], quad[3]), distance(quad[1], quad[2]));
  const auto to =
      projection(quad, static_cast<double>(width), static_cast<double>(height));
  const auto places = at::meshgrid(
      {at::arange(height, at::kDouble), at::arange(width, at::kDouble)}, "ij");
  const auto points =
      at::stack({places[1], places[0], at::ones_like(places[0])}, -1)
          .matmul(to.t());
  const auto there = points.narrow(-1, 0, 2) / points.narrow(-1, 2, 1);
  // grid_sampler counts from -1, the first pixel's centre, to 1, the last
  // one's.
  const auto last = at::tensor({static_cast<double>(bytes.size(3) - 1),
                                static_cast<double>(bytes.size(2) - 1)},
                               at::kDouble)
                        .clamp_min(1);
  const auto grid = (there / last * 2 - 1).to(at::kFloat).unsqueeze(0);
  constexpr int64_t kBicubic = 2, kBorder = 1;
  const auto cut = at::grid_sampler_2d(bytes, grid, kBicubic, kBorder,
                                       /*align_corners=*/true)
                       .round()
                       .clamp(0, kMostByte);
  const bool tall =
      static_cast<double>(height) >= kTall * static_cast<double>(width);
  return tall ? at::rot90(cut, 1, {2, 3}) : cut;
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) {
    if (line.ends_with('\r')) line.pop_back();
    lines.push_back(line);
  }
  return lines;
}

/** By the recogniser's numbers: nothing, the list, a space. */
std::vector<std::string> read_characters(const std::string& who,
                                         const OcrSettings& settings,
                                         const OnnxNetwork& recogniser) {
  const bool own = settings.characters.empty();
  RSM_CHECK(own || is_file(settings.characters), "[", who,
            "] there is no file ", settings.characters,
            "; it lists the recogniser's characters, a line each");
  auto characters = lines_of(own ? recogniser.metadata(kCharacters)
                                 : plain_text(who, settings.characters,
                                              read_file(settings.characters)));
  RSM_CHECK(!characters.empty(), "[", who, "] ",
            own ? settings.recogniser : settings.characters,
            " has no list of characters; name the text file that has it as "
            "`characters` in ocr.json (docs/rewards.md)");
  characters.insert(characters.begin(), "");
  characters.emplace_back(" ");
  return characters;
}

void check_input(const std::string& who, const std::string& file,
                 const OnnxNetwork& network) {
  const auto& shape = network.input().shape;
  const bool right =
      shape.size() == 4 && (shape[0] == kOpenSize || shape[0] == 1) &&
      (shape[1] == kOpenSize || shape[1] == 3) && shape[3] == kOpenSize;
  RSM_CHECK(right, "[", who, "] ", file, " takes ", shown_shape(shape),
            "; pictures [1,3,H,W] of any width are shown to it");
}

}  // namespace

PpOcr::PpOcr(std::string who, OcrSettings settings, int64_t threads)
    : who_(std::move(who)),
      settings_(std::move(settings)),
      detector_(who_, settings_.detector, threads),
      recogniser_(who_, settings_.recogniser, threads),
      characters_(read_characters(who_, settings_, recogniser_)) {
  check_input(who_, settings_.detector, detector_);
  check_input(who_, settings_.recogniser, recogniser_);
}

/** How sure of text the detector is, on a map [H,W] of its own. */
torch::Tensor PpOcr::map_of(const torch::Tensor& bytes) const {
  const int64_t height = bytes.size(2), width = bytes.size(3);
  const double scale =
      std::max(1.0, static_cast<double>(settings_.side) /
                        static_cast<double>(std::min(height, width)));
  const auto scaled = [&](int64_t size) {
    const auto whole = std::floor(static_cast<double>(size) * scale);
    return std::max<int64_t>(
        kCell, static_cast<int64_t>(std::nearbyint(whole / kCell)) * kCell);
  };
  const auto shown =
      normalised(resized_bytes(bytes, scaled(height), scaled(width)));
  const auto map = detector_.run(shown).front();
  RSM_CHECK(
      map.is_floating_point() &&
          map.sizes() == at::IntArrayRef({1, 1, shown.size(2), shown.size(3)}),
      "[", who_, "] ", settings_.detector, " gives ", map.sizes(),
      " for pictures ", shown.sizes(), "; [1,1,H,W] of as many pixels ",
      "are needed");
  RSM_CHECK(map.isfinite().all().item<bool>(), "[", who_, "] the numbers of ",
            settings_.detector, " are not all finite; mend it");
  return map.view({shown.size(2), shown.size(3)}).contiguous();
}

/** How likely each character is, place by place: [T,characters]. */
torch::Tensor PpOcr::chances_of(const torch::Tensor& shown) const {
  const auto out = recogniser_.run(shown).front();
  RSM_CHECK(out.is_floating_point() && out.dim() == 3 && out.size(0) == 1 &&
                out.size(1) > 0 && out.size(2) == std::ssize(characters_),
            "[", who_, "] ", settings_.recogniser, " gives ", out.sizes(),
            "; [1,T,", characters_.size(), "] are needed, as the list has ",
            characters_.size() - 2, " characters, between nothing and a space");
  RSM_CHECK(out.isfinite().all().item<bool>(), "[", who_, "] the numbers of ",
            settings_.recogniser, " are not all finite; mend it");
  return out[0];
}

/** What a line [1,3,h,w] of bytes says, or "" where that is not sure: the
 * likeliest character of each place, those that repeat the last one and 0 left
 * out. */
std::string PpOcr::line_of(const torch::Tensor& bytes) const {
  const double ratio =
      static_cast<double>(bytes.size(3)) / static_cast<double>(bytes.size(2));
  const double natural = static_cast<double>(kLineHeight) * ratio;
  const int64_t width =
      std::max(kLeastLine, static_cast<int64_t>(std::floor(natural)));
  const int64_t own = std::min(width, static_cast<int64_t>(std::ceil(natural)));
  const auto shown = at::constant_pad_nd(
      normalised(resized_bytes(bytes, kLineHeight, std::max<int64_t>(own, 1))),
      {0, width - std::max<int64_t>(own, 1)});
  const auto [chance, number] = chances_of(shown).max(/*dim=*/1);
  const auto* chances = chance.const_data_ptr<float>();
  const auto* numbers = number.const_data_ptr<int64_t>();
  std::string text;
  double sum = 0;
  int64_t letters = 0;
  for (int64_t i = 0; i < number.size(0); ++i) {
    if (numbers[i] == 0 || (i > 0 && numbers[i] == numbers[i - 1])) continue;
    text += characters_[static_cast<size_t>(numbers[i])];
    sum += chances[i];
    ++letters;
  }
  const bool sure =
      letters > 0 && sum / static_cast<double>(letters) >= settings_.confidence;
  return sure ? text : "";
}

std::string PpOcr::read(const torch::Tensor& picture) const {
  const torch::NoGradGuard no_grad;
  const auto bytes = byte_values(picture.unsqueeze(0));
  std::string text;
  for (const auto& quad : text_boxes(map_of(bytes), settings_.boxes,
                                     bytes.size(2), bytes.size(3))) {
    text += line_of(cut_out(bytes, quad));
  }
  return text;
}

void PpOcr::check() const {
  const torch::NoGradGuard no_grad;
  const auto pictures = pictures_to_try(kTriedSize, kTriedSize);
  for (int64_t i = 0; i < 2; ++i) {
    const auto bytes = byte_values(pictures.narrow(0, i, 1));
    map_of(bytes);
    line_of(bytes);
  }
}

}  // namespace rsm
