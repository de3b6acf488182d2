#pragma once

#include <torch/types.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "rsm/base/conditioner.h"
#include "rsm/text/clip_text.h"
#include "rsm/text/clip_tokenizer.h"
#include "rsm/text/t5_encoder.h"
#include "rsm/text/t5_tokenizer.h"

namespace rsm {

/** How texts are encoded. */
struct TextOptions {
  torch::Device device = torch::kCPU;
  torch::ScalarType type = torch::kFloat32;  ///< of weights and conditions
  /** Tokens of T5, its end token included, whatever a text's length. */
  int64_t t5_tokens = 256;
  /** False: a model with T5 is asked without it, as diffusers does with
   * text_encoder_3=None: zeros stand for its states. */
  bool t5 = true;
};

/** The tokenizer of a folder. Throws rsm::Error where its files are wrong or it
 * has longer texts or more tokens than the encoder of this config takes. */
ClipTokenizer read_clip_tokenizer(const std::string& folder,
                                  const ClipTextConfig& text);

/** Which encoders lie in a model's folder, and what its network takes. */
struct TextFolder {
  std::string path;
  bool projection = false;  ///< CLIPTextModelWithProjection: SD3
  bool second_clip = false;
  bool t5 = false;
  /** Of a condition's tokens: what is narrower is filled up with zeros. */
  int64_t width = 0;
  int64_t pooled_width = 0;
};

/** The text encoders of a model, with their tokenizers. What a network is
 * conditioned on, as diffusers' pipelines make it:
 *
 *     Stable Diffusion 1.x  tokens: CLIP's last hidden states
 *     SD3                   tokens: the states before the last layer of both
 *                           CLIPs beside each other, filled up with zeros to
 *                           T5's width, then T5's last; zeros for T5's where
 *                           it is not there. pooled: both projections
 *     SD3 with one CLIP     tokens: its states before the last layer; pooled:
 *                           its projection (the models that ship here)
 *
 * Weights of a folder are read when they are first needed. */
class TextEncoders : public Conditioner {
 public:
  /** One encoder, as a model that is being made has it; the files of its
   * tokenizer lie in the folder's tokenizer/. */
  TextEncoders(ClipTextModel clip, ClipTokenizer tokenizer,
               const std::string& folder);
  /** Reads configs and tokenizers. Throws rsm::Error naming the file and key
   * of what is missing, wrong, or does not fit the weights' headers, the other
   * encoders or the network. */
  static std::shared_ptr<TextEncoders> open(const TextFolder& folder,
                                            const TextOptions& options);

  /** On the options' device. A fixed number of texts a call, so that a text's
   * condition does not depend on the others. */
  Condition encode(const std::vector<std::string>& texts) const override;
  /** Token ids [B,L] of a model with one encoder; carries gradients where grad
   * mode is on. */
  Condition encode_ids(const torch::Tensor& ids) const;

  /** Frees weights that a folder has; encode() reads them again. */
  void release();

  /** Of the first encoder, whose words all of them see. */
  const ClipTokenizer& tokenizer() const { return clips_.front().tokenizer; }
  ClipTextModel clip() const;
  /** Whether no encoder reads a text to its end. */
  bool cuts(const std::string& text) const;
  /** Tokens of text that the encoder that reads most of it takes. */
  int64_t longest() const;
  /** Whether encoding takes so long that conditions are worth keeping. */
  bool is_large() const;
  /** What conditions depend on beside the files of the folder. */
  const TextOptions& options() const { return options_; }
  /** The parts of the folder that were read, "text_encoder" first. */
  std::vector<std::string> parts() const;
  const std::string& folder() const { return folder_.path; }

 private:
  struct Clip {
    std::string part, tokenizer_part;
    ClipTextConfig config;
    ClipTokenizer tokenizer;
    ClipTextModel model{nullptr};
  };
  struct T5 {
    T5Config config;
    T5Tokenizer tokenizer;
    T5EncoderModel model{nullptr};
  };

  TextEncoders() = default;
  void check_widths() const;
  void load() const;
  Condition encode_some(const std::vector<std::string>& texts) const;
  torch::Tensor t5_states(const std::vector<std::string>& texts) const;

  TextFolder folder_;
  bool reads_ = false;      ///< weights are those of the folder
  int64_t parameters_ = 0;  ///< of all encoders
  TextOptions options_;
  // Weights come and go: what a text is encoded to stays the same.
  mutable std::vector<Clip> clips_;
  mutable std::optional<T5> t5_;
};

}  // namespace rsm
