#ifndef FACET_ROUTER_ROUTER_H_
#define FACET_ROUTER_ROUTER_H_

#include <cstddef>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "prometheus/registry.h"
#include "proto/facet/v1/generation.pb.h"
#include "proto/facet/v1/models.pb.h"
#include "router/admission.h"
#include "router/chat/chat_prompts.h"
#include "router/generation_call.h"
#include "router/group_directory.h"
#include "router/media/media_prompts.h"
#include "router/metrics.h"
#include "router/pacer.h"
#include "router/prompt_builder.h"
#include "router/request_context.h"
#include "router/request_log.h"
#include "router/request_validator.h"
#include "router/router_parts.h"
#include "router/served_model.h"
#include "router/task_pool.h"
#include "router/text_calls.h"

namespace facet {

// All parts of a router, put together: what a server needs to answer the public API.
//
// Thread-safe.
class Router {
 public:
  struct Options {
    std::unique_ptr<const ServedModel> model;
    GroupAddresses groups;
    ShardClient::Options connection;  // to each group; address and model are set by the router
    absl::Duration resolve_interval = absl::Seconds(5);
    absl::Duration wait_for_group = absl::ZeroDuration();
    int max_requests = 256;     // Generate and Chat calls at the same time; >= 1
    int tokenizer_threads = 1;  // >= 1
    RequestLimits limits;
    MediaPrompts::Options media;
    int media_requests = 32;  // whose media are encoded at the same time; >= 1; others wait
    // Of one slow caller: see RouterParts.
    int max_buffered_tokens = 1024;
    absl::Duration max_read_pause = absl::Minutes(1);
    // Between two messages of a stream, but for its first and last ones; zero: each step's tokens
    // go out at once. At most 1 s, and less than max_read_pause.
    absl::Duration stream_interval = absl::ZeroDuration();
    RequestLog log = LogRequestToStdout;

    absl::Status Validate() const;
  };

  // `registry` and what `on_change` uses must outlive the router. InvalidArgument names the option.
  static absl::StatusOr<std::unique_ptr<Router>> Create(Options options,
                                                        prometheus::Registry& registry,
                                                        GroupDirectory::OnChange on_change);
  // No call may be running any more.
  ~Router() = default;

  // Begins a generation. The owner takes its output until the end, then calls Finalize.
  std::shared_ptr<GenerationCall> Generate(const v1::GenerateRequest& request,
                                           RequestContext context, std::function<void()> on_output);
  std::shared_ptr<GenerationCall> Chat(const v1::ChatRequest& request, RequestContext context,
                                       std::function<void()> on_output);

  // Runs a call that has one answer on the router's threads, those that may wait for encoders if it
  // has media, counts and logs it, then calls `done` with its status. Where the queue is full,
  // `done` is called at once.
  void RunUnary(const std::string& method, RequestContext context, bool has_media,
                std::function<absl::Status(const TextCalls&)> call,
                std::function<void(const absl::Status&)> done);

  // Calls on_change with the present numbers of groups: for what has missed earlier calls.
  void ReportGroups() { groups_.Report(); }

  const RequestValidator& validator() const { return validator_; }
  // What the Models service says of the model.
  v1::Model Describe() const;

 private:
  Router(Options options, prometheus::Registry& registry, GroupDirectory::OnChange on_change);
  // Without a pool `prepare` runs before this returns.
  std::shared_ptr<GenerationCall> Begin(std::string method, RequestContext context,
                                        std::function<void()> on_output, TaskPool* pool,
                                        GenerationCall::Prepare prepare);
  // Asks the call again and again, until it is gone, whether its caller still reads.
  void WatchReader(std::weak_ptr<GenerationCall> call);
  void Record(const std::string& method, const RequestContext& context, const absl::Status& status);

  // In the order of their uses: each may use those above it.
  const std::unique_ptr<const ServedModel> model_;
  RouterMetrics metrics_;
  const RequestValidator validator_;
  const PromptBuilder prompts_;
  const ChatPrompts chat_;
  MediaPrompts media_;
  Admission admission_;
  RouterParts parts_;
  Pacer pacer_;
  GroupDirectory groups_;
  const TextCalls text_calls_;
  Pacer reader_checks_;
  TaskPool pool_;
  TaskPool media_pool_;  // of requests that wait for encoders
};

}  // namespace facet

#endif  // FACET_ROUTER_ROUTER_H_
