#ifndef FACET_ROUTER_GENERATION_CALL_H_
#define FACET_ROUTER_GENERATION_CALL_H_

#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>

#include "absl/status/status.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "proto/facet/v1/generation.pb.h"
#include "router/admission.h"
#include "router/generation_spec.h"
#include "router/group_directory.h"
#include "router/metrics.h"
#include "router/prompt_builder.h"
#include "router/request_context.h"
#include "router/request_log.h"
#include "router/request_validator.h"
#include "router/served_model.h"
#include "router/stream_assembler.h"

namespace facet {

// What calls share; all of it outlives them.
struct RouterParts {
  const ServedModel* model = nullptr;
  const RequestValidator* validator = nullptr;
  const PromptBuilder* prompts = nullptr;
  GroupDirectory* groups = nullptr;
  RouterMetrics* metrics = nullptr;
  RequestLog log = LogRequestToStdout;
  std::function<absl::Time()> clock = absl::Now;
  // How long a request waits when no group is ready; zero: not at all.
  absl::Duration wait_for_group = absl::ZeroDuration();
  // Tokens that wait to be read by one caller; one that falls further behind loses its request.
  size_t max_buffered_tokens = 4096;
};

// One Generate request from its arrival to its last message: validated, tokenized, put onto a shard
// group, its tokens turned into deltas.
//
// Output is pulled: the owner takes messages while it can send, and is told when there may be new
// ones. What comes meanwhile grows one pending delta, so a slow caller gets fewer, larger messages.
//
// A request that has not got a token yet moves once to another ready group when its own is lost,
// draining or full. The seed is drawn before, so the caller cannot tell.
//
// Thread-safe.
class GenerationCall : public ShardSink, public std::enable_shared_from_this<GenerationCall> {
 public:
  // `on_output` is called, from any thread and without locks, after Take may have something new.
  static std::shared_ptr<GenerationCall> Create(const RouterParts* parts, RequestContext context,
                                                Admission::Permit permit,
                                                std::function<void()> on_output);

  // Validates and begins. Takes the time of tokenizing the prompt. Call once.
  void Start(const v1::GenerateRequest& request);

  // The caller is gone, or its deadline has passed: ends the request, and its work in the shard
  // group within a step. No effect after the end.
  void Cancel(absl::Status reason);

  enum class Taken { kNothing, kMessage, kEnd };
  // The next message, in order: start, deltas, end. kEnd, with the call's status, after the last.
  Taken Take(v1::GenerateResponse* message, absl::Status* status);

  // The call is over for its caller too: counts and logs it, frees its place. Call once, at the
  // end.
  void Finalize();

  void OnOutput(const internal::SequenceOutput& output) override;
  void OnLost(const absl::Status& reason) override;

 private:
  GenerationCall(const RouterParts* parts, RequestContext context, Admission::Permit permit,
                 std::function<void()> on_output);

  // Fills submit_ and assembler_.
  absl::Status Prepare(const v1::GenerateRequest& request);
  void Place();
  absl::Status SubmitLocked();
  void WaitForGroup(absl::Duration timeout);
  // Whether the request went to another group after `failure` of its own.
  bool RetryLocked(const absl::Status& failure);
  void TakeTokensLocked(const internal::SequenceOutput& output);
  void FinishLocked(const internal::Finish& finish);
  void EndLocked(absl::Status status);
  void EndLocked(v1::FinishReason reason);
  void LeaveGroupLocked();

  const RouterParts* const parts_;
  const RequestContext context_;
  const std::function<void()> on_output_;

  std::mutex mutex_;
  Admission::Permit permit_;
  internal::SubmitRequest submit_;  // kept for a second group
  std::optional<StreamAssembler> assembler_;
  std::set<std::string> excluded_;  // groups that failed
  std::optional<GroupDirectory::Placed> placed_;
  bool ended_ = false;
  bool waited_ = false;

  // What Take has not taken yet.
  bool start_pending_ = false;
  v1::Delta delta_;
  std::optional<v1::StreamEnd> end_;

  absl::Status status_;
  v1::FinishReason reason_ = v1::FINISH_REASON_UNSPECIFIED;
  std::string group_;
  int attempts_ = 0;
  int tokens_in_first_message_ = 0;
  std::optional<absl::Time> first_token_;
  absl::Time last_token_;
  absl::Time end_time_;
  absl::Duration queue_;
};

}  // namespace facet

#endif  // FACET_ROUTER_GENERATION_CALL_H_
