#include "services/client/command.h"

#include <cstdio>
#include <fstream>
#include <iostream>
#include <sstream>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/retry_after.h"
#include "services/client/router_address.h"
#include "services/serving/status_to_grpc.h"

namespace facet {

void Connection::AddFlags(FlagSet* flags) {
  flags->Text("router", "HOST:PORT",
              "the router (else FACET_ROUTER, the running local cluster, 127.0.0.1:50051)",
              &router_);
  flags->Number("timeout", "SECONDS", "deadline of the request (default: none)", &timeout_seconds_);
}

absl::Status Connection::Validate() const {
  if (timeout_seconds_.has_value() && !(*timeout_seconds_ > 0 && *timeout_seconds_ < 1e9)) {
    return absl::InvalidArgumentError("--timeout must be a number of seconds above 0");
  }
  return absl::OkStatus();
}

std::shared_ptr<grpc::Channel> Connection::Open() const {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(-1);
  arguments.SetMaxSendMessageSize(-1);
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  return grpc::CreateCustomChannel(FindRouter(router_), grpc::InsecureChannelCredentials(),
                                   arguments);
}

void Connection::Prepare(grpc::ClientContext* context) const {
  if (!timeout_seconds_.has_value()) return;
  context->set_deadline(absl::ToChronoTime(absl::Now() + absl::Seconds(*timeout_seconds_)));
}

std::optional<int> ParseCommand(const std::string& usage, const FlagSet& flags,
                                const std::vector<std::string>& arguments, size_t max_positional,
                                std::vector<std::string>* positional,
                                const std::function<absl::Status()>& check) {
  bool help = false;
  absl::Status status = flags.Parse(arguments, positional, &help);
  if (help) {
    std::printf("usage: facet %s\n\n%s", usage.c_str(), flags.Help().c_str());
    return kExitOk;
  }
  if (status.ok() && positional->size() > max_positional) {
    status = absl::InvalidArgumentError(
        absl::StrCat("unexpected argument '", (*positional)[max_positional], "'"));
  }
  if (status.ok()) status = check();
  if (status.ok()) return std::nullopt;
  std::fprintf(stderr, "facet: %s\nusage: facet %s\n(--help says more)\n",
               std::string(status.message()).c_str(), usage.c_str());
  return kExitUsage;
}

int ReportFailure(const grpc::Status& status, const grpc::ClientContext& context) {
  const absl::Status failure = FromGrpcStatus(status, context);
  std::string text =
      absl::StrCat("facet: ", absl::StatusCodeToString(failure.code()), ": ", failure.message());
  if (const auto after = RetryAfter(failure)) {
    absl::StrAppend(&text, " (retry after ", absl::FormatDuration(*after), ")");
  }
  std::fprintf(stderr, "%s\n", text.c_str());
  return kExitFailed;
}

absl::Status ReadFile(const std::string& path, std::string* out) {
  std::ostringstream text;
  if (path == "-") {
    text << std::cin.rdbuf();
  } else {
    std::ifstream file(path, std::ios::binary);
    if (!file) return absl::NotFoundError(absl::StrCat("cannot read ", path));
    if (file.peek() != std::ifstream::traits_type::eof()) text << file.rdbuf();
    if (file.bad()) return absl::NotFoundError(absl::StrCat("cannot read ", path));
  }
  *out = text.str();
  return absl::OkStatus();
}

}  // namespace facet
