#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "rsm/base/error.h"

namespace rsm {

struct ConfigNode;

/** A strict YAML config: every key that stands in it must be asked for, and
 * every value asked for is checked and remembered.
 *
 * A Config is a cheap handle to one section of a shared document; a section
 * that is missing or null is empty. All mistakes are rsm::UsageError:
 * "[config] file.yaml:LINE: section.key: what arrived; what is allowed". Asking
 * for a missing key twice with different defaults is a plain rsm::Error. */
class Config {
 public:
  /** Reads a file, then sets overrides "train.lr=3e-4": the value is YAML and
   * replaces what stands there; missing keys are made. In errors, values set so
   * come from `--set train.lr`. Duplicate keys, several documents, aliases
   * nested endlessly, and a file that is no map are refused. */
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

  /** Digits with a sign, in [min, max]. */
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

  /** Throws for the first key, here or in any section below, that was never
   * asked for: "train.lrr: unknown key; known: lr, steps (did you mean
   * "lr"?)". Call it on the root after everything was asked. */
  void done() const;

  /** For mistakes only the caller can see: "[config] origin: section.key: " and
   * `message`. */
  UsageError error(const std::string& key, const std::string& message) const;

  /** YAML of this section and those below: every value that was asked for,
   * defaults included, in the order of first asking. Parsing it gives the same
   * values; reals read back exactly. */
  std::string resolved() const;

 private:
  explicit Config(std::shared_ptr<ConfigNode> node) : node_(std::move(node)) {}

  /** Keeps the whole document alive, whichever section it points to. */
  std::shared_ptr<ConfigNode> node_;
};

}  // namespace rsm
