#include "shard/group/grpc_store.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"

namespace facet {
namespace {

constexpr absl::Duration kAnswerLimit = absl::Seconds(10);

absl::Status FromGrpc(const grpc::Status& status, const std::string& key) {
  if (status.ok()) return absl::OkStatus();
  return absl::Status(static_cast<absl::StatusCode>(status.error_code()),
                      absl::StrCat("key ", key, ": ", status.error_message()));
}

}  // namespace

absl::Status GrpcStore::Set(const std::string& key, const std::string& value) {
  grpc::ClientContext context;
  context.set_deadline(absl::ToChronoTime(absl::Now() + kAnswerLimit));
  internal::SetRequest request;
  request.set_key(key);
  request.set_value(value);
  internal::SetResponse response;
  return FromGrpc(stub_->Set(&context, request, &response), key);
}

absl::StatusOr<std::string> GrpcStore::Get(const std::string& key, absl::Duration timeout) {
  timeout = std::max(timeout, absl::ZeroDuration());
  grpc::ClientContext context;
  context.set_deadline(absl::ToChronoTime(absl::Now() + timeout + kAnswerLimit));
  internal::GetRequest request;
  request.set_key(key);
  request.set_timeout_ms(absl::ToInt64Milliseconds(timeout));
  internal::GetResponse response;
  const grpc::Status status = stub_->Get(&context, request, &response);
  if (!status.ok()) return FromGrpc(status, key);
  return response.value();
}

}  // namespace facet
