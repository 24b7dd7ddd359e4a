#ifndef FACET_SHARD_SCHEDULER_SEQUENCE_TABLE_H_
#define FACET_SHARD_SCHEDULER_SEQUENCE_TABLE_H_

// All live sequences of a scheduler: who waits, who runs, in which order, and until when. Moves
// sequences between the two; decides nothing.
//
// Thread-safety: thread-compatible.

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/time/time.h"
#include "shard/scheduler/sequence.h"

namespace facet {

class SequenceTable {
 public:
  using Queue = std::set<Sequence*, ServedBefore>;

  // Takes the sequences of one request, in order: the first goes to the queue, the others wait for
  // it to compute their prompt. Their ids must be new, their arrivals ascend without a gap.
  void Add(std::vector<std::unique_ptr<Sequence>> family);

  // nullptr if no live sequence has this id.
  Sequence* Find(int64_t id) const;

  // From the queue to the running ones and back.
  void Start(Sequence* sequence);
  void Requeue(Sequence* sequence);

  // Parts the n of a prompt that `first` has computed: the others get a copy of its tokens. They
  // join the queue.
  void Split(Sequence* first);

  // Ends one. If others wait for it to compute their prompt, the next of them takes over its record
  // (and its part in the step in flight): then returns that one's record, which is gone, too.
  struct Erased {
    const Sequence* gone;      // no longer valid, only to be compared
    Sequence* heir = nullptr;  // what goes on under the id that `gone` had; null: nothing
  };
  Erased Erase(Sequence* sequence);

  // The one whose deadline comes first, if that is not after `now`; else nullptr.
  Sequence* FirstExpired(absl::Time now) const;

  const Queue& queue() const { return queue_; }
  const std::vector<Sequence*>& running() const { return running_; }  // sorted by ServedBefore
  bool empty() const { return sequences_.empty(); }
  // Of the queue, each of the n of a request counted.
  int queued_sequences() const { return queued_sequences_; }
  int64_t queued_tokens() const { return queued_tokens_; }

 private:
  void Enqueue(Sequence* sequence);
  void Dequeue(Sequence* sequence);
  void RemoveFromRunning(Sequence* sequence);
  Erased PassOn(Sequence* sequence);

  // Every live sequence is in sequences_, and as `state` says in just one of queue_, running_ and
  // another one's siblings.
  absl::flat_hash_map<int64_t, std::unique_ptr<Sequence>> sequences_;
  Queue queue_;
  int queued_sequences_ = 0;
  int64_t queued_tokens_ = 0;
  std::vector<Sequence*> running_;
  std::map<std::pair<absl::Time, int64_t>, Sequence*> deadlines_;  // by (deadline, arrival)
};

}  // namespace facet

#endif  // FACET_SHARD_SCHEDULER_SEQUENCE_TABLE_H_
