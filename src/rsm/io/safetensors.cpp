#include "rsm/io/safetensors.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>
#include <string_view>
#include <utility>
#include <vector>

#include "rsm/base/error.h"
#include "rsm/io/files.h"
#include "rsm/io/json_text.h"

namespace rsm {
namespace {

using nlohmann::json;

static_assert(std::endian::native == std::endian::little,
              "safetensors data is copied without swapping bytes");

constexpr uint64_t kMaxHeader = 100'000'000;
constexpr const char* kMetadata = "__metadata__";

struct TypeName {
  torch::ScalarType type;
  const char* name;
};

/** In the order the reference implementation writes them: widest first. */
constexpr std::array kTypes = {
    TypeName{torch::kInt64, "I64"},     TypeName{torch::kFloat64, "F64"},
    TypeName{torch::kFloat32, "F32"},   TypeName{torch::kInt32, "I32"},
    TypeName{torch::kBFloat16, "BF16"}, TypeName{torch::kFloat16, "F16"},
    TypeName{torch::kInt16, "I16"},     TypeName{torch::kInt8, "I8"},
    TypeName{torch::kUInt8, "U8"},      TypeName{torch::kBool, "BOOL"},
};

std::vector<std::string> type_names() {
  std::vector<std::string> names;
  for (const auto& entry : kTypes) names.emplace_back(entry.name);
  return names;
}

/** Where and what an entry of the header says a tensor is. */
struct Entry {
  std::string name;
  torch::ScalarType type;
  std::vector<int64_t> shape;
  uint64_t begin = 0;  ///< bytes from the end of the header
  uint64_t end = 0;
};

/** A regular file read at offsets. */
class Input {
 public:
  explicit Input(const std::string& path) : path_(path) {
    // Opening a pipe without this flag would wait for a writer.
    descriptor_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    RSM_CHECK(descriptor_ >= 0, "[safetensors] cannot read ", path, ": ",
              std::strerror(errno));
    struct stat status;
    const bool regular =
        ::fstat(descriptor_, &status) == 0 && S_ISREG(status.st_mode);
    if (!regular) ::close(descriptor_);
    RSM_CHECK(regular, "[safetensors] ", path, " is not a regular file");
    size_ = static_cast<uint64_t>(status.st_size);
  }
  Input(const Input&) = delete;
  Input& operator=(const Input&) = delete;
  ~Input() { ::close(descriptor_); }

  const std::string& path() const { return path_; }
  uint64_t size() const { return size_; }

  void read(uint64_t offset, void* out, uint64_t count) const {
    char* next = static_cast<char*>(out);
    while (count > 0) {
      const ssize_t got =
          ::pread(descriptor_, next, count, static_cast<off_t>(offset));
      if (got < 0 && errno == EINTR) continue;
      RSM_CHECK(got >= 0, "[safetensors] cannot read ", path_, ": ",
                std::strerror(errno));
      RSM_CHECK(got > 0, "[safetensors] ", path_, " ended while it was read");
      next += got;
      offset += static_cast<uint64_t>(got);
      count -= static_cast<uint64_t>(got);
    }
  }

 private:
  std::string path_;
  int descriptor_ = -1;
  uint64_t size_ = 0;
};

json parse_header(const Input& input, uint64_t& data_start) {
  RSM_CHECK(input.size() >= 8, "[safetensors] ", input.path(), " has ",
            input.size(),
            " bytes; a header length alone takes 8; the file is "
            "truncated or something else");
  uint64_t length = 0;
  input.read(0, &length, sizeof(length));
  RSM_CHECK(length <= kMaxHeader, "[safetensors] ", input.path(),
            " says its header has ", length, " bytes; at most ", kMaxHeader,
            " are allowed; is it a safetensors file?");
  RSM_CHECK(length <= input.size() - 8, "[safetensors] ", input.path(),
            " says its header has ", length, " bytes but has only ",
            input.size() - 8, " after the length; the file is truncated");
  std::string text(length, '\0');
  input.read(8, text.data(), length);
  data_start = 8 + length;
  const json header =
      parse_json(cat("[safetensors] ", input.path(), ": header"), text);
  RSM_CHECK(header.is_object(), "[safetensors] ", input.path(),
            ": the header is a JSON ", header.type_name(),
            "; it must be an object");
  return header;
}

std::map<std::string, std::string> parse_metadata(const std::string& path,
                                                  const json& header) {
  std::map<std::string, std::string> metadata;
  const auto found = header.find(kMetadata);
  if (found == header.end()) return metadata;
  RSM_CHECK(found->is_object(), "[safetensors] ", path, ": ", kMetadata,
            " must map texts to texts");
  for (const auto& [key, value] : found->items()) {
    RSM_CHECK(value.is_string(), "[safetensors] ", path, ": ", kMetadata, ".",
              key, " is a ", value.type_name(), "; it must be a text");
    metadata[key] = value.get<std::string>();
  }
  return metadata;
}

std::vector<uint64_t> unsigned_list(const json& value, const char* field,
                                    const std::string& who) {
  const auto found = value.find(field);
  RSM_CHECK(found != value.end() && found->is_array(), who, field,
            " must be a list of non-negative integers");
  std::vector<uint64_t> list;
  for (const auto& item : *found) {
    RSM_CHECK(item.is_number_unsigned(), who, field,
              " must be a list of non-negative integers; it has ", item.dump());
    list.push_back(item.get<uint64_t>());
  }
  return list;
}

torch::ScalarType parse_type(const json& value, const std::string& who) {
  const auto found = value.find("dtype");
  RSM_CHECK(found != value.end() && found->is_string(), who,
            "dtype must be a text");
  const auto name = found->get<std::string>();
  for (const auto& entry : kTypes) {
    if (name == entry.name) return entry.type;
  }
  throw Error(cat(who, "dtype: ", unknown_word(name, type_names())));
}

Entry parse_entry(const std::string& path, const std::string& name,
                  const json& value) {
  const std::string who = cat("[safetensors] ", path, ": ", name, ": ");
  RSM_CHECK(value.is_object(), who,
            "must be an object with dtype, shape and "
            "data_offsets; got ",
            value.dump().substr(0, 40));
  Entry entry;
  entry.name = name;
  entry.type = parse_type(value, who);
  constexpr uint64_t kMost = std::numeric_limits<int64_t>::max();
  uint64_t bytes = torch::elementSize(entry.type);
  bool fits = true;
  const auto shape = unsigned_list(value, "shape", who);
  const bool empty = std::count(shape.begin(), shape.end(), 0u) > 0;
  for (const uint64_t extent : shape) {
    fits &= extent <= kMost && (extent == 0 || bytes <= kMost / extent);
    if (fits && extent > 0) bytes *= extent;
    entry.shape.push_back(static_cast<int64_t>(extent));
  }
  RSM_CHECK(fits, who, "shape ", value["shape"].dump(), " is too large");
  if (empty) bytes = 0;
  const auto offsets = unsigned_list(value, "data_offsets", who);
  RSM_CHECK(offsets.size() == 2, who, "data_offsets must be [begin, end]; got ",
            value["data_offsets"].dump());
  entry.begin = offsets[0];
  entry.end = offsets[1];
  RSM_CHECK(entry.begin <= entry.end, who, "data_offsets ",
            value["data_offsets"].dump(), " end before they begin");
  RSM_CHECK(entry.end - entry.begin == bytes, who, "data_offsets span ",
            entry.end - entry.begin, " bytes; shape ", value["shape"].dump(),
            " of ", value["dtype"].get<std::string>(), " takes ", bytes);
  return entry;
}

/** Entries in the order of their data, which must be covered without gaps. */
std::vector<Entry> parse_entries(const std::string& path, const json& header,
                                 uint64_t data_size) {
  std::vector<Entry> entries;
  for (const auto& [name, value] : header.items()) {
    if (name != kMetadata) entries.push_back(parse_entry(path, name, value));
  }
  std::stable_sort(entries.begin(), entries.end(), [](auto& a, auto& b) {
    return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
  });
  uint64_t covered = 0;
  for (const auto& entry : entries) {
    const std::string who = cat("[safetensors] ", path, ": ", entry.name, ": ");
    RSM_CHECK(entry.begin >= covered, who, "data begins at ", entry.begin,
              " and overlaps another tensor's, which ends at ", covered);
    RSM_CHECK(entry.begin == covered, who, "data begins at ", entry.begin,
              "; a gap, as the data before ends at ", covered);
    RSM_CHECK(entry.end <= data_size, who, "data ends at ", entry.end,
              " but the file has ", data_size,
              " bytes of data; it is "
              "truncated");
    covered = entry.end;
  }
  RSM_CHECK(covered == data_size, "[safetensors] ", path, " has ", data_size,
            " bytes of data; its tensors take ", covered);
  return entries;
}

/** Any other byte would be a bool that is neither true nor false. */
void check_booleans(const std::string& path, const std::string& name,
                    const torch::Tensor& tensor) {
  const bool valid = tensor.view(torch::kUInt8).le(1).all().item<bool>();
  RSM_CHECK(valid, "[safetensors] ", path, ": ", name,
            ": a byte of a BOOL must be 0 or 1");
}

/** Reads the tensors whose names are in `wanted`; all of them where null. */
SafetensorsFile read_wanted(const std::string& path,
                            const std::set<std::string>* wanted) {
  const Input input(path);
  uint64_t data_start = 0;
  const json header = parse_header(input, data_start);
  SafetensorsFile file;
  file.metadata = parse_metadata(path, header);
  for (const auto& entry :
       parse_entries(path, header, input.size() - data_start)) {
    if (wanted != nullptr && !wanted->count(entry.name)) continue;
    auto tensor = torch::empty(entry.shape, torch::dtype(entry.type));
    input.read(data_start + entry.begin, tensor.data_ptr(),
               entry.end - entry.begin);
    if (entry.type == torch::kBool) check_booleans(path, entry.name, tensor);
    file.tensors.emplace(entry.name, std::move(tensor));
  }
  return file;
}

size_t type_rank(torch::ScalarType type) {
  const auto found = std::find_if(
      kTypes.begin(), kTypes.end(),
      [type](const TypeName& entry) { return entry.type == type; });
  return static_cast<size_t>(found - kTypes.begin());
}

struct Output {
  size_t rank;
  std::string name;
  torch::Tensor tensor;
};

std::vector<Output> sorted_outputs(const std::string& path,
                                   const StateDict& tensors) {
  std::vector<Output> outputs;
  for (const auto& [name, tensor] : tensors) {
    const std::string who =
        cat("[safetensors] cannot write ", path, ": ", name, ": ");
    RSM_CHECK(name != kMetadata, who, "this name is reserved");
    RSM_CHECK(tensor.defined(), who, "the tensor is undefined");
    RSM_CHECK(tensor.layout() == torch::kStrided, who,
              "the tensor is sparse; "
              "only dense ones can be written");
    const size_t rank = type_rank(tensor.scalar_type());
    RSM_CHECK(rank < kTypes.size(), who, "type ",
              torch::toString(tensor.scalar_type()),
              " has no name there; "
              "allowed: ",
              join(type_names()));
    // A lazily conjugated or negated view would give its raw memory.
    outputs.push_back(
        {rank, name, tensor.detach().cpu().resolve_neg().contiguous()});
  }
  // The map is sorted by name, so equal ranks stay sorted by name.
  std::stable_sort(outputs.begin(), outputs.end(),
                   [](auto& a, auto& b) { return a.rank < b.rank; });
  return outputs;
}

std::string header_text(const std::string& path,
                        const std::vector<Output>& outputs,
                        const std::map<std::string, std::string>& metadata) {
  auto header = nlohmann::ordered_json::object();
  if (!metadata.empty()) header[kMetadata] = metadata;
  uint64_t offset = 0;
  for (const auto& [rank, name, tensor] : outputs) {
    const uint64_t end = offset + tensor.nbytes();
    header[name] = {{"dtype", kTypes[rank].name},
                    {"shape", tensor.sizes().vec()},
                    {"data_offsets", {offset, end}}};
    offset = end;
  }
  std::string text;
  try {
    text = header.dump();
  } catch (const json::exception& error) {
    throw Error(cat("[safetensors] cannot write ", path, ": ", error.what()));
  }
  text.resize((text.size() + 7) / 8 * 8, ' ');
  RSM_CHECK(text.size() <= kMaxHeader, "[safetensors] cannot write ", path,
            ": the header has ", text.size(), " bytes; at most ", kMaxHeader,
            " are allowed");
  return text;
}

}  // namespace

SafetensorsFile read_safetensors(const std::string& path) {
  return read_wanted(path, nullptr);
}

std::map<std::string, std::string> read_safetensors_metadata(
    const std::string& path) {
  const Input input(path);
  uint64_t data_start = 0;
  return parse_metadata(path, parse_header(input, data_start));
}

SafetensorsFile read_safetensors(const std::string& path,
                                 const std::set<std::string>& wanted) {
  return read_wanted(path, &wanted);
}

TensorShapes read_shapes(const std::string& path) {
  const Input input(path);
  uint64_t data_start = 0;
  const json header = parse_header(input, data_start);
  TensorShapes shapes;
  for (const auto& entry :
       parse_entries(path, header, input.size() - data_start)) {
    shapes[entry.name] = entry.shape;
  }
  return shapes;
}

void write_safetensors(const std::string& path, const StateDict& tensors,
                       const std::map<std::string, std::string>& metadata) {
  const auto outputs = sorted_outputs(path, tensors);
  std::string header = header_text(path, outputs, metadata);
  const uint64_t length = header.size();
  header.insert(0, reinterpret_cast<const char*>(&length), sizeof(length));
  std::vector<std::string_view> pieces = {header};
  for (const auto& output : outputs) {
    pieces.emplace_back(static_cast<const char*>(output.tensor.data_ptr()),
                        output.tensor.nbytes());
  }
  write_pieces_atomic(path, pieces);
}

}  // namespace rsm
