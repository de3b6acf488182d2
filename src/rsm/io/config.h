#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace rsm {

struct ConfigNode;

/** A strict YAML config: every key that stands in it must be asked for, and
 * every value asked for is checked and remembered.
 *
 * A Config is a cheap handle to one section of a shared document; a section
 * that is missing or null is empty.
 *
 * Mistakes are gathered, so that one reading finds them all: where a value is
 * missing or wrong, that is noted and the default (an empty text where there is
 * none) handed out. done() throws what was noted; before it, nothing that was
 * read is to be acted on. Every mistake is a line of one rsm::UsageError:
 * "[config] file.yaml:LINE: section.key: what arrived; what is allowed". Asking
 * for a missing key twice with different defaults is a plain rsm::Error. */
class Config {
 public:
  /** Reads a file, then sets overrides "train.lr=3e-4": the value is YAML and
   * replaces what stands there; missing keys are made. In errors, values set so
   * come from `--set train.lr`. Throws at once for a file that is no map, no
   * YAML or not UTF-8, several documents, and more than 1 MiB, 10000 values or
   * 64 levels; duplicate keys and overrides that cannot be applied are noted.
   */
  static Config load(const std::string& path,
                     const std::vector<std::string>& overrides = {});

  /** The same from a text; `origin` is what errors call the file. */
  static Config parse(const std::string& text, const std::string& origin,
                      const std::vector<std::string>& overrides = {});

  /** The map at `key`. */
  Config section(const std::string& key) const;
  /** The maps of the list at `key`; none where it is missing. */
  std::vector<Config> sections(const std::string& key) const;

  /** Whether the key stands in the config, also as null. Not yet asking. */
  bool has(const std::string& key) const;
  /** Whether a single value stands there, no list or section. Not yet asking.
   */
  bool is_scalar(const std::string& key) const;

  /** Any scalar, as it is written; without a default the key is required. */
  std::string text(const std::string& key) const;
  std::string text(const std::string& key, const std::string& fallback) const;

  /** Digits with a sign, in [min, max]; no leading zeros, which YAML 1.1 takes
   * for octal. */
  int64_t integer(const std::string& key, int64_t fallback,
                  int64_t min = std::numeric_limits<int64_t>::min(),
                  int64_t max = std::numeric_limits<int64_t>::max()) const;

  /** A decimal number in [min, max]. Infinities (.inf) are refused unless a
   * bound is infinite; NaN always is. */
  double real(const std::string& key, double fallback,
              double min = std::numeric_limits<double>::lowest(),
              double max = std::numeric_limits<double>::max()) const;

  /** true or false, spelled so. */
  bool flag(const std::string& key, bool fallback) const;

  /** One of `allowed`. */
  std::string choice(const std::string& key, const std::string& fallback,
                     const std::vector<std::string>& allowed) const;

  std::vector<int64_t> integers(
      const std::string& key, const std::vector<int64_t>& fallback,
      int64_t min = std::numeric_limits<int64_t>::min(),
      int64_t max = std::numeric_limits<int64_t>::max()) const;
  std::vector<double> reals(
      const std::string& key, const std::vector<double>& fallback,
      double min = std::numeric_limits<double>::lowest(),
      double max = std::numeric_limits<double>::max()) const;
  std::vector<std::string> texts(
      const std::string& key, const std::vector<std::string>& fallback) const;

  /** Notes a mistake that only the caller can see, unless one was noted there
   * or below: it may follow from it. */
  void note(const std::string& key, const std::string& message) const;
  /** Runs what may refuse the value at `key`; an rsm::Error is noted there. */
  void check(const std::string& key, const std::function<void()>& action) const;
  /** Whether a mistake was noted at `key` or below, so that what was handed out
   * for it is not what the user wants. */
  bool is_wrong(const std::string& key) const;
  /** Reports no unknown keys here and below: a mistake noted elsewhere hides
   * which keys this section has. */
  void allow_any_key() const;

  /** Throws where anything is wrong, here or in any section below. In this
   * order: keys that were never asked for ("train.lrr: unknown key; known: lr,
   * steps (did you mean "lr"?)"), wrong values, missing ones. Call it on the
   * root after everything was asked. */
  void done() const;

  /** YAML of this section and those below: every value that was asked for,
   * defaults included, in the order of first asking. Parsing it gives the same
   * values; reals read back exactly. Throws as done() does. */
  std::string resolved() const;

 private:
  explicit Config(std::shared_ptr<ConfigNode> node) : node_(std::move(node)) {}

  /** Keeps the whole document alive, whichever section it points to. */
  std::shared_ptr<ConfigNode> node_;
};

}  // namespace rsm
