#include "rsm/pretrain/scorer.h"

#include <algorithm>
#include <cmath>

#include "rsm/base/error.h"
#include "rsm/base/random.h"
#include "rsm/io/files.h"
#include "rsm/pretrain/scorer_data.h"

namespace rsm {
namespace {

using shapes::Scorer;
using shapes::Split;

/** Counters of seeds. */
enum Part : uint64_t {
  kLearnt,
  kMeasured,
  kRenders,
  kAsked,
  kMoves,
  kCalibrated
};

constexpr int64_t kMostShift = 1;

/** The same number of pictures without text guidance and with it. */
std::vector<SampleRequest> requests_of(const ScorerOptions& o,
                                       const std::string& model, Part part,
                                       int64_t pictures) {
  const auto seed = counted_seed(o.seed, Purpose::initial_noise, {part});
  const auto split = part == kMeasured ? Split::held_out : Split::train;
  return {{model, split, 1, pictures - pictures / 2, seed},
          {model, split, 2, pictures / 2, seed + 1}};
}

torch::Tensor numbers_of(const torch::Tensor& captions) {
  static const auto all = shapes::caption_numbers(shapes::all_specs());
  return all.index_select(0, captions.flatten())
      .view({captions.size(0), captions.size(1), -1});
}

/** What batches are made of, and their loss. */
class Lessons {
 public:
  Lessons(const ScorerOptions& options, ModelSamples samples)
      : options_(options), samples_(std::move(samples)) {}

  torch::Tensor loss(const Scorer& scorer, int64_t first) const {
    const auto batch = batch_of(first);
    const auto device = options_.device;
    const auto cells = scorer.cells(batch.images.to(device));
    const auto logits =
        scorer.logits(cells, numbers_of(batch.captions).to(device));
    return at::binary_cross_entropy_with_logits(logits,
                                                batch.labels.to(device)) +
           options_.object_weight *
               object_loss(cells, batch.objects.to(device));
  }

 private:
  /** Renders, then samples, all with noise. */
  JudgedPictures batch_of(int64_t first) const {
    const auto counter = static_cast<uint64_t>(first);
    const auto& o = options_;
    const auto drawn = static_cast<int64_t>(
        std::llround(o.sample_share * static_cast<double>(o.batch)));
    auto pictures =
        world_pictures(counted_seed(o.seed, Purpose::data, {kRenders}), first,
                       o.batch - drawn, Split::train);
    add_samples(pictures, counter, drawn);
    const auto z = counted_normal(
        counted_seed(o.seed, Purpose::dropout, {counter}), {o.batch, 1, 1, 1});
    const auto noise =
        counted_normal(counted_seed(o.seed, Purpose::step_noise, {counter}),
                       pictures.images.sizes());
    pictures.images =
        (pictures.images + o.noise * at::special_ndtr(z) * noise).clamp(-1, 1);
    return judge(pictures, counted_seed(o.seed, Purpose::data, {kAsked}), first,
                 Split::train);
  }

  /** Each by up to kMostShift pixels, every other one mirrored: the checker
   * judges what comes out. */
  torch::Tensor moved(const torch::Tensor& images, uint64_t counter) const {
    shapes::Engine engine(
        counted_seed(options_.seed, Purpose::step_noise, {counter, kMoves}));
    const auto shift = [&] {
      return static_cast<int64_t>(engine() % (2 * kMostShift + 1)) - kMostShift;
    };
    std::vector<torch::Tensor> out;
    for (int64_t i = 0; i < images.size(0); ++i) {
      auto image = images[i];
      if (engine() % 2 == 0) image = image.flip(2);
      const int64_t down = shift(), right = shift();
      out.push_back(image.roll({down, right}, {1, 2}));
    }
    return at::stack(out);
  }

  void add_samples(ShapesPictures& pictures, uint64_t counter,
                   int64_t count) const {
    if (count == 0) return;
    shapes::Engine engine(
        counted_seed(options_.seed, Purpose::update_order, {counter}));
    std::vector<int64_t> chosen;
    for (int64_t i = 0; i < count; ++i) {
      chosen.push_back(static_cast<int64_t>(
          engine() % static_cast<uint64_t>(samples_.size())));
      pictures.own.push_back(samples_.own[chosen.back()]);
    }
    pictures.images = at::cat({pictures.images, samples_.floats(chosen)});
  }

  const ScorerOptions& options_;
  ModelSamples samples_;
};

bool is_hidden(const std::string& name, const torch::Tensor& p) {
  return p.dim() == 4 && name.find("stem") == std::string::npos &&
         name.find("cell") == std::string::npos;
}

/** Logits [N] of captions [N,1]. */
torch::Tensor logits_of(const Scorer& scorer, const JudgedPictures& judged) {
  constexpr int64_t kAtOnce = 128;
  const torch::NoGradGuard no_grad;
  std::vector<torch::Tensor> out;
  const auto asked = judged.captions.split(kAtOnce);
  const auto shown = judged.images.split(kAtOnce);
  for (size_t i = 0; i < shown.size(); ++i) {
    const auto device = scorer.weights().begin()->second.device();
    out.push_back(scorer
                      .logits(scorer.cells(shown[i].to(device)),
                              numbers_of(asked[i]).to(device))
                      .to(at::kCPU));
  }
  return at::cat(out).squeeze(1);
}

/** Divides the logits by what makes them likeliest on samples that were not
 * learnt from: those that were are known too well. Source: Guo et al. 2017,
 * arXiv:1706.04599, section 4.2. */
void calibrate(const ScorerOptions& options, const Scorer& scorer,
               Progress& progress) {
  if (options.calibration == 0) return;
  const auto judged = own_captions(
      draw_samples(
          requests_of(options, options.model, kCalibrated, options.calibration),
          options.run_folder + "/calibration.safetensors", progress)
          .all());
  const double temperature =
      likeliest_temperature(logits_of(scorer, judged), judged.labels.flatten());
  for (const char* name : {"judge.2.weight", "judge.2.bias"}) {
    scorer.weights().at(name).detach().div_(temperature);
  }
  progress.say(cat("temperature ", temperature));
}

}  // namespace

torch::Tensor object_loss(const torch::Tensor& cells,
                          const torch::Tensor& objects) {
  constexpr double kPlaceWeight = 4;
  const auto pictures = static_cast<double>(cells.size(0));
  const auto there = objects.select(1, 0);
  const auto mask = there > 0.5;
  const auto at_objects = cells.permute({0, 2, 3, 1}).index({mask});
  const auto wanted = objects.permute({0, 2, 3, 1}).index({mask});
  const auto parts = at_objects.split_with_sizes(
      {1, shapes::kCellShapes, shapes::kCellColors, 2}, 1);
  const auto wrong = [&](const torch::Tensor& logits, int64_t plane) {
    return at::cross_entropy_loss(logits, wanted.select(1, plane).to(at::kLong),
                                  {}, at::Reduction::Sum);
  };
  return (at::binary_cross_entropy_with_logits(cells.select(1, 0), there, {},
                                               {}, at::Reduction::Sum) +
          wrong(parts[1], 1) + wrong(parts[2], 2) +
          kPlaceWeight * (parts[3] - wanted.narrow(1, 3, 2)).square().sum()) /
         pictures;
}

double likeliest_temperature(const torch::Tensor& logits,
                             const torch::Tensor& labels) {
  constexpr int kMost = 1000;
  constexpr double kStep = 0.01;
  double best = 1, least = INFINITY;
  for (int i = 50; i <= kMost; ++i) {
    const double loss =
        at::binary_cross_entropy_with_logits(logits / (i * kStep), labels)
            .item<double>();
    if (loss < least) {
      least = loss;
      best = i * kStep;
    }
  }
  return best;
}

bool pretrain_scorer(const ScorerOptions& options, Progress& progress) {
  if (options.threads > 0) {
    at::set_num_threads(static_cast<int>(options.threads));
  }
  make_folders(options.run_folder);
  ModelSamples samples;
  if (options.sample_share > 0) {
    samples = draw_samples(
        requests_of(options, options.model, kLearnt, options.samples),
        options.run_folder + "/samples.safetensors", progress);
  }
  const Lessons lessons(options, std::move(samples));
  const auto scorer = Scorer(options.network, options.seed).on(options.device);
  for (const auto& [name, weight] : scorer.weights()) {
    weight.requires_grad_(true);
  }
  Learner learner(options, scorer.weights(), is_hidden);
  const bool finished = learner.train(
      [&](int64_t first) { return lessons.loss(scorer, first); },
      [&] {
        learner.with_averages(
            [&] { scorer.save(options.run_folder + "/model", at::kBFloat16); });
      },
      progress);
  if (finished) {
    learner.with_averages([&] {
      calibrate(options, scorer, progress);
      scorer.save(options.model_folder, at::kBFloat16);
    });
  }
  return finished;
}

ScorerMeasure measure_chances(const std::string& what,
                              const torch::Tensor& chances,
                              const torch::Tensor& labels) {
  constexpr int64_t kBins = 10;
  const auto p = chances.to(at::kDouble), y = labels.to(at::kDouble);
  ScorerMeasure out{
      what,
      p.size(0),
      y.mean().item<double>(),
      ((p > 0.5) == (y > 0.5)).to(at::kDouble).mean().item<double>(),
      0,
      {}};
  const auto place = (p * kBins).floor().clamp(0, kBins - 1);
  for (int64_t b = 0; b < kBins; ++b) {
    const auto mask = place == static_cast<double>(b);
    const auto count = mask.sum().item<int64_t>();
    out.bins.push_back({count, p.index({mask}).mean().item<double>(),
                        y.index({mask}).mean().item<double>()});
    if (count == 0) continue;
    const auto& bin = out.bins.back();
    out.calibration_error += std::abs(bin.chance - bin.truth) *
                             static_cast<double>(count) /
                             static_cast<double>(out.count);
  }
  return out;
}

std::vector<ScorerMeasure> measure_scorer(const ScorerOptions& options,
                                          Progress& progress) {
  const auto scorer = Scorer::load(options.model_folder);
  const auto renders = balanced_renders(
      counted_seed(options.seed, Purpose::evaluation, {kMeasured}),
      options.measured_renders, Split::held_out);
  std::vector<ScorerMeasure> out = {
      measure_chances("renders", at::sigmoid(logits_of(scorer, renders)),
                      renders.labels.flatten())};
  for (const auto& model : options.measured_models) {
    const auto samples = draw_samples(
        requests_of(options, model, kMeasured, options.measured_samples),
        cat(options.run_folder, "/measured-", out.size(), ".safetensors"),
        progress);
    const auto judged = own_captions(samples.all());
    out.push_back(measure_chances(model, at::sigmoid(logits_of(scorer, judged)),
                                  judged.labels.flatten()));
  }
  return out;
}

}  // namespace rsm
