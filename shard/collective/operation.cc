#include "shard/collective/operation.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace facet {

const char* Name(OpKind kind) {
  switch (kind) {
    case OpKind::kNone:
      return "nothing";
    case OpKind::kAllReduceSum:
      return "AllReduceSum";
    case OpKind::kAllGather:
      return "AllGather";
    case OpKind::kReduceScatterSum:
      return "ReduceScatterSum";
    case OpKind::kAllToAll:
      return "AllToAll";
    case OpKind::kBroadcast:
      return "Broadcast";
    case OpKind::kBarrier:
      return "Barrier";
  }
  return "an unknown operation";
}

std::string ToString(const Operation& op) {
  if (op.kind == OpKind::kBarrier || op.kind == OpKind::kNone) return Name(op.kind);
  std::string text = absl::StrCat(Name(op.kind), " of ", op.bytes, " bytes");
  if (op.kind == OpKind::kBroadcast) absl::StrAppend(&text, " from rank ", op.root);
  return text;
}

std::string RankList(const std::vector<int>& ranks) {
  return absl::StrCat(ranks.size() == 1 ? "rank " : "ranks ", absl::StrJoin(ranks, ", "));
}

absl::Status TimeoutError(const Call& call, const std::vector<int>& missing_ranks) {
  return absl::DeadlineExceededError(absl::StrCat(ToString(call.op), ": ", RankList(missing_ranks),
                                                  " did not come within ",
                                                  absl::FormatDuration(call.limit)));
}

absl::Status PeerDiedError(int rank, absl::string_view detail) {
  return absl::UnavailableError(absl::StrCat("rank ", rank, " died: ", detail));
}

absl::Status PeerLeftError(int rank) {
  return absl::UnavailableError(absl::StrCat("rank ", rank, " left the group"));
}

absl::Status MismatchError(int my_rank, const Operation& mine, int peer, const Operation& theirs) {
  return absl::FailedPreconditionError(absl::StrCat("the ranks disagree: rank ", my_rank,
                                                    " called ", ToString(mine), ", rank ", peer,
                                                    " called ", ToString(theirs)));
}

absl::Status PeerBrokeError(int rank, bool aborted, absl::StatusCode code,
                            absl::string_view message) {
  const bool shared_cause = code == absl::StatusCode::kUnavailable ||
                            code == absl::StatusCode::kDeadlineExceeded ||
                            code == absl::StatusCode::kFailedPrecondition;
  if (!aborted && shared_cause) {
    return absl::Status(code, absl::StrCat("rank ", rank, " reports: ", message));
  }
  return absl::UnavailableError(absl::StrCat("rank ", rank, aborted ? " aborted: " : " failed: ",
                                             absl::StatusCodeToString(code), ": ", message));
}

}  // namespace facet
