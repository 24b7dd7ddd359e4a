#include "model/answer/whole_answer.h"

namespace facet {

WholeAnswer AddUp(absl::Span<const AnswerEvent> events) {
  WholeAnswer answer;
  WholeAnswer::Call open;  // one at a time
  for (const AnswerEvent& event : events) {
    switch (event.kind) {
      case AnswerEvent::Kind::kReasoning:
        answer.reasoning += event.text;
        break;
      case AnswerEvent::Kind::kContent:
        answer.content += event.text;
        break;
      case AnswerEvent::Kind::kCallBegin:
        open = {event.call_index, event.id, event.name, ""};
        break;
      case AnswerEvent::Kind::kCallArguments:
        open.arguments += event.text;
        break;
      case AnswerEvent::Kind::kCallEnd:
        answer.calls.push_back(open);
        break;
      case AnswerEvent::Kind::kCallWithdrawn:
        break;
    }
  }
  return answer;
}

}  // namespace facet
