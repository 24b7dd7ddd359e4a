#ifndef FACET_SERVICES_CLIENT_MEDIA_FILES_H_
#define FACET_SERVICES_CLIENT_MEDIA_FILES_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "google/protobuf/repeated_field.h"
#include "proto/facet/v1/media.pb.h"
#include "services/client/flag_set.h"

namespace facet {

// The media of a request as files of this machine, or as URLs that the router fetches.
struct MediaFiles {
  std::vector<std::string> images, audio, videos;
  std::optional<int32_t> image_budget;
  bool split_long_audio = false;

  void AddFlags(FlagSet* flags);
  bool empty() const { return images.empty() && audio.empty() && videos.empty(); }

  // Reads the files: images first, then videos, then audio, each in the order of its flags.
  absl::Status Read(google::protobuf::RepeatedPtrField<v1::Media>* out) const;
};

}  // namespace facet

#endif  // FACET_SERVICES_CLIENT_MEDIA_FILES_H_
