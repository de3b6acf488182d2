#include "rsm/paths/scheduler_keys.h"

#include <algorithm>
#include <iterator>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "rsm/base/error.h"
#include "rsm/io/printable.h"
#include "rsm/paths/ddim.h"
#include "rsm/paths/flow_matching.h"

namespace rsm {
namespace {

/** Arguments of the schedulers of diffusers 0.42 that from_config takes for
 * each other's, and two that those of 2022 had. */
constexpr const char* kKeysOfSchedulers =
    "algorithm_type base_image_seq_len base_shift beta_end beta_schedule "
    "beta_start clip_sample clip_sample_range disable_corrector "
    "dynamic_thresholding_ratio euler_at_final final_sigmas_type "
    "flow_shift interpolation_type invert_sigmas lambda_min_clipped "
    "lower_order_final max_image_seq_len max_shift num_train_timesteps "
    "original_inference_steps predict_x0 prediction_type "
    "rescale_betas_zero_snr rho sample_max_value set_alpha_to_one shift "
    "shift_terminal sigma_data sigma_max sigma_min sigma_schedule "
    "skip_prk_steps solver_order solver_p solver_type steps_offset "
    "stochastic_sampling tensor_format thresholding time_shift_type "
    "timestep_scaling timestep_spacing timestep_type timestep_values "
    "trained_betas use_beta_sigmas use_dynamic_shifting "
    "use_exponential_sigmas use_flow_sigmas use_karras_sigmas "
    "use_lu_lambdas variance_type";

const std::set<std::string>& keys_of_schedulers() {
  static const std::set<std::string> keys = [] {
    std::istringstream words(kKeysOfSchedulers);
    return std::set<std::string>(std::istream_iterator<std::string>(words), {});
  }();
  return keys;
}

}  // namespace

std::vector<std::string> leftover_keys(const nlohmann::json& config,
                                       const std::vector<std::string>& own) {
  std::vector<std::string> left;
  for (const auto& item : config.items()) {
    const std::string& key = item.key();
    if (key.starts_with("_") ||
        std::find(own.begin(), own.end(), key) != own.end()) {
      continue;
    }
    RSM_CHECK(keys_of_schedulers().contains(key), "[scheduler_config] ",
              unknown_word(shown(key), own));
    left.push_back(key);
  }
  return left;
}

std::string other_scheduler(const std::string& name) {
  return cat("the scheduler is ", name, "; ", FlowMatchSchedule::kClass,
             " (flows), ", DdimSchedule::kClass, " and ",
             DdimSchedule::kOtherClass,
             " (diffusion models) are read. Schedulers draw from a model and "
             "are no part of it: ",
             DdimSchedule::kClass,
             " with the keys of "
             "the same noise (beta_start, beta_end, beta_schedule, "
             "num_train_timesteps) serves in its place; in diffusers, "
             "DDIMScheduler.from_config(pipeline.scheduler.config) makes it");
}

}  // namespace rsm
