#pragma once

#include <torch/types.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace rsm {

/** Whether this program was built with OpenVINO's runtime, on which ONNX
 * networks run. */
bool has_onnx();

/** A size that a network leaves open. */
inline constexpr int64_t kOpenSize = -1;

/** What goes into a network, or comes out of it. */
struct OnnxPort {
  std::string name;
  std::vector<int64_t> shape;  ///< kOpenSize where the network leaves it open
};

/** A network in an ONNX file: a function of one tensor, without gradients.
 * It computes in float32 on the CPU, each call on one core: the same bits,
 * however many cores there are. Threads may share one. Errors are rsm::Error,
 * "[who] ...". */
class OnnxNetwork {
 public:
  /** As many calls as `threads` >= 1 are under way at once; others wait.
   * Throws, naming the file, where it is missing, a pickle, no ONNX file or cut
   * short, has an operation that the runtime lacks or takes more than one
   * tensor; and where there is no runtime, with what to do. */
  OnnxNetwork(std::string who, std::string file, int64_t threads);
  ~OnnxNetwork();

  const OnnxPort& input() const { return input_; }
  const std::vector<OnnxPort>& outputs() const { return outputs_; }

  /** A text that the file has beside the network (its metadata_props), or "".
   */
  std::string metadata(const std::string& key) const;

  /** All outputs, on the CPU, of an input as input() says: floating point as
   * float32, integers as int64. Throws where the network does not take it. */
  std::vector<torch::Tensor> run(const torch::Tensor& input) const;

 private:
  struct Runtime;

  std::string who_, file_;
  OnnxPort input_;
  std::vector<OnnxPort> outputs_;
  std::unique_ptr<Runtime> runtime_;
};

/** "[?,3,224,224]", for errors. */
std::string shown_shape(const std::vector<int64_t>& shape);

}  // namespace rsm
