#include "rsm/io/config.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <functional>
#include <optional>
#include <string_view>

#include "rsm/io/config_node.h"
#include "rsm/io/config_yaml.h"
#include "rsm/io/files.h"
#include "rsm/io/printable.h"

namespace rsm {
namespace {

using Kind = ConfigNode::Kind;

/** How a kind of value is read from a node and printed as YAML. */
template <typename T>
struct Reader {
  std::string allowed;
  std::function<std::optional<T>(ConfigNode&)> parse;
  std::function<std::string(const T&)> print;
};

/** Hands out the value of a key; `fallback` null: the key is required. What is
 * wrong is noted. */
template <typename T>
T take(ConfigNode& section, const std::string& key, const T* fallback,
       const Reader<T>& reader) {
  ConfigNode& node = section.ask(key);
  if (node.kind == Kind::absent && fallback != nullptr) {
    const std::string answer = reader.print(*fallback);
    RSM_CHECK(node.answer.empty() || node.answer == answer, "[config] ",
              node.path(), " was asked for with the defaults ", node.answer,
              " and ", answer, "; it must have one");
    node.answer = answer;
    return *fallback;
  }
  const std::optional<T> value = reader.parse(node);
  if (!value) {
    node.note_wrong(reader.allowed);
    return fallback == nullptr ? T{} : *fallback;
  }
  node.answer = reader.print(*value);
  return *value;
}

template <typename T>
Reader<std::vector<T>> list_of(const Reader<T>& item) {
  return {cat("a list, each item ", item.allowed),
          [item](ConfigNode& node) {
            std::optional<std::vector<T>> values;
            if (node.kind != Kind::list) return values;
            values.emplace();
            for (const auto& child : node.children) {
              child->asked = true;
              const auto value = item.parse(*child);
              if (value) {
                values->push_back(*value);
              } else {
                child->note_wrong(item.allowed);
              }
            }
            return values;
          },
          [item](const std::vector<T>& values) {
            std::vector<std::string> texts;
            for (const auto& value : values) texts.push_back(item.print(value));
            return cat("[", join(texts), "]");
          }};
}

bool is_plain_scalar(const ConfigNode& node) {
  return node.kind == Kind::scalar && !node.quoted;
}

/** "010" is eight in YAML 1.1 and ten in 1.2. */
bool is_octal(std::string_view text) {
  if (text.starts_with('-')) text.remove_prefix(1);
  return text.size() > 1 && text[0] == '0' && text[1] >= '0' && text[1] <= '9';
}

/** The whole text as a number; a sign "+" is taken, too. */
template <typename T>
std::optional<T> parse_number(std::string_view text) {
  if (text.starts_with("+-")) return std::nullopt;
  if (text.starts_with('+')) text.remove_prefix(1);
  if (is_octal(text)) return std::nullopt;
  T value{};
  const char* end = text.data() + text.size();
  const auto result = std::from_chars(text.data(), end, value);
  if (result.ec != std::errc() || result.ptr != end) return std::nullopt;
  return value;
}

std::optional<double> parse_real(const std::string& text) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  if (text == ".inf" || text == "+.inf") return kInfinity;
  if (text == "-.inf") return -kInfinity;
  // The parser itself would also take "inf" and "nan".
  if (text.find_first_not_of("+-.0123456789eE") != std::string::npos) {
    return std::nullopt;
  }
  return parse_number<double>(text);
}

std::string print_real(double value) {
  if (std::isinf(value)) return value > 0 ? ".inf" : "-.inf";
  std::array<char, 32> text;
  const auto result =
      std::to_chars(text.data(), text.data() + text.size(), value);
  return std::string(text.data(), result.ptr);
}

/** "an integer in [1, 10]", leaving out bounds that no number reaches. */
template <typename T>
std::string range(const char* noun, T min, T max,
                  const std::function<std::string(const T&)>& print) {
  const bool low = min > std::numeric_limits<T>::lowest();
  const bool high = max < std::numeric_limits<T>::max();
  if (low && high) return cat(noun, " in [", print(min), ", ", print(max), "]");
  if (low) return cat(noun, " >= ", print(min));
  if (high) return cat(noun, " <= ", print(max));
  return noun;
}

std::string place(const ConfigNode& section, const std::string& key) {
  const std::string above = section.path();
  return above.empty() ? key : cat(above, ".", key);
}

template <typename T>
void check_default(const ConfigNode& section, const std::string& key, T value,
                   T min, T max) {
  RSM_CHECK(min <= value && value <= max, "[config] the default of ",
            place(section, key), " is ", value, "; allowed: ", min, " to ",
            max);
}

Reader<int64_t> integer_reader(int64_t min, int64_t max) {
  const auto print = [](const int64_t& value) { return std::to_string(value); };
  return {range<int64_t>("an integer", min, max, print),
          [min, max](ConfigNode& node) {
            auto value = is_plain_scalar(node)
                             ? parse_number<int64_t>(node.scalar)
                             : std::nullopt;
            if (value && (*value < min || *value > max)) value.reset();
            return value;
          },
          print};
}

Reader<double> real_reader(double min, double max) {
  return {range<double>("a number", min, max, print_real),
          [min, max](ConfigNode& node) {
            auto value =
                is_plain_scalar(node) ? parse_real(node.scalar) : std::nullopt;
            if (value && !(*value >= min && *value <= max)) value.reset();
            return value;
          },
          print_real};
}

Reader<std::string> text_reader() {
  return {"a text",
          [](ConfigNode& node) {
            return node.kind == Kind::scalar ? std::optional(node.scalar)
                                             : std::nullopt;
          },
          yaml_text};
}

}  // namespace

Config Config::load(const std::string& path,
                    const std::vector<std::string>& overrides) {
  std::string text;
  try {
    text = read_file(path, kMaxConfigBytes);
  } catch (const Error& error) {
    throw UsageError(cat("[config] ", path, ": ", error.what()));
  }
  return parse(text, path, overrides);
}

Config Config::parse(const std::string& text, const std::string& origin,
                     const std::vector<std::string>& overrides) {
  std::shared_ptr<ConfigNode> root = parse_config(text, origin);
  for (const auto& assignment : overrides) override_config(*root, assignment);
  return Config(root);
}

Config Config::section(const std::string& key) const {
  ConfigNode& node = node_->ask(key);
  const bool map = node.kind == Kind::map || node.kind == Kind::null ||
                   node.kind == Kind::absent;
  if (!map) node.note_wrong("a section (a map of keys to values)");
  return Config(std::shared_ptr<ConfigNode>(node_, &node));
}

std::vector<Config> Config::sections(const std::string& key) const {
  std::vector<Config> found;
  ConfigNode& node = node_->ask(key);
  if (node.kind == Kind::absent) return found;
  if (node.kind != Kind::list) node.note_wrong("a list of sections");
  for (const auto& item : node.children) {
    item->asked = true;
    if (item->kind != Kind::map) {
      item->note_wrong("a section");
      continue;
    }
    found.push_back(Config(std::shared_ptr<ConfigNode>(node_, item.get())));
  }
  return found;
}

bool Config::has(const std::string& key) const {
  return node_->mention(key).kind != Kind::absent;
}

bool Config::is_scalar(const std::string& key) const {
  return node_->mention(key).kind == Kind::scalar;
}

std::string Config::text(const std::string& key) const {
  return take<std::string>(*node_, key, nullptr, text_reader());
}

std::string Config::text(const std::string& key,
                         const std::string& fallback) const {
  return take(*node_, key, &fallback, text_reader());
}

int64_t Config::integer(const std::string& key, int64_t fallback, int64_t min,
                        int64_t max) const {
  check_default(*node_, key, fallback, min, max);
  return take(*node_, key, &fallback, integer_reader(min, max));
}

double Config::real(const std::string& key, double fallback, double min,
                    double max) const {
  check_default(*node_, key, fallback, min, max);
  return take(*node_, key, &fallback, real_reader(min, max));
}

bool Config::flag(const std::string& key, bool fallback) const {
  const Reader<bool> reader = {
      "true or false",
      [](ConfigNode& node) -> std::optional<bool> {
        if (!is_plain_scalar(node)) return std::nullopt;
        if (node.scalar == "true") return true;
        if (node.scalar == "false") return false;
        return std::nullopt;
      },
      [](const bool& value) { return value ? "true" : "false"; }};
  return take(*node_, key, &fallback, reader);
}

std::string Config::choice(const std::string& key, const std::string& fallback,
                           const std::vector<std::string>& allowed) const {
  const auto known = [&](const std::string& word) {
    return std::find(allowed.begin(), allowed.end(), word) != allowed.end();
  };
  RSM_CHECK(known(fallback), "[config] the default of ", place(*node_, key),
            " is ", unknown_word(fallback, allowed));
  Reader<std::string> reader = text_reader();
  reader.allowed = "one of " + join(allowed);
  const std::string word = take(*node_, key, &fallback, reader);
  if (known(word)) return word;
  note(key, unknown_word(shown(word), allowed));
  return fallback;
}

std::vector<int64_t> Config::integers(const std::string& key,
                                      const std::vector<int64_t>& fallback,
                                      int64_t min, int64_t max) const {
  for (const auto value : fallback) {
    check_default(*node_, key, value, min, max);
  }
  return take(*node_, key, &fallback, list_of(integer_reader(min, max)));
}

std::vector<double> Config::reals(const std::string& key,
                                  const std::vector<double>& fallback,
                                  double min, double max) const {
  for (const auto value : fallback) {
    check_default(*node_, key, value, min, max);
  }
  return take(*node_, key, &fallback, list_of(real_reader(min, max)));
}

std::vector<std::string> Config::texts(
    const std::string& key, const std::vector<std::string>& fallback) const {
  return take(*node_, key, &fallback, list_of(text_reader()));
}

void Config::note(const std::string& key, const std::string& message) const {
  node_->mention(key).note(message);
}

void Config::check(const std::string& key,
                   const std::function<void()>& action) const {
  try {
    action();
  } catch (const Error& error) {
    note(key, error.what());
  }
}

bool Config::is_wrong(const std::string& key) const {
  const ConfigNode* node = node_->find(key);
  return node != nullptr && node->is_wrong();
}

void Config::allow_any_key() const { node_->any_key = true; }

void Config::done() const {
  constexpr size_t kShown = 50;
  auto problems = config_problems(*node_);
  if (problems.empty()) return;
  if (problems.size() == 1) throw UsageError("[config] " + problems[0]);
  const std::string count = cat(problems.size(), " problems:\n  ");
  if (problems.size() > kShown) {
    problems.resize(kShown);
    problems.emplace_back("...");
  }
  throw UsageError(cat("[config] ", count, join(problems, "\n  ")));
}

std::string Config::resolved() const {
  done();
  return resolved_config(*node_, "");
}

}  // namespace rsm
