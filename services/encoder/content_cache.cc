#include "services/encoder/content_cache.h"

#include <openssl/evp.h>

#include "base/log.h"

namespace facet {

ContentKey MakeContentKey(absl::string_view settings, absl::string_view bytes) {
  const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> digest(EVP_MD_CTX_new(),
                                                                       EVP_MD_CTX_free);
  // The settings' length parts them from the bytes.
  const uint64_t length = settings.size();
  ContentKey key;
  const bool done = digest != nullptr &&
                    EVP_DigestInit_ex(digest.get(), EVP_sha256(), nullptr) == 1 &&
                    EVP_DigestUpdate(digest.get(), &length, sizeof(length)) == 1 &&
                    EVP_DigestUpdate(digest.get(), settings.data(), settings.size()) == 1 &&
                    EVP_DigestUpdate(digest.get(), bytes.data(), bytes.size()) == 1 &&
                    EVP_DigestFinal_ex(digest.get(), key.data(), nullptr) == 1;
  FACET_CHECK(done) << "SHA-256 failed";
  return key;
}

}  // namespace facet
