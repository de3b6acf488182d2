#include "rsm/io/config_yaml.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <map>
#include <sstream>

namespace rsm {
namespace {

using Kind = ConfigNode::Kind;

// No config of this program comes near it.
constexpr int64_t kMaxValues = 10000;

/** What errors call a place of a parsed text. */
struct Origin {
  std::string name;
  bool lines = true;

  std::string at(const YAML::Mark& mark) const {
    return lines && mark.line >= 0 ? cat(name, ":", mark.line + 1) : name;
  }
};

/** Builds nodes from the parser's events. YAML::Load would build its own
 * tree: of endlessly many documents for "[1] {x: y},", in quadratic time for
 * long maps, and in exponential size for aliases of aliases. */
class Builder : public YAML::EventHandler {
 public:
  Builder(ConfigNode& root, const Origin& origin)
      : origin_(origin), waiting_(&root) {}

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (started_) {
      throw NotConfig{origin_.at(mark),
                      "a second YAML document or value begins; allowed: one"};
    }
    started_ = true;
  }
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    next(mark, anchor).kind = Kind::null;
  }

  void OnScalar(const YAML::Mark& mark, const std::string& tag,
                YAML::anchor_t anchor, const std::string& value) override {
    if (at_key()) {
      add_key(mark, value);
      return;
    }
    ConfigNode& node = next(mark, anchor);
    node.kind = Kind::scalar;
    node.scalar = value;
    node.quoted = tag == "!" || tag == "tag:yaml.org,2002:str";
  }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    ConfigNode& node = next(mark, 0);
    const auto found = anchors_.find(anchor);
    if (found == anchors_.end() ||
        std::find(open_.begin(), open_.end(), found->second) != open_.end()) {
      throw NotConfig{origin_.at(mark),
                      "an alias of a key, or inside what it names"};
    }
    copy(*found->second, node, open_.size(), mark);
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string&,
                       YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    open(next(mark, anchor), Kind::list, mark);
  }
  void OnSequenceEnd() override { open_.pop_back(); }

  void OnMapStart(const YAML::Mark& mark, const std::string&,
                  YAML::anchor_t anchor, YAML::EmitterStyle::value) override {
    open(next(mark, anchor), Kind::map, mark);
  }
  void OnMapEnd() override { open_.pop_back(); }

 private:
  /** Whether a map is open and its next key is due. */
  bool at_key() const {
    return waiting_ == nullptr && !open_.empty() &&
           open_.back()->kind == Kind::map;
  }

  void add_key(const YAML::Mark& mark, const std::string& key) {
    ConfigNode& map = *open_.back();
    const ConfigNode* first = map.find(key);
    waiting_ = &map.add(key, origin_.at(mark));
    if (first != nullptr) {
      waiting_->note(cat("given twice; first at ", first->where));
    }
  }

  /** The node that the next value fills. */
  ConfigNode& next(const YAML::Mark& mark, YAML::anchor_t anchor) {
    if (at_key()) {
      throw NotConfig{origin_.at(mark),
                      "a key must be a plain word; is a "
                      "bracket not closed?"};
    }
    count(mark);
    ConfigNode* node = waiting_;
    waiting_ = nullptr;
    if (node == nullptr) {
      ConfigNode& list = *open_.back();
      node = &list.add(cat("[", list.children.size(), "]"), origin_.at(mark));
    }
    if (anchor != 0) anchors_[anchor] = node;
    return *node;
  }

  void open(ConfigNode& node, Kind kind, const YAML::Mark& mark) {
    node.kind = kind;
    open_.push_back(&node);
    check_depth(open_.size(), mark);
  }

  void copy(const ConfigNode& from, ConfigNode& to, size_t depth,
            const YAML::Mark& mark) {
    check_depth(depth, mark);
    to.kind = from.kind;
    to.scalar = from.scalar;
    to.quoted = from.quoted;
    for (const auto& child : from.children) {
      count(mark);
      copy(*child, to.add(child->key, child->where), depth + 1, mark);
    }
  }

  void count(const YAML::Mark& mark) {
    if (++values_ > kMaxValues) {
      throw NotConfig{origin_.at(mark),
                      cat("more than ", kMaxValues, " values; a config has ",
                          "fewer, aliases counted as what they name")};
    }
  }

  void check_depth(size_t depth, const YAML::Mark& mark) const {
    if (depth > kConfigDepth) {
      throw NotConfig{
          origin_.at(mark),
          cat("nested too deeply; allowed: ", kConfigDepth, " levels")};
    }
  }

  const Origin& origin_;
  ConfigNode* waiting_;  ///< whose value comes next; null: a key or an item
  std::vector<ConfigNode*> open_;
  std::map<YAML::anchor_t, const ConfigNode*> anchors_;
  int64_t values_ = 0;
  bool started_ = false;
};

/** Whether the line begins with a tab, which YAML does not take as an indent.
 */
bool is_tab_indented(const std::string& text, int line) {
  std::istringstream lines(text);
  std::string found;
  for (int i = 0; i <= line && std::getline(lines, found); ++i) {
  }
  const size_t first = found.find_first_not_of(' ');
  return first != std::string::npos && found[first] == '\t';
}

}  // namespace

void fill_from_yaml(ConfigNode& node, const std::string& text,
                    const std::string& name, bool lines) {
  const Origin origin{name, lines};
  if (text.size() > kMaxConfigBytes) {
    throw NotConfig{name, cat("has ", text.size(), " bytes; a config has at ",
                              "most ", kMaxConfigBytes)};
  }
  node.children.clear();
  node.kind = Kind::null;
  node.problem.clear();
  Builder builder(node, origin);
  try {
    std::istringstream in(text);
    YAML::Parser parser(in);
    if (parser.HandleNextDocument(builder)) parser.HandleNextDocument(builder);
  } catch (const YAML::Exception& error) {
    throw NotConfig{origin.at(error.mark),
                    cat("not YAML: ", error.msg,
                        lines && is_tab_indented(text, error.mark.line)
                            ? "; the line begins with a tab, indent with spaces"
                            : "")};
  } catch (const std::exception& error) {
    throw NotConfig{name, cat("not YAML: ", error.what())};
  }
}

}  // namespace rsm
