// The gateway: OpenAI's HTTP API in front of routers, and a page to chat on.

#include <unistd.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "grpcpp/grpcpp.h"
#include "prometheus/registry.h"
#include "services/gateway/gateway.h"
#include "services/gateway/http/http_server.h"
#include "services/gateway/openai/openai_error.h"
#include "services/serving/byte_size.h"
#include "services/serving/event_pipe.h"
#include "services/serving/flags.h"
#include "services/serving/port_file.h"
#include "services/serving/process_metrics.h"
#include "services/serving/stop_signals.h"

ABSL_FLAG(std::string, router, "127.0.0.1:50051",
          "gRPC target of the router; dns:///name:port spreads calls over all addresses of the "
          "name.");
ABSL_FLAG(std::string, listen, "127.0.0.1:8080",
          "host:port of the HTTP server; port 0 takes a free one.");
ABSL_FLAG(std::string, port_file, "", "A file to write the port to once it is open; empty: none.");
ABSL_FLAG(std::string, api_keys_file, "",
          "A file with the keys that callers may show as 'authorization: Bearer', one a line; "
          "empty: everybody may call.");
ABSL_FLAG(std::vector<std::string>, cors_origins, {},
          "Origins that pages in a browser may call from, separated by commas; * is any; empty: "
          "only the gateway's own page.");
ABSL_FLAG(bool, ignore_unknown_fields, false,
          "Ignore fields of requests that are not known, instead of refusing them by name.");
ABSL_FLAG(
    facet::ByteSize, max_body, {20 << 20},
    "Most bytes of a request's body; more is refused with 413. Media in it are base64, 4 bytes "
    "for 3, and what is left must be within the router's --max_message_bytes.");
ABSL_FLAG(int, max_connections, 1024,
          "HTTP connections at the same time; more are refused with 503.");
ABSL_FLAG(int, http_threads, 4, "Threads that read requests and write answers.");
ABSL_FLAG(absl::Duration, idle_timeout, absl::Seconds(75),
          "A connection without a request for this long is closed.");
ABSL_FLAG(absl::Duration, body_timeout, absl::Seconds(60),
          "The body of a request must arrive within this time; later is refused with 408.");
ABSL_FLAG(absl::Duration, write_timeout, absl::Seconds(60),
          "A client that takes nothing of its answer for this long is cut off.");
ABSL_FLAG(absl::Duration, request_timeout, absl::Minutes(30),
          "Most time of one generation; then 408.");
ABSL_FLAG(absl::Duration, grace_period, absl::Seconds(30),
          "After SIGTERM: how long running requests may take to finish.");
ABSL_FLAG(absl::Duration, drain_delay, absl::ZeroDuration(),
          "After SIGTERM: how long new connections are still taken while /health says 503, so that "
          "load balancers see it. Part of the grace period.");

namespace facet {
namespace {

// Cancelled calls get this long to end.
constexpr absl::Duration kCancelSlack = absl::Seconds(5);

HttpServerOptions ServerOptions() {
  HttpServerOptions options;
  options.listen = absl::GetFlag(FLAGS_listen);
  options.threads = absl::GetFlag(FLAGS_http_threads);
  options.max_connections = absl::GetFlag(FLAGS_max_connections);
  options.max_body_bytes = static_cast<uint64_t>(absl::GetFlag(FLAGS_max_body).bytes);
  options.idle_timeout = absl::GetFlag(FLAGS_idle_timeout);
  options.body_timeout = absl::GetFlag(FLAGS_body_timeout);
  options.write_timeout = absl::GetFlag(FLAGS_write_timeout);
  options.error_response = [](int code, const std::string& message) {
    return ErrorResponse(code, message);
  };
  return options;
}

absl::StatusOr<GatewayOptions> Options() {
  GatewayOptions options;
  const std::string keys_file = absl::GetFlag(FLAGS_api_keys_file);
  if (!keys_file.empty()) {
    FACET_ASSIGN_OR_RETURN(options.keys, ApiKeys::Load(keys_file));
  }
  options.cors_origins = absl::GetFlag(FLAGS_cors_origins);
  options.ignore_unknown_fields = absl::GetFlag(FLAGS_ignore_unknown_fields);
  options.request_timeout = absl::GetFlag(FLAGS_request_timeout);
  if (options.request_timeout <= absl::ZeroDuration()) {
    return absl::InvalidArgumentError("request_timeout: it is not more than 0");
  }
  options.log = LogAccessToStdout;
  return options;
}

std::shared_ptr<grpc::Channel> RouterChannel() {
  grpc::ChannelArguments arguments;
  arguments.SetLoadBalancingPolicyName("round_robin");
  arguments.SetMaxReceiveMessageSize(-1);
  return grpc::CreateCustomChannel(absl::GetFlag(FLAGS_router), grpc::InsecureChannelCredentials(),
                                   arguments);
}

// As ServerShell ends: the exit status of the process.
int RunUntilStopped(EventPipe* events, Gateway* gateway, HttpServer* server) {
  while (!events->Receive(absl::InfiniteFuture())) {
  }
  const absl::Time deadline = absl::Now() + absl::GetFlag(FLAGS_grace_period);
  FACET_LOG(Info) << "draining for at most "
                  << absl::FormatDuration(absl::GetFlag(FLAGS_grace_period));
  gateway->Drain();
  server->Drain();
  // A second signal cuts it short.
  const absl::Time taken_until = std::min(deadline, absl::Now() + absl::GetFlag(FLAGS_drain_delay));
  bool asked_again = events->Receive(taken_until).has_value();
  server->StopAccepting();
  while (!asked_again && absl::Now() < deadline && server->connections() > 0) {
    asked_again = events->Receive(absl::Now() + absl::Milliseconds(20)).has_value();
  }
  if (server->connections() > 0) FACET_LOG(Warning) << "what still runs is cut off";
  server->Stop();
  if (!gateway->WaitForCalls(absl::Now() + kCancelSlack)) {
    FACET_LOG(Error) << "a call does not heed its cancellation: ending without it";
    _exit(1);
  }
  return asked_again ? 1 : 0;
}

absl::StatusOr<int> Serve() {
  FACET_ASSIGN_OR_RETURN(GatewayOptions options, Options());
  FACET_ASSIGN_OR_RETURN(const std::unique_ptr<EventPipe> events, EventPipe::Create());
  TakeStopSignals(events->write_fd());
  const auto registry = std::make_shared<prometheus::Registry>();
  options.metrics = {registry, MakeProcessMetrics()};
  Gateway gateway(std::move(options), RouterChannel(), *registry);
  FACET_ASSIGN_OR_RETURN(
      const std::unique_ptr<HttpServer> server,
      HttpServer::Start(ServerOptions(), [&gateway](HttpRequest request, auto exchange) {
        gateway.Handle(std::move(request), std::move(exchange));
      }));
  const std::string port_file = absl::GetFlag(FLAGS_port_file);
  if (!port_file.empty()) {
    FACET_RETURN_IF_ERROR(WritePortFile(port_file, server->port(), server->port()));
  }
  FACET_LOG(Info) << "gateway of " << absl::GetFlag(FLAGS_router) << " on port " << server->port();
  const int exit_status = RunUntilStopped(events.get(), &gateway, server.get());
  GiveStopSignalsBack(events->write_fd());
  return exit_status;
}

}  // namespace
}  // namespace facet

int main(int argc, char** argv) {
  facet::ParseFlags(argc, argv, "Serves OpenAI's HTTP API, and a page to chat on, over a router.");
  FACET_LOG(Info) << facet::EffectiveFlags();
  const absl::StatusOr<int> exit_status = facet::Serve();
  if (!exit_status.ok()) {
    FACET_LOG(Error) << exit_status.status();
    return 1;
  }
  return *exit_status;
}
