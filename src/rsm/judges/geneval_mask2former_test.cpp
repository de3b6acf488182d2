// The export of Mask2Former in docs/examples, on a small random one.

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "rsm/base/error.h"
#include "rsm/io/files.h"
#include "rsm/io/safetensors.h"
#include "rsm/io/testing.h"
#include "rsm/judges/detector.h"

namespace rsm {
namespace {

/** What transformers finds in a picture. */
struct Known {
  torch::Tensor boxes, scores, classes, masks;
};

Known known_of(const std::map<std::string, torch::Tensor>& peer,
               int64_t picture) {
  const auto part = [&](const char* name) {
    return peer.at(cat(name, ".", picture));
  };
  return {part("boxes"), part("scores"), part("classes"), part("masks")};
}

/** Whether object i of `seen` is object k. Masks and boxes are the same: the
 * peer takes pictures whose masks last bits leave as they are. They move scores
 * by some 1e-6, and transformers rounds its own to six digits. */
bool is_same(const geneval::Seen& seen, int64_t i, const Known& known,
             int64_t k) {
  const auto& object = seen.objects[static_cast<size_t>(i)];
  const auto box = torch::tensor(
      {object.box.left, object.box.top, object.box.right, object.box.bottom});
  return object.kind == known.classes[k].item<int64_t>() &&
         std::abs(object.score - known.scores[k].item<float>()) < 2e-5F &&
         box.equal(known.boxes[k]) && seen.masks[i].equal(known.masks[k] > 0.5);
}

/** They have no order in common. */
void expect_same(const geneval::Seen& seen, const Known& known) {
  const auto count = std::ssize(seen.objects);
  ASSERT_EQ(count, known.scores.size(0));
  ASSERT_EQ(seen.masks.sizes(), known.masks.sizes());
  std::vector<bool> found(seen.objects.size(), false);
  for (int64_t k = 0; k < count; ++k) {
    int64_t i = 0;
    while (i < count &&
           (found[static_cast<size_t>(i)] || !is_same(seen, i, known, k))) {
      ++i;
    }
    ASSERT_LT(i, count) << "the box " << known.boxes[k] << " is missing";
    found[static_cast<size_t>(i)] = true;
  }
}

TEST(Mask2FormerExample, SeesWhatTransformersPostProcessingDoes) {
  const TemporaryFolder out;
  run_python("geneval_mask2former_peer.py", "'" + out.path() + "'");
  EXPECT_EQ(read_file(out / "classes.txt"),
            "person\nmotorcycle\ntv remote\nbench\ntv\n");
  const auto peer = read_safetensors(out / "peer.safetensors").tensors;
  const auto& images = peer.at("images");
  // Its bytes survive half precision, and it computes in float32.
  for (const auto type : {at::kFloat, at::kHalf}) {
    const auto detector = geneval::make_script_detector(
        "test", out / "detector.pt", 5, at::kCPU, type);
    detector->check();
    // More than are looked at together, some, and one.
    for (const int64_t pictures : {images.size(0), int64_t{3}, int64_t{1}}) {
      const int64_t first = images.size(0) - pictures;
      const auto seen = detector->see(images.slice(0, first));
      ASSERT_EQ(std::ssize(seen), pictures);
      for (int64_t i = 0; i < pictures; ++i) {
        expect_same(seen[static_cast<size_t>(i)], known_of(peer, first + i));
      }
    }
  }
}

}  // namespace
}  // namespace rsm
