#pragma once

#include <nlohmann/json_fwd.hpp>
#include <set>
#include <string>
#include <vector>

#include "rsm/paths/path.h"

namespace rsm {

/** A part of a diffusers folder, in a folder of its name. */
struct ModelPart {
  const char* name;
  const char* library;
  /** Classes that are read, the one that is written first. */
  std::vector<const char*> classes;
  bool needed;
};

/** What a family's folders consist of:
 *
 *     family     network                 text encoders             VAE
 *     flow       SD3Transformer2DModel   CLIP, CLIP, T5            optional
 *     diffusion  UNet2DConditionModel    CLIP                      optional
 *
 * The second CLIP is optional, and with it T5. Without a VAE, latents are
 * pictures. */
struct ModelLayout {
  const char* pipeline;
  const char* network;
  std::vector<ModelPart> parts;
  /** Parts of the pipeline that don't change pictures of texts. */
  std::vector<const char*> passed_over;
};

const ModelLayout& layout_of(Family family);

/** A model folder whose model_index.json was checked. */
struct ModelFolder {
  std::string path;
  Family family;
  std::set<std::string> parts;

  bool has(const std::string& part) const { return parts.contains(part); }
  std::string at(const std::string& part) const { return path + "/" + part; }
  std::string network() const { return at(layout_of(family).network); }
};

/** Throws rsm::Error naming the file and part: no model_index.json, another
 * pipeline, a part that is missing or of another class. */
ModelFolder open_model_folder(const std::string& path);

/** A model_index.json of the parts that a folder has. */
nlohmann::json model_index(Family family, const std::set<std::string>& parts);

}  // namespace rsm
