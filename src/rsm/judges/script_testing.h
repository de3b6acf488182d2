#pragma once

#include <torch/script.h>

#include <string>

/** Exported networks for tests; no part of the library includes this. */
namespace rsm {

/** Saves a module without weights by its forward, "def forward(self, ...";
 * returns the file. */
inline std::string write_forward(const std::string& file,
                                 const std::string& forward) {
  torch::jit::Module module("network");
  module.define(forward);
  module.save(file);
  return file;
}

}  // namespace rsm
