#pragma once

#include <functional>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>

namespace rsm {

/** 1234567890 -> "1.1 GiB" */
std::string size_text(double bytes);

/** What the exception being handled says of memory that could not be had: "12.5
 * GiB" or, where that is not known, "memory". Nothing where it is another one.
 * To be called in a catch block. */
std::optional<std::string> memory_refused();

/** Does `work`. Where it runs out of memory, throws rsm::Error instead: how
 * much was asked for, by `station`, and `advice` on what lowers it. */
void with_memory_advice(const std::string& station, const std::string& advice,
                        const std::function<void()>& work);

/** The same for work that hands something on. */
template <typename F>
requires(!std::is_void_v<std::invoke_result_t<F>>)
    std::invoke_result_t<F> with_memory_advice(const std::string& station,
                                               const std::string& advice,
                                               const F& work) {
  std::optional<std::invoke_result_t<F>> out;
  with_memory_advice(station, advice,
                     std::function<void()>([&] { out.emplace(work()); }));
  return std::move(*out);
}

}  // namespace rsm
