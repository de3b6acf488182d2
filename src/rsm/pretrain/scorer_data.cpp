#include "rsm/pretrain/scorer_data.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>

#include "rsm/base/random.h"
#include "rsm/worlds/shapes_checker.h"

namespace rsm {
namespace {

using shapes::Category;
using shapes::Engine;
using shapes::Spec;
using shapes::Split;

constexpr double kCaptionNoise = 0.3;
constexpr int kNoShape = shapes::kCellShapes - 1;
constexpr int kNoColor = shapes::kCellColors - 1;
constexpr int64_t kPlanes = 5;  ///< of JudgedPictures::objects
constexpr int64_t kGrid = shapes::kCells * shapes::kCells;
constexpr int64_t kPixels = 3 * shapes::kSize * shapes::kSize;

/** -1 where no caption says this. */
int64_t index_of(const Spec& spec) {
  const auto& specs = shapes::all_specs();
  const auto found = std::find(specs.begin(), specs.end(), spec);
  return found == specs.end() ? -1 : found - specs.begin();
}

bool is_in(int64_t index, Split split) {
  return index >= 0 && shapes::in_split(shapes::all_specs()[index], split);
}

using Found = std::vector<shapes::Detected>;

bool is_true(int64_t index, const Found& found) {
  return shapes::check(found, shapes::all_specs()[index]).strict;
}

/** Chooses captions about one picture. */
class Asking {
 public:
  Asking(const float* picture, int64_t own, uint64_t seed, Split split)
      : found_(shapes::detect(picture)),
        own_(own),
        engine_(seed),
        split_(split) {
    const auto& specs = shapes::all_specs();
    for (int64_t i = 0; i < std::ssize(specs); ++i) {
      // A caption of fewer or more objects is not strictly true.
      if (specs[i].objects() == std::ssize(found_) && is_true(i, found_) &&
          shapes::in_split(specs[i], split)) {
        true_.push_back(i);
      }
    }
  }

  /** Writes what was found into kPlanes planes of cells. */
  void mark(float* planes) const {
    constexpr double kCell = double{shapes::kSize} / shapes::kCells;
    for (const auto& object : found_) {
      const double x = (object.cx + 0.5) / kCell, y = (object.cy + 0.5) / kCell;
      const double column = std::floor(x), row = std::floor(y);
      const int shape = object.shape < 0 ? kNoShape : object.shape;
      const int color = object.color < 0 ? kNoColor : object.color;
      const auto place = static_cast<int64_t>(row * shapes::kCells + column);
      const double values[kPlanes] = {1, double(shape), double(color),
                                      x - column - 0.5, y - row - 0.5};
      for (int64_t plane = 0; plane < kPlanes; ++plane) {
        planes[plane * kGrid + place] = static_cast<float>(values[plane]);
      }
    }
  }

  void ask(int64_t* captions, float* labels) {
    const int64_t base = any_true();
    const std::array<int64_t, kCaptionsEach> asked = {
        own_, true_.empty() ? corrupted(own_) : base, corrupted(base),
        engine_() % 2 == 0 ? corrupted(any_true()) : any()};
    for (size_t k = 0; k < asked.size(); ++k) {
      captions[k] = asked[k];
      labels[k] = is_true(asked[k], found_) ? 1.0f : 0.0f;
    }
  }

 private:
  int64_t any_true() {
    return true_.empty() ? own_ : true_[engine_() % true_.size()];
  }

  int64_t any() {
    int64_t index = -1;
    while (!is_in(index, split_))
      index = index_of(shapes::random_spec(engine_));
    return index;
  }

  int64_t corrupted(int64_t index) {
    constexpr int kTries = 8;  // held-out captions have few others beside them
    for (int i = 0; i < kTries; ++i) {
      const int64_t wrong =
          index_of(corrupt(shapes::all_specs()[index], engine_));
      if (wrong != index && is_in(wrong, split_)) return wrong;
    }
    return any();
  }

  Found found_;
  int64_t own_;
  Engine engine_;
  Split split_;
  std::vector<int64_t> true_;
};

/** A picture of which a caption is true or not, as asked for. */
torch::Tensor render_of(const Spec& spec, bool wanted, Engine& engine) {
  while (true) {
    const auto drawn = wanted              ? spec
                       : engine() % 2 == 0 ? shapes::corrupt(spec, engine)
                                           : shapes::random_spec(engine);
    const auto picture = shapes::draw(drawn, engine);
    if (shapes::check(picture.const_data_ptr<float>(), spec).strict == wanted) {
      return picture;
    }
  }
}

}  // namespace

JudgedPictures judge(const ShapesPictures& pictures, uint64_t seed,
                     int64_t first, Split split) {
  const int64_t count = pictures.images.size(0);
  JudgedPictures out{
      (pictures.images + 1) * 0.5, at::empty({count, kCaptionsEach}, at::kLong),
      at::empty({count, kCaptionsEach}),
      at::zeros({count, kPlanes, shapes::kCells, shapes::kCells})};
  const auto kept = pictures.images.contiguous();
  const float* pixels = kept.const_data_ptr<float>();
  auto* captions = out.captions.data_ptr<int64_t>();
  auto* labels = out.labels.data_ptr<float>();
  auto* objects = out.objects.data_ptr<float>();
  at::parallel_for(0, count, 16, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const auto counter = static_cast<uint64_t>(first + i);
      Asking asking(pixels + i * kPixels, pictures.own[i],
                    counted_seed(seed, Purpose::prompt_order, {counter}),
                    split);
      asking.ask(captions + i * kCaptionsEach, labels + i * kCaptionsEach);
      asking.mark(objects + i * kPlanes * kGrid);
    }
  });
  return out;
}

JudgedPictures own_captions(const ShapesPictures& pictures) {
  const int64_t count = pictures.images.size(0);
  JudgedPictures out{(pictures.images + 1) * 0.5,
                     at::tensor(pictures.own, at::kLong).view({count, 1}),
                     at::empty({count, 1})};
  const auto kept = pictures.images.contiguous();
  for (int64_t i = 0; i < count; ++i) {
    const auto found =
        shapes::detect(kept.const_data_ptr<float>() + i * kPixels);
    out.labels[i][0] = is_true(pictures.own[i], found) ? 1.0f : 0.0f;
  }
  return out;
}

ShapesPictures world_pictures(uint64_t seed, int64_t first, int64_t count,
                              Split split) {
  const auto data =
      shapes::captioned_images(seed, first, count, kCaptionNoise, split);
  ShapesPictures out{data.images, {}};
  for (const auto& text : data.captions) {
    out.own.push_back(index_of(shapes::parse_caption(text)));
  }
  return out;
}

JudgedPictures balanced_renders(uint64_t seed, int64_t count, Split split) {
  std::vector<torch::Tensor> images;
  std::vector<int64_t> captions;
  for (int64_t i = 0; i < count; ++i) {
    Engine engine(
        counted_seed(seed, Purpose::evaluation, {static_cast<uint64_t>(i)}));
    Spec spec = shapes::random_spec(engine);
    while (!in_split(spec, split)) spec = shapes::random_spec(engine);
    captions.push_back(index_of(spec));
    images.push_back(render_of(spec, i % 2 == 0, engine));
  }
  return {(at::stack(images) + 1) * 0.5,
          at::tensor(captions, at::kLong).view({count, 1}),
          ((at::arange(count) + 1) % 2).to(at::kFloat).view({count, 1})};
}

}  // namespace rsm
