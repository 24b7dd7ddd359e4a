#ifndef FACET_SERVICES_CLIENT_TEXT_COMMANDS_H_
#define FACET_SERVICES_CLIENT_TEXT_COMMANDS_H_

#include <string>
#include <vector>

namespace facet {

// `facet tokenize`, `facet detokenize` and `facet count`: text to token ids, back, and how many a
// prompt has. They return the exit status.
int RunTokenize(const std::vector<std::string>& arguments);
int RunDetokenize(const std::vector<std::string>& arguments);
int RunCount(const std::vector<std::string>& arguments);

}  // namespace facet

#endif  // FACET_SERVICES_CLIENT_TEXT_COMMANDS_H_
