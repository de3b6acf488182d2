#include "rsm/verify/laboratory.h"

#include <stdlib.h>

#include <algorithm>
#include <filesystem>
#include <utility>

#include "rsm/base/clock.h"
#include "rsm/base/error.h"
#include "rsm/methods/check_method.h"
#include "rsm/models/guided_network.h"
#include "rsm/models/loading.h"
#include "rsm/runs/checkpoint.h"
#include "rsm/train/finetune.h"
#include "rsm/verify/world_network.h"

namespace rsm::verify {
namespace {

/** Rows of a network call: latents are tiny, calls are not. */
constexpr int64_t kTile = 256;
/** Prompts of an epoch, where there are roots enough: rewards are compared
 * within each, and some methods begin a prompt's paths alike. */
constexpr int64_t kGroups = 8;
/** Further than any run goes. */
constexpr int64_t kNever = 1000000000;
constexpr double kUnclipped = 1e30;
/** Updates of 33 before the end count: single ones are noisy. */
constexpr double kAverage = 0.97;

/** A folder that is gone with it. */
class ScratchFolder {
 public:
  ScratchFolder() {
    std::string name =
        (std::filesystem::temp_directory_path() / "rsm-verify-XXXXXX").string();
    RSM_CHECK(mkdtemp(name.data()) != nullptr,
              "[verify] cannot make a folder for runs in ",
              std::filesystem::temp_directory_path().string(),
              "; set TMPDIR to one that can be written");
    path_ = name;
  }
  ScratchFolder(const ScratchFolder&) = delete;
  ~ScratchFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  std::string run() const { return path_ + "/run"; }

 private:
  std::string path_;
};

/** Hears of a stop and says nothing of a run's own. */
class Quiet : public NoProgress {
 public:
  explicit Quiet(const Progress& outer) : outer_(outer) {}
  bool stopping() const override { return outer_.stopping(); }

 private:
  const Progress& outer_;
};

class NoTexts : public Conditioner {
 public:
  Condition encode(const std::vector<std::string>& texts) const override {
    return no_condition(std::ssize(texts));
  }
};

/** Networks of a method's own learn as fast as the policy does. */
Method at_rate(Method method, double lr) {
  method.estimator.gradient.value.lr = lr;
  method.estimator.flow.lr = lr;
  method.estimator.surrogate.lr = lr;
  return method;
}

/** What a run leaves: the average that its last checkpoint has. */
void load_average(NetworkModule& network, const std::string& folder) {
  const auto last = latest_checkpoint(folder);
  RSM_CHECK(last, "[verify] ", folder, " has no checkpoint");
  load_parameters(network, with_prefix(last->tensors, "average."), "[verify]");
}

}  // namespace

RunOptions run_options(const Method& method, const Path& path,
                       const Budget& budget, const std::string& folder) {
  RunOptions o;
  o.name = o.label = method.name;
  o.folder = folder;
  o.model = "a world in closed form";
  o.resolved = "name: " + method.name + "\n";
  o.seed = budget.seed;
  o.method = at_rate(method, budget.lr);
  o.steps = steps_of(method);
  if (method.estimator.is_of_pictures()) o.solver = Solver::multistep;
  o.noise = noise_of(method, path.family());
  const int64_t roots =
      std::max<int64_t>(2, budget.pictures / o.plan().images_per_root());
  o.samples_per_prompt = std::max<int64_t>(2, roots / kGroups);
  o.prompts_per_epoch = roots / o.samples_per_prompt;
  o.guidance_scale = o.training_guidance_scale = o.eval_guidance_scale = 1;
  o.lora = false;
  o.epochs = budget.epochs;
  o.updates_per_epoch = 1;
  o.dead_epochs = kNever;
  o.lr = budget.lr;
  o.lr_decay = true;
  o.weight_decay = 0;
  o.ema_decay = kAverage;
  o.ema_warmup = true;
  o.max_grad_norm = kUnclipped;
  o.eval_images = 1;
  o.eval_every = o.checkpoint_every = kNever;
  o.rollout_type = torch::kFloat32;
  o.rollout_tiles = o.train_tiles = {.tile = kTile, .workers = budget.threads};
  return o;
}

RunParts run_parts(const Problem& problem,
                   const std::shared_ptr<const Path>& path,
                   const RunOptions& options, Progress& progress) {
  RunParts out;
  out.lock = std::make_unique<FolderLock>(options.folder, "[verify]", progress);
  out.model.network = new_world_network(path, problem.reference, options.seed);
  out.model.path = path;
  out.model.decoder = point_decoder();
  out.conditions = std::make_unique<NoTexts>();
  out.reward = point_judge(problem);
  for (int64_t i = 0; i < kGroups; ++i) {
    out.train_prompts.push_back({i, "a point", "", ""});
  }
  out.evaluation_set =
      make_evaluation_set(out.train_prompts, options.eval_images, options.seed);
  out.evaluation_set.latent_shape = out.model.latent_shape();
  return out;
}

Result result_of(const Tempered& tempered, const Judge& judge,
                 const Budget& budget, Progress& progress) {
  const Clock clock;
  const ScratchFolder scratch;
  Quiet quiet(progress);
  Result out;
  out.problem = judge.problem().name;
  try {
    check_method(tempered.method, steps_of(tempered.method));
    const auto options =
        run_options(tempered.method, *judge.path(), budget, scratch.run());
    auto parts = run_parts(judge.problem(), judge.path(), options, quiet);
    const auto network = parts.model.network;
    Finetune run(options, std::move(parts), quiet);
    while (!run.finished()) run.run_epoch();
    load_average(*network, options.folder);
    GuidedNetwork model(network, Condition(), /*scale=*/1,
                        {.tile = budget.points});
    out.fit = judge.fit_of(model);
    out.gap = judge.gap(out.fit);
    out.at_floor = judge.is_at_floor(out.fit);
  } catch (const Interrupted&) {
    throw;
  } catch (const Error& failure) {
    out.failure = failure.what();
  }
  out.seconds = clock.seconds();
  return out;
}

}  // namespace rsm::verify
