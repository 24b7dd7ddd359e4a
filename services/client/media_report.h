#ifndef FACET_SERVICES_CLIENT_MEDIA_REPORT_H_
#define FACET_SERVICES_CLIENT_MEDIA_REPORT_H_

#include "google/protobuf/repeated_field.h"
#include "nlohmann/json.hpp"
#include "proto/facet/v1/media.pb.h"

namespace facet {

// What became of a request's media, as --json prints it: a list, in the order of the prompt.
nlohmann::ordered_json MediaReport(const google::protobuf::RepeatedPtrField<v1::MediaUsage>& media);

}  // namespace facet

#endif  // FACET_SERVICES_CLIENT_MEDIA_REPORT_H_
