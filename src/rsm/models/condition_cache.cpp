#include "rsm/models/condition_cache.h"

#include <algorithm>
#include <filesystem>
#include <set>
#include <system_error>
#include <utility>

#include "rsm/base/error.h"
#include "rsm/io/files.h"
#include "rsm/io/safetensors.h"

namespace rsm {
namespace {

namespace fs = std::filesystem;

constexpr const char* kEnding = ".safetensors";

int64_t bytes_of(const Condition& one) {
  const auto pooled = one.pooled.defined() ? one.pooled.nbytes() : 0;
  return static_cast<int64_t>(one.tokens.nbytes() + pooled);
}

/** Rows in a condition of all. */
Condition stacked(const std::vector<Condition>& rows) {
  std::vector<torch::Tensor> tokens, pooled;
  for (const auto& row : rows) {
    tokens.push_back(row.tokens);
    if (row.pooled.defined()) pooled.push_back(row.pooled);
  }
  return {at::cat(tokens), pooled.empty() ? torch::Tensor() : at::cat(pooled)};
}

struct Kept {
  fs::file_time_type used;
  fs::path path;
  int64_t bytes;
};

/** The files of a cache, what was used longest ago first. Those that another
 * process removes meanwhile are passed over. */
std::vector<Kept> files_in(const std::string& folder) {
  std::vector<Kept> out;
  std::error_code failed;
  for (fs::recursive_directory_iterator entry(folder, failed), end;
       !failed && entry != end; entry.increment(failed)) {
    if (entry->path().extension() != kEnding) continue;
    std::error_code gone;
    const auto used = entry->last_write_time(gone);
    const auto bytes = gone ? 0 : entry->file_size(gone);
    if (!gone) {
      out.push_back({used, entry->path(), static_cast<int64_t>(bytes)});
    }
  }
  std::sort(out.begin(), out.end(), [](const Kept& a, const Kept& b) {
    return std::tie(a.used, a.path) < std::tie(b.used, b.path);
  });
  return out;
}

}  // namespace

std::string encoders_key(const TextEncoders& text,
                         const std::map<std::string, std::string>& checksums) {
  std::string key = cat(text.options().type, " ", text.options().t5_tokens,
                        text.options().t5);
  for (const auto& part : text.parts()) {
    for (const auto& [name, sum] : checksums) {
      if (name.starts_with(part + "/")) key += cat("\n", name, " ", sum);
    }
  }
  return checksum(key);
}

ConditionCache::ConditionCache(std::shared_ptr<TextEncoders> text,
                               const ConditionCacheOptions& options)
    : text_(std::move(text)), options_(options) {}

std::string ConditionCache::path_of(const std::string& text) const {
  const auto key = checksum(options_.encoders + "\n" + text);
  return cat(options_.folder, "/", key.substr(0, 2), "/", key, kEnding);
}

Condition ConditionCache::find(const std::string& text) const {
  const auto known = memory_.find(text);
  if (known != memory_.end()) return known->second;
  if (options_.folder.empty()) return {};
  const std::string path = path_of(text);
  std::error_code none;
  if (!fs::is_regular_file(path, none)) return {};
  try {
    auto file = read_safetensors(path);
    if (file.metadata["text"] != text || !file.tensors.contains("tokens")) {
      return {};
    }
    fs::last_write_time(path, fs::file_time_type::clock::now(), none);
    return {file.tensors.at("tokens"), file.tensors["pooled"]};
  } catch (const Error&) {
    return {};  // damaged: it is written again
  }
}

void ConditionCache::make_room(int64_t more) const {
  if (disk_bytes_ >= 0 && disk_bytes_ + more <= options_.disk_bytes) return;
  disk_bytes_ = 0;
  const auto files = files_in(options_.folder);
  for (const auto& file : files) disk_bytes_ += file.bytes;
  for (const auto& file : files) {
    if (disk_bytes_ + more <= options_.disk_bytes) return;
    std::error_code gone;
    fs::remove(file.path, gone);
    disk_bytes_ -= file.bytes;
  }
}

void ConditionCache::keep_on_disk(const std::string& text,
                                  const Condition& one) const {
  constexpr int64_t kHeader = 1024;  // of the file, beside its text
  const int64_t bytes = bytes_of(one) + std::ssize(text) + kHeader;
  if (bytes > options_.disk_bytes) return;
  StateDict tensors = {{"tokens", one.tokens}};
  if (one.pooled.defined()) tensors["pooled"] = one.pooled;
  const auto path = path_of(text);
  make_room(bytes);
  make_folders(fs::path(path).parent_path().string());
  write_safetensors(path, tensors, {{"text", text}});
  disk_bytes_ += bytes;
}

void ConditionCache::keep(const std::string& text, const Condition& one) const {
  const int64_t bytes = bytes_of(one);
  if (memory_bytes_ + bytes <= options_.memory_bytes &&
      memory_.emplace(text, one).second) {
    memory_bytes_ += bytes;
  }
  if (!options_.folder.empty()) keep_on_disk(text, one);
}

Condition ConditionCache::encode(const std::vector<std::string>& texts) const {
  std::map<std::string, Condition> here;
  std::vector<std::string> missing;
  for (const auto& text : texts) {
    if (here.contains(text)) continue;
    const auto known = here[text] = find(text);
    if (!known.tokens.defined()) missing.push_back(text);
  }
  if (!missing.empty()) {
    const auto all = text_->encode(missing).to(torch::kCPU);
    for (size_t i = 0; i < missing.size(); ++i) {
      const auto row = static_cast<int64_t>(i);
      const auto one = all.map([&](const torch::Tensor& every) {
        return every.slice(0, row, row + 1).clone();
      });
      keep(missing[i], one);
      here[missing[i]] = one;
    }
  }
  std::vector<Condition> rows;
  for (const auto& text : texts) rows.push_back(here.at(text));
  return stacked(rows).to(options_.device);
}

void ConditionCache::prepare(std::vector<std::string> texts,
                             Progress& progress) {
  if (options_.folder.empty() || texts.empty()) return;
  std::sort(texts.begin(), texts.end());
  texts.erase(std::unique(texts.begin(), texts.end()), texts.end());
  const auto count = std::ssize(texts);
  if (count * bytes_of(encode({texts[0]})) > options_.disk_bytes) return;
  progress.begin("prompts", count);
  for (int64_t i = 0; i < count; ++i) {
    progress.stop_point();
    const auto& text = texts[static_cast<size_t>(i)];
    if (!is_there(path_of(text))) encode({text});
    progress.update(i + 1, "");
  }
  progress.end();
  text_->release();
}

}  // namespace rsm
