#include "shard/grammar/automaton/network.h"

#include <algorithm>
#include <bitset>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "shard/grammar/automaton/rule_check.h"

namespace facet {

using Edge = GrammarNetwork::Edge;

class NetworkBuilder {
 public:
  explicit NetworkBuilder(const EbnfGrammar& grammar) : grammar_(grammar) {}

  absl::StatusOr<GrammarNetwork> Build() {
    entry_.assign(grammar_.rules.size(), -1);
    network_.start_ = Entry(grammar_.root);
    // Rules that nothing calls are left out.
    while (!waiting_.empty()) {
      const int32_t rule = waiting_.back();
      waiting_.pop_back();
      const int32_t end =
          Add(grammar_.rules[static_cast<size_t>(rule)].body, entry_[static_cast<size_t>(rule)]);
      ends_.push_back(end);
      if (rule == grammar_.root) network_.end_ = end;
      if (TooLarge()) {
        return absl::InvalidArgumentError(absl::StrCat("grammar: more than ",
                                                       GrammarNetwork::kMaxNodes,
                                                       " states with its repetitions written out"));
      }
    }
    Finish();
    return std::move(network_);
  }

 private:
  struct NewEdge {
    int32_t from;
    Edge edge;
  };

  bool TooLarge() const {
    return static_cast<size_t>(nodes_) > GrammarNetwork::kMaxNodes ||
           edges_.size() > GrammarNetwork::kMaxEdges;
  }
  int32_t NewNode() { return nodes_++; }
  int32_t Entry(int32_t rule) {
    int32_t& entry = entry_[static_cast<size_t>(rule)];
    if (entry < 0) {
      entry = NewNode();
      waiting_.push_back(rule);
    }
    return entry;
  }
  void Join(int32_t from, int32_t to) {
    edges_.push_back({from, {Edge::Kind::kEmpty, 0, 0, to, 0}});
  }

  // What matches `e` leads from `from` to the node returned, which may get more edges. No edge
  // leads back to `from`.
  int32_t Add(const EbnfExpression& e, int32_t from) {
    switch (e.kind) {
      case EbnfExpression::Kind::kText:
        for (const char c : e.text) {
          const auto byte = static_cast<uint8_t>(c);
          const int32_t to = NewNode();
          edges_.push_back({from, {Edge::Kind::kBytes, byte, byte, to, 0}});
          from = to;
        }
        return from;
      case EbnfExpression::Kind::kClass:
        return AddClass(e.set, from);
      case EbnfExpression::Kind::kToken: {
        const int32_t to = NewNode();
        edges_.push_back({from, {Edge::Kind::kToken, 0, 0, to, e.number}});
        return to;
      }
      case EbnfExpression::Kind::kRule: {
        const int32_t to = NewNode();
        edges_.push_back({from, {Edge::Kind::kCall, 0, 0, to, Entry(e.number)}});
        return to;
      }
      case EbnfExpression::Kind::kSequence:
        for (const EbnfExpression& part : e.parts) from = Add(part, from);
        return from;
      case EbnfExpression::Kind::kChoice: {
        const int32_t to = NewNode();
        for (const EbnfExpression& part : e.parts) Join(Add(part, from), to);
        return to;
      }
      case EbnfExpression::Kind::kRepeat:
        return AddRepeat(e, from);
    }
    return from;
  }

  int32_t AddRepeat(const EbnfExpression& e, int32_t from) {
    for (int64_t i = 0; i < e.low && !TooLarge(); ++i) from = Add(e.parts[0], from);
    if (e.high < 0) {
      const int32_t loop = NewNode();
      Join(from, loop);
      Join(Add(e.parts[0], loop), loop);
      // A node of its own behind the loop: what follows may be left out, or lead elsewhere.
      const int32_t out = NewNode();
      Join(loop, out);
      return out;
    }
    const int32_t out = NewNode();
    for (int64_t i = e.low; i < e.high && !TooLarge(); ++i) {
      Join(from, out);
      from = Add(e.parts[0], from);
    }
    Join(from, out);
    return out;
  }

  int32_t AddClass(const CodePointSet& set, int32_t from) {
    const int32_t to = NewNode();
    // By what is still to come after a node.
    std::map<std::vector<ByteRange>, int32_t> nodes = {{{}, to}};
    for (const std::vector<ByteRange>& sequence : Utf8RangesOf(set)) {
      int32_t next = to;
      for (size_t i = sequence.size(); i-- > 0;) {
        const ByteRange range = sequence[i];
        const std::vector<ByteRange> rest(sequence.begin() + static_cast<ptrdiff_t>(i),
                                          sequence.end());
        if (i > 0) {
          const auto [found, added] = nodes.try_emplace(rest, nodes_);
          if (!added) {
            next = found->second;
            continue;
          }
          NewNode();
        }
        const int32_t node = i == 0 ? from : nodes[rest];
        edges_.push_back({node, {Edge::Kind::kBytes, range.low, range.high, next, 0}});
        next = node;
      }
    }
    return to;
  }
  const std::vector<std::vector<ByteRange>>& Utf8RangesOf(const CodePointSet& set) {
    auto& ranges = ranges_[set];
    if (ranges.empty()) ranges = Utf8Ranges(set);
    return ranges;
  }

  void Finish() {
    const auto nodes = static_cast<size_t>(nodes_);
    network_.first_edge_.assign(nodes + 1, 0);
    for (const NewEdge& edge : edges_) ++network_.first_edge_[static_cast<size_t>(edge.from) + 1];
    for (size_t i = 0; i < nodes; ++i) network_.first_edge_[i + 1] += network_.first_edge_[i];
    std::vector<int32_t> next(network_.first_edge_.begin(), network_.first_edge_.end() - 1);
    network_.edges_.resize(edges_.size());
    for (const NewEdge& edge : edges_) {
      network_.edges_[static_cast<size_t>(next[static_cast<size_t>(edge.from)]++)] = edge.edge;
    }
    network_.rule_end_.assign(nodes, false);
    for (const int32_t end : ends_) network_.rule_end_[static_cast<size_t>(end)] = true;
    FindTails();
    FindByteClasses();
  }

  void FindTails() {
    network_.tail_.assign(static_cast<size_t>(nodes_), false);
    for (int32_t node = 0; node < nodes_; ++node) {
      int32_t at = node;
      // A chain of empty edges has no cycle where every node has one edge: it leads to an end.
      for (int hops = 0; hops < 64 && !network_.IsRuleEnd(at); ++hops) {
        const auto edges = network_.edges(at);
        if (edges.size() != 1 || edges[0].kind != Edge::Kind::kEmpty) break;
        at = edges[0].to;
      }
      network_.tail_[static_cast<size_t>(node)] =
          network_.IsRuleEnd(at) && network_.edges(at).empty();
    }
  }

  void FindByteClasses() {
    std::bitset<257> begins;
    begins[0] = true;
    for (const Edge& edge : network_.edges_) {
      if (edge.kind != Edge::Kind::kBytes) continue;
      begins[edge.low] = true;
      begins[edge.high + size_t{1}] = true;
    }
    for (size_t byte = 0; byte < 256; ++byte) {
      if (begins[byte]) network_.class_bytes_.push_back(static_cast<uint8_t>(byte));
      network_.class_of_[byte] = static_cast<uint8_t>(network_.class_bytes_.size() - 1);
    }
  }

  const EbnfGrammar& grammar_;
  GrammarNetwork network_;
  int32_t nodes_ = 0;
  std::vector<NewEdge> edges_;
  std::vector<int32_t> entry_;    // by rule; -1: not called yet
  std::vector<int32_t> waiting_;  // rules with an entry and nothing behind it
  std::vector<int32_t> ends_;
  std::map<CodePointSet, std::vector<std::vector<ByteRange>>> ranges_;
};

absl::StatusOr<GrammarNetwork> GrammarNetwork::FromEbnf(absl::string_view text,
                                                        const EbnfLimits& limits) {
  FACET_ASSIGN_OR_RETURN(EbnfGrammar grammar, ParseEbnf(text, limits));
  FACET_RETURN_IF_ERROR(PrepareRules(&grammar));
  return NetworkBuilder(grammar).Build();
}

size_t GrammarNetwork::bytes() const {
  return edges_.size() * sizeof(Edge) + first_edge_.size() * (sizeof(int32_t) + 1);
}

}  // namespace facet
