#include "rsm/runs/checkpoint_mark.h"

#include <nlohmann/json.hpp>

#include "rsm/io/files.h"
#include "rsm/io/json_fields.h"
#include "rsm/io/json_text.h"

namespace rsm {
namespace {

using nlohmann::json;

/** Of marks as they are written today. */
constexpr int64_t kFormat = 2;
constexpr const char* kChecksum = "checksum";

void check_checksum(const json& mark, const JsonFields& fields) {
  const std::string said = fields.text(kChecksum);
  json rest = mark;
  rest.erase(kChecksum);
  RSM_CHECK(checksum(json_line(rest)) == said, fields.where(),
            " has another checksum than it says");
}

Spent spent_of(const JsonFields& counters) {
  Spent spent;
  spent.images = counters.integer("images");
  spent.evaluations = counters.integer("evaluations");
  spent.updates = counters.integer("updates");
  spent.train_seconds = counters.amount("train_seconds");
  spent.wall_seconds = counters.amount("wall_seconds");
  return spent;
}

}  // namespace

std::string mark_text(const Checkpoint& c,
                      const std::string& tensors_checksum) {
  json mark = {{"format", kFormat},
               {"epoch", c.epoch},
               {"sha256", tensors_checksum},
               {"counters",
                {{"images", c.spent.images},
                 {"evaluations", c.spent.evaluations},
                 {"updates", c.spent.updates},
                 {"train_seconds", c.spent.train_seconds},
                 {"wall_seconds", c.spent.wall_seconds},
                 {"evaluation_due", c.evaluation_due ? 1 : 0},
                 {"healthy_epoch", c.healthy_epoch},
                 {"skipped_in_a_row", c.skipped_in_a_row},
                 {"machine", c.machine}}},
               {"config", c.config},
               {"inputs", to_json(c.inputs)},
               {"replay", json(c.replay)},
               {"log", c.log}};
  if (c.resets.count > 0) {
    mark["counters"]["resets"] = c.resets.count;
    mark["counters"]["reset_epoch"] = c.resets.epoch;
  }
  // As it reads back: what is no UTF-8 is replaced.
  mark = json::parse(json_line(mark));
  mark[kChecksum] = checksum(json_line(mark));
  return mark.dump(2) + "\n";
}

Checkpoint read_mark(const std::string& path, std::string& tensors_checksum) {
  const std::string where = "[checkpoint] " + path;
  const json mark = read_json(path);
  const JsonFields fields(mark, where);
  check_checksum(mark, fields);
  const int64_t format = fields.integer("format");
  if (format != kFormat) {
    throw OtherVersion(cat(where, " has format ", format,
                           "; this version of rsm reads format ", kFormat,
                           ": go on with the version that wrote it"));
  }
  Checkpoint out;
  out.config = fields.text("config");
  out.inputs = inputs_from_json(fields.object("inputs"));
  if (fields.has("replay")) {
    out.replay = checksums_in(fields.object("replay"));
  }
  out.log = fields.texts("log");
  out.epoch = fields.integer("epoch");
  tensors_checksum = fields.text("sha256");
  const auto counters = fields.object("counters");
  out.spent = spent_of(counters);
  out.machine = counters.text("machine");
  out.evaluation_due = counters.integer("evaluation_due") != 0;
  out.healthy_epoch = counters.integer("healthy_epoch");
  out.skipped_in_a_row = counters.integer("skipped_in_a_row");
  if (counters.has("resets")) {
    out.resets = {counters.integer("resets"), counters.integer("reset_epoch")};
  }
  return out;
}

}  // namespace rsm
