#include "rsm/runs/tensorboard.h"

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <utility>

#include "rsm/base/error.h"
#include "rsm/data/sample_sheet.h"
#include "rsm/io/event_file.h"
#include "rsm/io/files.h"
#include "rsm/io/json_text.h"

namespace rsm {
namespace {

using nlohmann::json;

constexpr const char* kSamples = "samples";  // the tag, and the folder

void add_scalars(const json& value, const std::string& tag, EventStep& out) {
  if (value.is_object()) {
    for (const auto& [key, item] : value.items()) {
      add_scalars(item, cat(tag, "/", key), out);
    }
  } else if (value.is_number()) {
    const auto number = value.get<double>();
    if (!(std::abs(number) <= std::numeric_limits<float>::max())) return;
    out.scalars.emplace_back(tag, static_cast<float>(number));
  }
}

/** The picture of an evaluation, where it was kept. */
void add_picture(const std::string& run_folder, EventStep& out) {
  const auto path =
      cat(run_folder, "/", kSamples, "/", sample_sheet_name(out.step));
  if (is_file(path)) out.pictures.emplace_back(kSamples, read_file(path));
}

std::string record_of(const std::string& run_folder, const std::string& text) {
  const json line = parse_json("[tensorboard] a line of the log", text);
  EventStep out;
  out.step = line.at("epoch").get<int64_t>();
  const auto wall = line.find("wall_s");
  if (wall != line.end() && wall->is_number()) {
    out.seconds = wall->get<double>();
  }
  for (const auto& [key, value] : line.items()) {
    if (key == "epoch") continue;
    add_scalars(value, value.is_object() ? key : "train/" + key, out);
  }
  if (line.contains("eval")) add_picture(run_folder, out);
  return event_record(out);
}

}  // namespace

TensorBoard::TensorBoard(std::string run_folder)
    : folder_(std::move(run_folder)) {}

void TensorBoard::follow(const std::vector<std::string>& lines) {
  const std::string path = cat(folder_, "/", kEventFile);
  const size_t before = std::exchange(written_, 0);
  if (before == 0) {
    AtomicFile file(path);
    file.write(event_file_head());
    for (const auto& line : lines) file.write(record_of(folder_, line));
    file.commit();
  } else {
    std::string added;
    for (size_t i = before; i < lines.size(); ++i) {
      added += record_of(folder_, lines[i]);
    }
    if (!added.empty()) append_to_file(path, added);
  }
  written_ = lines.size();
}

}  // namespace rsm
