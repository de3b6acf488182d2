#include "rsm/io/files.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "rsm/base/error.h"
#include "rsm/io/json_text.h"
#include "rsm/io/printable.h"
#include "rsm/io/sha256.h"
#include "rsm/io/write_steps.h"

namespace rsm {
namespace {

/** What to do about it. */
const char* way_out(int code) {
  switch (code) {
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
      return "; make room there, then try again";
    case EROFS:
    case EACCES:
    case EPERM:
      return "; make it writable there, or choose another place";
    case EIO:
      return "; the disk itself fails: see the system's log";
    case ENOENT:
      return "; make its folder first, or choose another place";
    case ENOTDIR:
      return "; a file lies where a folder should: move it away, or choose "
             "another place";
    case EISDIR:
    case ENOTEMPTY:
      return "; a folder lies there: move it away, or choose another place";
    case ENAMETOOLONG:
      return "; choose a shorter name";
    default:
      return "; see what is wrong there, or choose another place";
  }
}

[[noreturn]] void fail(const std::string& action, const std::string& path) {
  const int code = errno;
  throw Error(cat("[files] cannot ", action, " ", path, ": ",
                  std::strerror(code), way_out(code)));
}

/** Hands on a file's bytes, a part at a time. */
template <typename Take>
void for_each_part(const FileHandle& file, const std::string& path,
                   const Take& take) {
  std::vector<char> part(size_t{1} << 16);
  while (true) {
    const ssize_t count = ::read(file.number(), part.data(), part.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) fail("read", path);
    if (count == 0) return;
    take(std::string_view(part.data(), static_cast<size_t>(count)));
  }
}

/** Makes a renaming durable, where the file system can. */
void sync_folder_of(const std::string& path) {
  const auto parent = std::filesystem::path(path).parent_path();
  const std::string folder = parent.empty() ? "." : parent.string();
  const FileHandle handle(
      ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (handle.is_open()) sync_file(handle, folder);
}

/** Whether the temporary file of an AtomicFile is called so: "name.tmp.123.4".
 */
bool is_temporary(std::string_view name) {
  const auto cut_digits = [&name] {
    const size_t rest = name.find_last_not_of("0123456789");
    const bool any = rest != std::string_view::npos && rest + 1 < name.size();
    name = any ? name.substr(0, rest + 1) : "";
  };
  cut_digits();
  if (!name.ends_with('.')) return false;
  name.remove_suffix(1);
  cut_digits();
  return name.ends_with(".tmp.") && name.size() > 5;
}

std::filesystem::file_type type_of(const std::string& path) {
  std::error_code code;
  const auto type = std::filesystem::status(path, code).type();
  RSM_CHECK(type != std::filesystem::file_type::none, "[files] cannot look at ",
            shown(path), ": ", code.message(), way_out(code.value()));
  return type;
}

bool is_link(const std::string& path) {
  std::error_code ignored;
  return std::filesystem::is_symlink(path, ignored);
}

}  // namespace

std::string read_file(const std::string& path, uint64_t most) {
  uint64_t size = 0;
  const FileHandle file = open_to_read(path, size);
  std::string bytes;
  const auto check = [&](uint64_t count) {
    RSM_CHECK(count <= most, "[files] ", path, " has more than ", most,
              " bytes, the most that such a file may have; is it the right "
              "one?");
  };
  check(size);
  bytes.reserve(size);
  for_each_part(file, path, [&](std::string_view part) {
    check(bytes.size() + part.size());
    bytes += part;
  });
  return bytes;
}

AtomicFile::AtomicFile(const std::string& path) : path_(path) {
  static std::atomic<uint64_t> count{0};
  const std::string name = cat(path, ".tmp.", ::getpid(), ".", count++);
  file_ = open_to_write(name, O_WRONLY | O_CREAT | O_EXCL);
  if (!file_.is_open()) fail("write", path_);
  temporary_ = name;
}

AtomicFile::~AtomicFile() {
  if (!temporary_.empty()) remove_path(temporary_);
}

void AtomicFile::write(std::string_view bytes) {
  if (!write_to(file_, path_, bytes)) fail("write", path_);
}

void AtomicFile::commit() {
  if (!sync_file(file_, path_) || !file_.close()) fail("write", path_);
  if (!rename_path(temporary_, path_)) fail("replace", path_);
  temporary_.clear();
  sync_folder_of(path_);
}

void write_file_atomic(const std::string& path, std::string_view bytes) {
  AtomicFile file(path);
  file.write(bytes);
  file.commit();
}

void append_to_file(const std::string& path, std::string_view bytes) {
  const FileHandle file = open_to_write(path, O_WRONLY | O_APPEND | O_CREAT);
  struct stat before = {};
  if (!file.is_open() || ::fstat(file.number(), &before) != 0) {
    fail("write", path);
  }
  if (!write_to(file, path, bytes) || !sync_file(file, path)) {
    const int code = errno;
    const bool taken_back = cut_file(file, path, before.st_size);
    errno = code;
    fail(taken_back ? "write" : "take back what was half written of", path);
  }
}

void copy_file_atomic(const std::string& from, const std::string& to) {
  uint64_t size = 0;
  const FileHandle source = open_to_read(from, size);
  AtomicFile file(to);
  for_each_part(source, from, [&](std::string_view part) { file.write(part); });
  file.commit();
}

void remove_file(const std::string& path) {
  if (!remove_path(path) && errno != ENOENT) fail("remove", path);
}

bool is_there(const std::string& path) {
  using std::filesystem::file_type;
  return type_of(path) != file_type::not_found || is_link(path);
}

bool is_file(const std::string& path) {
  return type_of(path) == std::filesystem::file_type::regular;
}

bool is_folder(const std::string& path) {
  return type_of(path) == std::filesystem::file_type::directory;
}

std::vector<std::string> names_in(const std::string& folder) {
  namespace fs = std::filesystem;
  std::vector<std::string> names;
  std::error_code failed;
  for (fs::directory_iterator at(folder, failed), end; !failed && at != end;
       at.increment(failed)) {
    names.push_back(at->path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

void make_folders(const std::string& path) {
  std::error_code code;
  std::filesystem::create_directories(path, code);
  if (is_folder(path)) return;
  errno = code ? code.value() : ENOTDIR;
  fail("make the folder", path);
}

int64_t remove_temporary_files(const std::string& folder,
                               const std::vector<std::string>& except) {
  namespace fs = std::filesystem;
  int64_t count = 0;
  std::error_code code;
  for (const auto& entry : fs::directory_iterator(folder, code)) {
    const std::string name = entry.path().filename().string();
    if (entry.is_directory(code) && !entry.is_symlink(code)) {
      const bool enter =
          std::find(except.begin(), except.end(), name) == except.end();
      count += enter ? remove_temporary_files(entry.path().string()) : 0;
    } else if (is_temporary(name) && remove_path(entry.path().string())) {
      ++count;
    }
  }
  return count;
}

nlohmann::json read_json(const std::string& path) {
  return parse_json(cat("[json] ", path), read_file(path));
}

void write_json_atomic(const std::string& path, const nlohmann::json& value) {
  std::string text;
  try {
    text = value.dump(2);
  } catch (const nlohmann::json::exception& error) {
    throw Error(cat("[json] cannot write ", path, ": ", error.what()));
  }
  write_file_atomic(path, text + "\n");
}

std::string checksum(std::string_view bytes) {
  Sha256 sum;
  sum.add(bytes);
  return sum.digits();
}

std::string file_checksum(const std::string& path) {
  uint64_t size = 0;
  const FileHandle file = open_to_read(path, size);
  Sha256 sum;
  for_each_part(file, path, [&](std::string_view part) { sum.add(part); });
  return sum.digits();
}

std::string base64(std::string_view bytes) {
  constexpr size_t kPart = 3 << 20;  // without padding between them
  std::string out((bytes.size() + 2) / 3 * 4 + 1, '\0');
  auto* next = reinterpret_cast<unsigned char*>(out.data());
  for (size_t i = 0; i < bytes.size(); i += kPart) {
    const auto part = bytes.substr(i, kPart);
    next += EVP_EncodeBlock(next,
                            reinterpret_cast<const unsigned char*>(part.data()),
                            static_cast<int>(part.size()));
  }
  out.pop_back();  // the end that OpenSSL writes
  return out;
}

}  // namespace rsm
