#include "shard/grammar/automaton/rule_check.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"

namespace facet {
namespace {

using Kind = EbnfExpression::Kind;

bool BeginsWith(const EbnfExpression& expression, int32_t rule) {
  if (expression.kind == Kind::kRule) return expression.number == rule;
  return expression.kind == Kind::kSequence && BeginsWith(expression.parts[0], rule);
}

// a ::= a x | y  ->  a ::= y x*
void RemoveDirectRecursion(int32_t id, EbnfExpression* body) {
  std::vector<EbnfExpression> alternatives;
  if (body->kind == Kind::kChoice) {
    alternatives = std::move(body->parts);
  } else {
    alternatives.push_back(std::move(*body));
  }
  EbnfExpression first{.kind = Kind::kChoice}, more{.kind = Kind::kChoice};
  for (EbnfExpression& alternative : alternatives) {
    if (!BeginsWith(alternative, id)) {
      first.parts.push_back(std::move(alternative));
    } else if (alternative.kind == Kind::kSequence) {  // a ::= a alone says nothing
      alternative.parts.erase(alternative.parts.begin());
      more.parts.push_back(std::move(alternative));
    }
  }
  if (more.parts.empty()) {
    *body = std::move(first);
    return;
  }
  EbnfExpression repeat{.kind = Kind::kRepeat, .low = 0, .high = -1};
  repeat.parts.push_back(std::move(more));
  *body = EbnfExpression{.kind = Kind::kSequence};
  body->parts.push_back(std::move(first));
  body->parts.push_back(std::move(repeat));
}

// Facts of rules that depend on each other, by repetition until nothing changes.
class RuleFacts {
 public:
  explicit RuleFacts(const EbnfGrammar& grammar)
      : grammar_(grammar), ends_(grammar.rules.size()), empty_(grammar.rules.size()) {
    for (bool changed = true; changed;) {
      changed = false;
      for (size_t i = 0; i < grammar.rules.size(); ++i) {
        const EbnfExpression& body = grammar.rules[i].body;
        if (!ends_[i] && Ends(body)) ends_[i] = changed = true;
        if (!empty_[i] && MayBeEmpty(body)) empty_[i] = changed = true;
      }
    }
  }

  // Whether some finite text matches.
  bool Ends(const EbnfExpression& e) const {
    const auto ends = [this](const EbnfExpression& part) { return Ends(part); };
    switch (e.kind) {
      case Kind::kClass:
        return !e.set.empty();
      case Kind::kRule:
        return ends_[static_cast<size_t>(e.number)];
      case Kind::kSequence:
        return std::all_of(e.parts.begin(), e.parts.end(), ends);
      case Kind::kChoice:
        return std::any_of(e.parts.begin(), e.parts.end(), ends);
      case Kind::kRepeat:
        return e.low == 0 || Ends(e.parts[0]);
      default:
        return true;
    }
  }

  bool MayBeEmpty(const EbnfExpression& e) const {
    const auto empty = [this](const EbnfExpression& part) { return MayBeEmpty(part); };
    switch (e.kind) {
      case Kind::kText:
        return e.text.empty();
      case Kind::kRule:
        return empty_[static_cast<size_t>(e.number)];
      case Kind::kSequence:
        return std::all_of(e.parts.begin(), e.parts.end(), empty);
      case Kind::kChoice:
        return std::any_of(e.parts.begin(), e.parts.end(), empty);
      case Kind::kRepeat:
        return e.low == 0 || e.high == 0 || MayBeEmpty(e.parts[0]);
      default:
        return false;
    }
  }

  // The rules that may stand at the beginning of `e`.
  void AddFirst(const EbnfExpression& e, std::vector<int32_t>* rules) const {
    if (e.kind == Kind::kRule) rules->push_back(e.number);
    for (const EbnfExpression& part : e.parts) {
      AddFirst(part, rules);
      if (e.kind == Kind::kSequence && !MayBeEmpty(part)) return;
    }
  }

 private:
  const EbnfGrammar& grammar_;
  std::vector<bool> ends_, empty_;
};

// Takes out the alternatives without an end; `e` has one itself.
void CutEndless(const RuleFacts& facts, EbnfExpression* e) {
  if (e->kind == Kind::kRepeat && !facts.Ends(e->parts[0])) {
    *e = EbnfExpression{};
    return;
  }
  if (e->kind == Kind::kChoice) {
    std::erase_if(e->parts, [&](const EbnfExpression& part) { return !facts.Ends(part); });
  }
  for (EbnfExpression& part : e->parts) CutEndless(facts, &part);
}

// A rule on a cycle of rules that begin with each other; -1: there is none.
int32_t RuleOnCycle(const std::vector<std::vector<int32_t>>& edges) {
  enum class Mark : uint8_t { kNew, kOpen, kDone };
  std::vector<Mark> marks(edges.size(), Mark::kNew);
  for (size_t start = 0; start < edges.size(); ++start) {
    if (marks[start] != Mark::kNew) continue;
    std::vector<std::pair<size_t, size_t>> path = {{start, 0}};  // a rule, and its next edge
    marks[start] = Mark::kOpen;
    while (!path.empty()) {
      auto& [rule, next] = path.back();
      if (next == edges[rule].size()) {
        marks[rule] = Mark::kDone;
        path.pop_back();
        continue;
      }
      const auto to = static_cast<size_t>(edges[rule][next++]);
      if (marks[to] == Mark::kOpen) return static_cast<int32_t>(to);
      if (marks[to] == Mark::kDone) continue;
      marks[to] = Mark::kOpen;
      path.push_back({to, 0});
    }
  }
  return -1;
}

}  // namespace

absl::Status PrepareRules(EbnfGrammar* grammar) {
  for (size_t i = 0; i < grammar->rules.size(); ++i) {
    RemoveDirectRecursion(static_cast<int32_t>(i), &grammar->rules[i].body);
  }
  const RuleFacts facts(*grammar);
  const EbnfRule& root = grammar->rules[static_cast<size_t>(grammar->root)];
  if (!facts.Ends(root.body)) {
    return absl::InvalidArgumentError("grammar: no finite text matches root");
  }
  std::vector<std::vector<int32_t>> first(grammar->rules.size());
  for (size_t i = 0; i < grammar->rules.size(); ++i) {
    EbnfExpression& body = grammar->rules[i].body;
    if (!facts.Ends(body)) continue;  // no rule that ends refers to it any more
    CutEndless(facts, &body);
    facts.AddFirst(body, &first[i]);
  }
  if (const int32_t rule = RuleOnCycle(first); rule >= 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("grammar: rule ", grammar->rules[static_cast<size_t>(rule)].name,
                     " begins with itself; write a repetition instead"));
  }
  return absl::OkStatus();
}

}  // namespace facet
