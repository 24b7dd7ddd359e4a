#ifndef FACET_SERVICES_GATEWAY_OPENAI_MEDIA_PARTS_H_
#define FACET_SERVICES_GATEWAY_OPENAI_MEDIA_PARTS_H_

// Parts of a message that are not text.

#include "absl/status/status.h"
#include "proto/facet/v1/media.pb.h"
#include "services/gateway/openai/json_fields.h"

namespace facet {

// True for the part types that ReadMediaPart reads: image_url, input_audio, and as other servers
// have them audio_url and video_url.
bool IsMediaPart(const std::string& type);

// `part` is the whole part, `type` its type. Data URLs and input_audio become bytes; any other URL
// is passed on as it is: the router's flags say whether it may be fetched. image_url.detail: low is
// at most 70 soft tokens, high 1120, auto (or unset) the checkpoint's own.
absl::Status ReadMediaPart(const JsonFields& part, const std::string& type, v1::Media* media);

}  // namespace facet

#endif  // FACET_SERVICES_GATEWAY_OPENAI_MEDIA_PARTS_H_
