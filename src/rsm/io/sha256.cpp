#include "rsm/io/sha256.h"

#include <openssl/evp.h>

#include <array>

#include "rsm/base/error.h"

namespace rsm {
namespace {

void check(bool ok) {
  RSM_CHECK(ok, "[sha256] OpenSSL has none; install another build of it");
}

}  // namespace

Sha256::Sha256() : context_(EVP_MD_CTX_new(), EVP_MD_CTX_free) {
  check(context_ && EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr));
}

void Sha256::add(std::string_view bytes) {
  check(EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()));
}

std::string Sha256::digits() {
  static constexpr std::string_view kDigits = "0123456789abcdef";
  std::array<unsigned char, EVP_MAX_MD_SIZE> sum;
  unsigned int size = 0;
  check(EVP_DigestFinal_ex(context_.get(), sum.data(), &size));
  std::string hex;
  for (size_t i = 0; i < size; ++i) {
    hex += {kDigits[sum[i] >> 4], kDigits[sum[i] & 15]};
  }
  return hex;
}

}  // namespace rsm
