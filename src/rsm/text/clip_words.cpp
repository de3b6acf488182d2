#include "rsm/text/clip_words.h"

#include <unicode/normalizer2.h>
#include <unicode/uchar.h>
#include <unicode/unistr.h>

#include <algorithm>
#include <array>
#include <cstdint>

#include "rsm/base/error.h"
#include "rsm/io/plain_text.h"

namespace rsm {
namespace {

enum class Kind { space, letter, number, other };

Kind kind(char32_t symbol) {
  const auto code = static_cast<UChar32>(symbol);
  const uint32_t category = U_MASK(u_charType(code));
  if (category & U_GC_L_MASK) return Kind::letter;
  if (category & U_GC_N_MASK) return Kind::number;
  return u_isUWhiteSpace(code) ? Kind::space : Kind::other;
}

}  // namespace

std::u32string clip_normalized(const std::string& text) {
  const size_t bad = find_not_utf8(text);
  RSM_CHECK(bad == std::string::npos, "[ClipTokenizer] the byte ", bad + 1,
            " of a text is not UTF-8; convert the text to UTF-8");
  UErrorCode status = U_ZERO_ERROR;
  const auto* nfc = icu::Normalizer2::getNFCInstance(status);
  const auto composed =
      nfc->normalize(icu::UnicodeString::fromUTF8(text), status);
  RSM_CHECK(U_SUCCESS(status),
            "[ClipTokenizer] ICU cannot normalise: ", u_errorName(status));
  std::u32string out;
  for (int32_t at = 0; at < composed.length();
       at = composed.moveIndex32(at, 1)) {
    const UChar32 symbol = composed.char32At(at);
    if (u_isUWhiteSpace(symbol)) {
      if (out.empty() || out.back() != U' ') out += U' ';
    } else if (symbol == 0x130) {  // the one letter with two in lower case
      out += U"i\u0307";
    } else {
      out += static_cast<char32_t>(u_tolower(symbol));
    }
  }
  return out;
}

// The expression is <\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|
// \p{L}+|\p{N}|[^\s\p{L}\p{N}]+ and GPT-2's changes its pieces only by taking
// the two tags apart again: into "<|", a word and "|>".
std::vector<std::u32string> clip_words(const std::u32string& text) {
  static const std::array<std::u32string, 2> tags = {U"<|startoftext|>",
                                                     U"<|endoftext|>"};
  static const std::array<std::u32string, 7> tails = {
      U"'s", U"'t", U"'re", U"'ve", U"'m", U"'ll", U"'d"};
  std::vector<std::u32string> pieces;
  size_t at = 0;
  const auto starts_with = [&](const std::u32string& part) {
    return text.compare(at, part.size(), part) == 0;
  };
  while (at < text.size()) {
    const auto tag = std::find_if(tags.begin(), tags.end(), starts_with);
    const auto tail = std::find_if(tails.begin(), tails.end(), starts_with);
    const Kind first = kind(text[at]);
    size_t end = at + 1;
    if (tag != tags.end()) {
      pieces.insert(pieces.end(),
                    {U"<|", tag->substr(2, tag->size() - 4), U"|>"});
      at += tag->size();
      continue;
    }
    if (tail != tails.end()) {
      end = at + tail->size();
    } else if (first == Kind::letter || first == Kind::other) {
      while (end < text.size() && kind(text[end]) == first) ++end;
    }
    if (first != Kind::space) pieces.push_back(text.substr(at, end - at));
    at = end;
  }
  return pieces;
}

std::string to_utf8(const std::u32string& text) {
  std::string out;
  icu::UnicodeString::fromUTF32(reinterpret_cast<const UChar32*>(text.data()),
                                static_cast<int32_t>(text.size()))
      .toUTF8String(out);
  return out;
}

}  // namespace rsm
