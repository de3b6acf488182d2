#pragma once

#include <string>

namespace rsm {

// Asked before long work, so that it does not end where its results cannot be
// kept. Both throw rsm::UsageError naming `option`, and make nothing.

/** Whether a file can be written to the path; folders that are missing are left
 * to make_parent(). */
void check_output_file(const std::string& option, const std::string& path);

/** Whether the path is a folder that takes files, or can become one. */
void check_output_folder(const std::string& option, const std::string& path);

/** Makes the folder that a file of this path lies in. Throws rsm::Error. */
void make_parent(const std::string& path);

}  // namespace rsm
