#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "rsm/io/file_handle.h"

namespace rsm {

/** Bytes of a file that is read at once, unless its reader allows less. */
inline constexpr uint64_t kFileBytes = uint64_t{1} << 30;

/** The bytes of a file that open_to_read (io/file_handle.h) takes. Throws
 * rsm::Error naming the file, before it is read where it is of another kind or
 * has more than `most` bytes. */
std::string read_file(const std::string& path, uint64_t most = kFileBytes);

/** A file that is replaced as a whole or not at all, written piece by piece: a
 * temporary file beside it, which commit() syncs and renames. A symbolic link
 * is replaced, not followed. Throws rsm::Error naming the file; then, and
 * without commit(), the old content stands and no temporary file is left. */
class AtomicFile {
 public:
  explicit AtomicFile(const std::string& path);
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;
  ~AtomicFile();

  void write(std::string_view bytes);
  void commit();

 private:
  std::string path_;
  std::string temporary_;  ///< empty once it is renamed
  FileHandle file_;
};

/** Writes such a file at once. */
void write_file_atomic(const std::string& path, std::string_view bytes);

/** Appends to a file, which is made where it is missing; the bytes are on the
 * disk when this returns. Throws rsm::Error naming the file, which then is as
 * before. */
void append_to_file(const std::string& path, std::string_view bytes);

/** The bytes of `from` in `to`, as write_file_atomic, a part at a time. */
void copy_file_atomic(const std::string& from, const std::string& to);

/** Removes a file, where there is one. Throws rsm::Error naming it. */
void remove_file(const std::string& path);

/** Whether something lies there (a link that leads nowhere, too: reading it
 * says so); whether it is a file; a folder. Throws rsm::Error naming the path
 * where that can't be told, as of a name that is too long. */
bool is_there(const std::string& path);
bool is_file(const std::string& path);
bool is_folder(const std::string& path);

/** Names of what lies in a folder, sorted; none where it can't be read. */
std::vector<std::string> names_in(const std::string& folder);

/** Makes the folder, and those above it, where they are missing. Throws
 * rsm::Error naming it. */
void make_folders(const std::string& path);

/** Removes the temporary files that killed processes left of the above, in the
 * folder and, but for those called `except`, in the folders below; returns how
 * many. Only for a folder that no other process writes into. */
int64_t remove_temporary_files(const std::string& folder,
                               const std::vector<std::string>& except = {});

/** Throws rsm::Error where read_file or parse_json (io/json_text.h) refuses it
 * ("[json] path:line:column: ..."). */
nlohmann::json read_json(const std::string& path);

/** Indented by two, keys sorted, with a final newline. JSON has no NaN and no
 * infinities: they are written as null. Throws rsm::Error where a text is not
 * UTF-8. */
void write_json_atomic(const std::string& path, const nlohmann::json& value);

/** SHA-256 in 64 hexadecimal digits (io/sha256.h). */
std::string checksum(std::string_view bytes);

/** The same of a file, a part at a time. Throws rsm::Error as read_file. */
std::string file_checksum(const std::string& path);

/** RFC 4648, with padding, without line breaks. */
std::string base64(std::string_view bytes);

}  // namespace rsm
