#pragma once

#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

namespace rsm {

/** The one exception of the library. Text: "[who] what arrived; what is
 * allowed; what to do". Only `main` catches it. */
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/** A mistake in what the user typed or configured: exit status 2, not 1. */
class UsageError : public Error {
 public:
  using Error::Error;
};

/** The user wants the work to stop: no mistake, and nothing is lost by it. */
class Interrupted : public Error {
 public:
  using Error::Error;
};

/** Joins anything printable into one string. */
template <typename... Parts>
std::string cat(const Parts&... parts) {
  std::ostringstream out;
  (out << ... << parts);
  return out.str();
}

/** "a, b, c" */
std::string join(const std::vector<std::string>& words,
                 const std::string& separator = ", ");

/** The known word nearest to `word` (Levenshtein), or "" where none is near
 * enough to be a slip of the fingers. */
std::string nearest_word(const std::string& word,
                         const std::vector<std::string>& known);

/** `unknown "wrod"; known: word, other (did you mean "word"?)`, for errors. */
std::string unknown_word(const std::string& word,
                         const std::vector<std::string>& known);

}  // namespace rsm

/** Throws rsm::Error with the joined parts where `condition` is false. */
#define RSM_CHECK(condition, ...)                  \
  do {                                             \
    if (!(condition)) {                            \
      throw ::rsm::Error(::rsm::cat(__VA_ARGS__)); \
    }                                              \
  } while (false)
