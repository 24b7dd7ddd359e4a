#ifndef FACET_SERVICES_CLIENT_COMMAND_H_
#define FACET_SERVICES_CLIENT_COMMAND_H_

// What the sub-commands share: their flags, their connection, their exit statuses.

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "grpcpp/grpcpp.h"
#include "services/client/flag_set.h"

namespace facet {

enum ExitStatus {
  kExitOk = 0,
  kExitFailed = 1,  // the request failed: its code and message are on stderr
  kExitUsage = 2,   // the command line is wrong: why is on stderr
};

// --router and --timeout, for every sub-command that calls one.
class Connection {
 public:
  void AddFlags(FlagSet* flags);

  // InvalidArgument if --timeout is no positive number.
  absl::Status Validate() const;

  // Call after the flags are parsed. Messages may be large: a prompt's tokens and their pieces.
  std::shared_ptr<grpc::Channel> Open() const;
  // Sets the deadline.
  void Prepare(grpc::ClientContext* context) const;

 private:
  std::optional<std::string> router_;
  std::optional<double> timeout_seconds_;
};

// Parses `arguments`; prints help or a usage error. nullopt: go on; else the process's exit status.
//   usage: "generate (--prompt TEXT | --prompt-ids 1,2,3) [flags]"
//   max_positional: words that are no flags
//   check: what the flags must agree on; InvalidArgument is a usage error
std::optional<int> ParseCommand(const std::string& usage, const FlagSet& flags,
                                const std::vector<std::string>& arguments, size_t max_positional,
                                std::vector<std::string>* positional,
                                const std::function<absl::Status()>& check);

// Prints "facet: INVALID_ARGUMENT: ..." to stderr; returns kExitFailed.
int ReportFailure(const grpc::Status& status, const grpc::ClientContext& context);

// Reads a whole file; "-" is stdin. NotFound if it cannot be read.
absl::Status ReadFile(const std::string& path, std::string* out);

}  // namespace facet

#endif  // FACET_SERVICES_CLIENT_COMMAND_H_
