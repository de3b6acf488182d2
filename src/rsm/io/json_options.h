#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <utility>
#include <vector>

namespace rsm {

/** A JSON value, or a key, as an error shows it: cut where it is long. */
std::string shown(const nlohmann::json& value);
std::string shown_text(const std::string& text);

/** read_json (io/files.h) of a file that Python may have written: its NaN,
 * Infinity and -Infinity are read as texts of these names. */
nlohmann::json read_python_json(const std::string& path);

/** Reads the fields of a JSON object that others wrote. Every mistake is an
 * rsm::Error "WHERE: key is VALUE; ... is needed", with WHERE such as
 * "[Sd3Config] transformer/config.json"; never an exception of the library.
 * Where a key is missing, values stay as they are. Keeps a reference to the
 * object. */
class JsonOptions {
 public:
  /** What a null means: the same as no key, or a value of the wrong type. */
  enum class Null { is_missing, is_wrong };

  /** Throws where `object` is none. */
  JsonOptions(const nlohmann::json& object, std::string where,
              Null null = Null::is_wrong);

  /** Whether the key is there (and not null, where null is missing). */
  bool has(const char* key) const;
  /** The value of a key, null where there is none. */
  nlohmann::json value(const char* key) const;

  /** An integer in [low, high]. */
  void integer(const char* key, int64_t& value, int64_t low,
               int64_t high) const;
  /** A finite number above `low`, at most `high`. */
  void number_above(const char* key, double& value, double low,
                    double high) const;
  void truth(const char* key, bool& value) const;
  void text(const char* key, std::string& value) const;
  /** A list of integers in [low, high], at most `most` of them. */
  void integers(const char* key, std::vector<int64_t>& value, int64_t low,
                int64_t high, size_t most) const;

  /** Throws the error of a key unless `right`. */
  void check(const char* key, bool right, const std::string& needed) const;
  /** Throws for the first key that is not among `known`; keys that begin with
   * "_" are private to those who wrote them, and torch_dtype and the like only
   * say how. */
  void check_keys(const std::vector<std::string>& known) const;

  const std::string& where() const { return where_; }

 private:
  const nlohmann::json& object_;
  std::string where_;
  Null null_;
};

/** Whether a JSON value is an integer in [low, high]. */
bool is_integer(const nlohmann::json& value, int64_t low, int64_t high);

}  // namespace rsm
