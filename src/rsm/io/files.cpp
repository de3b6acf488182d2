#include "rsm/io/files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cerrno>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "rsm/base/error.h"
#include "rsm/io/json_text.h"
#include "rsm/io/plain_text.h"

namespace rsm {
namespace {

[[noreturn]] void fail(const std::string& action, const std::string& path) {
  const int code = errno;
  throw Error(
      cat("[files] cannot ", action, " ", path, ": ", std::strerror(code)));
}

/** A temporary file that vanishes unless it is renamed. */
class TemporaryFile {
 public:
  explicit TemporaryFile(const std::string& target) : target_(target) {
    static std::atomic<uint64_t> count{0};
    path_ = cat(target, ".tmp.", ::getpid(), ".", count++);
    descriptor_ =
        ::open(path_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (descriptor_ < 0) fail("write", target_);
  }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  ~TemporaryFile() {
    if (descriptor_ >= 0) ::close(descriptor_);
    if (!path_.empty()) ::unlink(path_.c_str());
  }

  void write(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t written = ::write(descriptor_, bytes.data(), bytes.size());
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) fail("write", target_);
      bytes.remove_prefix(static_cast<size_t>(written));
    }
  }

  void commit() {
    if (::fsync(descriptor_) != 0) fail("write", target_);
    const int closed = ::close(descriptor_);
    descriptor_ = -1;
    if (closed != 0) fail("write", target_);
    if (::rename(path_.c_str(), target_.c_str()) != 0) {
      fail("replace", target_);
    }
    path_.clear();
    sync_folder();
  }

 private:
  /** Makes the rename itself durable, where the file system can. */
  void sync_folder() const {
    const auto parent = std::filesystem::path(target_).parent_path();
    const std::string folder = parent.empty() ? "." : parent.string();
    const int descriptor =
        ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (descriptor < 0) return;
    ::fsync(descriptor);
    ::close(descriptor);
  }

  std::string target_;
  std::string path_;
  int descriptor_ = -1;
};

/** Whether a TemporaryFile is called so: "name.tmp.123.4". */
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

class Sha256 {
 public:
  static constexpr size_t kBlock = 64;  ///< bytes

  /** Takes whole blocks. */
  void add(std::string_view blocks) {
    size_ += blocks.size();
    for (; blocks.size() >= kBlock; blocks.remove_prefix(kBlock)) {
      block(blocks.data());
    }
  }

  /** Takes the rest, and ends. */
  std::string digest(std::string_view bytes) {
    const size_t whole = bytes.size() / kBlock * kBlock;
    add(bytes.substr(0, whole));
    std::string tail(bytes.substr(whole));
    const uint64_t bits = (size_ + tail.size()) * 8;
    tail += '\x80';
    tail.resize(tail.size() <= 56 ? 64 : 128, '\0');
    for (size_t i = 0; i < 8; ++i) {
      tail[tail.size() - 1 - i] = static_cast<char>(bits >> (8 * i));
    }
    for (size_t i = 0; i < tail.size(); i += 64) block(tail.data() + i);
    std::string hex;
    for (const uint32_t word : state_) {
      std::array<char, 9> digits;
      std::snprintf(digits.data(), digits.size(), "%08x", word);
      hex += digits.data();
    }
    return hex;
  }

 private:
  /** The standard's constants: first 32 fractional bits of the square roots
   * (start) and cube roots (rounds) of the first 64 primes. A double holds
   * them with 17 bits to spare. */
  struct Constants {
    std::array<uint32_t, 8> start;
    std::array<uint32_t, 64> rounds;

    Constants() {
      size_t found = 0;
      for (int number = 2; found < rounds.size(); ++number) {
        bool prime = true;
        for (int d = 2; d * d <= number; ++d) prime &= number % d != 0;
        if (!prime) continue;
        if (found < start.size()) start[found] = fraction(std::sqrt(number));
        rounds[found++] = fraction(std::cbrt(number));
      }
    }
    static uint32_t fraction(double value) {
      return static_cast<uint32_t>((value - std::floor(value)) * 0x1p32);
    }
  };

  static const Constants& constants() {
    static const Constants instance;
    return instance;
  }

  void block(const char* data) {
    std::array<uint32_t, 64> w;
    for (size_t i = 0; i < 16; ++i) {
      w[i] = 0;
      for (size_t j = 0; j < 4; ++j) {
        w[i] = w[i] << 8 | static_cast<unsigned char>(data[4 * i + j]);
      }
    }
    for (size_t i = 16; i < 64; ++i) {
      const uint32_t a = w[i - 15], b = w[i - 2];
      w[i] = w[i - 16] + w[i - 7] +
             (std::rotr(a, 7) ^ std::rotr(a, 18) ^ a >> 3) +
             (std::rotr(b, 17) ^ std::rotr(b, 19) ^ b >> 10);
    }
    auto [a, b, c, d, e, f, g, h] = state_;
    for (size_t i = 0; i < 64; ++i) {
      const uint32_t sum1 =
          std::rotr(e, 6) ^ std::rotr(e, 11) ^ std::rotr(e, 25);
      const uint32_t t1 =
          h + sum1 + ((e & f) ^ (~e & g)) + constants().rounds[i] + w[i];
      const uint32_t sum0 =
          std::rotr(a, 2) ^ std::rotr(a, 13) ^ std::rotr(a, 22);
      const uint32_t t2 = sum0 + ((a & b) ^ (a & c) ^ (b & c));
      h = g, g = f, f = e, e = d + t1;
      d = c, c = b, b = a, a = t1 + t2;
    }
    const std::array<uint32_t, 8> added = {a, b, c, d, e, f, g, h};
    for (size_t i = 0; i < 8; ++i) state_[i] += added[i];
  }

  uint64_t size_ = 0;  ///< bytes so far
  std::array<uint32_t, 8> state_ = constants().start;
};

std::filesystem::file_type type_of(const std::string& path) {
  std::error_code code;
  const auto type = std::filesystem::status(path, code).type();
  RSM_CHECK(type != std::filesystem::file_type::none, "[files] cannot look at ",
            shown(path), ": ", code.message());
  return type;
}

bool is_link(const std::string& path) {
  std::error_code ignored;
  return std::filesystem::is_symlink(path, ignored);
}

}  // namespace

std::string read_file(const std::string& path) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) fail("read", path);
  std::string bytes;
  struct stat status;
  if (::fstat(descriptor, &status) == 0 && S_ISREG(status.st_mode)) {
    bytes.reserve(static_cast<size_t>(status.st_size));
  }
  std::vector<char> buffer(size_t{1} << 16);
  while (true) {
    const ssize_t count = ::read(descriptor, buffer.data(), buffer.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) {
      const int code = errno;
      ::close(descriptor);
      errno = code;
      fail("read", path);
    }
    if (count == 0) break;
    bytes.append(buffer.data(), static_cast<size_t>(count));
  }
  ::close(descriptor);
  return bytes;
}

void write_file_atomic(const std::string& path, std::string_view bytes) {
  write_pieces_atomic(path, {bytes});
}

void write_pieces_atomic(const std::string& path,
                         const std::vector<std::string_view>& pieces) {
  TemporaryFile file(path);
  for (const auto piece : pieces) file.write(piece);
  file.commit();
}

void copy_file_atomic(const std::string& from, const std::string& to) {
  std::ifstream source(from, std::ios::binary);
  if (!source) fail("read", from);
  TemporaryFile file(to);
  std::string part(size_t{1} << 20, '\0');
  while (source) {
    source.read(part.data(), static_cast<std::streamsize>(part.size()));
    if (source.bad()) fail("read", from);
    file.write({part.data(), static_cast<size_t>(source.gcount())});
  }
  file.commit();
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

void make_folders(const std::string& path) {
  std::error_code code;
  std::filesystem::create_directories(path, code);
  RSM_CHECK(is_folder(path), "[files] cannot make the ", "folder ", path, ": ",
            code ? code.message() : "something else lies there");
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
    } else if (is_temporary(name) && fs::remove(entry.path(), code)) {
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

std::string checksum(std::string_view bytes) { return Sha256().digest(bytes); }

std::string file_checksum(const std::string& path) {
  constexpr size_t kPart = Sha256::kBlock << 14;  // 1 MiB
  std::ifstream file(path, std::ios::binary);
  if (!file) fail("read", path);
  Sha256 sum;
  std::string part(kPart, '\0');
  while (true) {
    file.read(part.data(), static_cast<std::streamsize>(kPart));
    const auto count = static_cast<size_t>(file.gcount());
    if (file.bad()) fail("read", path);
    if (count < kPart) return sum.digest({part.data(), count});
    sum.add(part);
  }
}

std::string base64(std::string_view bytes) {
  static constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  out.reserve((bytes.size() + 2) / 3 * 4);
  for (size_t i = 0; i < bytes.size(); i += 3) {
    const size_t count = std::min<size_t>(3, bytes.size() - i);
    uint32_t group = 0;
    for (size_t j = 0; j < 3; ++j) {
      const auto byte = j < count ? bytes[i + j] : '\0';
      group = group << 8 | static_cast<unsigned char>(byte);
    }
    for (size_t j = 0; j < 4; ++j) {
      out += j <= count ? kDigits[group >> (18 - 6 * j) & 63] : '=';
    }
  }
  return out;
}

}  // namespace rsm
