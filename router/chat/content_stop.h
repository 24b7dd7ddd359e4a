#ifndef FACET_ROUTER_CHAT_CONTENT_STOP_H_
#define FACET_ROUTER_CHAT_CONTENT_STOP_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "model/answer/answer_parser.h"
#include "router/stop_matcher.h"

namespace facet {

// Stop strings of a chat, looked for in the content alone. Thread-compatible.
class ContentStop final : public ContentFilter {
 public:
  explicit ContentStop(const std::vector<std::string>& stops) : matcher_(stops) {}

  // From now on: before this, nothing is looked for.
  void Begin() { active_ = true; }

  bool Push(absl::string_view content, std::string* released) override {
    if (active_) return matcher_.Push(content, released);
    released->append(content.data(), content.size());
    return false;
  }
  void Finish(std::string* released) override { matcher_.Finish(released); }

  const std::string& match() const { return matcher_.match(); }

 private:
  bool active_ = false;
  StopMatcher matcher_;
};

}  // namespace facet

#endif  // FACET_ROUTER_CHAT_CONTENT_STOP_H_
