#pragma once

#include <functional>
#include <optional>
#include <string>

namespace rsm {

/** What the exception being handled says of memory that could not be had: "12.5
 * GiB" or, where that is not known, "memory". Nothing where it is another one.
 * To be called in a catch block. */
std::optional<std::string> memory_refused();

/** Does `work`. Where it runs out of memory, throws rsm::Error instead: how
 * much was asked for, by `station`, and `advice` on what lowers it. */
void with_memory_advice(const std::string& station, const std::string& advice,
                        const std::function<void()>& work);

}  // namespace rsm
