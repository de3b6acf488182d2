#include "rsm/io/config_node.h"

#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdio>
#include <utility>

namespace rsm {
namespace {

using Kind = ConfigNode::Kind;

/** Deeper nesting than any config has: an alias that contains itself. */
constexpr int kMaxDepth = 64;

/** What errors call a place of a parsed text. */
struct Origin {
  std::string name;
  bool lines = true;  ///< whether line numbers mean something to the reader

  std::string at(const YAML::Mark& mark) const {
    return lines && mark.line >= 0 ? cat(name, ":", mark.line + 1) : name;
  }
};

YAML::Node load_yaml(const std::string& text, const Origin& origin) {
  try {
    const auto documents = YAML::LoadAll(text);
    if (documents.size() > 1) {
      throw UsageError(cat("[config] ", origin.name, ": has ", documents.size(),
                           " YAML documents; allowed: one"));
    }
    return documents.empty() ? YAML::Node() : documents.front();
  } catch (const YAML::Exception& error) {
    throw UsageError(
        cat("[config] ", origin.at(error.mark), ": not YAML: ", error.msg));
  }
}

void fill(ConfigNode& node, const YAML::Node& yaml, const Origin& origin,
          int depth);

void fill_map(ConfigNode& node, const YAML::Node& yaml, const Origin& origin,
              int depth) {
  for (const auto& pair : yaml) {
    const std::string where = origin.at(pair.first.Mark());
    if (!pair.first.IsScalar()) {
      throw UsageError(cat("[config] ", where, ": ", node.path(),
                           ": a key must be a plain word"));
    }
    const std::string key = pair.first.Scalar();
    const ConfigNode* first = node.find(key);
    ConfigNode& child = node.add(key, where);
    if (first != nullptr) {
      throw child.error(cat("given twice; first at ", first->where));
    }
    fill(child, pair.second, origin, depth);
  }
}

void fill(ConfigNode& node, const YAML::Node& yaml, const Origin& origin,
          int depth) {
  if (depth > kMaxDepth) throw node.error("nested too deeply");
  switch (yaml.Type()) {
    case YAML::NodeType::Undefined:
    case YAML::NodeType::Null:
      node.kind = Kind::null;
      break;
    case YAML::NodeType::Scalar:
      node.kind = Kind::scalar;
      node.scalar = yaml.Scalar();
      node.quoted = yaml.Tag() == "!" || yaml.Tag() == "tag:yaml.org,2002:str";
      break;
    case YAML::NodeType::Sequence:
      node.kind = Kind::list;
      for (size_t i = 0; i < yaml.size(); ++i) {
        ConfigNode& item =
            node.add(cat("[", i, "]"), origin.at(yaml[i].Mark()));
        fill(item, yaml[i], origin, depth + 1);
      }
      break;
    case YAML::NodeType::Map:
      node.kind = Kind::map;
      fill_map(node, yaml, origin, depth + 1);
      break;
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

UsageError ConfigNode::error(const std::string& message) const {
  const std::string place = path();
  return UsageError(
      cat("[config] ", where, ": ", place, place.empty() ? "" : ": ", message));
}

UsageError ConfigNode::wrong(const std::string& allowed) const {
  std::string got;
  switch (kind) {
    case Kind::absent:
      got = "missing";
      break;
    case Kind::null:
      got = "got nothing";
      break;
    case Kind::scalar:
      got = cat("got ", quoted ? "the text " : "", "\"", scalar, "\"");
      break;
    case Kind::list:
      got = "got a list";
      break;
    case Kind::map:
      got = "got a section";
      break;
  }
  return error(cat(got, "; allowed: ", allowed));
}

std::unique_ptr<ConfigNode> parse_config(const std::string& text,
                                         const std::string& origin) {
  auto root = std::make_unique<ConfigNode>();
  root->where = origin;
  fill(*root, load_yaml(text, {origin}), {origin}, 0);
  if (root->kind != Kind::map && root->kind != Kind::null) {
    throw root->wrong("a map of keys to values");
  }
  return root;
}

void override_config(ConfigNode& root, const std::string& assignment) {
  const size_t equals = assignment.find('=');
  const std::string path = assignment.substr(0, equals);
  const Origin origin{"--set " + path, false};
  const auto keys = split_path(path);
  if (equals == std::string::npos || std::count(keys.begin(), keys.end(), "")) {
    throw UsageError(cat("[config] --set ", assignment,
                         ": not an assignment; allowed: section.key=value"));
  }
  ConfigNode* node = &root;
  for (const auto& key : keys) {
    if (node->kind == Kind::null) node->kind = Kind::map;
    if (node->kind != Kind::map) {
      throw UsageError(cat("[config] ", origin.name, ": ", node->path(), " (",
                           node->where, ") is not a section"));
    }
    ConfigNode* child = node->find(key);
    if (child == nullptr) {
      child = &node->add(key, origin.name);
      child->kind = Kind::null;
    }
    node = child;
  }
  node->where = origin.name;
  node->children.clear();
  fill(*node, load_yaml(assignment.substr(equals + 1), origin), origin, 0);
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
