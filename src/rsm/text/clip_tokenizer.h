#pragma once

#include <torch/types.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace rsm {

/** CLIP's lower-casing byte-level byte-pair encoding, equal to transformers'
 * CLIPTokenizer(padding="max_length", truncation=True). Text is brought to
 * NFC and lower-cased with ICU's tables (Unicode 15). Immutable: copies share
 * their tables, and threads may share a tokenizer.
 * Source: Radford et al. 2021 (arXiv:2103.00020), simple_tokenizer.py;
 * transformers 5, models/clip/tokenization_clip.py. */
class ClipTokenizer {
 public:
  /** Reads a `tokenizer/` folder: tokenizer_config.json (model_max_length and
   * the special tokens), special_tokens_map.json and added_tokens.json where
   * they are there, and vocab.json with merges.txt, or tokenizer.json, which
   * goes first where both are there. `longest`, tokens that the text encoder
   * takes, stands for a model_max_length that is missing or 1e30, as
   * transformers writes it; 0: there must be one. Throws rsm::Error naming the
   * file and the key or line: missing, malformed, a merge of unknown tokens,
   * special tokens outside the vocabulary or of a kind CLIP doesn't use
   * (lstrip, rstrip, single_word), and as read_clip_token_files(). */
  static ClipTokenizer load(const std::string& folder, int64_t longest = 0);

  /** <|startoftext|>, the text's tokens cut to max_length() - 2,
   * <|endoftext|>, then padding: max_length() ids. A special token written out
   * in the text becomes that token, as in transformers. Throws rsm::Error for
   * text that is not UTF-8. */
  std::vector<int64_t> encode(const std::string& text) const;

  /** Whether encode() leaves off the end of a text. */
  bool cuts(const std::string& text) const;

  /** Texts [B] -> int64 [B,max_length()] on the CPU. */
  torch::Tensor encode_batch(const std::vector<std::string>& texts) const;

  /** The text's own tokens: no start, no end, neither cut nor padded. */
  std::vector<int64_t> tokens(const std::string& text) const;

  int64_t max_length() const;
  /** Ids lie in [0, vocabulary_size()), added tokens included. */
  int64_t vocabulary_size() const;
  int64_t start_id() const;
  int64_t end_id() const;
  int64_t pad_id() const;

 private:
  struct Tables;
  explicit ClipTokenizer(std::shared_ptr<const Tables> tables);
  std::shared_ptr<const Tables> tables_;
};

/** Writes a CLIP vocabulary (vocab.json, merges.txt, tokenizer_config.json,
 * special_tokens_map.json) in which each of `words` (lower-case ASCII letters
 * only) is one token "word</w>"; other text falls apart into smaller ones.
 * Ids: 256 bytes, 256 bytes that end a word, merged tokens in the order of
 * `words`, <|startoftext|>, <|endoftext|> (which also pads). The same words in
 * the same order give the same files. Makes the folder where it is missing.
 * Throws rsm::Error for another kind of word or model_max_length < 2. */
void write_word_vocabulary(const std::string& folder,
                           const std::vector<std::string>& words,
                           int64_t model_max_length);

}  // namespace rsm
