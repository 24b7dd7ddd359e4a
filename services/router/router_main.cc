// The router: tokenizes and validates requests, dispatches them to shard groups, streams the
// answers.

#include <algorithm>
#include <cstdint>
#include <limits>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/strings/str_split.h"
#include "absl/time/time.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "router/group_addresses.h"
#include "router/media/media_prompts.h"
#include "router/router.h"
#include "router/served_model.h"
#include "services/router/generation_service.h"
#include "services/router/models_service.h"
#include "services/serving/byte_size.h"
#include "services/serving/flags.h"
#include "services/serving/server_shell.h"

ABSL_FLAG(
    std::string, model, "",
    "Folder of the checkpoint that the shard groups serve: config.json, generation_config.json "
    "and tokenizer.json are read; the weights may be absent.");
ABSL_FLAG(std::string, model_name, "",
          "What requests call the model. Empty: the name of its folder.");
ABSL_FLAG(std::string, groups, "",
          "The leaders of the shard groups, separated by commas: host:port is one group, "
          "dns:///name:port a group at each address of the name, looked up again and again.");
ABSL_FLAG(std::string, listen, "127.0.0.1:50051",
          "host:port of the gRPC server; port 0 takes a free one.");
ABSL_FLAG(std::string, metrics, "127.0.0.1:0",
          "host:port of the Prometheus page /metrics; empty: none.");
ABSL_FLAG(std::string, port_file, "",
          "A file to write the ports to once they are open; empty: none.");
ABSL_FLAG(
    int, max_requests, 256,
    "Generations in the router at the same time; more are refused with RESOURCE_EXHAUSTED and "
    "the time to come again.");
ABSL_FLAG(absl::Duration, wait_for_group, absl::Seconds(2),
          "How long a request waits while no shard group is ready; 0: not at all.");
ABSL_FLAG(absl::Duration, group_timeout, absl::Seconds(5),
          "A shard group whose leader answers no health probe for this long is lost: its requests "
          "end with UNAVAILABLE.");
ABSL_FLAG(absl::Duration, probe_interval, absl::Milliseconds(250),
          "Pause between two health probes of a shard group.");
ABSL_FLAG(absl::Duration, resolve_interval, absl::Seconds(5),
          "Pause between two look-ups of the DNS names in --groups.");
ABSL_FLAG(int, tokenizer_threads, 0,
          "Threads that validate and tokenize requests; 0: as many as there are cores.");
ABSL_FLAG(int, max_prompt_bytes, 4 << 20,
          "Bytes of a prompt given as text; a longer one is refused before it is tokenized.");
ABSL_FLAG(int, max_message_bytes, 16 << 20,
          "Bytes of one received message; a larger one is refused with RESOURCE_EXHAUSTED.");
ABSL_FLAG(std::string, vision_encoders, "",
          "host:port of each vision encoder, or dns:///name:port of several, separated by commas; "
          "empty: no images and no video.");
ABSL_FLAG(std::string, audio_encoders, "",
          "host:port of each audio encoder, or dns:///name:port of several, separated by commas; "
          "empty: no audio.");
ABSL_FLAG(facet::ByteSize, max_media_bytes,
          facet::ByteSize{facet::MediaPrompts::Options().max_media_bytes},
          "Most bytes of the media of one request together, at most 1GiB; a message may be as much "
          "larger than --max_message_bytes where there are encoders.");
ABSL_FLAG(int, image_budget, 0,
          "Most soft tokens of an image that asks for no number of its own: 70, 140, 280, 560 or "
          "1120; 0: what the checkpoint says.");
ABSL_FLAG(facet::ByteSize, media_cache_bytes,
          facet::ByteSize{facet::MediaEncoders::Options().cache_bytes},
          "Memory for soft tokens of media seen before; 0: none.");
ABSL_FLAG(int, media_requests, 32,
          "Requests whose media are encoded at the same time; others wait.");
ABSL_FLAG(absl::Duration, encode_timeout, facet::MediaEncoders::Options().timeout,
          "How long the media of a request may take to encode, whatever its deadline.");
ABSL_FLAG(absl::Duration, encoder_timeout, facet::MediaEncoders::Options().ping_timeout,
          "An encoder that answers no ping for this long while it is at work is lost: what it was "
          "asked is tried once on another.");
ABSL_FLAG(std::string, media_url_hosts, "",
          "Hosts that media may be fetched from by http and https, separated by commas: "
          "example.com, *.example.com (the names below it), * (all); with :port that port, else "
          "80 and 443 alone. Empty: nothing is fetched.");
ABSL_FLAG(
    std::string, media_url_allow_private, "",
    "Addresses (10.1.2.3) and ranges (10.0.0.0/8, fd00::/8) that may be fetched from although "
    "they are private, separated by commas; all others must be public.");
ABSL_FLAG(absl::Duration, media_url_timeout, facet::MediaFetcher::Options().timeout,
          "How long a medium may take to fetch, redirects included.");
ABSL_FLAG(int, media_downloads, facet::MediaFetcher::Options().threads,
          "Media that are fetched at the same time; others wait.");
ABSL_FLAG(
    std::string, media_file_roots, "",
    "Folders below which files may be given as file: URLs, separated by commas. Empty: none.");
ABSL_FLAG(int, max_buffered_tokens, 1024,
          "Tokens that may wait for a caller that reads slowly, all its completions together; with "
          "more its request is paused, and goes on when a quarter is left.");
ABSL_FLAG(absl::Duration, max_read_pause, absl::Minutes(1),
          "A caller that reads nothing for this long, though its request is paused or over and "
          "output waits, loses it with RESOURCE_EXHAUSTED; after as long again it is cut off.");
ABSL_FLAG(
    absl::Duration, stream_interval, absl::ZeroDuration(),
    "A stream gets at most one message in this time, but for its first and last ones, with the "
    "tokens of all steps in it: most of a token's cost in the router is its message's. 0: a "
    "message for each step; at most 1s.");
ABSL_FLAG(std::string, unknown_chat_template, "warn",
          "What to do about a checkpoint whose chat template is none of the published ones: warn "
          "uses the published one that goes with its size, and says so; refuse does not start.");
ABSL_FLAG(absl::Duration, grace_period, absl::Seconds(30),
          "After SIGTERM: how long running requests may take to finish.");
ABSL_FLAG(absl::Duration, drain_delay, absl::ZeroDuration(),
          "After SIGTERM: how long new requests are still taken while health says NOT_SERVING, so "
          "that load balancers see it. Part of the grace period.");

namespace facet {
namespace {

std::vector<std::string> Addresses(const std::string& flag) {
  return absl::StrSplit(flag, ',', absl::SkipWhitespace());
}

int MaxMessageBytes() {
  const int64_t bytes = absl::GetFlag(FLAGS_max_message_bytes);
  const bool no_media =
      absl::GetFlag(FLAGS_vision_encoders).empty() && absl::GetFlag(FLAGS_audio_encoders).empty();
  const int64_t media = no_media ? 0 : absl::GetFlag(FLAGS_max_media_bytes).bytes;
  return static_cast<int>(std::min<int64_t>(bytes + media, std::numeric_limits<int>::max()));
}

absl::StatusOr<MediaPrompts::Options> MediaOptions() {
  MediaPrompts::Options options;
  options.max_media_bytes = absl::GetFlag(FLAGS_max_media_bytes).bytes;
  options.image_budget = absl::GetFlag(FLAGS_image_budget);
  options.encoders.vision = Addresses(absl::GetFlag(FLAGS_vision_encoders));
  options.encoders.audio = Addresses(absl::GetFlag(FLAGS_audio_encoders));
  options.encoders.cache_bytes = absl::GetFlag(FLAGS_media_cache_bytes).bytes;
  options.encoders.timeout = absl::GetFlag(FLAGS_encode_timeout);
  options.encoders.ping_timeout = absl::GetFlag(FLAGS_encoder_timeout);
  options.urls.timeout = absl::GetFlag(FLAGS_media_url_timeout);
  options.urls.threads = absl::GetFlag(FLAGS_media_downloads);
  FACET_ASSIGN_OR_RETURN(
      options.urls.rules,
      UrlRules::Parse(absl::GetFlag(FLAGS_media_url_hosts), absl::GetFlag(FLAGS_media_file_roots),
                      absl::GetFlag(FLAGS_media_url_allow_private)));
  return options;
}

ServerShellOptions ShellOptions() {
  ServerShellOptions options;
  options.listen = absl::GetFlag(FLAGS_listen);
  options.metrics_listen = absl::GetFlag(FLAGS_metrics);
  options.port_file = absl::GetFlag(FLAGS_port_file);
  options.services = {v1::Generation::service_full_name(), v1::Models::service_full_name()};
  options.grace_period = absl::GetFlag(FLAGS_grace_period);
  options.drain_delay = absl::GetFlag(FLAGS_drain_delay);
  options.max_receive_message_bytes = MaxMessageBytes();
  return options;
}

absl::StatusOr<UnknownTemplatePolicy> TemplatePolicy() {
  const std::string policy = absl::GetFlag(FLAGS_unknown_chat_template);
  if (policy == "warn") return UnknownTemplatePolicy::kUseOurs;
  if (policy == "refuse") return UnknownTemplatePolicy::kRefuse;
  return absl::InvalidArgumentError("--unknown_chat_template is '" + policy +
                                    "'; allowed: warn, refuse");
}

absl::StatusOr<Router::Options> RouterOptions() {
  Router::Options options;
  FACET_ASSIGN_OR_RETURN(options.groups, ParseGroupAddresses(absl::GetFlag(FLAGS_groups)));
  options.connection.probe_interval = absl::GetFlag(FLAGS_probe_interval);
  options.connection.probe_timeout = absl::GetFlag(FLAGS_group_timeout);
  options.resolve_interval = absl::GetFlag(FLAGS_resolve_interval);
  options.wait_for_group = absl::GetFlag(FLAGS_wait_for_group);
  options.max_requests = absl::GetFlag(FLAGS_max_requests);
  const int threads = absl::GetFlag(FLAGS_tokenizer_threads);
  options.tokenizer_threads =
      threads != 0 ? threads : std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  options.limits.max_prompt_bytes =
      static_cast<size_t>(std::max(0, absl::GetFlag(FLAGS_max_prompt_bytes)));
  FACET_ASSIGN_OR_RETURN(options.media, MediaOptions());
  options.media_requests = absl::GetFlag(FLAGS_media_requests);
  options.max_buffered_tokens = absl::GetFlag(FLAGS_max_buffered_tokens);
  options.max_read_pause = absl::GetFlag(FLAGS_max_read_pause);
  options.stream_interval = absl::GetFlag(FLAGS_stream_interval);
  FACET_ASSIGN_OR_RETURN(const UnknownTemplatePolicy policy, TemplatePolicy());
  FACET_ASSIGN_OR_RETURN(options.model, LoadServedModel(absl::GetFlag(FLAGS_model),
                                                        absl::GetFlag(FLAGS_model_name), policy));
  return options;
}

// The exit status of the process.
absl::StatusOr<int> Serve() {
  if (absl::GetFlag(FLAGS_model).empty()) {
    return absl::InvalidArgumentError("--model is missing: the folder of a checkpoint");
  }
  FACET_ASSIGN_OR_RETURN(const std::unique_ptr<ServerShell> shell,
                         ServerShell::Create(ShellOptions()));
  FACET_ASSIGN_OR_RETURN(Router::Options options, RouterOptions());
  const std::string model_name = options.model->name;
  FACET_ASSIGN_OR_RETURN(
      const std::unique_ptr<Router> router,
      Router::Create(std::move(options), shell->registry(),
                     [&shell](int ready, int) { shell->SetServing(ready > 0); }));
  GenerationService generation(router.get());
  ModelsService models(router.get());
  FACET_RETURN_IF_ERROR(shell->Start({&generation, &models}));
  router->ReportGroups();  // one may have become ready before there was a server to say so
  FACET_LOG(Info) << "router for " << model_name << " on port " << shell->grpc_port()
                  << ", metrics on port " << shell->metrics_port();
  return shell->Wait();
}

}  // namespace
}  // namespace facet

int main(int argc, char** argv) {
  facet::ParseFlags(argc, argv,
                    "Serves facet.v1.Generation and facet.v1.Models for one model, computed by one "
                    "or more shard groups.");
  FACET_LOG(Info) << facet::EffectiveFlags();
  const absl::StatusOr<int> exit_status = facet::Serve();
  if (!exit_status.ok()) {
    FACET_LOG(Error) << exit_status.status();
    return 1;
  }
  return *exit_status;
}
