#include "rsm/io/config_values.h"

#include <vector>

namespace rsm {
namespace {

std::string value_text(const ConfigNode& node) {
  const bool map = node.kind == ConfigNode::Kind::map;
  if (!map && node.kind != ConfigNode::Kind::list) return node.scalar;
  std::vector<std::string> items;
  for (const auto& item : node.children) {
    items.push_back((map ? item->key + ": " : "") + value_text(*item));
  }
  return (map ? "{" : "[") + join(items) + (map ? "}" : "]");
}

void add_values(const ConfigNode& node,
                std::map<std::string, std::string>& out) {
  for (const auto& child : node.children) {
    if (child->kind == ConfigNode::Kind::map) {
      add_values(*child, out);
    } else {
      out[child->path()] = value_text(*child);
    }
  }
}

}  // namespace

std::map<std::string, std::string> config_values(const ConfigNode& root) {
  std::map<std::string, std::string> out;
  add_values(root, out);
  return out;
}

}  // namespace rsm
