#ifndef FACET_ROUTER_GENERATION_CALL_H_
#define FACET_ROUTER_GENERATION_CALL_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <stop_token>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "proto/facet/v1/output.pb.h"
#include "router/admission.h"
#include "router/call_output.h"
#include "router/call_work.h"
#include "router/group_directory.h"
#include "router/request_context.h"
#include "router/request_log.h"
#include "router/router_parts.h"

namespace facet {

// One request, Generate or Chat, from its arrival to its last message: prepared (validated,
// tokenized), put onto a shard group, its tokens turned into messages. What kind of request it is
// only its CallWork knows.
//
// Output is pulled: the owner takes messages while it can send, and is told when there may be new
// ones. What comes meanwhile waits in a CallOutput. When more than max_buffered_tokens wait,
// the request alone is paused in its group, until the caller has read three quarters of them. With
// a Pacer that is on, tokens behind the first ones wait for its next turn, unless the request ends.
//
// A request that has not got a token yet moves once to another ready group when its own is lost,
// draining or full. The seed is drawn before, so the caller cannot tell.
//
// Thread-safe.
class GenerationCall : public std::enable_shared_from_this<GenerationCall> {
 public:
  // `method` is the name of the call in metrics and log: "Generate".
  // `on_output` is called, from any thread and without locks, after Take may have something new.
  static std::shared_ptr<GenerationCall> Create(const RouterParts* parts, std::string method,
                                                RequestContext context, Admission::Permit permit,
                                                std::function<void()> on_output);

  // Prepares and begins; takes the time of `prepare`. Call once.
  using Prepare = std::function<absl::StatusOr<CallWork>(const RequestContext&)>;
  void Start(const Prepare& prepare);

  // The caller is gone, or its deadline has passed: ends the request, and its work in the shard
  // group within a step. No effect after the end.
  void Cancel(absl::Status reason);

  enum class Taken {
    kNothing,
    kMessage,            // the next will come
    kMessageBeforeMore,  // the next is there already
    kLastMessage,        // with the call's status
    kEnd                 // the call's status alone
  };
  // The next message, in the order of the public stream; of the type that the CallWork's output
  // has. After the last: kEnd.
  Taken Take(CallOutput::Message* message, absl::Status* status);

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

  GenerationCall(const RouterParts* parts, std::string method, RequestContext context,
                 Admission::Permit permit, std::function<void()> on_output);

  // From attempt number `attempt`; of earlier ones nothing counts any more.
  void OnOutput(int attempt, const internal::SequenceOutput& output);
  void OnLost(int attempt, const absl::Status& reason);

  void BeginWith(CallWork work);
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
  void CountAnswerLocked();
  RequestRecord MakeRecordLocked() const;
  void LeaveGroupLocked();
  void StopWaitingLocked();
  // Pauses the request in its group, or goes on with it.
  void FollowReaderLocked();
  // Whether what there is now waits for its turn.
  bool WaitForTurnLocked();
  void TakeTurn();

  const RouterParts* const parts_;
  const std::string method_;
  std::stop_source stop_;  // what prepares a request that has ended
  const RequestContext context_;
  const std::function<void()> on_output_;

  mutable std::mutex mutex_;
  Admission::Permit permit_;
  internal::SubmitRequest submit_;  // kept for a second group
  std::unique_ptr<CallOutput> output_;
  std::set<std::string> excluded_;  // groups that failed
  std::optional<GroupDirectory::Placed> placed_;
  bool waiting_ = false;  // for a group
  bool waited_ = false;
  bool ended_ = false;
  bool paused_ = false;  // in its group
  bool abandoned_ = false;
  bool waits_for_turn_ = false;
  bool first_read_ = false;  // the caller has got its first tokens
  bool promised_ = false;    // the next message, by kMessageBeforeMore
  absl::Time last_read_;     // when the caller took a message; or when it began to have to

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
