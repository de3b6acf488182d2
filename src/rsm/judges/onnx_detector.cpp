#include "rsm/judges/onnx_detector.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "rsm/base/error.h"
#include "rsm/base/workers.h"
#include "rsm/judges/network_reward.h"
#include "rsm/judges/onnx_network.h"

namespace rsm::geneval {
namespace {

constexpr int64_t kMostSize = 8192;   // pixels
constexpr size_t kMostGrids = 16;     // of a network
constexpr int64_t kBoxNumbers = 5;    // x, y, w, h, whether it is an object
constexpr double kMostByte = 255;     // of a channel
constexpr float kLeastScore = 0.01F;  // YOLOX's, below which nothing counts

float overlap(const Box& a, const Box& b) {
  const auto area = [](const Box& box) {
    return std::max(box.right - box.left, 0.0F) *
           std::max(box.bottom - box.top, 0.0F);
  };
  const float shared =
      area({std::max(a.left, b.left), std::max(a.top, b.top),
            std::min(a.right, b.right), std::min(a.bottom, b.bottom)});
  const float all = area(a) + area(b) - shared;
  return all > 0 ? shared / all : 0;
}

/** The surest first, without those that overlap a surer one of their class. */
std::vector<Detection> surest_apart(std::vector<Detection> objects,
                                    double most) {
  std::stable_sort(
      objects.begin(), objects.end(),
      [](const auto& a, const auto& b) { return a.score > b.score; });
  std::vector<Detection> out;
  for (const auto& object : objects) {
    const bool free = std::all_of(out.begin(), out.end(), [&](const auto& o) {
      return o.kind != object.kind || overlap(o.box, object.box) < most;
    });
    if (!free) continue;
    out.push_back(object);
    out.back().place = std::ssize(out) - 1;
  }
  return out;
}

class GridDetector : public Detector {
 public:
  GridDetector(const std::string& who, const std::string& file, int64_t classes,
               GridSettings settings, int64_t threads);

  std::vector<Seen> see(const torch::Tensor& images) const override;
  void check() const override { see(pictures_to_try(height_, width_)); }

 private:
  void read_input();
  void read_cells();
  Seen see_one(const torch::Tensor& image) const;
  torch::Tensor rows_of(const torch::Tensor& shown) const;

  std::string who_, file_;
  int64_t classes_;
  GridSettings settings_;
  int64_t threads_;
  OnnxNetwork network_;
  int64_t height_ = 0, width_ = 0;  ///< of what it is shown
  torch::Tensor cells_;    ///< [N,2]: column and row; undefined: no grids
  torch::Tensor strides_;  ///< [N,1]
};

GridDetector::GridDetector(const std::string& who, const std::string& file,
                           int64_t classes, GridSettings settings,
                           int64_t threads)
    : who_(who),
      file_(file),
      classes_(classes),
      settings_(std::move(settings)),
      threads_(threads),
      network_(who, file, threads) {
  read_input();
  read_cells();
}

void GridDetector::read_input() {
  const auto& shape = network_.input().shape;
  const auto fits = [&](size_t i, int64_t wanted) {
    return shape[i] == kOpenSize || shape[i] == wanted;
  };
  RSM_CHECK(shape.size() == 4 && fits(0, 1) && fits(1, 3), "[", who_, "] ",
            file_, " takes ", shown_shape(shape),
            "; one picture [1,3,H,W] at a time is shown to it");
  height_ = shape[2] == kOpenSize ? settings_.size : shape[2];
  width_ = shape[3] == kOpenSize ? settings_.size : shape[3];
}

void GridDetector::read_cells() {
  std::vector<torch::Tensor> cells, strides;
  for (const int64_t stride : settings_.strides) {
    const auto rows = at::arange(height_ / stride, at::kFloat);
    const auto columns = at::arange(width_ / stride, at::kFloat);
    const auto grid = at::meshgrid({rows, columns}, "ij");
    cells.push_back(at::stack({grid[1], grid[0]}, -1).view({-1, 2}));
    strides.push_back(at::full({cells.back().size(0), 1}, stride, at::kFloat));
  }
  if (cells.empty()) return;
  cells_ = at::cat(cells);
  strides_ = at::cat(strides);
}

/** What it says of a picture [1,3,height,width] of bytes: [N,5+classes]. */
torch::Tensor GridDetector::rows_of(const torch::Tensor& shown) const {
  const auto out =
      network_.run(shown_pixels(shown / kMostByte, settings_.pixels)).front();
  const bool grids = cells_.defined();
  const bool right = out.is_floating_point() && out.dim() == 3 &&
                     out.size(0) == 1 &&
                     out.size(2) == kBoxNumbers + classes_ &&
                     (!grids || out.size(1) == cells_.size(0));
  RSM_CHECK(right, "[", who_, "] ", file_, " gives ", out.sizes(), " of ",
            out.scalar_type(), "; rows [1,",
            grids ? cat(cells_.size(0)) : std::string("N"), ",",
            kBoxNumbers + classes_, "] are needed: boxes in grids of strides ",
            shown_shape(settings_.strides), ", and ", classes_,
            " classes (docs/rewards.md)");
  RSM_CHECK(out.isfinite().all().item<bool>(), "[", who_,
            "] its numbers are not all finite; mend ", file_);
  return out[0];
}

Seen GridDetector::see_one(const torch::Tensor& image) const {
  const int64_t h = image.size(1), w = image.size(2);
  const double scale =
      std::min(static_cast<double>(height_) / static_cast<double>(h),
               static_cast<double>(width_) / static_cast<double>(w));
  const auto scaled = [&](int64_t size) {
    return std::max<int64_t>(
        1, static_cast<int64_t>(static_cast<double>(size) * scale));
  };
  const auto shown =
      at::full({1, 3, height_, width_}, settings_.padding, at::kFloat);
  shown.narrow(2, 0, scaled(h))
      .narrow(3, 0, scaled(w))
      .copy_(
          resized_bytes(byte_values(image.unsqueeze(0)), scaled(h), scaled(w)));
  const auto rows = rows_of(shown);
  auto centres = rows.narrow(1, 0, 2), sizes = rows.narrow(1, 2, 2);
  if (cells_.defined()) {
    centres = (centres + cells_) * strides_;
    sizes = sizes.exp() * strides_;
  }
  const auto boxes =
      (at::cat({centres - sizes / 2, centres + sizes / 2}, 1) / scale)
          .contiguous();
  RSM_CHECK(boxes.isfinite().all().item<bool>(), "[", who_,
            "] its boxes are not all finite; mend ", file_);
  const auto [chance, kind] =
      rows.narrow(1, kBoxNumbers, classes_).max(/*dim=*/1);
  const auto score = chance * rows.select(1, 4);
  std::vector<Detection> objects;
  const auto* box = boxes.const_data_ptr<float>();
  const auto* kinds = kind.const_data_ptr<int64_t>();
  const auto* scores = score.const_data_ptr<float>();
  for (int64_t i = 0; i < rows.size(0); ++i, box += 4) {
    if (scores[i] < kLeastScore) continue;
    objects.push_back({kinds[i], scores[i], {box[0], box[1], box[2], box[3]}});
  }
  return {surest_apart(std::move(objects), settings_.overlap), {}};
}

std::vector<Seen> GridDetector::see(const torch::Tensor& images) const {
  const auto here = images.to(at::kCPU);
  std::vector<Seen> seen(here.size(0));
  run_jobs(here.size(0), threads_, [&](int64_t i) {
    const torch::NoGradGuard no_grad;
    seen[i] = see_one(here[i]);
  });
  return seen;
}

}  // namespace

void read_grid(const JsonFields& fields, GridSettings& settings) {
  nlohmann::json known = {{"size", nullptr},
                          {"padding", nullptr},
                          {"strides", nullptr},
                          {"overlap", nullptr}};
  for (const char* key : kPixelKeys) known[key] = nullptr;
  fields.check_keys(known);
  read_pixels(fields, settings.pixels);
  fields.integer("size", settings.size, 1, kMostSize);
  if (fields.has("padding")) {
    settings.padding = fields.amount("padding");
    fields.check("padding", settings.padding <= kMostByte, "a byte, 0 to 255,");
  }
  fields.integers("strides", settings.strides, 1, kMostSize, kMostGrids);
  fields.number_above("overlap", settings.overlap, 0, 1);
}

std::unique_ptr<Detector> make_onnx_detector(const std::string& who,
                                             const std::string& file,
                                             int64_t classes,
                                             const GridSettings& settings,
                                             int64_t threads) {
  return std::make_unique<GridDetector>(who, file, classes, settings, threads);
}

}  // namespace rsm::geneval
