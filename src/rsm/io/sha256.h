#pragma once

#include <memory>
#include <string>
#include <string_view>

struct evp_md_ctx_st;  // OpenSSL's

namespace rsm {

/** The SHA-256 (FIPS 180-4) of bytes that come in pieces. */
class Sha256 {
 public:
  Sha256();

  void add(std::string_view bytes);
  /** 64 hexadecimal digits; nothing can be added then. */
  std::string digits();

 private:
  std::unique_ptr<evp_md_ctx_st, void (*)(evp_md_ctx_st*)> context_;
};

}  // namespace rsm
