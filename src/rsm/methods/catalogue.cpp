#include "rsm/methods/catalogue.h"

#include "rsm/base/error.h"
#include "rsm/methods/entries.h"

namespace rsm {
namespace {

const std::vector<Entry>& entries() {
  static const std::vector<Entry> all = [] {
    auto out = zeroth_order_entries();
    for (const auto& more : {picture_entries(), first_order_entries()}) {
      out.insert(out.end(), more.begin(), more.end());
    }
    return out;
  }();
  return all;
}

}  // namespace

const std::vector<Method>& catalogue() {
  static const std::vector<Method> methods = [] {
    std::vector<Method> out;
    for (const auto& entry : entries()) {
      out.push_back(fitted(entry.method, kCatalogueSteps));
    }
    return out;
  }();
  return methods;
}

std::string default_method(std::optional<Family> family) {
  return family == Family::diffusion ? "rsm-diffusion" : "rsm-flow";
}

Method find_method(const std::string& name, bool as_published) {
  std::vector<std::string> known;
  for (const auto& entry : entries()) {
    if (entry.method.name == name) {
      Method method = entry.method;
      method.as_published = as_published;
      if (as_published) method.regularisation.mask = entry.published_mask;
      if (as_published && entry.publish != nullptr) entry.publish(method);
      return fitted(method, kCatalogueSteps);
    }
    known.push_back(entry.method.name);
  }
  throw UsageError(cat("[method] ", unknown_word(name, known)));
}

}  // namespace rsm
