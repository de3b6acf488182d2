#include "rsm/paths/scheduler_keys.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "rsm/base/error.h"
#include "rsm/io/json_options.h"

namespace rsm {
namespace {

/** Arguments of the schedulers of diffusers 0.42 that from_config takes for
 * each other's. */
const std::vector<std::string>& keys_of_schedulers() {
  static const std::vector<std::string> keys = {"algorithm_type",
                                                "base_image_seq_len",
                                                "base_shift",
                                                "beta_end",
                                                "beta_schedule",
                                                "beta_start",
                                                "clip_sample",
                                                "clip_sample_range",
                                                "disable_corrector",
                                                "dynamic_thresholding_ratio",
                                                "euler_at_final",
                                                "final_sigmas_type",
                                                "flow_shift",
                                                "interpolation_type",
                                                "invert_sigmas",
                                                "lambda_min_clipped",
                                                "lower_order_final",
                                                "max_image_seq_len",
                                                "max_shift",
                                                "num_train_timesteps",
                                                "original_inference_steps",
                                                "predict_x0",
                                                "prediction_type",
                                                "rescale_betas_zero_snr",
                                                "rho",
                                                "sample_max_value",
                                                "set_alpha_to_one",
                                                "shift",
                                                "shift_terminal",
                                                "sigma_data",
                                                "sigma_max",
                                                "sigma_min",
                                                "sigma_schedule",
                                                "skip_prk_steps",
                                                "solver_order",
                                                "solver_p",
                                                "solver_type",
                                                "steps_offset",
                                                "stochastic_sampling",
                                                "thresholding",
                                                "time_shift_type",
                                                "timestep_scaling",
                                                "timestep_spacing",
                                                "timestep_type",
                                                "trained_betas",
                                                "use_beta_sigmas",
                                                "use_dynamic_shifting",
                                                "use_exponential_sigmas",
                                                "use_flow_sigmas",
                                                "use_karras_sigmas",
                                                "use_lu_lambdas",
                                                "variance_type"};
  return keys;
}

bool contains(const std::vector<std::string>& words, const std::string& word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

}  // namespace

std::vector<std::string> leftover_keys(const nlohmann::json& config,
                                       const std::vector<std::string>& own) {
  std::vector<std::string> left;
  for (const auto& item : config.items()) {
    const std::string& key = item.key();
    if (key.starts_with("_") || contains(own, key)) continue;
    RSM_CHECK(contains(keys_of_schedulers(), key), "[scheduler_config] ",
              unknown_word(shown_text(key), own));
    left.push_back(key);
  }
  return left;
}

}  // namespace rsm
