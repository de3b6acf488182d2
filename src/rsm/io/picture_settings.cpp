#include "rsm/io/picture_settings.h"

#include <filesystem>
#include <nlohmann/json.hpp>

#include "rsm/base/error.h"
#include "rsm/io/plain_text.h"

namespace rsm {
namespace {

using nlohmann::ordered_json;

/** The last part of a path that has a name. */
std::string name_of(const std::string& path) {
  auto parts = std::filesystem::path(path).lexically_normal();
  if (!parts.has_filename()) parts = parts.parent_path();
  return parts.filename().string();
}

/** The value in UTF-8, whatever a path has; bytes that are none as U+FFFD. */
std::string dumped(const ordered_json& value) {
  return value.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
}

/** In quotes where it would end a list's item. */
std::string item(const std::string& value) {
  const bool plain = value.find_first_of(",:\"\n") == std::string::npos &&
                     find_not_utf8(value) == std::string::npos;
  return plain ? value : dumped(value);
}

std::string parameters(const PictureSettings& s) {
  std::vector<std::string> items;
  const auto add = [&](const std::string& name, const std::string& value) {
    items.push_back(cat(name, ": ", item(value)));
  };
  add("Steps", cat(s.steps));
  add("Sampler", s.sampler);
  add("CFG scale", cat(s.guidance_scale));
  if (s.noise.empty()) add("Seed", cat(s.seed));
  add("Size", cat(s.width, "x", s.height));
  add("Model", name_of(s.model));
  if (!s.lora.empty()) add("Lora", name_of(s.lora));
  add("Version", s.program);
  const std::string negative =
      s.negative_prompt.empty() ? "" : "Negative prompt: " + s.negative_prompt;
  return cat(s.prompts.front(), "\n", negative, negative.empty() ? "" : "\n",
             join(items));
}

ordered_json text_or_null(const std::string& text) {
  return text.empty() ? ordered_json() : ordered_json(text);
}

}  // namespace

PngTexts to_png_texts(const PictureSettings& s) {
  const ordered_json all = {{"program", s.program},
                            {"model", s.model},
                            {"lora", text_or_null(s.lora)},
                            {"prompts", s.prompts},
                            {"negative_prompt", s.negative_prompt},
                            {"seed", s.seed},
                            {"count", s.count},
                            {"noise", text_or_null(s.noise)},
                            {"steps", s.steps},
                            {"sampler", s.sampler},
                            {"guidance_scale", s.guidance_scale},
                            {"height", s.height},
                            {"width", s.width},
                            {"type", s.type},
                            {"tile", s.tile},
                            {"text_type", s.text_type},
                            {"vae_type", s.vae_type},
                            {"t5", s.t5},
                            {"t5_tokens", s.t5_tokens}};
  return {{"parameters", parameters(s)}, {"rsm", dumped(all)}};
}

}  // namespace rsm
