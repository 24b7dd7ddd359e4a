#include "shard/cache/block_hash.h"

#include <openssl/evp.h>

#include <memory>

#include "base/log.h"

namespace facet {
namespace {

struct FreeContext {
  void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
};

// One context a thread, one look-up of the algorithm a process: both cost more than the hash.
BlockHash Sha256(absl::string_view input) {
  static const EVP_MD* const algorithm = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  thread_local const std::unique_ptr<EVP_MD_CTX, FreeContext> context(EVP_MD_CTX_new());
  BlockHash hash;
  const bool done = EVP_DigestInit_ex(context.get(), algorithm, nullptr) == 1 &&
                    EVP_DigestUpdate(context.get(), input.data(), input.size()) == 1 &&
                    EVP_DigestFinal_ex(context.get(), hash.bytes.data(), nullptr) == 1;
  FACET_CHECK(done) << "SHA-256 failed";
  return hash;
}

// Little-endian, so that hashes do not depend on the machine.
void AppendInt32(int32_t value, std::string* out) {
  const auto bits = static_cast<uint32_t>(value);
  for (int shift = 0; shift < 32; shift += 8) out->push_back(static_cast<char>(bits >> shift));
}

void AppendHash(const BlockHash& hash, std::string* out) {
  out->append(reinterpret_cast<const char*>(hash.bytes.data()), hash.bytes.size());
}

}  // namespace

BlockHashChain::BlockHashChain(int page_tokens, absl::string_view salt,
                               std::vector<MediaSpan> media)
    : page_tokens_(page_tokens), media_(std::move(media)) {
  FACET_CHECK(page_tokens >= 1) << page_tokens;
  int end = 0;
  for (const MediaSpan& span : media_) {
    FACET_CHECK(span.start >= end && span.tokens >= 1)
        << "media of " << span.tokens << " tokens at " << span.start << " behind " << end;
    end = span.start + span.tokens;
  }
  std::string input = "root";
  AppendInt32(page_tokens, &input);
  input.append(salt.data(), salt.size());
  root_ = Sha256(input);
}

void BlockHashChain::Extend(absl::Span<const int32_t> tokens) {
  const size_t blocks = tokens.size() / page_tokens_;
  hashes_.reserve(blocks);
  std::string input;
  for (size_t block = hashes_.size(); block < blocks; ++block) {
    input.clear();
    AppendHash(block == 0 ? root_ : hashes_.back(), &input);
    for (int32_t token : tokens.subspan(block * page_tokens_, page_tokens_)) {
      AppendInt32(token, &input);
    }
    AppendMedia(static_cast<int>(block), &input);
    hashes_.push_back(Sha256(input));
  }
}

// Each part has a fixed size or its size before it, so no two inputs read alike.
void BlockHashChain::AppendMedia(int block, std::string* input) {
  const int64_t start = int64_t{block} * page_tokens_;
  for (size_t i = next_media_; i < media_.size(); ++i) {
    const MediaSpan& span = media_[i];
    if (span.start >= start + page_tokens_) return;
    AppendInt32(static_cast<int32_t>(span.start - start), input);
    AppendInt32(span.tokens, input);
    AppendInt32(static_cast<int32_t>(span.content_hash.size()), input);
    input->append(span.content_hash);
    if (int64_t{span.start} + span.tokens <= start + page_tokens_) next_media_ = i + 1;
  }
}

}  // namespace facet
