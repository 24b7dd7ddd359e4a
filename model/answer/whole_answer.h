#ifndef FACET_MODEL_ANSWER_WHOLE_ANSWER_H_
#define FACET_MODEL_ANSWER_WHOLE_ANSWER_H_

#include <string>
#include <vector>

#include "absl/types/span.h"
#include "model/answer/answer_event.h"

namespace facet {

// What the events of one answer add up to.
struct WholeAnswer {
  struct Call {
    int index = 0;
    std::string id, name;
    std::string arguments;  // JSON text of an object

    friend bool operator==(const Call&, const Call&) = default;
  };
  std::string reasoning;
  std::string content;
  std::vector<Call> calls;  // those that came to their end

  friend bool operator==(const WholeAnswer&, const WholeAnswer&) = default;
};

// `events` is all that one parser gave, in order; calls without an end are left out.
WholeAnswer AddUp(absl::Span<const AnswerEvent> events);

}  // namespace facet

#endif  // FACET_MODEL_ANSWER_WHOLE_ANSWER_H_
