#pragma once

#include <torch/types.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace rsm {

/** T5's SentencePiece tokenizer, equal to transformers' T5TokenizerFast(
 * padding="max_length", truncation=True). Immutable: copies share their tables,
 * and threads may share a tokenizer.
 *
 * Words are split by the sentencepiece library, as in T5's own code; that of
 * transformers differs from it in rare texts, which stay SentencePiece's here:
 * - Where two ways to split a word have scores that are equal but for rounding
 *   ("kkk" as k, kk or as kk, k): SentencePiece adds them in float32,
 *   transformers in float64. The same makes words of thousands of letters
 *   differ.
 * - Characters with several combining marks, or followed by an invisible joiner
 *   (U+200D): transformers normalises the shortest beginning that its table
 *   knows and drops the rest of them.
 * - Special tokens in full-width characters, which transformers takes for what
 *   they look like; U+2581 at the beginning of a word, which it takes for the
 *   space before it.
 * Source: Kudo and Richardson 2018 (arXiv:1808.06226); transformers 5,
 * models/t5/tokenization_t5.py. */
class T5Tokenizer {
 public:
  /** Reads a folder's spiece.model or, where there is none, the Unigram model
   * of its tokenizer.json (unigram_model.h). Added tokens are those of
   * tokenizer_config.json or, where that lists none, of tokenizer.json;
   * without either, extra_ids (100 unless the config says another number) of
   * the kind <extra_id_0>, the highest id. `max_length`, at least 1: tokens of
   * an encoding. Throws rsm::Error naming the file and the key: missing,
   * malformed, another kind of tokenizer. */
  static T5Tokenizer load(const std::string& folder, int64_t max_length);

  /** The text's tokens cut to max_length() - 1, </s>, then padding:
   * max_length() ids. A special token written out in the text becomes that
   * token, as in transformers. Throws rsm::Error for text that is not UTF-8. */
  std::vector<int64_t> encode(const std::string& text) const;

  /** Whether encode() leaves off the end of a text. */
  bool cuts(const std::string& text) const;

  /** Texts [B] -> int64 [B,max_length()] on the CPU. */
  torch::Tensor encode_batch(const std::vector<std::string>& texts) const;

  /** The text's own tokens: no end, neither cut nor padded. */
  std::vector<int64_t> tokens(const std::string& text) const;

  int64_t max_length() const;
  /** Ids lie in [0, vocabulary_size()), added tokens included. */
  int64_t vocabulary_size() const;
  int64_t end_id() const;
  int64_t pad_id() const;

 private:
  struct Tables;
  explicit T5Tokenizer(std::shared_ptr<const Tables> tables);
  std::shared_ptr<const Tables> tables_;
};

}  // namespace rsm
