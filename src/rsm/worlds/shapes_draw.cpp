#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "rsm/base/error.h"
#include "rsm/base/random.h"
#include "rsm/worlds/shapes_world.h"

namespace rsm::shapes {
namespace {

/** Smallest and largest radius by the number of objects. */
constexpr std::pair<double, double> kRadii[] = {
    {6.0, 9.0}, {5.0, 7.0}, {4.6, 5.6}, {4.5, 5.2}};
constexpr double kGap = 2;
constexpr double kDominance = 4;
constexpr int kPlacingTries = 60;

int uniform_int(Engine& engine, int n) {
  return static_cast<int>(engine() % static_cast<uint64_t>(n));
}

double uniform(Engine& engine, double low, double high) {
  const double unit = static_cast<double>(engine() >> 11) * 0x1p-53;
  return low + (high - low) * unit;
}

bool satisfies_relation(const std::vector<Object>& objects, int relation) {
  const double dx = objects[0].x - objects[1].x;
  const double dy = objects[0].y - objects[1].y;
  if (std::abs(std::abs(dx) - std::abs(dy)) < kDominance) {
    return false;
  }
  const bool horizontal = std::abs(dx) > std::abs(dy);
  return relation == (horizontal ? (dx < 0 ? 0 : 1) : (dy < 0 ? 2 : 3));
}

/** Places without shape and colour; fewer than `n` where they didn't fit. */
std::vector<Object> scatter(int n, Engine& engine) {
  const auto [low, high] = kRadii[n - 1];
  std::vector<Object> placed;
  placed.reserve(n);
  for (int i = 0; i < kPlacingTries && std::ssize(placed) < n; ++i) {
    Object object;
    object.radius = uniform(engine, low, high);
    const double margin = object.radius + 1;
    object.x = uniform(engine, margin, kSize - margin);
    object.y = uniform(engine, margin, kSize - margin);
    const bool is_free =
        std::all_of(placed.begin(), placed.end(), [&](const Object& other) {
          return std::max(std::abs(object.x - other.x),
                          std::abs(object.y - other.y)) >
                 object.radius + other.radius + kGap;
        });
    if (is_free) {
      placed.push_back(object);
    }
  }
  return placed;
}

void render_object(const Object& object, float* image) {
  // Beyond this no shape covers anything: the triangle's apex reaches
  // sqrt(5) / 2 px farther than its radius.
  const double reach = object.radius + 1.5;
  const auto clip = [](double value) {
    return static_cast<int>(std::clamp(value, 0.0, double{kSize}));
  };
  const int top = clip(std::floor(object.y - reach));
  const int bottom = clip(std::ceil(object.y + reach));
  const int left = clip(std::floor(object.x - reach));
  const int right = clip(std::ceil(object.x + reach));
  const auto color = color_value(object.color);
  for (int row = top; row < bottom; ++row) {
    for (int column = left; column < right; ++column) {
      const double distance =
          shape_distance(object.shape, column + 0.5 - object.x,
                         row + 0.5 - object.y, object.radius);
      const double cover = std::clamp(0.5 - distance, 0.0, 1.0);
      if (cover == 0) {
        continue;
      }
      for (int c = 0; c < 3; ++c) {
        float& pixel = image[(c * kSize + row) * kSize + column];
        pixel =
            static_cast<float>(pixel * (1 - cover) + double{color[c]} * cover);
      }
    }
  }
}

void render_into(const std::vector<Object>& objects, float* image) {
  const auto background = background_value();
  for (int c = 0; c < 3; ++c) {
    std::fill_n(image + c * kSize * kSize, kSize * kSize, background[c]);
  }
  for (const Object& object : objects) {
    render_object(object, image);
  }
}

}  // namespace

Spec random_spec(Engine& engine) {
  const auto& specs = all_specs();
  const auto category = static_cast<Category>(uniform_int(engine, kCategories));
  // Not ranges::equal_range, whose answer clang 14 cannot read.
  const auto first =
      std::ranges::lower_bound(specs, category, {}, &Spec::category);
  const auto last =
      std::ranges::upper_bound(specs, category, {}, &Spec::category);
  return first[uniform_int(engine, static_cast<int>(last - first))];
}

Spec corrupt(const Spec& spec, Engine& engine) {
  Spec wrong = spec;
  switch (spec.category) {
    case Category::single_object:
      wrong.shapes = {uniform_int(engine, kShapes)};
      break;
    case Category::two_object:
      for (int& shape : wrong.shapes) {
        shape = uniform_int(engine, kShapes);
      }
      break;
    case Category::counting:
      wrong.count = 1 + uniform_int(engine, kMaxCount);
      break;
    case Category::colors:
      wrong.colors = {uniform_int(engine, kColors)};
      break;
    case Category::position:
      wrong.relation = uniform_int(engine, kRelations);
      break;
    case Category::color_attr:
      switch (uniform_int(engine, 3)) {
        case 0:
          std::swap(wrong.colors[0], wrong.colors[1]);
          break;
        case 1:
          for (int& color : wrong.colors) {
            color = uniform_int(engine, kColors);
          }
          break;
        default:
          wrong.colors[1] = wrong.colors[0];
      }
  }
  return wrong;
}

std::vector<Object> arrange(const Spec& spec, Engine& engine) {
  const int n = spec.objects();
  RSM_CHECK(n >= 1 && n <= kMaxCount, "[shapes] ", n,
            " objects to draw; 1 to 4 fit");
  std::vector<Object> objects;
  do {
    objects = scatter(n, engine);
  } while (std::ssize(objects) < n ||
           (spec.relation >= 0 && n == 2 &&
            !satisfies_relation(objects, spec.relation)));
  for (int i = 0; i < n; ++i) {
    const bool counting = spec.category == Category::counting;
    objects[i].shape = spec.shapes[counting ? 0 : i];
    objects[i].color =
        spec.colors.empty() ? uniform_int(engine, kColors) : spec.colors[i];
  }
  return objects;
}

torch::Tensor render(const std::vector<Object>& objects) {
  torch::Tensor image = torch::empty({3, kSize, kSize}, torch::kFloat32);
  render_into(objects, image.data_ptr<float>());
  return image;
}

torch::Tensor draw(const Spec& spec, Engine& engine) {
  return render(arrange(spec, engine));
}

CaptionedImages captioned_images(uint64_t seed, int64_t first, int64_t count,
                                 double caption_noise, Split split) {
  RSM_CHECK(first >= 0 && count >= 0, "[captioned_images] first ", first,
            ", count ", count, "; both are at least 0");
  RSM_CHECK(caption_noise >= 0 && caption_noise <= 1,
            "[captioned_images] caption noise ", caption_noise,
            "; it is a probability in [0,1]");
  CaptionedImages out{torch::empty({count, 3, kSize, kSize}, torch::kFloat32),
                      std::vector<std::string>(static_cast<size_t>(count))};
  float* images = out.images.data_ptr<float>();
  at::parallel_for(0, count, 64, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      Engine engine(counted_seed(seed, Purpose::data,
                                 {static_cast<uint64_t>(first + i)}));
      Spec spec = random_spec(engine);
      while (!in_split(spec, split)) {
        spec = random_spec(engine);
      }
      out.captions[i] = caption(spec);
      if (uniform(engine, 0, 1) < caption_noise) {
        spec = corrupt(spec, engine);
      }
      render_into(arrange(spec, engine), images + i * 3 * kSize * kSize);
    }
  });
  return out;
}

}  // namespace rsm::shapes
