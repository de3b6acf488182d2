#pragma once

#include <string>
#include <vector>

#include "rsm/base/method.h"

namespace rsm {

/** A method in its corrected form, and what the public release does instead
 * where that is another choice of knobs. Published means are plain, except
 * where a release says otherwise. */
struct Entry {
  Method method;
  RegularisationKnobs::Mask published_mask = RegularisationKnobs::Mask::none;
  void (*publish)(Method&) = nullptr;
};

/** A method's knobs, or the usual ones, under a name. */
inline Method method_called(const std::string& name, const std::string& source,
                            const std::string& summary, Method m = {}) {
  m.name = name;
  m.source = source;
  m.summary = summary;
  return m;
}

/** Methods that learn from rewards and noise. */
std::vector<Entry> zeroth_order_entries();

/** Methods that train on their own samples, noised again. */
std::vector<Entry> picture_entries();

/** Methods that follow a reward's gradient. */
std::vector<Entry> first_order_entries();

}  // namespace rsm
