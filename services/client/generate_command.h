#ifndef FACET_SERVICES_CLIENT_GENERATE_COMMAND_H_
#define FACET_SERVICES_CLIENT_GENERATE_COMMAND_H_

#include <string>
#include <vector>

namespace facet {

// `facet generate`: sends one prompt and prints the answer, as it comes or as one JSON object.
// Returns the exit status.
int RunGenerate(const std::vector<std::string>& arguments);

}  // namespace facet

#endif  // FACET_SERVICES_CLIENT_GENERATE_COMMAND_H_
