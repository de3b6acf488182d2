#include "rsm/io/sharded.h"

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>
#include <string_view>
#include <system_error>
#include <vector>

#include "rsm/base/error.h"
#include "rsm/io/files.h"
#include "rsm/io/json_fields.h"
#include "rsm/io/printable.h"

namespace rsm {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr const char* kSuffix = ".safetensors";
constexpr const char* kIndex = ".safetensors.index";

/** Whether there is a file; throws where a link of that name leads nowhere. */
bool has_file(const fs::path& path) {
  std::error_code ignored;
  if (fs::exists(path, ignored)) return true;
  const bool link = fs::is_symlink(path, ignored);
  RSM_CHECK(!link, "[safetensors] ", path.string(), " is a link to ",
            fs::read_symlink(path, ignored).string(),
            ", which is not there; download the model again");
  return false;
}

/** Names of the index, or else single file, of each variant. */
std::vector<std::string> variants_of(const std::vector<std::string>& names,
                                     const std::string& stem) {
  std::vector<std::string> indexes, files;
  for (const auto& name : names) {
    if (name.starts_with(stem + kIndex + ".") && name.ends_with(".json")) {
      indexes.push_back(name);
    }
    const bool shard = name.find("-of-") != std::string::npos;
    if (name.starts_with(stem + ".") && name.ends_with(kSuffix) && !shard) {
      files.push_back(name);
    }
  }
  return indexes.empty() ? files : indexes;
}

[[noreturn]] void no_weights(const std::string& folder, const std::string& stem,
                             const std::vector<std::string>& names) {
  const auto has = [&](const std::string& suffix) {
    return std::any_of(names.begin(), names.end(), [&](const auto& name) {
      return name.ends_with(suffix);
    });
  };
  const bool pickled = has(".bin") || has(".ckpt") || has(".pt");
  const bool sharded =
      std::any_of(names.begin(), names.end(), [&](const auto& name) {
        return name.starts_with(stem + "-") && name.ends_with(kSuffix);
      });
  throw Error(cat(
      "[safetensors] ", folder, " has no ", stem, kSuffix, "; there ",
      names.empty() ? "is nothing" : cat("lie ", shown(join(names))),
      pickled   ? "; PyTorch's pickled weights (.bin) can run code and are not "
                  "read: load them in diffusers or transformers and call "
                  "save_pretrained(folder, safe_serialization=True)"
      : sharded ? cat("; shards need their ", stem, kIndex, ".json")
                : "; download the model's safetensors files"));
}

/** The file of the weights, or the index of their shards. */
fs::path weights_of(const std::string& folder, const std::string& stem) {
  const fs::path base(folder);
  for (const char* end : {".safetensors.index.json", kSuffix}) {
    const auto path = base / (stem + end);
    if (has_file(path)) return path;
  }
  const auto names = names_in(folder);
  const auto variants = variants_of(names, stem);
  RSM_CHECK(variants.size() <= 1, "[safetensors] ", folder, " has no ", stem,
            kSuffix, " but several variants: ", shown(join(variants)),
            "; give one of them that name");
  if (variants.empty()) no_weights(folder, stem, names);
  has_file(base / variants[0]);
  return base / variants[0];
}

std::map<std::string, std::set<std::string>> read_index(
    const std::string& path) {
  const json index = read_python_json(path);
  const auto map =
      JsonFields(index, "[safetensors] " + path).object("weight_map");
  std::map<std::string, std::set<std::string>> names_by_shard;
  for (const auto& name : map.keys()) {
    const auto shard = map.text(name);
    const bool plain =
        !shard.empty() && shard != "." && shard != ".." &&
        shard.find_first_of(std::string_view("/\\\0", 3)) == std::string::npos;
    map.check(name, plain, "a plain file name in the index's folder");
    names_by_shard[shard].insert(name);
  }
  return names_by_shard;
}

/** Throws where a shard is missing, saying which are. */
void check_shards(const std::string& folder, const std::string& index,
                  const std::map<std::string, std::set<std::string>>& shards) {
  std::vector<std::string> missing;
  for (const auto& [shard, names] : shards) {
    if (!has_file(fs::path(folder) / shard)) missing.push_back(shard);
  }
  RSM_CHECK(missing.empty(), "[safetensors] ", folder, " lacks ",
            missing.size(), " of ", shards.size(), " shards that ", index,
            " names: ", shown(join(missing)), "; download the model again");
}

/** Calls `read` for each file with the names wanted of it; null: all. */
template <typename Read>
void for_each_file(const std::string& folder, const std::string& stem,
                   const Read& read) {
  const auto path = weights_of(folder, stem);
  if (path.extension() != ".json") {
    read(path.string(), static_cast<const std::set<std::string>*>(nullptr));
    return;
  }
  const auto shards = read_index(path.string());
  check_shards(folder, path.string(), shards);
  for (const auto& [shard, names] : shards) {
    read((fs::path(folder) / shard).string(), &names);
  }
}

/** Throws where a file lacks a tensor that the index places there. */
template <typename Found>
void check_held(const std::string& path, const std::set<std::string>& names,
                const Found& found) {
  for (const auto& name : names) {
    RSM_CHECK(found.count(name), "[safetensors] ", path, " has no ",
              shown(name), ", which the index beside it places there");
  }
}

}  // namespace

SafetensorsFile view_sharded(const std::string& folder,
                             const std::string& stem) {
  SafetensorsFile all;
  for_each_file(folder, stem, [&](const std::string& path, const auto* names) {
    auto part = view_safetensors(path);
    if (names != nullptr) {
      check_held(path, *names, part.tensors);
      std::erase_if(part.tensors, [&](const auto& entry) {
        return names->count(entry.first) == 0;
      });
    }
    all.tensors.merge(part.tensors);
    all.metadata.merge(part.metadata);
  });
  return all;
}

TensorShapes read_sharded_shapes(const std::string& folder,
                                 const std::string& stem) {
  TensorShapes all;
  for_each_file(folder, stem, [&](const std::string& path, const auto* names) {
    for (auto& [name, shape] : read_shapes(path)) {
      if (names == nullptr || names->count(name) > 0) {
        all[name] = shape;
      }
    }
  });
  return all;
}

}  // namespace rsm
