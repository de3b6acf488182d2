#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <iterator>
#include <string>
#include <system_error>
#include <vector>

#include "rsm/base/error.h"

/** What tests around files share; no part of the library includes this. */
namespace rsm {

/** A folder of the test's own, removed at the end. */
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name =
        (std::filesystem::temp_directory_path() / "rsm-test-XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) throw Error("no temporary folder");
    path_ = name;
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }

  std::string operator/(const std::string& name) const {
    return (path_ / name).string();
  }
  std::string path() const { return path_.string(); }
  /** Files and folders directly inside. */
  int64_t entries() const {
    return std::distance(std::filesystem::directory_iterator(path_),
                         std::filesystem::directory_iterator());
  }

 private:
  std::filesystem::path path_;
};

/** Text of the rsm::Error that `action` throws; "" and a failure if none. */
inline std::string error_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.what();
  }
  ADD_FAILURE() << "no rsm::Error was thrown";
  return "";
}

/** Fails unless `text` has each of `parts`. */
inline void expect_parts(const std::string& text,
                         const std::vector<std::string>& parts) {
  for (const auto& part : parts) {
    EXPECT_NE(text.find(part), std::string::npos)
        << "no \"" << part << "\" in: " << text;
  }
}

/** Runs tests/python/<script> in the tests' Python; a failure where that is
 * missing or the script doesn't exit with 0. `arguments` need no quoting. */
inline void run_python(const std::string& script,
                       const std::string& arguments) {
  const std::string root = RSM_SOURCE_DIR;
  const std::string python = root + "/.venv-test/bin/python";
  ASSERT_TRUE(std::filesystem::exists(python))
      << python << " is missing; run 'make setup-tests'";
  const std::string command = "'" + python + "' '" + root + "/tests/python/" +
                              script + "' " + arguments;
  EXPECT_EQ(std::system(command.c_str()), 0) << command;
}

}  // namespace rsm
