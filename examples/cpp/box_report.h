#ifndef FACET_EXAMPLES_CPP_BOX_REPORT_H_
#define FACET_EXAMPLES_CPP_BOX_REPORT_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "examples/cpp/boxes.h"
#include "examples/cpp/facet_client.h"

namespace facet::examples {

// Asks about an image, the answer held to the schema (BoxSchema); prints each box in pixels.
absl::StatusOr<std::vector<Box>> FindBoxes(FacetClient& client, const std::string& image_path,
                                           int max_soft_tokens, const std::string& prompt,
                                           const std::string& schema);

}  // namespace facet::examples

#endif  // FACET_EXAMPLES_CPP_BOX_REPORT_H_
