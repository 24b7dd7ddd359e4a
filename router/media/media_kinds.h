#ifndef FACET_ROUTER_MEDIA_MEDIA_KINDS_H_
#define FACET_ROUTER_MEDIA_MEDIA_KINDS_H_

// Which media a checkpoint takes, and by which tokens.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "model/config.h"
#include "proto/facet/v1/media.pb.h"

namespace facet {

// The tokens of one kind of media.
struct MediaTokens {
  int32_t placeholder = 0;  // one for each soft token, and one for the whole medium in a prompt
  int32_t begin = 0;        // around the soft tokens of a part
  int32_t end = 0;
};

// nullopt: the model does not take media of this kind.
std::optional<MediaTokens> TokensOf(const ModelConfig& config, v1::Media::Kind kind);

// The placeholders of a model, for a look at each token of a prompt.
class PlaceholderKinds {
 public:
  explicit PlaceholderKinds(const ModelConfig& config);

  // The kind whose placeholder this token is; KIND_UNSPECIFIED: it is none.
  v1::Media::Kind Of(int32_t token_id) const {
    for (const Placeholder& placeholder : placeholders_) {
      if (placeholder.token_id == token_id) return placeholder.kind;
    }
    return v1::Media::KIND_UNSPECIFIED;
  }

 private:
  struct Placeholder {
    int32_t token_id;
    v1::Media::Kind kind;
  };
  std::vector<Placeholder> placeholders_;  // one a kind
};

// "images and video", "text only": for messages.
std::string AcceptedMedia(const ModelConfig& config);

// All tokens of media, which a model is not meant to write.
std::vector<int32_t> MediaTokenIds(const ModelConfig& config);

}  // namespace facet

#endif  // FACET_ROUTER_MEDIA_MEDIA_KINDS_H_
