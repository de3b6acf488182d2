#pragma once

#include <torch/types.h>

#include <array>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "rsm/base/prompt.h"

/** The shapes world: 32x32 pictures of a few flat shapes, with captions in the
 * six categories of GenEval (Ghosh et al., 2023). It renders itself here and
 * judges itself in worlds/shapes_checker.h; see docs/rewards.md. */
namespace rsm::shapes {

/** Pictures are [3,kSize,kSize]. */
inline constexpr int kSize = 32;

inline constexpr std::array<const char*, 4> kShapeNames = {"circle", "square",
                                                           "triangle", "cross"};
inline constexpr std::array<const char*, 8> kColorNames = {
    "red", "green", "blue", "yellow", "purple", "orange", "cyan", "black"};
inline constexpr std::array<const char*, 4> kRelationNames = {"left", "right",
                                                              "above", "below"};
inline constexpr std::array<const char*, 6> kCategoryNames = {
    "single_object", "two_object", "counting",
    "colors",        "position",   "color_attr"};

inline constexpr int kShapes = static_cast<int>(kShapeNames.size());
inline constexpr int kColors = static_cast<int>(kColorNames.size());
inline constexpr int kRelations = static_cast<int>(kRelationNames.size());
inline constexpr int kCategories = static_cast<int>(kCategoryNames.size());
inline constexpr int kMaxCount = 4;  ///< of a picture's objects

/** In the order of kCategoryNames. */
enum class Category {
  single_object,
  two_object,
  counting,
  colors,
  position,
  color_attr,
};

/** What a caption says. Shapes, colours and relations are indices into the
 * name tables; what a caption does not say is random in its pictures. */
struct Spec {
  Category category = Category::single_object;
  std::vector<int> shapes;  ///< one or two, in the caption's order
  std::vector<int> colors;  ///< one for each of `shapes`, or empty: not said
  int count = 1;            ///< how many of shapes[0]; not 1 for counting only
  int relation = -1;        ///< of shapes[0] to shapes[1]; -1: not said

  /** Objects in a picture of this. */
  int objects() const;
  bool operator==(const Spec&) const = default;
};

/** An object in a picture. Position and radius are in pixels; x goes right, y
 * down, and pixel (row, column) has its centre at (column + 0.5, row + 0.5). */
struct Object {
  int shape = 0;
  int color = 0;
  double x = 0;
  double y = 0;
  double radius = 1;
};

/** RGB of a colour or of the background in [-1,1] (value / 127.5 - 1). */
std::array<float, 3> color_value(int color);
std::array<float, 3> background_value();

/** Signed distance (negative inside, not Euclidean at corners) of the point
 * (x, y) relative to the centre of a shape. */
double shape_distance(int shape, double x, double y, double radius);

/** "a S", "a S and a S'", "two|three|four Ss", "a C S",
 * "a S left of|right of|above|below a S'" or "a C S and a C' S'".
 * Throws where no caption says this (only `corrupt` makes such specs). */
std::string caption(const Spec& spec);

/** Inverse of `caption`. Throws for a text that is not a caption. */
Spec parse_caption(const std::string& text);

/** All 780 captions, category by category, in a fixed order: 4, 12, 12, 32, 48
 * and 672. */
const std::vector<Spec>& all_specs();

/** The 26 words that captions are made of, each once. */
std::vector<std::string> caption_words();

/** Random numbers come from the engine by arithmetic of our own, since the
 * standard distributions differ between libraries. */
using Engine = std::mt19937_64;

/** A uniform category, then a uniform caption of it. */
Spec random_spec(Engine& engine);

/** What a careless captioner would have drawn: a wrong or doubled shape, a
 * count of 1 to 4, a wrong colour or relation, or swapped or doubled colours.
 * By chance the result may equal `spec`. */
Spec corrupt(const Spec& spec, Engine& engine);

/** Objects as `spec` says, everything unsaid random: at least 2 px apart
 * (Chebyshev) and 1 px from the border; for relations one axis dominates by at
 * least 4 px. */
std::vector<Object> arrange(const Spec& spec, Engine& engine);

/** Anti-aliased picture [3,32,32] float32 in [-1,1]; later objects lie on top
 * of earlier ones. */
torch::Tensor render(const std::vector<Object>& objects);

/** render(arrange(spec, engine)). */
torch::Tensor draw(const Spec& spec, Engine& engine);

/** `held_out` is a fixed fifth of the captions of every category (1, 2, 2, 6,
 * 10 and 134): the first ones of a counted permutation of the category. */
enum class Split { all, train, held_out };

bool held_out(const Spec& spec);
bool in_split(const Spec& spec, Split split);

/** The captions of a split as prompts; `id` is the index in all_specs(). */
Prompts prompts_of(Split split);

struct CaptionedImages {
  torch::Tensor images;  ///< [N,3,32,32] float32 in [-1,1]
  std::vector<std::string> captions;
};

/** Pictures first .. first + count - 1 of the endless data set of `seed`, with
 * captions of `split`. With probability `caption_noise` a picture is drawn from
 * the corrupted caption. Picture i depends on (seed, i, caption_noise, split)
 * alone, so a set can be made in chunks. */
CaptionedImages captioned_images(uint64_t seed, int64_t first, int64_t count,
                                 double caption_noise,
                                 Split split = Split::all);

}  // namespace rsm::shapes
