#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

namespace rsm {

/** Bytes of a model's config; tokenizers have the largest. */
inline constexpr uint64_t kConfigBytes = 64 << 20;

/** A JSON value as an error shows it: cut where it is long. */
std::string shown_json(const nlohmann::json& value);

/** read_json (io/files.h) of a config that Python may have written: its NaN,
 * Infinity and -Infinity are read as texts of these names. */
nlohmann::json read_python_json(const std::string& path);

/** Whether a JSON value is an integer in [low, high]. */
bool is_integer(const nlohmann::json& value, int64_t low, int64_t high);

/** Reads the fields of a JSON object that nobody vouches for. Every mistake is
 * an rsm::Error "WHERE: a.key is VALUE; ... is needed", with WHERE such as
 * "[Sd3Config] transformer/config.json"; never an exception of the library.
 *
 * What may be missing is read into `value`, which stays as it is then; what
 * must be there is returned. Keeps a reference to the object. */
class JsonFields {
 public:
  static constexpr int64_t kMostCount = int64_t{1} << 53;
  /** What a null means: the same as no key, or a value of the wrong type. */
  enum class Null { is_missing, is_wrong };

  /** Throws where `object` is none. */
  JsonFields(const nlohmann::json& object, std::string where,
             Null null = Null::is_wrong);

  const std::string& where() const { return where_; }
  std::vector<std::string> keys() const;
  /** Whether the key is there (and not null, where null is missing). */
  bool has(const std::string& key) const;
  /** The value of a key, null where there is none. */
  const nlohmann::json& value(const std::string& key) const;

  /** An integer in [low, high]. */
  void integer(const std::string& key, int64_t& value, int64_t low,
               int64_t high) const;
  int64_t integer(const std::string& key, int64_t low = 0,
                  int64_t high = kMostCount) const;
  /** A list of at most `most` integers in [low, high]. */
  void integers(const std::string& key, std::vector<int64_t>& value,
                int64_t low, int64_t high, size_t most) const;
  std::vector<int64_t> integers(const std::string& key,
                                int64_t low = -kMostCount) const;
  /** A finite number above `low`, at most `high`. */
  void number_above(const std::string& key, double& value, double low,
                    double high) const;
  /** A finite number from 0 on. */
  double amount(const std::string& key) const;
  /** An integer from 0 on, of all 64 bits. */
  uint64_t seed(const std::string& key) const;
  /** A number; NaN where the key is missing or null, as what could not be
   * measured is in files of this program. */
  double number(const std::string& key) const;
  /** A list of numbers; null is NaN. */
  std::vector<double> numbers(const std::string& key) const;
  void truth(const std::string& key, bool& value) const;
  bool truth(const std::string& key) const;
  void text(const std::string& key, std::string& value) const;
  std::string text(const std::string& key) const;
  std::vector<std::string> texts(const std::string& key) const;
  /** One of `words`. */
  void choice(const std::string& key, std::string& value,
              const std::vector<std::string>& words) const;
  JsonFields object(const std::string& key) const;

  /** Throws the error of a key unless `right`: "...; NEEDED is needed". */
  void check(const std::string& key, bool right,
             const std::string& needed) const;
  /** The same with "...; only ALLOWED is supported". */
  void only(const std::string& key, bool right,
            const std::string& allowed) const;
  /** Throws for the first key that the object `known` has not; keys that begin
   * with "_" are private to those who wrote them, and torch_dtype and the like
   * only say how. */
  void check_keys(const nlohmann::json& known) const;

 private:
  [[noreturn]] void refuse(const std::string& key,
                           const std::string& instead) const;

  const nlohmann::json& object_;
  std::string where_;
  std::string prefix_ = {};  ///< "a." for the fields of a
  Null null_;
};

}  // namespace rsm
