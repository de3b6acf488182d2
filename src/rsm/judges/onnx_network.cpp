#include "rsm/judges/onnx_network.h"

#include <algorithm>
#include <array>
#include <fstream>
#include <optional>
#include <utility>

#include "rsm/base/error.h"
#include "rsm/io/files.h"
#include "rsm/judges/foreign_errors.h"

#ifdef RSM_OPENVINO
#include <openvino/frontend/manager.hpp>
#include <openvino/openvino.hpp>
#endif

namespace rsm {

std::string shown_shape(const std::vector<int64_t>& shape) {
  std::vector<std::string> sizes;
  for (const int64_t size : shape) {
    sizes.push_back(size == kOpenSize ? "?" : cat(size));
  }
  return cat("[", join(sizes, ","), "]");
}

#ifndef RSM_OPENVINO

struct OnnxNetwork::Runtime {};

bool has_onnx() { return false; }

OnnxNetwork::OnnxNetwork(std::string who, std::string file, int64_t)
    : who_(std::move(who)), file_(std::move(file)) {
  throw Error(cat("[", who_, "] ", file_,
                  " is an ONNX network, and this program was built without "
                  "OpenVINO, which runs them: `make setup` installs it into "
                  ".venv, then build again (docs/rewards.md)"));
}

OnnxNetwork::~OnnxNetwork() = default;

std::string OnnxNetwork::metadata(const std::string&) const { return {}; }

std::vector<torch::Tensor> OnnxNetwork::run(const torch::Tensor&) const {
  return {};
}

#else

namespace {

constexpr const char* kExport =
    "an ONNX file is needed, as torch.onnx.export writes it (docs/rewards.md)";

/** Where the runtime keeps what a file has beside the network. */
constexpr const char* kMetadata = "framework";

/** The last line that says something: places in the runtime come before. */
std::string runtime_words(const std::exception& error) {
  std::string text = error.what();
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) {
    text.pop_back();
  }
  const size_t line = text.rfind('\n');
  return line == std::string::npos ? text : text.substr(line + 1);
}

/** What pickles begin with: as such, or in the zip file of torch.save(). */
void refuse_pickle_bytes(const std::string& who, const std::string& file) {
  std::ifstream start(file, std::ios::binary);
  std::array<char, 2> magic = {};
  start.read(magic.data(), magic.size());
  RSM_CHECK(magic[0] != '\x80' && !(magic[0] == 'P' && magic[1] == 'K'), "[",
            who, "] ", file,
            " is a pickle or a zip file, as torch.save() writes; a pickle is "
            "not read, as it can run any code: ",
            kExport);
}

std::shared_ptr<ov::Model> read_model(const std::string& who,
                                      const std::string& file) {
  RSM_CHECK(is_file(file), "[", who, "] there is no file ", file, "; ",
            kExport);
  refuse_pickle_bytes(who, file);
  return asked(
      cat("[", who, "] ", file, " cannot be read as ONNX: "),
      cat("; a file that is cut short is to be copied again: ", kExport),
      runtime_words, [&] {
        // By its name: others would guess at what the file is.
        ov::frontend::FrontEndManager readers;
        const auto reader = readers.load_by_framework("onnx");
        return reader->convert(reader->load(file));
      });
}

template <typename Port>
OnnxPort port_of(const std::string& who, const std::string& file,
                 const Port& port) {
  OnnxPort out;
  if (!port.get_names().empty()) out.name = port.get_any_name();
  const auto& shape = port.get_partial_shape();
  RSM_CHECK(shape.rank().is_static(), "[", who, "] ", file,
            " leaves open how many dimensions ", out.name,
            " has; export it with them");
  for (const auto& size : shape) {
    out.shape.push_back(size.is_static() ? size.get_length() : kOpenSize);
  }
  return out;
}

std::optional<at::ScalarType> type_of(const ov::element::Type& type) {
  if (type == ov::element::f32) return at::kFloat;
  if (type == ov::element::f16) return at::kHalf;
  if (type == ov::element::bf16) return at::kBFloat16;
  if (type == ov::element::f64) return at::kDouble;
  if (type == ov::element::i64) return at::kLong;
  if (type == ov::element::i32) return at::kInt;
  if (type == ov::element::i8) return at::kChar;
  if (type == ov::element::u8) return at::kByte;
  if (type == ov::element::boolean) return at::kBool;
  return std::nullopt;
}

at::ScalarType known_type(const std::string& who,
                          const ov::element::Type& type) {
  const auto known = type_of(type);
  RSM_CHECK(known, "[", who, "] the network has numbers of type ",
            type.to_string(),
            "; float32, float16, bfloat16, float64, int64, "
            "int32, int8, uint8 and bool are read");
  return *known;
}

/** A copy of what the runtime holds. */
torch::Tensor copied(const std::string& who, ov::Tensor tensor) {
  const auto type = known_type(who, tensor.get_element_type());
  const ov::Shape shape = tensor.get_shape();
  const std::vector<int64_t> sizes(shape.begin(), shape.end());
  if (tensor.get_size() == 0) return at::empty(sizes, at::kFloat);
  const auto view = at::from_blob(tensor.data(), sizes, type);
  // With a copy where the type is right already.
  return view.to(view.is_floating_point() ? at::kFloat : at::kLong,
                 /*non_blocking=*/false, /*copy=*/true);
}

}  // namespace

struct OnnxNetwork::Runtime {
  ov::Core core;
  std::shared_ptr<ov::Model> model;
  ov::CompiledModel compiled;
  at::ScalarType type = at::kFloat;  ///< of the input
};

bool has_onnx() { return true; }

OnnxNetwork::OnnxNetwork(std::string who, std::string file, int64_t threads)
    : who_(std::move(who)),
      file_(std::move(file)),
      runtime_(std::make_unique<Runtime>()) {
  runtime_->model = read_model(who_, file_);
  const auto& inputs = runtime_->model->inputs();
  RSM_CHECK(inputs.size() == 1 && !runtime_->model->outputs().empty(), "[",
            who_, "] ", file_, " takes ", inputs.size(), " tensors and gives ",
            runtime_->model->outputs().size(),
            "; one, the pictures, and at least one are needed");
  input_ = port_of(who_, file_, inputs[0]);
  runtime_->type = known_type(who_, inputs[0].get_element_type());
  for (const auto& output : runtime_->model->outputs()) {
    outputs_.push_back(port_of(who_, file_, output));
  }
  const auto cores = static_cast<int32_t>(std::max<int64_t>(threads, 1));
  // One core a call, and no faster arithmetic of fewer bits.
  const ov::AnyMap how = {ov::inference_num_threads(cores),
                          ov::num_streams(cores),
                          ov::hint::inference_precision(ov::element::f32),
                          ov::hint::enable_cpu_pinning(false)};
  runtime_->compiled =
      asked(cat("[", who_, "] OpenVINO cannot run ", file_, ": "), "",
            runtime_words, [&] {
              return runtime_->core.compile_model(runtime_->model, "CPU", how);
            });
}

OnnxNetwork::~OnnxNetwork() = default;

std::string OnnxNetwork::metadata(const std::string& key) const {
  const std::vector<std::string> place = {kMetadata, key};
  if (!runtime_->model->has_rt_info(place)) return {};
  return runtime_->model->get_rt_info<std::string>(place);
}

std::vector<torch::Tensor> OnnxNetwork::run(const torch::Tensor& input) const {
  auto in = input.to(at::kCPU, runtime_->type).contiguous();
  const ov::Shape shape(in.sizes().begin(), in.sizes().end());
  return asked(
      cat("[", who_, "] ", file_, ", which takes ", shown_shape(input_.shape),
          ", fails at ", in.sizes(), ": "),
      "", runtime_words, [&] {
        auto request = runtime_->compiled.create_infer_request();
        const auto type = runtime_->compiled.input().get_element_type();
        request.set_input_tensor(ov::Tensor(type, shape, in.data_ptr()));
        request.infer();
        std::vector<torch::Tensor> out;
        for (size_t i = 0; i < outputs_.size(); ++i) {
          out.push_back(copied(who_, request.get_output_tensor(i)));
        }
        return out;
      });
}

#endif

}  // namespace rsm
