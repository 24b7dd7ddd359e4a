#ifndef FACET_ROUTER_GENERATION_CALL_H_
#define FACET_ROUTER_GENERATION_CALL_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "proto/facet/v1/generation.pb.h"
#include "router/admission.h"
#include "router/generation_output.h"
#include "router/generation_spec.h"
#include "router/group_directory.h"
#include "router/metrics.h"
#include "router/prompt_builder.h"
#include "router/request_context.h"
#include "router/request_log.h"
#include "router/request_validator.h"
#include "router/served_model.h"

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
  // Tokens that wait to be read by one caller, all its completions together; with more, its request
  // is paused in the shard group.
  int max_buffered_tokens = 1024;
  // How long a caller for whom output waits may read nothing, once its request is paused or over.
  absl::Duration max_read_pause = absl::Minutes(1);
};

// One Generate request from its arrival to its last message: validated, tokenized, put onto a shard
// group, its tokens turned into deltas.
//
// Output is pulled: the owner takes messages while it can send, and is told when there may be new
// ones. What comes meanwhile waits in a GenerationOutput. When more than max_buffered_tokens wait,
// the request alone is paused in its group, until the caller has read three quarters of them.
//
// A request that has not got a token yet moves once to another ready group when its own is lost,
// draining or full. The seed is drawn before, so the caller cannot tell.
//
// Thread-safe.
class GenerationCall : public std::enable_shared_from_this<GenerationCall> {
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
  // The next message, in the order of the public stream. kEnd, with the call's status, after the
  // last.
  Taken Take(v1::GenerateResponse* message, absl::Status* status);

  // To be called now and then: a caller that has read nothing for max_read_pause, though output
  // waits for it and its request is paused or over, loses its request (ResourceExhausted). One that
  // does not read that either, for as long again, is abandoned.
  void CheckReader();
  // Nobody will read the end of this call: cut it off.
  bool abandoned() const;

  // The call is over for its caller too: counts and logs it, frees its place. Call once, at the
  // end.
  void Finalize();

 private:
  class Attempt;  // hears from one group
  struct CompletionTimes {
    std::optional<absl::Time> first;  // message with tokens
    absl::Time last;
    int64_t later_tokens = 0;  // behind the first message
  };

  GenerationCall(const RouterParts* parts, RequestContext context, Admission::Permit permit,
                 std::function<void()> on_output);

  // From attempt number `attempt`; of earlier ones nothing counts any more.
  void OnOutput(int attempt, const internal::SequenceOutput& output);
  void OnLost(int attempt, const absl::Status& reason);

  // Fills submit_ and output_.
  absl::Status Prepare(const v1::GenerateRequest& request);
  void Place();
  absl::Status SubmitLocked();
  void WaitForGroup(absl::Duration timeout);
  // Whether the request went to another group after `failure` of its own.
  bool RetryLocked(const absl::Status& failure);
  void OnOutputLocked(const internal::SequenceOutput& output);
  void StartedLocked(const internal::Started& started);
  void TakeTokensLocked(const internal::SequenceOutput& output);
  void MeasureTokensLocked(int index, int tokens);
  void FinishLocked(const internal::SequenceOutput& output);
  void FinishCompletionsLocked(int index, v1::FinishReason reason);
  void EndLocked(absl::Status status);
  void EndWithAnswerLocked();
  void LeaveGroupLocked();
  void StopWaitingLocked();
  // Pauses the request in its group, or goes on with it.
  void FollowReaderLocked();

  const RouterParts* const parts_;
  const RequestContext context_;
  const std::function<void()> on_output_;

  mutable std::mutex mutex_;
  Admission::Permit permit_;
  internal::SubmitRequest submit_;  // kept for a second group
  std::optional<GenerationOutput> output_;
  std::set<std::string> excluded_;  // groups that failed
  std::optional<GroupDirectory::Placed> placed_;
  bool waiting_ = false;  // for a group
  bool waited_ = false;
  bool ended_ = false;
  bool paused_ = false;  // in its group
  bool abandoned_ = false;
  absl::Time last_read_;  // when the caller took a message; or when it began to have to

  absl::Status status_;
  v1::FinishReason reason_ = v1::FINISH_REASON_UNSPECIFIED;
  std::string group_;
  int attempts_ = 0;
  std::optional<absl::Time> first_token_;  // of any completion
  std::vector<CompletionTimes> times_;
  absl::Time end_time_;
  absl::Duration queue_;
};

}  // namespace facet

#endif  // FACET_ROUTER_GENERATION_CALL_H_
