#include "rsm/io/safetensors.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "rsm/base/error.h"
#include "rsm/io/files.h"
#include "rsm/io/json_fields.h"
#include "rsm/io/json_text.h"
#include "rsm/io/printable.h"
#include "rsm/io/sha256.h"

namespace rsm {
namespace {

using nlohmann::json;

static_assert(std::endian::native == std::endian::little,
              "safetensors data is copied without swapping bytes");

constexpr uint64_t kMaxHeader = 100'000'000;
/** Of a tensor: as many as LibTorch's reductions take. */
constexpr size_t kMostDimensions = 64;
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

/** A file's header, and the data behind it. */
struct Parts {
  std::string who;
  json header;
  std::string_view data;

  JsonFields fields() const { return {header, who}; }
};

Parts parts_of(const MappedFile& file) {
  std::string_view bytes = file.bytes();
  const std::string who = cat("[safetensors] ", file.path());
  uint64_t length = 0;
  RSM_CHECK(bytes.size() >= sizeof(length), who, " has ", bytes.size(),
            " bytes; a header length alone takes 8; the file is "
            "truncated or something else");
  std::memcpy(&length, bytes.data(), sizeof(length));
  bytes.remove_prefix(sizeof(length));
  RSM_CHECK(length <= kMaxHeader, who, " says its header has ", length,
            " bytes; at most ", kMaxHeader,
            " are allowed; is it a safetensors file?");
  RSM_CHECK(length <= bytes.size(), who, " says its header has ", length,
            " bytes but has only ", bytes.size(),
            " after the length; the file is truncated");
  return {who, parse_json(who + ": header", bytes.substr(0, length)),
          bytes.substr(length)};
}

std::map<std::string, std::string> parse_metadata(const JsonFields& header) {
  std::map<std::string, std::string> metadata;
  if (!header.has(kMetadata)) return metadata;
  const auto fields = header.object(kMetadata);
  for (const auto& key : fields.keys()) metadata[key] = fields.text(key);
  return metadata;
}

torch::ScalarType type_of(const JsonFields& fields) {
  std::string name = kTypes[0].name;
  fields.check("dtype", fields.has("dtype"), "a type");
  fields.choice("dtype", name, type_names());
  return std::find_if(kTypes.begin(), kTypes.end(),
                      [&](const TypeName& entry) { return name == entry.name; })
      ->type;
}

/** Bytes of a tensor of this shape; nothing where they are too many. */
std::optional<uint64_t> bytes_of(const std::vector<int64_t>& shape,
                                 torch::ScalarType type) {
  constexpr uint64_t kMost = std::numeric_limits<int64_t>::max();
  uint64_t bytes = torch::elementSize(type);
  for (const int64_t extent : shape) {
    if (extent > 0 && bytes > kMost / extent) return std::nullopt;
    if (extent > 0) bytes *= extent;
  }
  return std::count(shape.begin(), shape.end(), 0) > 0 ? 0 : bytes;
}

Entry parse_entry(const JsonFields& header, const std::string& name) {
  const auto fields = header.object(name);
  Entry entry;
  entry.name = name;
  entry.type = type_of(fields);
  entry.shape = fields.integers("shape", 0);
  fields.check("shape", entry.shape.size() <= kMostDimensions,
               cat("one of at most ", kMostDimensions, " extents"));
  const auto bytes = bytes_of(entry.shape, entry.type);
  fields.check("shape", bytes.has_value(), "one that is not too large");
  const auto offsets = fields.integers("data_offsets", 0);
  fields.check("data_offsets", offsets.size() == 2 && offsets[0] <= offsets[1],
               "[begin, end], the begin before the end,");
  entry.begin = offsets[0];
  entry.end = offsets[1];
  fields.check("data_offsets", entry.end - entry.begin == *bytes,
               cat("a span of ", *bytes, " bytes, as shape and dtype take,"));
  return entry;
}

/** Entries in the order of their data, which must be covered without gaps. */
std::vector<Entry> parse_entries(const JsonFields& header, uint64_t data_size) {
  std::vector<Entry> entries;
  for (const auto& name : header.keys()) {
    if (name != kMetadata) entries.push_back(parse_entry(header, name));
  }
  std::stable_sort(entries.begin(), entries.end(), [](auto& a, auto& b) {
    return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
  });
  uint64_t covered = 0;
  for (const auto& entry : entries) {
    const std::string who =
        cat(header.where(), ": ", shown(entry.name), ": data ");
    RSM_CHECK(entry.begin >= covered, who, "begins at ", entry.begin,
              " and overlaps another tensor's, which ends at ", covered);
    RSM_CHECK(entry.begin == covered, who, "begins at ", entry.begin,
              "; a gap, as the data before ends at ", covered);
    RSM_CHECK(entry.end <= data_size, who, "ends at ", entry.end,
              " but the file has ", data_size,
              " bytes of data; it is truncated");
    covered = entry.end;
  }
  RSM_CHECK(covered == data_size, header.where(), " has ", data_size,
            " bytes of data; its tensors take ", covered);
  return entries;
}

/** Any other byte would be a bool that is neither true nor false. */
void check_booleans(const std::string& path, const std::string& name,
                    const torch::Tensor& tensor) {
  const bool valid = tensor.view(torch::kUInt8).le(1).all().item<bool>();
  RSM_CHECK(valid, "[safetensors] ", path, ": ", shown(name),
            ": a byte of a BOOL must be 0 or 1");
}

/** A view of the tensor at `data`; a copy where its type cannot begin there. */
torch::Tensor tensor_of(const Entry& entry, const char* data,
                        const std::shared_ptr<const MappedFile>& file) {
  const auto options = torch::dtype(entry.type);
  if (entry.begin == entry.end) return torch::empty(entry.shape, options);
  const bool aligned =
      reinterpret_cast<uintptr_t>(data) % torch::elementSize(entry.type) == 0;
  if (aligned) {
    return torch::from_blob(
        const_cast<char*>(data), entry.shape, [file](void*) {}, options);
  }
  auto copy = torch::empty(entry.shape, options);
  std::memcpy(copy.data_ptr(), data, entry.end - entry.begin);
  return copy;
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
  torch::Tensor tensor;  ///< as it was given
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
    outputs.push_back({rank, name, tensor.detach()});
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

SafetensorsFile view_safetensors(std::shared_ptr<const MappedFile> file) {
  const Parts parts = parts_of(*file);
  const auto header = parts.fields();
  SafetensorsFile out;
  out.metadata = parse_metadata(header);
  for (const auto& entry : parse_entries(header, parts.data.size())) {
    auto tensor = tensor_of(entry, parts.data.data() + entry.begin, file);
    if (entry.type == torch::kBool) {
      check_booleans(file->path(), entry.name, tensor);
    }
    out.tensors.emplace(entry.name, std::move(tensor));
  }
  return out;
}

SafetensorsFile view_safetensors(const std::string& path) {
  return view_safetensors(std::make_shared<const MappedFile>(path));
}

SafetensorsFile read_safetensors(const std::string& path) {
  auto file = view_safetensors(path);
  file.tensors = copied(file.tensors);
  return file;
}

StateDict copied(const StateDict& tensors) {
  StateDict out;
  for (const auto& [name, tensor] : tensors) out[name] = tensor.clone();
  return out;
}

TensorShapes read_shapes(const std::string& path) {
  const MappedFile file(path);
  const Parts parts = parts_of(file);
  TensorShapes shapes;
  for (const auto& entry : parse_entries(parts.fields(), parts.data.size())) {
    shapes[entry.name] = entry.shape;
  }
  return shapes;
}

std::string write_safetensors(
    const std::string& path, const StateDict& tensors,
    const std::map<std::string, std::string>& metadata) {
  const auto outputs = sorted_outputs(path, tensors);
  const std::string header = header_text(path, outputs, metadata);
  const uint64_t length = header.size();
  AtomicFile file(path);
  Sha256 sum;
  const auto write = [&](const void* data, size_t size) {
    const std::string_view bytes(static_cast<const char*>(data), size);
    sum.add(bytes);
    file.write(bytes);
  };
  write(&length, sizeof(length));
  write(header.data(), header.size());
  for (const auto& output : outputs) {
    // A lazily conjugated or negated view would give its raw memory.
    const auto dense = output.tensor.cpu().resolve_neg().contiguous();
    write(dense.data_ptr(), dense.nbytes());
  }
  file.commit();
  return sum.digits();
}

}  // namespace rsm
