#include "rsm/io/config_node.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdio>
#include <utility>

#include "rsm/io/config_yaml.h"
#include "rsm/io/plain_text.h"
#include "rsm/io/printable.h"

namespace rsm {
namespace {

using Kind = ConfigNode::Kind;

bool knows(const ConfigNode& section, const std::string& key) {
  return std::find(section.known.begin(), section.known.end(), key) !=
         section.known.end();
}

/** A section of the document that knows the key: "train", or "". */
std::string place_of(const std::string& key, const ConfigNode& section) {
  for (const auto& child : section.children) {
    if (child->kind == Kind::list) continue;
    if (knows(*child, key)) return child->path();
    const std::string deeper = place_of(key, *child);
    if (!deeper.empty()) return deeper;
  }
  return "";
}

/** What the user may have meant by a key unknown where it stands. */
std::string meant_by(const ConfigNode& node) {
  const std::string near = nearest_word(node.key, node.parent->known);
  if (!near.empty()) return cat(" (did you mean \"", near, "\"?)");
  const ConfigNode* root = node.parent;
  while (root->parent != nullptr) root = root->parent;
  if (knows(*root, node.key)) return " (it belongs to the top level)";
  const std::string place = place_of(node.key, *root);
  if (!place.empty()) return cat(" (it belongs to the section ", place, ")");
  return node.key.find('.') == std::string::npos
             ? ""
             : " (dots are for --set; in a file a section is a map of its own)";
}

std::string unknown_key(const ConfigNode& node) {
  const auto& known = node.parent->known;
  return cat("unknown key; ",
             known.empty() ? "none is known here" : "known: " + join(known),
             meant_by(node));
}

struct Problems {
  std::vector<std::string> unknown, wrong, missing;
};

void collect(const ConfigNode& section, bool any_key, Problems& found) {
  any_key = any_key || section.any_key;
  for (const auto& child : section.children) {
    const bool absent = child->kind == Kind::absent;
    if (!child->problem.empty()) {
      (absent ? found.missing : found.wrong)
          .push_back(child->at(child->problem));
    } else if (child->asked || absent) {
      collect(*child, any_key, found);
    } else if (!any_key) {
      found.unknown.push_back(child->at(unknown_key(*child)));
    }
  }
}

std::vector<std::string> split_path(const std::string& path) {
  std::vector<std::string> keys;
  size_t start = 0;
  while (true) {
    const size_t dot = path.find('.', start);
    keys.push_back(path.substr(start, dot - start));
    if (dot == std::string::npos) return keys;
    start = dot + 1;
  }
}

/** Whether YAML takes the end of a value for a comment: what stands before the
 * "#" is whole then, and not, say, the begin of a text in quotes. */
bool has_comment(const std::string& value) {
  for (size_t at = value.find('#'); at != std::string::npos;
       at = value.find('#', at + 1)) {
    if (at > 0 && !std::isspace(static_cast<unsigned char>(value[at - 1]))) {
      continue;
    }
    try {
      ConfigNode before;
      fill_from_yaml(before, value.substr(0, at), "", false);
      return true;
    } catch (const NotConfig&) {
    }
  }
  return false;
}

/** Throws NotConfig where the value of an override would not be read as it was
 * typed. */
void check_value(const std::string& value, const std::string& origin) {
  if (find_not_utf8(value) != std::string::npos) {
    throw NotConfig{origin, "is not UTF-8"};
  }
  if (has_comment(value)) {
    throw NotConfig{origin,
                    "what follows a space and \"#\" is a comment in YAML; put "
                    "the value in quotes, or leave it out"};
  }
}

/** Plain in YAML, and not to be taken for null. */
bool is_plain(const std::string& text) {
  const auto plain = [](unsigned char c) {
    return std::isalnum(c) || c == '_' || c == '.' || c == '/' || c == '-';
  };
  return !text.empty() && text[0] != '-' && text[0] != '.' &&
         std::all_of(text.begin(), text.end(), plain) && text != "null" &&
         text != "Null" && text != "NULL";
}

std::string resolved_items(const ConfigNode& list, const std::string& indent) {
  std::string out;
  for (const auto& item : list.children) {
    std::string body = resolved_config(*item, indent + "    ");
    if (body.empty()) {
      out += indent + "  - {}\n";
      continue;
    }
    body[indent.size() + 2] = '-';
    out += body;
  }
  return out;
}

}  // namespace

std::string ConfigNode::path() const {
  const std::string above = parent == nullptr ? "" : parent->path();
  return above.empty() || key[0] == '[' ? above + key : above + "." + key;
}

ConfigNode* ConfigNode::find(const std::string& name) const {
  for (const auto& child : children) {
    if (child->key == name) return child.get();
  }
  return nullptr;
}

ConfigNode& ConfigNode::add(const std::string& name,
                            const std::string& origin) {
  auto child = std::make_unique<ConfigNode>();
  child->key = name;
  child->where = origin;
  child->parent = this;
  return *children.emplace_back(std::move(child));
}

ConfigNode& ConfigNode::mention(const std::string& name) {
  if (std::find(known.begin(), known.end(), name) == known.end()) {
    known.push_back(name);
  }
  ConfigNode* child = find(name);
  return child != nullptr ? *child : add(name, where);
}

ConfigNode& ConfigNode::ask(const std::string& name) {
  ConfigNode& child = mention(name);
  if (!child.asked) asked_children.push_back(&child);
  child.asked = true;
  return child;
}

bool ConfigNode::is_wrong() const {
  return !problem.empty() ||
         std::any_of(children.begin(), children.end(),
                     [](const auto& child) { return child->is_wrong(); });
}

void ConfigNode::note(const std::string& message) {
  if (!is_wrong()) problem = message;
}

void ConfigNode::note_wrong(const std::string& allowed) {
  std::string got;
  switch (kind) {
    case Kind::absent:
      got = "missing";
      break;
    case Kind::null:
      got = "got nothing";
      break;
    case Kind::scalar:
      got = cat("got ", quoted ? "the text " : "", "\"", shown(scalar), "\"");
      break;
    case Kind::list:
      got = "got a list";
      break;
    case Kind::map:
      got = "got a section";
      break;
  }
  if (problem.empty()) problem = cat(got, "; allowed: ", allowed);
}

std::string ConfigNode::at(const std::string& message) const {
  const std::string place = path();
  return cat(where, ": ", shown(place), place.empty() ? "" : ": ", message);
}

std::unique_ptr<ConfigNode> parse_config(const std::string& text,
                                         const std::string& origin) {
  auto root = std::make_unique<ConfigNode>();
  root->where = origin;
  try {
    fill_from_yaml(*root, plain_text("config", origin, text), origin, true);
  } catch (const NotConfig& wrong) {
    throw UsageError(cat("[config] ", wrong.where, ": ", wrong.message));
  }
  if (root->kind != Kind::map && root->kind != Kind::null) {
    root->note_wrong("a map of keys to values");
    throw UsageError(cat("[config] ", root->at(root->problem)));
  }
  return root;
}

void override_config(ConfigNode& root, const std::string& assignment) {
  // What cannot be applied stands at a child that no reader asks for.
  const auto refuse = [&](const std::string& where,
                          const std::string& message) {
    ConfigNode& refused = root.add("", where);
    refused.kind = Kind::scalar;
    refused.note(message);
  };
  const size_t equals = assignment.find('=');
  const std::string path = assignment.substr(0, equals);
  const std::string origin = "--set " + shown(path);
  const auto keys = split_path(path);
  if (equals == std::string::npos || std::count(keys.begin(), keys.end(), "")) {
    refuse("--set " + shown(assignment),
           "not an assignment; allowed: section.key=value");
    return;
  }
  if (keys.size() > kConfigDepth) {
    refuse(origin,
           cat("nested too deeply; allowed: ", kConfigDepth, " levels"));
    return;
  }
  ConfigNode* node = &root;
  for (const auto& key : keys) {
    if (node->kind == Kind::null) node->kind = Kind::map;
    if (node->kind != Kind::map) {
      refuse(origin,
             cat(node->path(), " (", node->where, ") is not a section"));
      return;
    }
    ConfigNode* child = node->find(key);
    if (child == nullptr) {
      child = &node->add(key, origin);
      child->kind = Kind::null;
    }
    node = child;
  }
  node->where = origin;
  const std::string value = assignment.substr(equals + 1);
  try {
    check_value(value, origin);
    fill_from_yaml(*node, value, origin, false);
  } catch (const NotConfig& wrong) {
    node->children.clear();
    node->kind = Kind::scalar;
    node->note(wrong.message);
  }
}

std::vector<std::string> config_problems(const ConfigNode& node) {
  Problems found;
  if (!node.problem.empty()) found.wrong.push_back(node.at(node.problem));
  collect(node, node.any_key, found);
  auto all = std::move(found.unknown);
  all.insert(all.end(), found.wrong.begin(), found.wrong.end());
  all.insert(all.end(), found.missing.begin(), found.missing.end());
  return all;
}

std::string yaml_text(const std::string& text) {
  if (is_plain(text)) return text;
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += {'\\', c};
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      std::array<char, 5> escape;
      std::snprintf(escape.data(), escape.size(), "\\x%02x",
                    static_cast<unsigned char>(c));
      out += escape.data();
    } else {
      out += c;
    }
  }
  return out + "\"";
}

std::string resolved_config(const ConfigNode& section,
                            const std::string& indent) {
  std::string out;
  for (const ConfigNode* child : section.asked_children) {
    const std::string head = indent + yaml_text(child->key) + ":";
    if (!child->answer.empty()) {
      out += head + " " + child->answer + "\n";
      continue;
    }
    const bool list = child->kind == Kind::list;
    const std::string body = list ? resolved_items(*child, indent)
                                  : resolved_config(*child, indent + "  ");
    if (!body.empty()) {
      out += head + "\n" + body;
    } else if (child->kind != Kind::absent) {
      out += head + (list ? " []\n" : " {}\n");
    }
  }
  return out;
}

}  // namespace rsm
