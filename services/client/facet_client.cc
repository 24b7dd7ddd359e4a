// The command-line client of the router: facet COMMAND [flags].

#include <cstdio>
#include <cstring>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "services/client/bench_command.h"
#include "services/client/chat_command.h"
#include "services/client/command.h"
#include "services/client/generate_command.h"
#include "services/client/models_command.h"
#include "services/client/text_commands.h"

namespace {

constexpr char kUsage[] =
    "usage: facet COMMAND [flags]\n"
    "\n"
    "  generate    answer a prompt\n"
    "  chat        answer a message, with tools if there are any\n"
    "  render      the prompt that a chat would be\n"
    "  tokenize    token ids of a text\n"
    "  detokenize  text of token ids\n"
    "  count       how many tokens a prompt has\n"
    "  models      what the router serves\n"
    "  bench       measure throughput and latency under load\n"
    "\n"
    "facet COMMAND --help says more. Exit status: 0 success, 1 the request failed, 2 usage.\n";

}  // namespace

int main(int argc, char** argv) {
  using Command = std::function<int(const std::vector<std::string>&)>;
  const std::map<std::string, Command> commands = {
      {"generate", facet::RunGenerate},     {"chat", facet::RunChat},
      {"render", facet::RunRender},         {"tokenize", facet::RunTokenize},
      {"detokenize", facet::RunDetokenize}, {"count", facet::RunCount},
      {"models", facet::RunModels},         {"bench", facet::RunBench},
  };
  const std::string name = argc > 1 ? argv[1] : "";
  if (name == "help" || name == "--help" || name == "-h") {
    std::fputs(kUsage, stdout);
    return facet::kExitOk;
  }
  const auto command = commands.find(name);
  if (command == commands.end()) {
    if (!name.empty()) std::fprintf(stderr, "facet: unknown command '%s'\n", name.c_str());
    std::fputs(kUsage, stderr);
    return facet::kExitUsage;
  }
  return command->second(std::vector<std::string>(argv + 2, argv + argc));
}
