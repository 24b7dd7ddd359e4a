#ifndef FACET_SHARD_GROUP_REQUEST_DESK_H_
#define FACET_SHARD_GROUP_REQUEST_DESK_H_

// Where requests come in and their outputs go out: the leader engine's side towards its readers.
// Knows which requests are live; what is to be computed, it leaves to the step loop, which takes
// the changes (new, cancelled, paused) from here whenever the scheduler may be told.

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "shard/group/engine_connection.h"
#include "shard/group/engine_request.h"
#include "shard/group/grammar_queue.h"
#include "shard/group/live_request.h"
#include "shard/group/metrics.h"
#include "shard/scheduler/scheduler_types.h"

namespace facet {

// By reader, in order.
using EngineOutputs = std::map<std::shared_ptr<EngineConnection>, std::vector<EngineOutput>>;

// What the scheduler has to be told. To be applied in the order of the fields.
struct DeskChanges {
  // Requests whose grammars are bad, and why: to be dropped. The scheduler never got them.
  std::vector<std::pair<int64_t, absl::Status>> refused;
  std::vector<int64_t> cancelled;  // sequence ids, also such as it never got
  std::vector<SequenceRequest> submitted;
  std::vector<std::pair<int64_t, bool>> paused;  // sequence id, whether it is
};

// Thread-safe, where not said otherwise. Never waits.
class RequestDesk {
 public:
  struct Options {
    EngineLimits limits;
    int max_running = 0;           // for messages: sequences that may run
    int max_queue = 0;             // sequences beyond them
    int64_t max_queue_tokens = 0;  // of prompts that were not planned yet; 0: no bound
    int max_buffered_outputs = 0;  // of one connection
    int page_tokens = 0;           // of the KV pages that the prefix cache keeps; 0: it is off
    absl::Duration max_pause = absl::InfiniteDuration();
  };

  // `metrics` and `grammars` are borrowed; the latter ends before the desk. `on_change` says that
  // TakeChanges() has something new; it is called without a lock held, from any thread.
  RequestDesk(const Options& options, EngineMetrics* metrics, GrammarQueue* grammars,
              std::function<void()> on_change);

  // ---- For readers; the contracts are LeaderEngine's.
  std::shared_ptr<EngineConnection> Connect(std::function<void()> on_news);
  void Disconnect(const std::shared_ptr<EngineConnection>& connection);
  void Submit(const std::shared_ptr<EngineConnection>& connection, uint64_t id,
              EngineRequest request);
  void Cancel(const std::shared_ptr<EngineConnection>& connection, uint64_t id,
              std::optional<int> index);
  void SetPaused(const std::shared_ptr<EngineConnection>& connection, uint64_t id, bool paused);

  // ---- The end.
  // Admits nothing from now on, for this reason. (The last one counts.)
  void Refuse(const absl::Status& reason);
  // Ends every request with `reason`.
  void EndAll(const absl::Status& reason);
  // Once refusing: closes the connections that have no open request.
  void CloseIdleConnections();
  // Refuses, ends every request and closes every connection, all for this reason.
  void Fail(const absl::Status& reason);
  // No request is live.
  bool idle() const;

  // ---- For the step loop.
  // Forgets the completions that are among the cancelled; so, as Find, only for whoever holds the
  // step (StepLoop).
  DeskChanges TakeChanges();
  // The request of a sequence and which completion it is; null if it is forgotten. Valid until the
  // holder of the step forgets it.
  std::pair<LiveRequest*, int> Find(int64_t sequence_id) const;
  // Requests that were planned for the first time.
  void NoteStarted(const std::vector<StartedRequest>& started, EngineOutputs* outputs);
  // News of a completion or, with `prompt`, of a request. Nothing comes of it for what has ended
  // meanwhile. With a finish, the scheduler must be told that the sequence has ended; an error
  // before the first token ends the whole request. May forget it.
  void Report(LiveRequest* live, EngineOutput output, EngineOutputs* outputs);
  // Ends all of a request that the scheduler holds no more, with an error, and forgets it.
  // `sequence_id`: of any of its completions.
  void Drop(int64_t sequence_id, const absl::Status& reason, EngineOutputs* outputs);
  // Ends requests that have been paused for longer than max_pause.
  void EndLongPauses(absl::Time now);
  // When the next request ends by itself: its deadline, or its pause, is over.
  absl::Time NextExpiry() const;
  // Hands outputs to their readers. A reader too slow for its bound loses its requests.
  void Deliver(EngineOutputs outputs);
  // Requests that wait to be taken.
  int submitted() const;

 private:
  using Live = std::map<int64_t, std::unique_ptr<LiveRequest>>;  // by sequence_id

  absl::Status Admit(const std::shared_ptr<EngineConnection>& connection, uint64_t id,
                     EngineRequest request, bool has_grammar, int64_t* sequence_id);
  // A request whose grammar is compiled goes to the scheduler, one whose grammar is bad ends.
  void Release(int64_t sequence_id, ThoughtGate::Start start, GrammarQueue::Result grammar);
  void Equip(LiveRequest& live, const std::shared_ptr<const CompiledGrammar>& grammar,
             ThoughtGate::Start start);
  absl::Status CheckRoomLocked(const LiveRequest& live) const;
  Live::const_iterator FindLocked(int64_t sequence_id) const;
  LiveRequest* FindOpenLocked(const EngineConnection* connection, uint64_t id) const;
  void EndWaitLocked(LiveRequest& live);
  void ResumeLocked(LiveRequest& live);
  EngineFinish FinishOf(const LiveRequest& live, FinishReason reason,
                        const absl::Status& status) const;
  // The completion's finish goes out.
  void CloseLocked(LiveRequest& live, int index, const EngineFinish& finish);
  // Ends what is open of a request; the scheduler is still to be told.
  void EndLocked(LiveRequest& live, FinishReason reason, const absl::Status& status,
                 EngineOutputs* outputs);
  // Of one connection, or of all if it is null.
  EngineOutputs EndOfLocked(const EngineConnection* connection, FinishReason reason,
                            const absl::Status& status);
  void ForgetLocked(Live::const_iterator live);

  const Options options_;
  EngineMetrics* const metrics_;
  GrammarQueue* const grammars_;
  const std::function<void()> on_change_;

  mutable std::mutex mutex_;
  absl::Status refusal_;
  std::vector<std::weak_ptr<EngineConnection>> connections_;
  int64_t next_sequence_ = 1;
  Live live_;
  std::map<std::pair<const EngineConnection*, uint64_t>, LiveRequest*> open_;
  std::set<std::pair<absl::Time, int64_t>> pauses_;  // (since, sequence_id)
  int live_sequences_ = 0;
  int64_t waiting_tokens_ = 0;  // of prompts that were not planned yet
  int64_t media_bytes_ = 0;     // of all live requests
  absl::Duration recent_queue_time_ = absl::Seconds(1);
  std::map<int64_t, SequenceRequest> held_back_;  // until their grammars are compiled, by id
  DeskChanges changes_;
};

}  // namespace facet

#endif  // FACET_SHARD_GROUP_REQUEST_DESK_H_
