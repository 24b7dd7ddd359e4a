#include "shard/grammar/schema/rule_table.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "shard/grammar/schema/schema_keywords.h"

namespace facet {

absl::StatusOr<int> RuleTable::New(const std::string& pointer) {
  if (rules_.size() >= kMaxRules) {
    return RefuseAt(pointer, absl::StrCat("the schema needs more than ", kMaxRules, " rules"));
  }
  const int id = static_cast<int>(rules_.size());
  rules_.push_back({absl::StrCat(prefix_, "n", id), pointer, "", {}});
  return id;
}

absl::Status RuleTable::SetBody(int id, const std::vector<Choice>& choices) {
  Body& body = rules_[static_cast<size_t>(id)];
  body.ebnf = absl::StrJoin(
      choices, " | ", [](std::string* out, const Choice& choice) { out->append(choice.ebnf); });
  for (const Choice& choice : choices) {
    std::vector<int> needs;
    std::copy_if(choice.needs.begin(), choice.needs.end(), std::back_inserter(needs),
                 [](int need) { return need >= 0; });
    body.alternatives.push_back(std::move(needs));
  }
  bytes_ += body.ebnf.size();
  if (bytes_ > kMaxBytes) return RefuseAt(body.pointer, "the schema is too large");
  return absl::OkStatus();
}

void RuleTable::Shrink(size_t size) {
  for (; rules_.size() > size; rules_.pop_back()) bytes_ -= rules_.back().ebnf.size();
}

absl::Status RuleTable::CheckThatValuesEnd() const {
  std::vector<bool> ends(rules_.size(), false);
  for (bool changed = true; changed;) {
    changed = false;
    for (size_t i = 0; i < rules_.size(); ++i) {
      if (ends[i]) continue;
      for (const auto& needs : rules_[i].alternatives) {
        const bool all = std::all_of(needs.begin(), needs.end(),
                                     [&](int id) { return ends[static_cast<size_t>(id)]; });
        if (!all) continue;
        ends[i] = changed = true;
        break;
      }
    }
  }
  for (size_t i = 0; i < rules_.size(); ++i) {
    if (!ends[i]) return RefuseAt(rules_[i].pointer, "no finite value satisfies this schema");
  }
  return absl::OkStatus();
}

std::string RuleTable::Ebnf() const {
  std::string out;
  for (const Body& body : rules_) absl::StrAppend(&out, body.name, " ::= ", body.ebnf, "\n");
  return out;
}

}  // namespace facet
