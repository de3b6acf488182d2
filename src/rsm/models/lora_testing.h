#pragma once

#include <algorithm>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "rsm/models/lora.h"

/** The names under which others keep a LoRA; no part of the library includes
 * this. */
namespace rsm {

/** A module's dots as kohya has them. */
inline std::string flat_name(std::string module) {
  std::replace(module.begin(), module.end(), '.', '_');
  return module;
}

/** "x.attn1.to_out.0" as diffusers' attention processors called it in 2023. */
inline std::string processor_name(std::string module) {
  if (module.ends_with(".to_out.0")) module.resize(module.size() - 2);
  const auto last = module.rfind('.');
  return module.substr(0, last) + ".processor" + module.substr(last) + "_lora";
}

struct LoraNaming {
  std::string form;
  /** Of a module's half, down or up. */
  std::function<std::string(const std::string& module, bool down)> name;

  /** A LoRA under these names, as readers without a config take it: alpha is
   * the rank, so that B carries `scale`. */
  StateDict of(const StateDict& lora, double scale) const {
    StateDict out;
    for (const auto& pair : lora_pairs(lora, kRankByLayer, "test")) {
      out[name(pair.module, true)] = lora.at(pair.module + ".lora_A.weight");
      out[name(pair.module, false)] =
          lora.at(pair.module + ".lora_B.weight") * scale;
    }
    return out;
  }
};

/** All of them for a part, "unet" or "transformer". */
inline std::vector<LoraNaming> lora_namings(const std::string& part) {
  const auto naming =
      [](const std::string& form,
         const std::function<std::string(const std::string&)>& module,
         const std::string& down, const std::string& up) {
        return LoraNaming{form, [=](const std::string& name, bool is_down) {
                            return module(name) + (is_down ? down : up);
                          }};
      };
  const auto after = [](const std::string& prefix) {
    return [prefix](const std::string& m) { return prefix + m; };
  };
  const auto dot = part + ".";
  return {
      naming("bare", after(""), ".lora_A.weight", ".lora_B.weight"),
      naming("part", after(dot), ".lora_A.weight", ".lora_B.weight"),
      naming("peft", after("base_model.model."), ".lora_A.default.weight",
             ".lora_B.default.weight"),
      naming("diffusers", after(dot), ".lora.down.weight", ".lora.up.weight"),
      naming(
          "processor",
          [dot](const std::string& m) { return dot + processor_name(m); },
          ".down.weight", ".up.weight"),
      naming("bare_processor", processor_name, ".down.weight", ".up.weight"),
      naming(
          "kohya",
          [part](const std::string& m) {
            return "lora_" + part + "_" + flat_name(m);
          },
          ".lora_down.weight", ".lora_up.weight")};
}

/** A LoRA of a UNet as kohya has it, with one alpha for all layers. */
inline StateDict kohyas_with_alpha(const StateDict& lora, double alpha) {
  StateDict out = lora_namings("unet").back().of(lora, 1);
  for (const auto& pair : lora_pairs(lora, kRankByLayer, "test")) {
    out["lora_unet_" + flat_name(pair.module) + ".alpha"] =
        at::scalar_tensor(alpha);
  }
  return out;
}

}  // namespace rsm
