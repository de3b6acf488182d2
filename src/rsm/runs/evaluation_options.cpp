#include "rsm/runs/evaluation_options.h"

#include "rsm/models/guided_network.h"
#include "rsm/runs/solver_options.h"
#include "rsm/runs/watch.h"

namespace rsm {
namespace {

constexpr int64_t kMostEpochs = 1000000000;

}  // namespace

void read_evaluation(const Config& section, Family family, RunOptions& o) {
  o.eval_prompts = section.text("prompts", o.eval_prompts);
  check_text(section, "prompts", o.eval_prompts);
  o.eval_images = section.integer("images", o.eval_images, 1, kMostPictures);
  o.eval_every = section.integer("every", o.eval_every, 1, kMostEpochs);
  o.eval_minutes =
      section.real("every_minutes", o.eval_minutes, 0, kMostMinutes);
  o.eval_steps = section.integer("steps", o.eval_steps, 1, 1000);
  o.eval_guidance_scale =
      section.real("guidance_scale", o.guidance_scale, 0, 100);
  o.eval_solving = read_solving(section, family);
  o.eval_drift_steps =
      section.integer("drift_steps", o.eval_drift_steps, 0, 1000);
  o.watch = read_watch(section);
  o.beside.features = section.text("features", o.beside.features);
  o.beside.niqe = section.text("niqe", o.beside.niqe);
  o.beside.brisque = section.text("brisque", o.beside.brisque);
}

void check_negative_prompt(const Config& sampling, const RunOptions& o) {
  if (o.method.regularisation.guides_reference() ||
      o.training_guidance_scale != 1 || o.eval_guidance_scale != 1) {
    return;
  }
  const auto idle = idle_negative_prompt(o.negative_prompt, o.guidance_scale);
  if (!idle.empty()) sampling.note("negative_prompt", idle);
}

}  // namespace rsm
