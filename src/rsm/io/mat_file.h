#pragma once

#include <torch/types.h>

#include <map>
#include <string>

namespace rsm {

/** The real matrices of float64 in a MATLAB 5 file (as scipy.io.savemat writes
 * it), by name: [rows,columns] float64. Other variables are passed over. Throws
 * rsm::Error naming the file where it is no such file, is cut off, is
 * compressed (savemat does so by do_compression=True), or big-endian. Source:
 * MAT-File Format, MathWorks, chapter 1. */
std::map<std::string, torch::Tensor> read_mat(const std::string& path);

}  // namespace rsm
