#include "base/content_cache.h"

#include <openssl/evp.h>

#include "base/log.h"

namespace facet {
namespace {

// Its length parts it from what follows.
bool Add(EVP_MD_CTX* digest, absl::string_view piece) {
  const uint64_t length = piece.size();
  return EVP_DigestUpdate(digest, &length, sizeof(length)) == 1 &&
         EVP_DigestUpdate(digest, piece.data(), piece.size()) == 1;
}

}  // namespace

ContentKey MakeContentKey(absl::string_view settings, absl::Span<const absl::string_view> pieces) {
  const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> digest(EVP_MD_CTX_new(),
                                                                       EVP_MD_CTX_free);
  ContentKey key;
  bool done = digest != nullptr && EVP_DigestInit_ex(digest.get(), EVP_sha256(), nullptr) == 1 &&
              Add(digest.get(), settings);
  for (const absl::string_view piece : pieces) done = done && Add(digest.get(), piece);
  done = done && EVP_DigestFinal_ex(digest.get(), key.data(), nullptr) == 1;
  FACET_CHECK(done) << "SHA-256 failed";
  return key;
}

}  // namespace facet
