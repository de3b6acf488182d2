#pragma once

#include <map>
#include <string>

#include "rsm/io/safetensors.h"

/** What targets share: their files. */
namespace rsm::fuzz {

/** A folder of the process's own, which goes with it. */
const std::string& scratch();
/** Writes a file there, and the folders above it; returns its path. Does not
 * wait for the disk. */
std::string put(const std::string& name, const std::string& bytes);

/** The bytes of a safetensors file: as they are or, of a header alone (which
 * begins with "{"), with as many zeros behind it as that speaks of. */
std::string safetensors_of(const std::string& bytes);
/** The header alone of a file of these tensors. */
std::string safetensors_header(
    const StateDict& tensors,
    const std::map<std::string, std::string>& metadata = {});

}  // namespace rsm::fuzz
