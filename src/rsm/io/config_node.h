#pragma once

#include <memory>
#include <string>
#include <vector>

#include "rsm/base/error.h"

namespace rsm {

/** One value of a config's document: what stands there and where, what was
 * asked for, and what is wrong with it. */
struct ConfigNode {
  enum class Kind { absent, null, scalar, list, map };

  std::string key;    ///< within the parent; "[2]" for an item of a list
  std::string where;  ///< "file.yaml:12" or "--set train.lr"
  Kind kind = Kind::absent;
  std::string scalar;
  bool quoted = false;  ///< a scalar that can only be a text
  ConfigNode* parent = nullptr;
  /** In the order of the file; keys asked for but absent come last. */
  std::vector<std::unique_ptr<ConfigNode>> children;

  bool asked = false;
  std::string answer;  ///< YAML of the value that was handed out
  std::vector<ConfigNode*> asked_children;
  std::vector<std::string> known;  ///< keys asked for or tested
  std::string problem;             ///< what is wrong here, or ""
  bool any_key = false;  ///< unknown keys here and below are not reported

  /** "train.steps[2]" */
  std::string path() const;
  /** Null where no such key stands here, or was asked for. */
  ConfigNode* find(const std::string& name) const;
  ConfigNode& add(const std::string& name, const std::string& origin);
  /** The child, absent or not, from now on among the known keys. */
  ConfigNode& mention(const std::string& name);
  /** The child, from now on among those asked for. */
  ConfigNode& ask(const std::string& name);

  /** Whether a problem is known here or below. */
  bool is_wrong() const;
  /** Notes a problem, unless one is known: others may follow from it. */
  void note(const std::string& message);
  /** Notes what stands here and what is allowed instead. */
  void note_wrong(const std::string& allowed);

  /** "where: path: message" */
  std::string at(const std::string& message) const;
};

/** Parses one YAML document, whose root is a map or nothing. Throws UsageError
 * where it is no such text, or too large; keys given twice are noted. */
std::unique_ptr<ConfigNode> parse_config(const std::string& text,
                                         const std::string& origin);

/** Applies "train.lr=3e-4"; notes at the root what cannot be applied. */
void override_config(ConfigNode& root, const std::string& assignment);

/** What was noted at a node and below, and keys that nobody asked for: a line
 * each, unknown keys first and missing ones last, else in document order. */
std::vector<std::string> config_problems(const ConfigNode& node);

/** A text as a YAML scalar that reads back as it is. */
std::string yaml_text(const std::string& text);

/** YAML of what was asked for below `section`, each line indented so. */
std::string resolved_config(const ConfigNode& section,
                            const std::string& indent);

}  // namespace rsm
