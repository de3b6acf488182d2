#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace rsm {

/** Fields of a JSON object that nobody vouches for. What is missing or no value
 * of its kind is an rsm::Error: "WHERE: a.b is a string; ... is needed". */
class JsonFields {
 public:
  /** `where` begins every error: "[checkpoint] file.json". */
  JsonFields(nlohmann::json object, std::string where, std::string prefix = "");

  bool has(const std::string& key) const { return object_.contains(key); }
  /** A whole number from 0 to 2^53. */
  int64_t count(const std::string& key) const;
  /** Any whole number from 0 on. */
  uint64_t seed(const std::string& key) const;
  /** A finite number from 0 on. */
  double amount(const std::string& key) const;
  std::string text(const std::string& key) const;
  std::vector<std::string> texts(const std::string& key) const;
  bool truth(const std::string& key) const;
  /** A number; NaN where the key is missing or null, as what could not be
   * measured is in files of this program. */
  double number(const std::string& key) const;
  /** A list of numbers; null is NaN. */
  std::vector<double> numbers(const std::string& key) const;
  JsonFields object(const std::string& key) const;
  const nlohmann::json& value(const std::string& key) const;
  std::vector<std::string> keys() const;

 private:
  [[noreturn]] void refuse(const std::string& key,
                           const std::string& needed) const;

  nlohmann::json object_;
  std::string where_;
  std::string prefix_;  ///< "a." for the fields of a
};

}  // namespace rsm
