#include "rsm/cli/output_paths.h"

#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>

#include "rsm/base/error.h"

namespace rsm {
namespace {

namespace fs = std::filesystem;

/** Files can be made in the folder, or in the nearest one above that is there.
 */
void check_folder(const std::string& option, const std::string& path,
                  fs::path folder) {
  std::error_code ignored;
  folder = fs::absolute(folder, ignored).lexically_normal();
  while (!fs::exists(fs::symlink_status(folder, ignored)) &&
         folder.has_relative_path()) {
    folder = folder.parent_path();
  }
  if (!fs::is_directory(folder, ignored)) {
    throw UsageError(cat("[", option, "] ", path, " cannot be written: ",
                         folder.string(), " is no folder; give another path"));
  }
  if (::access(folder.c_str(), W_OK | X_OK) != 0) {
    throw UsageError(cat("[", option, "] ", path,
                         " cannot be written: ", folder.string(), ": ",
                         std::strerror(errno), "; give another path"));
  }
}

}  // namespace

void check_output_file(const std::string& option, const std::string& path) {
  std::error_code ignored;
  const fs::path file(path);
  if (!file.has_filename() || fs::is_directory(file, ignored)) {
    throw UsageError(cat("[", option, "] \"", path,
                         "\" is a folder; the name of a file is needed"));
  }
  check_folder(option, path, file.has_parent_path() ? file.parent_path() : ".");
}

void check_output_folder(const std::string& option, const std::string& path) {
  if (path.empty()) {
    throw UsageError(
        cat("[", option, "] is empty; the path of a folder is ", "needed"));
  }
  check_folder(option, path, path);
}

void make_parent(const std::string& path) {
  const fs::path parent = fs::path(path).parent_path();
  std::error_code failed;
  if (!parent.empty()) fs::create_directories(parent, failed);
  RSM_CHECK(!failed, "[files] cannot make the folder ", parent.string(), ": ",
            failed.message());
}

}  // namespace rsm
