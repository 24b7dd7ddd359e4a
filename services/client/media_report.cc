#include "services/client/media_report.h"

namespace facet {

nlohmann::ordered_json MediaReport(
    const google::protobuf::RepeatedPtrField<v1::MediaUsage>& media) {
  nlohmann::ordered_json out = nlohmann::ordered_json::array();
  for (const v1::MediaUsage& medium : media) {
    out.push_back({{"kind", v1::Media::Kind_Name(medium.kind())},
                   {"soft_tokens", medium.soft_tokens()},
                   {"parts", medium.parts()},
                   {"seconds", medium.seconds()},
                   {"cached", medium.cached()}});
  }
  return out;
}

}  // namespace facet
