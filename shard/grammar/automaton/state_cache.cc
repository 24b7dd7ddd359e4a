#include "shard/grammar/automaton/state_cache.h"

#include <algorithm>

namespace facet {
namespace {

using Edge = GrammarNetwork::Edge;

// Steps of a budget that following one edge, and making one state, cost.
constexpr int64_t kEdgeWork = 4;
constexpr int64_t kStateWork = 100;

}  // namespace

StateCache::StateCache(std::shared_ptr<const GrammarNetwork> network)
    : network_(std::move(network)), classes_(static_cast<size_t>(network_->byte_classes())) {
  states_.push_back({0, 0, false});
  table_.assign(classes_, kDead);
  ids_.emplace(std::vector<Place>{}, kDead);
}

int32_t StateCache::Start(WorkBudget* work) {
  reached_.clear();
  seen_.clear();
  Reach(network_->start(), 0);
  return Close(work);
}

int32_t StateCache::Make(int32_t state, int byte_class, WorkBudget* work) {
  reached_.clear();
  seen_.clear();
  const uint8_t byte = network_->ByteOf(byte_class);
  for (const Place& place : PlacesOf(state)) {
    const auto edges = network_->edges(place.node);
    if (!work->Spend(kEdgeWork * static_cast<int64_t>(edges.size()))) return kExhausted;
    for (const Edge& edge : edges) {
      if (edge.kind == Edge::Kind::kBytes && edge.low <= byte && byte <= edge.high) {
        Reach(edge.to, place.stack);
      }
    }
  }
  const int32_t next = Close(work);
  if (next >= 0) {
    table_[static_cast<size_t>(state) * classes_ + static_cast<size_t>(byte_class)] = next;
  }
  return next;
}

int32_t StateCache::NextToken(int32_t state, int32_t id, WorkBudget* work) {
  reached_.clear();
  seen_.clear();
  for (const Place& place : PlacesOf(state)) {
    for (const Edge& edge : network_->edges(place.node)) {
      if (edge.kind == Edge::Kind::kToken && edge.label == id) Reach(edge.to, place.stack);
    }
  }
  return Close(work);
}

int32_t StateCache::ImportFrom(const StateCache& other, int32_t state, WorkBudget* work) {
  kept_.clear();
  absl::flat_hash_map<int32_t, int32_t> stacks = {{0, 0}};
  for (const Place& place : other.PlacesOf(state)) {
    std::vector<int32_t> path;  // from the top down to a stack that is here already
    int32_t at = place.stack;
    for (; !stacks.contains(at); at = other.frames_[static_cast<size_t>(at)].parent) {
      path.push_back(at);
      if (!work->Spend(kEdgeWork)) return kExhausted;
    }
    int32_t here = stacks[at];
    for (; !path.empty(); path.pop_back()) {
      here = Push(other.frames_[static_cast<size_t>(path.back())].node, here);
      stacks[path.back()] = here;
    }
    kept_.push_back({place.node, here});
  }
  return Intern(work);
}

void StateCache::Reach(int32_t node, int32_t stack) {
  if (seen_.insert({node, stack}).second) reached_.push_back({node, stack});
}

int32_t StateCache::Push(int32_t node, int32_t parent) {
  const auto [found, added] =
      frame_ids_.try_emplace({node, parent}, static_cast<int32_t>(frames_.size()));
  if (added) {
    frames_.push_back({node, parent});
    bytes_ += sizeof(Frame) + 32;
  }
  return found->second;
}

int32_t StateCache::Close(WorkBudget* work) {
  kept_.clear();
  bool complete = false;
  while (!reached_.empty()) {
    const Place place = reached_.back();
    reached_.pop_back();
    if (network_->IsRuleEnd(place.node)) {
      if (place.stack == 0) {
        complete = true;  // the end of the root, or of a rule that it ends with
      } else {
        const Frame frame = frames_[static_cast<size_t>(place.stack)];
        Reach(frame.node, frame.parent);
      }
      continue;
    }
    const auto edges = network_->edges(place.node);
    if (!work->Spend(kEdgeWork * static_cast<int64_t>(edges.size() + 1))) return kExhausted;
    bool keep = false;
    for (const Edge& edge : edges) {
      switch (edge.kind) {
        case Edge::Kind::kEmpty:
          Reach(edge.to, place.stack);
          break;
        case Edge::Kind::kCall:
          Reach(edge.label, network_->IsTail(edge.to) ? place.stack : Push(edge.to, place.stack));
          break;
        default:
          keep = true;
      }
    }
    if (keep) kept_.push_back(place);
    if (kept_.size() > kMaxPlaces) {
      work->left = -1;
      return kExhausted;
    }
    if (bytes_ > kMaxBytes) return kFull;
  }
  if (complete) kept_.push_back({network_->end(), 0});
  return Intern(work);
}

int32_t StateCache::Intern(WorkBudget* work) {
  std::sort(kept_.begin(), kept_.end());
  const auto known = ids_.find(kept_);
  if (known != ids_.end()) return known->second;
  if (!work->Spend(kStateWork)) return kExhausted;
  const size_t cost =
      2 * kept_.size() * sizeof(Place) + classes_ * sizeof(int32_t) + sizeof(State) + 64;
  if (bytes_ + cost > kMaxBytes) return kFull;
  bytes_ += cost;
  const auto id = static_cast<int32_t>(states_.size());
  const bool complete = std::any_of(kept_.begin(), kept_.end(), [this](const Place& place) {
    return place.stack == 0 && place.node == network_->end();
  });
  states_.push_back(
      {static_cast<int32_t>(places_.size()), static_cast<int32_t>(kept_.size()), complete});
  places_.insert(places_.end(), kept_.begin(), kept_.end());
  table_.resize(table_.size() + classes_, -1);
  ids_.emplace(kept_, id);
  return id;
}

absl::Span<const StateCache::Place> StateCache::PlacesOf(int32_t state) const {
  const State& s = states_[static_cast<size_t>(state)];
  return {places_.data() + s.first_place, static_cast<size_t>(s.places)};
}

std::vector<int32_t> StateCache::TokensOf(int32_t state) const {
  std::vector<int32_t> tokens;
  for (const Place& place : PlacesOf(state)) {
    for (const Edge& edge : network_->edges(place.node)) {
      if (edge.kind == Edge::Kind::kToken) tokens.push_back(edge.label);
    }
  }
  return tokens;
}

const std::vector<uint32_t>* StateCache::FindMask(int32_t state) const {
  const auto found = masks_.find(state);
  return found == masks_.end() ? nullptr : &found->second;
}

const std::vector<uint32_t>* StateCache::KeepMask(int32_t state, std::vector<uint32_t> mask) {
  const size_t bytes = mask.size() * sizeof(uint32_t);
  if (mask_bytes_ + bytes > kMaxMaskBytes) {
    masks_.clear();
    mask_bytes_ = 0;
  }
  mask_bytes_ += bytes;
  return &(masks_[state] = std::move(mask));
}

}  // namespace facet
