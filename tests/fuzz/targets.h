#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

/** Readers of files that anybody may have written, fed with bytes: by libFuzzer
 * (main.cpp) as long as one likes, by fuzz_test.cpp with some thousands that
 * are the same every time. Whatever comes, they take it or throw rsm::Error. */
namespace rsm::fuzz {

struct Target {
  std::string name;
  /** Inputs that it takes. */
  std::vector<std::string> (*seeds)();
  /** Reads bytes as the program reads a file of them; throws what that throws.
   */
  void (*load)(const std::string& bytes);
  /** Leading bytes that choose which file the others are. */
  size_t selector = 0;
  int64_t tries = 3000;  ///< in the tests: at most a second or two
};

/** Of io/, data/, rewards/ and runs/. */
std::vector<Target> file_targets();
/** Of models/, paths/ and text/. */
std::vector<Target> model_targets();
/** Both. */
const std::vector<Target>& targets();
/** Throws rsm::Error, naming those there are, for another name. */
const Target& find_target(const std::string& name);

}  // namespace rsm::fuzz
