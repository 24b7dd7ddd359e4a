#ifndef FACET_MODEL_ANSWER_ANSWER_EVENT_H_
#define FACET_MODEL_ANSWER_ANSWER_EVENT_H_

#include <string>

namespace facet {

// A piece of an answer, in the order in which it became certain.
struct AnswerEvent {
  enum class Kind {
    kReasoning,      // text: more of the thought
    kContent,        // text: more of the answer
    kCallBegin,      // call_index, id, name: a tool call whose arguments follow
    kCallArguments,  // call_index, text: more of the JSON of the arguments
    kCallEnd,        // call_index: the JSON is whole; only now the call counts
    kCallWithdrawn,  // call_index: the call broke off. Its JSON is not whole and never will be
  };
  Kind kind;
  int call_index = -1;
  std::string text;  // never empty where the kind has one; whole code points of UTF-8
  std::string id;    // "call_" and the suffix
  std::string name;

  friend bool operator==(const AnswerEvent&, const AnswerEvent&) = default;
};

}  // namespace facet

#endif  // FACET_MODEL_ANSWER_ANSWER_EVENT_H_
