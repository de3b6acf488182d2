#include "rsm/judges/detector.h"

#include <algorithm>
#include <array>
#include <utility>

#include "rsm/base/error.h"
#include "rsm/judges/network_reward.h"
#include "rsm/judges/script_module.h"

namespace rsm::geneval {
namespace {

constexpr double kInMask = 0.5;

constexpr const char* kNeeded =
    "(boxes, scores, classes) and, if wanted, masks are needed, each a "
    "List[Tensor] with one for each picture, or one tensor [B,n,...] "
    "(docs/rewards.md)";

/** What the detector says of one picture. */
struct Raw {
  torch::Tensor boxes, scores, classes, masks;
};

/** A part of what it returns, picture by picture. */
std::vector<torch::Tensor> by_picture(const std::string& who,
                                      const c10::IValue& part, const char* name,
                                      int64_t pictures) {
  std::vector<torch::Tensor> out;
  if (part.isTensorList()) {
    out = part.toTensorVector();
  } else if (part.isTensor() && part.toTensor().dim() > 0) {
    out = part.toTensor().unbind(0);
  } else {
    throw Error(cat("[", who, "] its ", name, " are a ", part.tagKind(), "; ",
                    kNeeded));
  }
  RSM_CHECK(std::ssize(out) == pictures, "[", who, "] its ", name, " are of ",
            out.size(), " pictures, and ", pictures, " were shown; ", kNeeded);
  return out;
}

/** Boxes, scores and masks to float32, classes to int64, on the CPU. */
class Reader {
 public:
  Reader(const std::string& who, int64_t classes, at::IntArrayRef picture)
      : who_(who), classes_(classes), height_(picture[2]), width_(picture[3]) {}

  Seen read(const Raw& raw) const {
    const int64_t count = raw.scores.dim() == 1 ? raw.scores.size(0) : -1;
    const auto scores = numbers("scores", raw.scores, {count});
    const auto boxes = numbers("boxes", raw.boxes, {count, 4});
    RSM_CHECK(at::isIntegralType(raw.classes.scalar_type(), false) &&
                  raw.classes.sizes() == at::IntArrayRef({count}),
              "[", who_, "] its classes are ", raw.classes.sizes(), " of ",
              raw.classes.scalar_type(), " for ", count,
              " scores; as many integers are needed");
    const auto kinds = raw.classes.to(at::kCPU, at::kLong).contiguous();
    Seen seen;
    const auto* kind = kinds.const_data_ptr<int64_t>();
    const auto* score = scores.const_data_ptr<float>();
    const auto* box = boxes.const_data_ptr<float>();
    for (int64_t i = 0; i < count; ++i, box += 4) {
      RSM_CHECK(kind[i] >= 0 && kind[i] < classes_, "[", who_,
                "] it saw the class ", kind[i], ", and its list has ", classes_,
                "; classes count from 0, and each has a line");
      seen.objects.push_back(
          {kind[i], score[i], {box[0], box[1], box[2], box[3]}, kNoColour, i});
    }
    if (raw.masks.defined()) {
      RSM_CHECK(raw.masks.sizes() == at::IntArrayRef({count, height_, width_}),
                "[", who_, "] its masks are ", raw.masks.sizes(), " for ",
                count, " scores; [", count, ",", height_, ",", width_,
                "] are needed");
      seen.masks = (raw.masks > kInMask).to(at::kCPU);
    }
    return seen;
  }

 private:
  torch::Tensor numbers(const char* name, const torch::Tensor& given,
                        at::IntArrayRef shape) const {
    RSM_CHECK(given.is_floating_point() && given.sizes() == shape, "[", who_,
              "] its ", name, " are ", given.sizes(), " of ",
              given.scalar_type(),
              " for a picture; boxes [n,4] and scores [n] of floating point "
              "are needed");
    const auto out = given.to(at::kCPU, at::kFloat).contiguous();
    RSM_CHECK(out.isfinite().all().item<bool>(), "[", who_, "] its ", name,
              " are not all finite; mend the detector");
    return out;
  }

  const std::string& who_;
  int64_t classes_, height_, width_;
};

class ScriptDetector : public Detector {
 public:
  ScriptDetector(std::string who, std::string file, int64_t classes,
                 torch::Device device, torch::ScalarType type);

  std::vector<Seen> see(const torch::Tensor& images) const override;
  void check() const override { see(pictures_to_try(who_, module_)); }

 private:
  std::vector<Seen> see_tile(const torch::Tensor& images, int64_t count) const;

  std::string who_, file_;
  int64_t classes_;
  torch::Device device_;
  torch::ScalarType type_;
  mutable torch::jit::Module module_;
};

ScriptDetector::ScriptDetector(std::string who, std::string file,
                               int64_t classes, torch::Device device,
                               torch::ScalarType type)
    : who_(std::move(who)),
      file_(std::move(file)),
      classes_(classes),
      device_(device),
      type_(type),
      module_(read_script(who_, file_, device, type)) {
  const auto arguments =
      module_.get_method("forward").function().getSchema().arguments();
  const auto needed = std::count_if(
      arguments.begin(), arguments.end(),
      [](const auto& argument) { return !argument.default_value(); });
  RSM_CHECK(needed == 2, "[", who_, "] ", file_, " takes ", needed - 1,
            " arguments; images, alone, are shown to it");
}

std::vector<Seen> ScriptDetector::see_tile(const torch::Tensor& images,
                                           int64_t count) const {
  const auto out = run_script(who_, module_, {images.to(device_, type_)});
  RSM_CHECK(out.isTuple() && (out.toTupleRef().elements().size() == 3 ||
                              out.toTupleRef().elements().size() == 4),
            "[", who_, "] ", file_, " returns a ", out.tagKind(), "; ",
            kNeeded);
  const auto parts = out.toTupleRef().elements().vec();
  constexpr std::array<const char*, 4> kNames = {"boxes", "scores", "classes",
                                                 "masks"};
  std::vector<std::vector<torch::Tensor>> by_part;
  for (size_t i = 0; i < parts.size(); ++i) {
    by_part.push_back(by_picture(who_, parts[i], kNames[i], images.size(0)));
  }
  const Reader reader(who_, classes_, images.sizes());
  std::vector<Seen> seen;
  for (int64_t i = 0; i < count; ++i) {
    seen.push_back(
        reader.read({by_part[0][i], by_part[1][i], by_part[2][i],
                     by_part.size() > 3 ? by_part[3][i] : torch::Tensor()}));
  }
  return seen;
}

std::vector<Seen> ScriptDetector::see(const torch::Tensor& images) const {
  const torch::NoGradGuard no_grad;
  constexpr int64_t kTile = NetworkReward::kTile;
  const int64_t pictures = images.size(0);
  std::vector<Seen> seen;
  // The last is repeated: kernels differ in the last bits between sizes.
  for (int64_t first = 0; first < pictures; first += kTile) {
    const auto rows = at::arange(first, first + kTile, at::kLong)
                          .clamp_max(pictures - 1)
                          .to(images.device());
    for (auto& one : see_tile(images.index_select(0, rows),
                              std::min(kTile, pictures - first))) {
      seen.push_back(std::move(one));
    }
  }
  return seen;
}

}  // namespace

std::unique_ptr<Detector> make_script_detector(const std::string& who,
                                               const std::string& file,
                                               int64_t classes,
                                               torch::Device device,
                                               torch::ScalarType type) {
  return std::make_unique<ScriptDetector>(who, file, classes, device, type);
}

}  // namespace rsm::geneval
