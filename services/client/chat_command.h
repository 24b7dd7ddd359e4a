#ifndef FACET_SERVICES_CLIENT_CHAT_COMMAND_H_
#define FACET_SERVICES_CLIENT_CHAT_COMMAND_H_

#include <string>
#include <vector>

namespace facet {

// `facet chat` answers a message, or a file of messages; `facet render` prints the prompt that this
// would be. They return the exit status.
int RunChat(const std::vector<std::string>& arguments);
int RunRender(const std::vector<std::string>& arguments);

}  // namespace facet

#endif  // FACET_SERVICES_CLIENT_CHAT_COMMAND_H_
