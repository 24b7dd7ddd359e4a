#ifndef FACET_ROUTER_CALL_OUTPUT_H_
#define FACET_ROUTER_CALL_OUTPUT_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "google/protobuf/message.h"
#include "google/protobuf/repeated_ptr_field.h"
#include "proto/facet/internal/shard_engine.pb.h"
#include "proto/facet/v1/output.pb.h"

namespace facet {

// What the shard group has said of one request and its caller has not read yet, in the order of the
// public stream: start, what is said of the prompt, deltas and ends of the completions, end. This
// class keeps the order and the ends; a subclass makes the messages of its call.
//
// What waits is merged: one delta for each completion. So a slow caller gets fewer, larger
// messages.
//
// Thread-compatible.
class CallOutput {
 public:
  using Tokens = google::protobuf::RepeatedPtrField<internal::TokenOutput>;
  // A message of the public stream; of the type that the subclass names.
  using Message = google::protobuf::Message;

  // `n` completions, >= 1.
  CallOutput(int n, int prompt_tokens);
  virtual ~CallOutput() = default;
  CallOutput(const CallOutput&) = delete;
  CallOutput& operator=(const CallOutput&) = delete;

  // ---- what the group says

  // The first step is planned. A caller who has read that already is not told again, as when the
  // request moved to another group; the usage has the last number. `not_enforced`: as
  // ChatStart's.
  using NotEnforced = google::protobuf::RepeatedPtrField<std::string>;
  void Started(int cached_tokens, const NotEnforced& not_enforced = {});
  bool started() const { return started_; }

  // The request begins anew, on another group: it will send what it says of the prompt again.
  virtual void Restart() {}
  // Log-probabilities of the next tokens of the prompt.
  virtual void AddPrompt(const Tokens&) {}

  // New tokens of a completion that has not ended. True when the answer is complete with them,
  // whatever the group says: it has ended then.
  bool Push(int index, const Tokens& tokens);
  // A completion that has not ended has no more tokens. The answer may know a better reason.
  void End(int index, v1::FinishReason reason);
  // All have ended: the last message.
  void Close(const v1::Timings& timings);

  // ---- what the caller reads

  // The next message; false if there is none.
  bool Take(Message* message);
  // Whether Take would give one.
  bool more() const;
  // Nobody reads what waits, nor what comes.
  void Drop();

  // Tokens that wait to be read: of all completions; and those of the prompt.
  int pending_tokens() const;
  virtual int pending_prompt_tokens() const { return 0; }

  int n() const { return static_cast<int>(completions_.size()); }
  bool ended(int index) const { return completions_[Place(index)].ended; }
  bool all_ended() const { return running_ == 0; }
  virtual int completion_tokens(int index) const = 0;
  int completion_tokens() const;  // of all
  // Of completion_tokens(), and of the calls that the answers hold; for metrics.
  virtual int reasoning_tokens() const { return 0; }
  virtual int tool_calls() const { return 0; }
  virtual int broken_tool_calls() const { return 0; }
  int prompt_tokens() const { return prompt_tokens_; }
  int cached_tokens() const { return cached_tokens_; }
  const NotEnforced& not_enforced() const { return not_enforced_; }
  v1::FinishReason finish_reason() const { return finish_reason(0); }  // of the first

 protected:
  static size_t Place(int index) { return static_cast<size_t>(index); }
  v1::FinishReason finish_reason(int index) const { return completions_[Place(index)].reason; }

  // The reason, if the completion has ended with one of these tokens.
  virtual std::optional<v1::FinishReason> PushTokens(int index, const Tokens& tokens) = 0;
  // Gives what was held back. The reason that the caller hears.
  virtual v1::FinishReason FinishCompletion(int index, v1::FinishReason reason) = 0;

  virtual void WriteStart(Message* message) = 0;
  // The next message about the prompt; false if there is none.
  virtual bool WritePrompt(Message*) { return false; }
  // What waits of a completion, and nothing of it waits then; false if nothing did.
  virtual bool WriteDelta(int index, Message* message) = 0;
  // False: this call has none.
  virtual bool WriteSequenceEnd(int index, Message* message) = 0;
  virtual void WriteEnd(const v1::Timings& timings, Message* message) = 0;
  virtual int PendingTokens(int index) const = 0;
  virtual void DropPending() = 0;
  v1::Usage MakeUsage() const;

 private:
  struct Completion {
    bool ended = false;
    bool end_pending = false;  // its end is to be sent
    v1::FinishReason reason = v1::FINISH_REASON_UNSPECIFIED;
  };
  void Ended(int index, v1::FinishReason reason);
  bool TakeFrom(int index, Message* message);

  const int prompt_tokens_;
  bool started_ = false;
  bool start_pending_ = false;
  int cached_tokens_ = 0;
  NotEnforced not_enforced_;
  std::vector<Completion> completions_;
  int running_;
  int turn_ = 0;  // the completion that is read next
  std::optional<v1::Timings> close_;
};

}  // namespace facet

#endif  // FACET_ROUTER_CALL_OUTPUT_H_
