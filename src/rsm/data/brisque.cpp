#include "rsm/data/brisque.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <utility>
#include <vector>

#include "rsm/base/error.h"
#include "rsm/data/scene_statistics.h"
#include "rsm/io/files.h"

namespace rsm {
namespace {

constexpr int64_t kFeatures = 36;        // of both scales
constexpr double kContrast = 1.0 / 255;  // of grey from 0 to 1
constexpr double kWorst = 100;
constexpr const char* kRange = "brisque_range_live.yml";

/** Down and to the right of a neighbour. */
constexpr std::array<std::pair<int64_t, int64_t>, 4> kMoves = {
    {{0, 1}, {1, 0}, {1, 1}, {-1, 1}}};

/** [1,H*W] each coefficient times its neighbour, 0 beyond the edges. */
torch::Tensor products(const torch::Tensor& values, int64_t down,
                       int64_t right) {
  const auto part = [](const torch::Tensor& of, int64_t dim, int64_t by) {
    const int64_t size = of.size(dim);
    return of.slice(dim, std::max<int64_t>(by, 0),
                    size + std::min<int64_t>(by, 0));
  };
  const auto own = part(part(values, 0, -down), 1, -right);
  const auto other = part(part(values, 0, down), 1, right);
  const auto out = at::zeros_like(values);
  part(part(out, 0, -down), 1, -right).copy_(own * other);
  return out.view({1, -1});
}

/** [18] of one scale [H,W]. */
torch::Tensor scale_features(const torch::Tensor& grey) {
  const auto values = contrast_normalised(grey, kContrast);
  const auto fit = fit_asymmetric_gaussian(values.reshape({1, -1}));
  std::vector<torch::Tensor> out = {
      fit.shape, (fit.left.square() + fit.right.square()) / 2};
  for (const auto& [down, right] : kMoves) {
    const auto pair = fit_asymmetric_gaussian(products(values, down, right));
    out.insert(out.end(), {pair.shape, pair.mean(), pair.left.square(),
                           pair.right.square()});
  }
  return at::cat(out);
}

/** The numbers of OpenCV's YAML behind a key: as many as there are between the
 * brackets that open next, or one. */
class Numbers {
 public:
  explicit Numbers(const std::string& file)
      : file_(file), text_(read_file(file)) {}

  /** Goes to behind `key:`, from where it is. */
  void find(const std::string& key) {
    const size_t found = text_.find(key + ":", place_);
    RSM_CHECK(found != std::string::npos, "[brisque] ", file_, " has no ", key,
              "; OpenCV's brisque_model_live.yml and ", kRange,
              " beside it are needed");
    place_ = found + key.size() + 1;
  }

  double one() {
    char* end = nullptr;
    const char* begin = text_.c_str() + place_;
    const double number = std::strtod(begin, &end);
    RSM_CHECK(end != begin && std::isfinite(number), "[brisque] ", file_,
              " has no number at byte ", place_,
              "; it is damaged: copy it again");
    place_ += static_cast<size_t>(end - begin);
    return number;
  }

  std::vector<double> list() {
    const size_t open = text_.find('[', place_);
    RSM_CHECK(open != std::string::npos, "[brisque] ", file_,
              " lacks a list of numbers; it is cut off: copy it again");
    place_ = open + 1;
    std::vector<double> out;
    while (true) {
      out.push_back(one());
      place_ = std::min(text_.find_first_not_of(" \r\n", place_), text_.size());
      const char next = place_ < text_.size() ? text_[place_++] : ' ';
      if (next == ']') return out;
      RSM_CHECK(next == ',', "[brisque] ", file_,
                " has a list that does not end; it is cut off: copy it again");
    }
  }

  /** [count] of a list that has to have so many. */
  torch::Tensor list_of(int64_t count) {
    const auto numbers = list();
    RSM_CHECK(std::ssize(numbers) == count, "[brisque] ", file_, " has ",
              numbers.size(), " numbers where ", count,
              " are needed: it is the model of other features");
    return torch::tensor(numbers, at::kDouble);
  }

 private:
  std::string file_, text_;
  size_t place_ = 0;
};

}  // namespace

torch::Tensor brisque_features(const torch::Tensor& picture) {
  const auto grey = grey_bytes(picture) / 255;
  const int64_t height = grey.size(0) / 2, width = grey.size(1) / 2;
  RSM_CHECK(height > 0 && width > 0, "[brisque] a picture of shape ",
            picture.sizes(), "; 2 x 2 pixels are the least");
  // OpenCV's INTER_CUBIC: without antialiasing.
  const auto half = at::upsample_bicubic2d(
      grey.view({1, 1, grey.size(0), grey.size(1)}), {height, width},
      /*align_corners=*/false);
  return at::cat(
      {scale_features(grey), scale_features(half.view({height, width}))});
}

std::string brisque_range_of(const std::string& model) {
  return (std::filesystem::path(model).parent_path() / kRange).string();
}

Brisque::Brisque(const std::string& model) {
  Numbers svm(model);
  svm.find("gamma");
  gamma_ = svm.one();
  svm.find("var_count");
  RSM_CHECK(svm.one() == kFeatures, "[brisque] ", model, " is not of ",
            kFeatures,
            " features; OpenCV's "
            "brisque_model_live.yml is needed");
  svm.find("sv_total");
  const auto count = static_cast<int64_t>(svm.one());
  svm.find("support_vectors");
  std::vector<torch::Tensor> vectors;
  for (int64_t v = 0; v < count; ++v) vectors.push_back(svm.list_of(kFeatures));
  RSM_CHECK(!vectors.empty(), "[brisque] ", model, " has no support vectors");
  vectors_ = at::stack(vectors);
  svm.find("rho");
  rho_ = svm.one();
  svm.find("alpha");
  weights_ = svm.list_of(count);
  Numbers range(brisque_range_of(model));
  range.find("data");
  const auto ends = range.list_of(2 * kFeatures).view({2, kFeatures});
  lowest_ = ends[0];
  highest_ = ends[1];
}

double Brisque::of(const torch::Tensor& picture) const {
  const auto features = brisque_features(picture);
  if (!features.isfinite().all().item<bool>()) return NAN;
  const auto scaled = 2 * (features - lowest_) / (highest_ - lowest_) - 1;
  const auto apart = (vectors_ - scaled).square().sum(1);
  const double value =
      at::dot(weights_, (-gamma_ * apart).exp()).item<double>() - rho_;
  return std::clamp(value, 0.0, kWorst);
}

}  // namespace rsm
