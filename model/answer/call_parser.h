#ifndef FACET_MODEL_ANSWER_CALL_PARSER_H_
#define FACET_MODEL_ANSWER_CALL_PARSER_H_

#include <cstddef>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/string_view.h"
#include "model/answer/argument_schema.h"

namespace facet {

// Reads what stands between <|tool_call> and <tool_call|>, and writes its arguments as JSON:
//
//   call   = [ "call" ] [ ":" ] NAME object           NAME = 1 to 64 of A-Z a-z 0-9 _ . -
//   object = { [ key : value { , key : value } ] }    key = bare text up to ':', or a string
//   list   = [ [ value { , value } ] ]
//   value  = string | object | list | bare text up to one of , } ]
//   string = QUOTE text QUOTE, or a bare text in ASCII quotes with JSON's escapes
//
// White space around names and punctuation is skipped; a comma before a closing bracket is let
// pass. QUOTE is a token, not a character, so a string may hold anything. What a bare text means is
// decided by argument_value.h, with the schema of the place where it stands.
//
// Broken is: anything else; a key twice in one object (the call could not be sent back as
// history); brackets deeper than kMaxDepth; a name, key or call beyond its limit.
//
// The JSON is compact, has the keys in the model's order, and grows as soon as its next character
// is certain: strings with their text, bare values when they end, brackets when they are seen, but
// the last one not before Finish: what breaks is never whole JSON.
//
// Thread-compatible. Memory: the text of the call, once, and its keys.
class CallParser {
 public:
  static constexpr size_t kMaxNameBytes = 64;
  static constexpr size_t kMaxKeyBytes = 1024;
  static constexpr size_t kMaxDepth = 64;  // brackets in one another, as in prompts
  static constexpr size_t kMaxCallBytes = size_t{4} << 20;

  // The schema of a tool's arguments, asked for once the name is known.
  using FindSchema = std::function<ArgumentSchema(absl::string_view name)>;
  explicit CallParser(FindSchema find_schema) : find_schema_(std::move(find_schema)) {}

  // The call goes on with a text, or with a string delimiter. Nothing happens once it is broken.
  void PushText(absl::string_view text);
  void PushQuote();

  // The call is closed: it is broken unless its object is complete. Returns !broken().
  bool Finish();

  bool broken() const { return state_ == State::kBroken; }
  // Empty until the `{` behind it.
  const std::string& name() const { return name_; }
  // Moves out the JSON that was written since the last call.
  std::string TakeJson() { return std::exchange(json_, {}); }
  // What the model wrote, with ASCII quotes for its delimiters.
  const std::string& raw() const { return raw_; }

 private:
  enum class State {
    kName,
    kKey,          // before a key or the end of an object
    kBareKey,      // the text of a key
    kQuotedKey,    // in delimiters
    kColon,        // behind a quoted key
    kValue,        // before a value, or the end of a list
    kBareValue,    // the text of a value
    kString,       // in delimiters, written as it comes
    kShortString,  // in delimiters, held since it may become another type
    kBehindValue,
    kComplete,  // behind the last bracket
    kBroken,
  };
  struct Level {
    bool is_list;
    ArgumentSchema schema;
    absl::flat_hash_set<std::string> keys;
    bool has_values = false;
  };

  // Each takes the first characters of `text`, at least one.
  void Step(absl::string_view* text);
  void StepName(char c);
  void StepKey(char c);
  void StepValue(char c);
  void StepBehindValue(char c);
  void TakeBare(absl::string_view* text, absl::string_view ends, size_t limit);
  void TakeShortString(absl::string_view* text);

  void EndName();
  void EndKey(std::string key);
  void EndBareKey();
  void EndBareValue();
  void Open(char bracket);
  void Close(char bracket);
  // Before a value is written.
  void BeginValue();
  bool Hold(absl::string_view text, size_t limit);
  bool AddRaw(absl::string_view text);
  void Break() { state_ = State::kBroken; }

  const FindSchema find_schema_;
  State state_ = State::kName;
  std::string name_, json_, raw_;
  std::string held_;              // the text of the name, key or value that has not ended
  bool in_ascii_quotes_ = false;  // of held_
  bool escaped_ = false;          // behind a backslash in them
  std::vector<Level> levels_;
  ArgumentSchema value_schema_;  // of the value that comes next
  JsonTypes value_types_ = kAnyType;
};

}  // namespace facet

#endif  // FACET_MODEL_ANSWER_CALL_PARSER_H_
