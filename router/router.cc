#include "router/router.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/status_macros.h"
#include "router/chat/chat_work.h"
#include "router/generate_work.h"

namespace facet {
namespace {

// A request of up to so many bytes is prepared by the thread that brings it (0.2 ms at most): to
// wake another one for it would cost as much.
constexpr size_t kShortRequestBytes = size_t{8} << 10;

absl::Status OptionError(const char* name, const std::string& value, const char* allowed) {
  return absl::InvalidArgumentError(absl::StrCat(name, " is ", value, "; allowed: ", allowed));
}

absl::Status CheckPositive(const char* name, absl::Duration value) {
  if (value > absl::ZeroDuration() && value < absl::InfiniteDuration()) return absl::OkStatus();
  return OptionError(name, absl::FormatDuration(value), "more than 0, less than infinite");
}

RouterParts MakeParts(const Router::Options& options) {
  RouterParts parts;
  parts.log = options.log;
  parts.wait_for_group = options.wait_for_group;
  parts.max_buffered_tokens = options.max_buffered_tokens;
  parts.max_read_pause = options.max_read_pause;
  return parts;
}

v1::ChatTemplate DescribeTemplate(const ServedModel& model) {
  v1::ChatTemplate out;
  out.set_variant(Name(model.chat_template.variant));
  out.set_sha256(model.chat_template.sha256);
  out.set_warning(model.chat_template.warning);
  return out;
}

GroupDirectory::Options MakeDirectoryOptions(const Router::Options& options,
                                             const ServedModel& model) {
  GroupDirectory::Options out;
  out.addresses = options.groups;
  out.client = options.connection;
  out.client.expected = {model.config.model_type, model.vocab_size(), model.fingerprint};
  out.context_length = model.config.max_position_embeddings;
  out.resolve_interval = options.resolve_interval;
  out.first_turn = RequestValidator::RandomSeed();
  return out;
}

}  // namespace

absl::Status Router::Options::Validate() const {
  if (model == nullptr) return absl::InvalidArgumentError("model is missing");
  if (groups.fixed.empty() && groups.dns.empty()) {
    return absl::InvalidArgumentError("groups is empty; at least one address is needed");
  }
  FACET_RETURN_IF_ERROR(CheckPositive("resolve_interval", resolve_interval));
  FACET_RETURN_IF_ERROR(CheckPositive("probe_interval", connection.probe_interval));
  FACET_RETURN_IF_ERROR(CheckPositive("probe_timeout", connection.probe_timeout));
  FACET_RETURN_IF_ERROR(CheckPositive("min_backoff", connection.min_backoff));
  FACET_RETURN_IF_ERROR(CheckPositive("max_backoff", connection.max_backoff));
  if (wait_for_group < absl::ZeroDuration() || wait_for_group > absl::Hours(1)) {
    return OptionError("wait_for_group", absl::FormatDuration(wait_for_group), "0 to 1h");
  }
  if (max_requests < 1 || max_requests > 100000) {
    return OptionError("max_requests", absl::StrCat(max_requests), "1 to 100000");
  }
  if (tokenizer_threads < 1 || tokenizer_threads > 1024) {
    return OptionError("tokenizer_threads", absl::StrCat(tokenizer_threads), "1 to 1024");
  }
  if (limits.max_prompt_bytes < 1) {
    return OptionError("max_prompt_bytes", absl::StrCat(limits.max_prompt_bytes), "1 and above");
  }
  if (media_requests < 1 || media_requests > 1024) {
    return OptionError("media_requests", absl::StrCat(media_requests), "1 to 1024");
  }
  FACET_RETURN_IF_ERROR(media.Validate());
  if (max_buffered_tokens < 1 || max_buffered_tokens > 1 << 20) {
    return OptionError("max_buffered_tokens", absl::StrCat(max_buffered_tokens), "1 to 1048576");
  }
  FACET_RETURN_IF_ERROR(CheckPositive("max_read_pause", max_read_pause));
  if (stream_interval < absl::ZeroDuration() || stream_interval > absl::Seconds(1) ||
      stream_interval >= max_read_pause) {
    return OptionError("stream_interval", absl::FormatDuration(stream_interval),
                       "0 to 1s, less than max_read_pause");
  }
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<Router>> Router::Create(Options options,
                                                       prometheus::Registry& registry,
                                                       GroupDirectory::OnChange on_change) {
  FACET_RETURN_IF_ERROR(options.Validate());
  return std::unique_ptr<Router>(new Router(std::move(options), registry, std::move(on_change)));
}

Router::Router(Options options, prometheus::Registry& registry, GroupDirectory::OnChange on_change)
    : model_(std::move(options.model)),
      metrics_(registry),
      validator_(model_.get(), options.limits),
      prompts_(model_.get()),
      chat_(model_.get(), &validator_),
      media_(model_.get(), options.media, registry),
      admission_(options.max_requests),
      parts_(MakeParts(options)),
      pacer_(options.stream_interval),
      groups_(MakeDirectoryOptions(options, *model_),
              [this, on_change = std::move(on_change)](int ready, int total) {
                metrics_.groups_ready.Set(ready);
                metrics_.groups.Set(total);
                on_change(ready, total);
              }),
      text_calls_(model_.get(), &validator_, &prompts_, &chat_, &media_, &groups_, &metrics_),
      reader_checks_(
          std::clamp(options.max_read_pause / 8, absl::Milliseconds(5), absl::Seconds(1))),
      pool_(options.tokenizer_threads,
            /*max_queue=*/static_cast<size_t>(2 * options.max_requests)),
      media_pool_(std::min(options.media_requests, options.max_requests),
                  /*max_queue=*/static_cast<size_t>(options.max_requests)) {
  parts_.model = model_.get();
  parts_.validator = &validator_;
  parts_.prompts = &prompts_;
  parts_.media = &media_;
  parts_.groups = &groups_;
  parts_.metrics = &metrics_;
  parts_.pacer = &pacer_;
}

std::shared_ptr<GenerationCall> Router::Generate(const v1::GenerateRequest& request,
                                                 RequestContext context,
                                                 std::function<void()> on_output) {
  const bool has_media = !request.media().empty();
  if (!has_media && request.ByteSizeLong() <= kShortRequestBytes) {
    return Begin("Generate", std::move(context), std::move(on_output), /*pool=*/nullptr,
                 [this, &request](const RequestContext& of_call) {
                   return PrepareGenerate(parts_, of_call, request);
                 });
  }
  // Shared: media make a request too large to be copied along with its task.
  const auto kept = std::make_shared<const v1::GenerateRequest>(request);
  TaskPool* const pool = has_media ? &media_pool_ : &pool_;
  return Begin("Generate", std::move(context), std::move(on_output), pool,
               [this, kept](const RequestContext& of_call) {
                 return PrepareGenerate(parts_, of_call, *kept);
               });
}

std::shared_ptr<GenerationCall> Router::Chat(const v1::ChatRequest& request, RequestContext context,
                                             std::function<void()> on_output) {
  const bool has_media = !MediaOf(request).empty();
  if (!has_media && request.ByteSizeLong() <= kShortRequestBytes) {
    return Begin("Chat", std::move(context), std::move(on_output), /*pool=*/nullptr,
                 [this, &request](const RequestContext& of_call) {
                   return PrepareChat(parts_, chat_, of_call, request);
                 });
  }
  const auto kept = std::make_shared<const v1::ChatRequest>(request);
  TaskPool* const pool = has_media ? &media_pool_ : &pool_;
  return Begin("Chat", std::move(context), std::move(on_output), pool,
               [this, kept](const RequestContext& of_call) {
                 return PrepareChat(parts_, chat_, of_call, *kept);
               });
}

std::shared_ptr<GenerationCall> Router::Begin(std::string method, RequestContext context,
                                              std::function<void()> on_output, TaskPool* pool,
                                              GenerationCall::Prepare prepare) {
  absl::StatusOr<Admission::Permit> permit = admission_.Admit();
  absl::Status refusal = permit.status();
  std::shared_ptr<GenerationCall> call = GenerationCall::Create(
      &parts_, std::move(method), std::move(context),
      permit.ok() ? *std::move(permit) : Admission::Permit(), std::move(on_output));
  WatchReader(call);
  // For a pool `prepare` holds a copy of the request: the caller may be gone before a thread is
  // free.
  if (refusal.ok() && pool == nullptr) {
    call->Start(prepare);
  } else if (refusal.ok()) {
    refusal = pool->Run([call, prepare = std::move(prepare)] { call->Start(prepare); });
  }
  if (!refusal.ok()) call->Cancel(std::move(refusal));
  return call;
}

void Router::WatchReader(std::weak_ptr<GenerationCall> call) {
  reader_checks_.Wait([this, call = std::move(call)] {
    const std::shared_ptr<GenerationCall> running = call.lock();
    if (running == nullptr) return;
    running->CheckReader();
    WatchReader(call);
  });
}

void Router::RunUnary(const std::string& method, RequestContext context, bool has_media,
                      std::function<absl::Status(const TextCalls&)> call,
                      std::function<void(const absl::Status&)> done) {
  TaskPool& pool = has_media ? media_pool_ : pool_;
  const absl::Status queued = pool.Run([this, method, context, call = std::move(call), done] {
    const absl::Status status =
        context.deadline < absl::Now()
            ? absl::DeadlineExceededError("the deadline passed in the queue")
            : call(text_calls_);
    Record(method, context, status);
    done(status);
  });
  if (queued.ok()) return;
  Record(method, context, queued);
  done(queued);
}

void Router::Record(const std::string& method, const RequestContext& context,
                    const absl::Status& status) {
  metrics_.CountRequest(method, status.code());
  RequestRecord record;
  record.method = method;
  record.context = context;
  record.status = status;
  record.model = model_->name;
  record.total = absl::Now() - context.arrival;
  parts_.log(record);
}

v1::Model Router::Describe() const {
  v1::Model out;
  out.set_name(model_->name);
  out.set_architecture(model_->config.model_type);
  out.set_vocab_size(model_->vocab_size());
  out.set_context_length(groups_.context_length());
  out.set_has_tokenizer(model_->tokenizer != nullptr);
  if (model_->tokenizer != nullptr) *out.mutable_chat_template() = DescribeTemplate(*model_);
  out.add_modalities("text");
  for (const std::string& kind : media_.Modalities()) out.add_modalities(kind);
  out.set_ready_groups(groups_.ready_groups());
  out.set_total_groups(groups_.total_groups());
  out.set_fingerprint(model_->fingerprint);
  return out;
}

}  // namespace facet
