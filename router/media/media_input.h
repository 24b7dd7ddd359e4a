#ifndef FACET_ROUTER_MEDIA_MEDIA_INPUT_H_
#define FACET_ROUTER_MEDIA_MEDIA_INPUT_H_

#include <string>
#include <vector>

#include "proto/facet/v1/media.pb.h"

namespace facet {

// A medium of a request, which must outlive this, and how messages call it ("media[0]").
struct MediaInput {
  const v1::Media* media = nullptr;
  std::string field;
};

// In the order in which the request has them.
using MediaInputs = std::vector<MediaInput>;

}  // namespace facet

#endif  // FACET_ROUTER_MEDIA_MEDIA_INPUT_H_
