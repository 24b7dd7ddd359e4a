#include "shard/scheduler/sequence_table.h"

#include <algorithm>

#include "base/log.h"

namespace facet {

void SequenceTable::Add(std::vector<std::unique_ptr<Sequence>> family) {
  Sequence* const first = family.front().get();
  for (std::unique_ptr<Sequence>& sequence : family) {
    if (sequence.get() != first) {
      sequence->state = Sequence::State::kWithFirst;
      sequence->first = first;
      first->siblings.push_back(sequence.get());
    }
    if (sequence->deadline != absl::InfiniteFuture()) {
      deadlines_[{sequence->deadline, sequence->arrival}] = sequence.get();
    }
    sequences_[sequence->id] = std::move(sequence);
  }
  Enqueue(first);
}

Sequence* SequenceTable::Find(int64_t id) const {
  const auto found = sequences_.find(id);
  return found == sequences_.end() ? nullptr : found->second.get();
}

void SequenceTable::Start(Sequence* sequence) {
  Dequeue(sequence);
  running_.insert(std::upper_bound(running_.begin(), running_.end(), sequence, ServedBefore()),
                  sequence);
  sequence->state = Sequence::State::kRunning;
}

void SequenceTable::Requeue(Sequence* sequence) {
  RemoveFromRunning(sequence);
  Enqueue(sequence);
}

void SequenceTable::Split(Sequence* first) {
  for (Sequence* sequence : first->siblings) {
    sequence->first = nullptr;
    sequence->tokens = first->tokens;
    Enqueue(sequence);
  }
  first->siblings.clear();
}

SequenceTable::Erased SequenceTable::Erase(Sequence* sequence) {
  if (!sequence->siblings.empty()) return PassOn(sequence);
  switch (sequence->state) {
    case Sequence::State::kQueued:
      Dequeue(sequence);
      break;
    case Sequence::State::kRunning:
      RemoveFromRunning(sequence);
      break;
    case Sequence::State::kWithFirst: {
      std::vector<Sequence*>& siblings = sequence->first->siblings;
      siblings.erase(std::find(siblings.begin(), siblings.end(), sequence));
      if (sequence->first->state == Sequence::State::kQueued) --queued_sequences_;
      break;
    }
  }
  deadlines_.erase({sequence->deadline, sequence->arrival});
  sequences_.erase(sequence->id);  // its pages go back to the pools
  return {sequence};
}

// The record that computes the prompt becomes that of the next of the n. Nothing lies between the
// two in the order, so it keeps its place.
SequenceTable::Erased SequenceTable::PassOn(Sequence* sequence) {
  Sequence* const heir = sequence->siblings.front();
  sequence->siblings.erase(sequence->siblings.begin());
  if (sequence->state == Sequence::State::kQueued) --queued_sequences_;
  deadlines_.erase({sequence->deadline, sequence->arrival});
  if (heir->deadline != absl::InfiniteFuture()) {
    deadlines_[{heir->deadline, heir->arrival}] = sequence;
  }
  const int64_t old_id = std::exchange(sequence->id, heir->id);
  sequence->arrival = heir->arrival;
  sequence->paused = heir->paused;
  std::unique_ptr<Sequence> record = std::move(sequences_[old_id]);
  sequences_.erase(old_id);
  sequences_[sequence->id] = std::move(record);
  return {heir, sequence};
}

Sequence* SequenceTable::FirstExpired(absl::Time now) const {
  if (deadlines_.empty() || deadlines_.begin()->first.first > now) return nullptr;
  return deadlines_.begin()->second;
}

void SequenceTable::Enqueue(Sequence* sequence) {
  queue_.insert(sequence);
  queued_sequences_ += sequence->family();
  queued_tokens_ += static_cast<int64_t>(sequence->tokens.size());
  sequence->state = Sequence::State::kQueued;
}

void SequenceTable::Dequeue(Sequence* sequence) {
  FACET_CHECK(queue_.erase(sequence) == 1) << sequence->id;
  queued_sequences_ -= sequence->family();
  queued_tokens_ -= static_cast<int64_t>(sequence->tokens.size());
}

void SequenceTable::RemoveFromRunning(Sequence* sequence) {
  const auto place = std::lower_bound(running_.begin(), running_.end(), sequence, ServedBefore());
  FACET_CHECK(place != running_.end() && *place == sequence) << sequence->id;
  running_.erase(place);
}

}  // namespace facet
