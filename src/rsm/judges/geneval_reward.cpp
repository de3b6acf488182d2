#include "rsm/judges/geneval_reward.h"

#include <mutex>
#include <utility>
#include <vector>

#include "rsm/base/error.h"
#include "rsm/judges/detector.h"
#include "rsm/judges/geneval_colours.h"
#include "rsm/judges/geneval_rules.h"
#include "rsm/judges/geneval_settings.h"
#include "rsm/judges/geneval_task.h"
#include "rsm/judges/judge_files.h"
#include "rsm/judges/network_reward.h"
#include "rsm/models/loading.h"

namespace rsm {
namespace {

using geneval::Detection;
using geneval::Found;
using geneval::Part;
using geneval::Task;

/** Pictures that are looked at and coloured together, and whose masks are held:
 * a hundred of each are usual. A multiple of networks' tiles, which stay the
 * same. */
constexpr int64_t kHeld = 4 * NetworkReward::kTile;

/** What GenEval's verdict is called. */
const char* verdict_of(const geneval::Settings& settings) {
  return settings.published ? "geneval" : "geneval-like";
}

class GenevalReward : public Reward {
 public:
  GenevalReward(RewardSpec spec, std::string path)
      : spec_(std::move(spec)), path_(std::move(path)) {}

  std::string name() const override { return spec_.name; }
  std::string main_metric() const override {
    return verdict_of(geneval::read_settings(path_));
  }
  void check() const override { parts().detector->check(); }
  void check_inputs(const Prompts& prompts, int64_t /*height*/,
                    int64_t /*width*/) const override {
    tasks_of(prompts, geneval::read_classes(
                          who(), geneval::read_settings(path_).classes));
  }

  RewardScores score(const torch::Tensor& images,
                     const Prompts& prompts) const override;

 private:
  struct Parts {
    geneval::Settings settings;
    std::vector<std::string> classes;
    std::unique_ptr<geneval::Detector> detector;
    std::unique_ptr<geneval::ColoursByClip> clip = {};
  };

  const Parts& parts() const;
  std::vector<Task> tasks_of(const Prompts& prompts,
                             const std::vector<std::string>& classes) const;
  std::vector<Found> find(const Parts& p, const torch::Tensor& images,
                          const Task* tasks) const;
  void colour(const Parts& p, const std::vector<Part>& parts,
              const std::vector<Detection*>& objects) const;
  std::string who() const { return "reward " + spec_.name; }

  RewardSpec spec_;
  std::string path_;
  mutable std::mutex reading_;
  mutable std::unique_ptr<const Parts> parts_;
};

const GenevalReward::Parts& GenevalReward::parts() const {
  const std::lock_guard lock(reading_);
  if (parts_) return *parts_;
  const auto settings = geneval::read_settings(path_);
  const auto device = device_of(spec_);
  const auto type = type_named(spec_.type);
  auto classes = geneval::read_classes(who(), settings.classes);
  const int64_t count = std::ssize(classes);
  auto detector =
      geneval::is_onnx(settings)
          ? geneval::make_onnx_detector(who(), settings.detector, count,
                                        settings.grid, threads_of(spec_))
          : geneval::make_script_detector(who(), settings.detector, count,
                                          device, type);
  auto read = std::make_unique<Parts>(
      Parts{settings, std::move(classes), std::move(detector)});
  if (!settings.clip.empty()) {
    read->clip = std::make_unique<geneval::ColoursByClip>(
        who(), settings.clip, ClipTowersOptions{device, type});
  }
  parts_ = std::move(read);
  return *parts_;
}

/** Gives the objects, which are of these parts of pictures, their colours. */
void GenevalReward::colour(const Parts& p, const std::vector<Part>& parts,
                           const std::vector<Detection*>& objects) const {
  if (!p.clip) {
    for (size_t i = 0; i < objects.size(); ++i) {
      objects[i]->colour = geneval::colour_by_hue(parts[i]);
    }
    return;
  }
  std::vector<std::string> names;
  for (const auto* object : objects) names.push_back(p.classes[object->kind]);
  const auto nearest = p.clip->cosines(parts, names).argmax(1);
  for (size_t i = 0; i < objects.size(); ++i) {
    objects[i]->colour =
        static_cast<int>(nearest[static_cast<int64_t>(i)].item<int64_t>());
  }
}

/** What counts in each picture for its task, with colours. */
std::vector<Found> GenevalReward::find(const Parts& p,
                                       const torch::Tensor& images,
                                       const Task* tasks) const {
  const auto seen = p.detector->see(images);
  std::vector<Found> found;
  std::vector<Detection*> objects;  // of `found`, which moves no more
  std::vector<Part> parts_of_objects;
  found.reserve(seen.size());
  for (size_t i = 0; i < seen.size(); ++i) {
    found.push_back(
        geneval::kept(seen[i].objects, tasks[i], p.settings.thresholds));
    const auto image = images[static_cast<int64_t>(i)];
    for (auto* object : geneval::to_colour(found.back(), tasks[i])) {
      const auto& masks = seen[i].masks;
      objects.push_back(object);
      parts_of_objects.push_back(geneval::part_of(
          image, object->box,
          masks.defined() ? masks[object->place] : torch::Tensor()));
    }
  }
  colour(p, parts_of_objects, objects);
  return found;
}

std::vector<Task> GenevalReward::tasks_of(
    const Prompts& prompts, const std::vector<std::string>& classes) const {
  std::vector<Task> tasks;
  for (const auto& prompt : prompts) {
    tasks.push_back(geneval::read_task(who(), prompt, classes));
  }
  return tasks;
}

RewardScores GenevalReward::score(const torch::Tensor& images,
                                  const Prompts& prompts) const {
  check_pictures(who(), images, prompts);
  const Parts& p = parts();
  const auto tasks = tasks_of(prompts, p.classes);
  const int64_t count = images.size(0);
  std::vector<Found> found;
  for (int64_t first = 0; first < count; first += kHeld) {
    for (auto& one :
         find(p, images.slice(0, first, first + kHeld), tasks.data() + first)) {
      found.push_back(std::move(one));
    }
  }
  const auto correct = at::empty({count}, at::kFloat);
  const auto strict = at::empty({count}, at::kFloat);
  const auto graded = at::empty({count}, at::kFloat);
  for (int64_t i = 0; i < count; ++i) {
    const auto verdict =
        geneval::judge(found[i], tasks[i], p.settings.thresholds.margin);
    correct[i] = verdict.correct ? 1 : 0;
    strict[i] = verdict.strict ? 1 : 0;
    graded[i] = verdict.graded;
  }
  return {graded,
          {{verdict_of(p.settings), correct},
           {"strict", strict},
           {"graded", graded}}};
}

}  // namespace

std::unique_ptr<Reward> make_geneval(const RewardSpec& spec,
                                     const std::string& path) {
  if (spec.name.ends_with(':')) {
    throw UsageError(cat("[reward] got \"", spec.name,
                         "\"; a folder or a JSON file is needed behind the "
                         "colon, or no colon for ",
                         default_place("geneval")));
  }
  return std::make_unique<GenevalReward>(
      spec, path.empty() ? default_place(spec.name) : path);
}

}  // namespace rsm
