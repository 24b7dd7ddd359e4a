#include "services/gateway/token_texts.h"

#include <atomic>
#include <chrono>
#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"

namespace facet {
namespace {

constexpr std::chrono::seconds kTimeout(10);

struct Call {
  grpc::ClientContext context;
  v1::DetokenizeRequest request;
  v1::DetokenizeResponse response;
};

}  // namespace

void TokenTexts::Fetch(const std::set<int32_t>& ids, std::function<void()> done) {
  std::vector<int32_t> unknown;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    for (const int32_t id : ids) {
      if (texts_.count(id) == 0) unknown.push_back(id);
    }
  }
  if (unknown.empty()) return done();
  auto left = std::make_shared<std::atomic<size_t>>(unknown.size());
  auto shared_done = std::make_shared<std::function<void()>>(std::move(done));
  for (const int32_t id : unknown) {
    auto call = std::make_shared<Call>();
    call->context.set_deadline(std::chrono::system_clock::now() + kTimeout);
    call->request.add_token_ids(id);
    call->request.set_show_special(true);
    stub_->async()->Detokenize(&call->context, &call->request, &call->response,
                               [this, call, id, left, shared_done](const grpc::Status& status) {
                                 if (status.ok()) {
                                   std::lock_guard<std::mutex> lock(mutex_);
                                   texts_[id] = call->response.text();
                                 }
                                 if (left->fetch_sub(1) == 1) (*shared_done)();
                               });
  }
}

std::string TokenTexts::Text(int32_t id) const {
  std::lock_guard<std::mutex> lock(mutex_);
  const auto it = texts_.find(id);
  return it == texts_.end() ? absl::StrCat("token_id:", id) : it->second;
}

}  // namespace facet
