#ifndef FACET_SERVICES_CLIENT_MODELS_COMMAND_H_
#define FACET_SERVICES_CLIENT_MODELS_COMMAND_H_

#include <string>
#include <vector>

namespace facet {

// `facet models`: what the router serves. Returns the exit status.
int RunModels(const std::vector<std::string>& arguments);

}  // namespace facet

#endif  // FACET_SERVICES_CLIENT_MODELS_COMMAND_H_
