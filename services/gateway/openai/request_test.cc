// Requests of OpenAI's API as messages to the router, and what is refused, by name.

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "google/protobuf/text_format.h"
#include "google/protobuf/util/message_differencer.h"
#include "gtest/gtest.h"
#include "services/gateway/openai/chat_request.h"
#include "services/gateway/openai/completion_request.h"

namespace facet {
namespace {

Json MustParse(const std::string& text) {
  absl::StatusOr<Json> json = ParseJson(text);
  EXPECT_TRUE(json.ok()) << json.status() << " in " << text;
  return json.ok() ? *json : Json();
}

// `want` is the message in text format, without n, sampling and stopping where these are empty.
template <class Message>
void ExpectEqual(const Message& got, const std::string& want) {
  Message expected;
  ASSERT_TRUE(google::protobuf::TextFormat::ParseFromString(want, &expected)) << want;
  std::string difference;
  google::protobuf::util::MessageDifferencer differencer;
  differencer.ReportDifferencesToString(&difference);
  EXPECT_TRUE(differencer.Compare(expected, got)) << difference;
}

struct TranslationCase {
  std::string name;
  std::string body;  // fields of the request
  std::string want;
};

std::string CaseName(const testing::TestParamInfo<TranslationCase>& info) {
  return info.param.name;
}

constexpr char kHello[] = R"("messages":[{"role":"user","content":"hi"}])";
constexpr char kHelloMessage[] =
    "messages { role: USER content { text: 'hi' } } n: 1 sampling {} stopping {} ";
constexpr char kTool[] =
    R"("tools":[{"type":"function","function":{"name":"f","description":"d",
        "parameters":{"type":"object"},"strict":true}}])";
constexpr char kToolMessage[] =
    R"(tools { name: "f" description: "d" parameters: '{"type":"object"}' strict: true } )";

std::string Hello(const std::string& more) { return std::string("{") + kHello + more + "}"; }
std::string WithHello(const std::string& more) { return std::string(kHelloMessage) + more; }

class ChatRequestTest : public testing::TestWithParam<TranslationCase> {};

TEST_P(ChatRequestTest, IsTranslated) {
  const auto query = ReadChatRequest(MustParse(GetParam().body), false);
  ASSERT_TRUE(query.ok()) << query.status();
  ExpectEqual(query->request, GetParam().want);
}

INSTANTIATE_TEST_SUITE_P(
    Fields, ChatRequestTest,
    testing::ValuesIn(std::vector<TranslationCase>{
        {"a_message", Hello(""), WithHello("")},
        {"null_counts_as_absent", Hello(R"(,"tools":null,"stop":null,"n":null,"seed":null)"),
         WithHello("")},
        {"model", Hello(R"(,"model":"gemma")"), WithHello("model: 'gemma'")},
        {"fields_without_effect",
         Hello(R"(,"user":"u","metadata":{"a":"b"},"store":false,"service_tier":"auto")"),
         WithHello("")},
        {"all_roles",
         R"({"messages":[{"role":"system","content":"s"},{"role":"user","content":"u"},
             {"role":"assistant","content":null,"reasoning_content":"r","refusal":null,
              "tool_calls":[{"id":"c1","type":"function",
                             "function":{"name":"f","arguments":"{\"a\":1}"}}]},
             {"role":"tool","tool_call_id":"c1","content":"42"}]})",
         R"(messages { role: SYSTEM content { text: "s" } }
            messages { role: USER content { text: "u" } }
            messages { role: ASSISTANT reasoning: "r"
                       tool_calls { id: "c1" name: "f" arguments: '{"a":1}' } }
            messages { role: TOOL content { text: "42" } tool_call_id: "c1" }
            n: 1 sampling {} stopping {})"},
        {"developer", R"({"messages":[{"role":"developer","content":"d"}]})",
         "messages { role: DEVELOPER content { text: 'd' } } n: 1 sampling {} stopping {}"},
        {"parts_of_text_and_media",
         R"({"messages":[{"role":"user","content":[
             {"type":"text","text":"look"},
             {"type":"image_url","image_url":{"url":"data:image/png;base64,AQID","detail":"low"}},
             {"type":"image_url","image_url":{"url":"https://example.com/a.png","detail":"high"}},
             {"type":"input_audio","input_audio":{"data":"BAU=","format":"wav"}},
             {"type":"audio_url","audio_url":{"url":"data:audio/ogg;base64,BgcI"}},
             {"type":"video_url","video_url":{"url":"https://example.com/a.mp4"}}]}]})",
         R"(messages { role: USER content { text: "look" }
              content { media { kind: IMAGE data: "\001\002\003" max_soft_tokens: 70 } }
              content { media { kind: IMAGE url: "https://example.com/a.png"
                                max_soft_tokens: 1120 } }
              content { media { kind: AUDIO data: "\004\005" } }
              content { media { kind: AUDIO data: "\006\007\010" } }
              content { media { kind: VIDEO url: "https://example.com/a.mp4" } } }
            n: 1 sampling {} stopping {})"},
        {"tools", Hello(std::string(",") + kTool), WithHello(kToolMessage)},
        {"tool_choice_auto", Hello(std::string(R"(,"tool_choice":"auto",)") + kTool),
         WithHello(std::string(kToolMessage) + "tool_choice { mode: AUTO }")},
        {"tool_choice_none_and_no_parallel_calls",
         Hello(std::string(R"(,"tool_choice":"none","parallel_tool_calls":false,)") + kTool),
         WithHello(std::string(kToolMessage) +
                   "tool_choice { mode: NONE } parallel_tool_calls: false")},
        {"tool_choice_required", Hello(std::string(R"(,"tool_choice":"required",)") + kTool),
         WithHello(std::string(kToolMessage) + "tool_choice { mode: REQUIRED }")},
        {"tool_choice_named",
         Hello(std::string(R"(,"tool_choice":{"type":"function","function":{"name":"f"}},)") +
               kTool),
         WithHello(std::string(kToolMessage) + "tool_choice { mode: NAMED name: 'f' }")},
        {"tool_choice_without_tools", Hello(R"(,"tool_choice":"none","tools":[])"), WithHello("")},
        {"format_text", Hello(R"(,"response_format":{"type":"text"})"), WithHello("")},
        {"format_json_object", Hello(R"(,"response_format":{"type":"json_object"})"),
         WithHello(R"(response_format { json_schema: '{"type":"object"}' })")},
        {"format_json_schema",
         Hello(R"(,"response_format":{"type":"json_schema","json_schema":{"name":"n",
                   "strict":true,"schema":{"type":"integer"}}})"),
         WithHello(R"(response_format { json_schema: '{"type":"integer"}' })")},
        {"thinking_as_vllm_has_it",
         Hello(R"(,"chat_template_kwargs":{"enable_thinking":true,"preserve_thinking":true})"),
         WithHello("enable_thinking: true preserve_thinking: true")},
        {"reasoning_effort", Hello(R"(,"reasoning_effort":"low","max_reasoning_tokens":5)"),
         WithHello("enable_thinking: true max_reasoning_tokens: 5")},
        {"reasoning_effort_none", Hello(R"(,"reasoning_effort":"none")"), WithHello("")},
        {"logprobs", Hello(R"(,"logprobs":true)"), WithHello("logprobs: 0")},
        {"top_logprobs", Hello(R"(,"logprobs":true,"top_logprobs":3)"), WithHello("logprobs: 3")},
        {"logprobs_off", Hello(R"(,"logprobs":false,"top_logprobs":0)"), WithHello("")},
        {"sampling",
         R"({"messages":[{"role":"user","content":"hi"}],"temperature":0.5,"top_p":0.9,
                 "top_k":40,"min_p":0.125,"presence_penalty":-1,"frequency_penalty":1,
                 "repetition_penalty":1.5,"seed":-1,"logit_bias":{"7":-100}})",
         R"(messages { role: USER content { text: 'hi' } } n: 1 stopping {}
            sampling { temperature: 0.5 top_p: 0.9 top_k: 40 min_p: 0.125 presence_penalty: -1
                       frequency_penalty: 1 repetition_penalty: 1.5 seed: 18446744073709551615
                       logit_bias { key: 7 value: -100 } })"},
        {"stopping",
         R"({"messages":[{"role":"user","content":"hi"}],"max_completion_tokens":9,"max_tokens":9,
             "stop":["a","b"],"min_tokens":2,"ignore_eos":true,"stop_token_ids":[5]})",
         R"(messages { role: USER content { text: 'hi' } } n: 1 sampling {}
            stopping { max_tokens: 9 stop: "a" stop: "b" min_tokens: 2 ignore_eos: true
                       stop_token_ids: 5 })"},
        {"one_stop", R"({"messages":[{"role":"user","content":"hi"}],"stop":"x","max_tokens":1.0})",
         R"(messages { role: USER content { text: 'hi' } } n: 1 sampling {}
            stopping { stop: "x" max_tokens: 1 })"},
        {"n_priority_and_salt",
         R"({"messages":[{"role":"user","content":"hi"}],"n":2,"priority":-3,"cache_salt":"s"})",
         R"(messages { role: USER content { text: 'hi' } } n: 2 sampling {} stopping {}
            priority: -3 cache_salt: "s")"},
    }),
    CaseName);

TEST(JsonFieldsTest, MembersKeepTheirOrderAndAnArrayMayBeLong) {
  const std::string schema = R"({"zeta":1,"alpha":{"b":2,"a":3}})";
  EXPECT_EQ(MustParse(schema).dump(), schema);
  std::string ids = "0";
  for (int i = 0; i < 20000; ++i) ids += ",0";
  EXPECT_EQ(MustParse("[" + ids + "]").size(), 20001);
}

class CompletionRequestTest : public testing::TestWithParam<TranslationCase> {};

TEST_P(CompletionRequestTest, IsTranslated) {
  const auto query = ReadCompletionRequest(MustParse(GetParam().body), false);
  ASSERT_TRUE(query.ok()) << query.status();
  ExpectEqual(query->request, GetParam().want);
}

INSTANTIATE_TEST_SUITE_P(
    Fields, CompletionRequestTest,
    testing::ValuesIn(std::vector<TranslationCase>{
        {"text", R"({"prompt":"hi"})",
         "prompt { text: 'hi' parse_special: true } n: 1 sampling {} stopping {}"},
        {"an_array_of_one_text", R"({"prompt":["hi"]})",
         "prompt { text: 'hi' parse_special: true } n: 1 sampling {} stopping {}"},
        {"token_ids", R"({"prompt":[2,7]})",
         "prompt { token_ids { ids: 2 ids: 7 } } n: 1 sampling {} stopping {}"},
        {"an_array_of_one_array_of_ids", R"({"prompt":[[2,7]]})",
         "prompt { token_ids { ids: 2 ids: 7 } } n: 1 sampling {} stopping {}"},
        {"logprobs_and_n", R"({"prompt":"hi","logprobs":4,"n":3,"best_of":3,"echo":false})",
         "prompt { text: 'hi' parse_special: true } n: 3 logprobs: 4 sampling {} stopping {}"},
        {"a_format", R"({"prompt":"hi","response_format":{"type":"json_object"}})",
         R"(prompt { text: 'hi' parse_special: true } n: 1 sampling {} stopping {}
            response_format { json_schema: '{"type":"object"}' })"},
    }),
    CaseName);

struct RefusalCase {
  std::string name;
  std::string body;
  std::string field;    // what `param` says
  std::string message;  // all of it
};

class ChatRefusalTest : public testing::TestWithParam<RefusalCase> {};

TEST_P(ChatRefusalTest, NamesTheFieldItsValueAndWhatIsAllowed) {
  const auto json = ParseJson(GetParam().body);
  const absl::Status status = json.ok() ? ReadChatRequest(*json, false).status() : json.status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(status.message(), GetParam().message);
  EXPECT_EQ(FieldOf(status), GetParam().field);
}

std::string ManyFields(int count) {
  std::string out;
  for (int i = 0; i < count; ++i) absl::StrAppend(&out, i > 0 ? "," : "", "\"", i, "\":0");
  return out;
}

std::string Message(const std::string& fields) { return R"({"messages":[{)" + fields + "}]}"; }

INSTANTIATE_TEST_SUITE_P(
    Fields, ChatRefusalTest,
    testing::ValuesIn(std::vector<RefusalCase>{
        {"no_json", "{", "", "the body is not valid JSON: byte 2"},
        {"empty", "", "", "the body is not valid JSON: byte 1"},
        {"a_number_too_large", R"({"seed":1e999})", "",
         "the body is not valid JSON: a number is too large"},
        {"too_deep", std::string(101, '['), "", "the body is nested deeper than 100"},
        {"too_many_fields", "{" + ManyFields(10001) + "}", "",
         "an object of the body has more than 10000 fields"},
        {"an_array", "[]", "", "the body is an array of 0, not an object"},
        {"an_unknown_field", Hello(R"(,"max_tokns":3)"), "max_tokns",
         "max_tokns: is not a field of this request"},
        {"functions", Hello(R"(,"functions":[])"), "functions",
         "functions: is not supported: use tools"},
        {"answers_as_audio", Hello(R"(,"modalities":["text","audio"])"), "modalities",
         "modalities: an array of 2 is not [\"text\"]: answers are text"},
        {"no_messages", "{}", "messages", "messages: is missing: an array of messages"},
        {"empty_messages", R"({"messages":[]})", "messages",
         "messages: is empty: at least one message"},
        {"messages_of_another_type", R"({"messages":"hi"})", "messages",
         "messages: \"hi\" is not an array"},
        {"a_message_of_another_type", R"({"messages":[7]})", "messages[0]",
         "messages[0]: 7 is not an object"},
        {"no_role", Message(R"("content":"x")"), "messages[0].role",
         "messages[0].role: is missing: a string"},
        {"unknown_role", Message(R"("role":"robot","content":"x")"), "messages[0].role",
         "messages[0].role: 'robot' is not system, developer, user, assistant or tool"},
        {"no_content", Message(R"("role":"user")"), "messages[0].content",
         "messages[0].content: is missing: a string or an array of parts"},
        {"content_of_another_type", Message(R"("role":"user","content":5)"), "messages[0].content",
         "messages[0].content: 5 is not a string or an array of parts"},
        {"unknown_part", Message(R"("role":"user","content":[{"type":"file"}])"),
         "messages[0].content[0].type",
         "messages[0].content[0].type: 'file' is not text, image_url, input_audio, audio_url or "
         "video_url"},
        {"an_image_of_the_system",
         Message(R"("role":"system","content":[{"type":"image_url","image_url":{"url":"x"}}])"),
         "messages[0].content[0].type",
         "messages[0].content[0].type: 'image_url' is allowed in user and tool messages only"},
        {"base64",
         Message(
             R"("role":"user","content":[{"type":"image_url","image_url":{"url":"data:;base64,?"}}])"),
         "messages[0].content[0].image_url.url",
         "messages[0].content[0].image_url.url: its data is not valid base64"},
        {"a_data_url_in_plain_text",
         Message(
             R"("role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/png,A"}}])"),
         "messages[0].content[0].image_url.url",
         "messages[0].content[0].image_url.url: is a data URL without ';base64,'"},
        {"detail",
         Message(
             R"("role":"user","content":[{"type":"image_url","image_url":{"url":"x","detail":"max"}}])"),
         "messages[0].content[0].image_url.detail",
         "messages[0].content[0].image_url.detail: 'max' is not auto, low or high"},
        {"audio_format",
         Message(
             R"("role":"user","content":[{"type":"input_audio","input_audio":{"data":"AA==","format":"pcm16"}}])"),
         "messages[0].content[0].input_audio.format",
         "messages[0].content[0].input_audio.format: 'pcm16' is not wav, mp3, flac, ogg or opus"},
        {"a_result_of_no_call", Message(R"("role":"tool","content":"x")"),
         "messages[0].tool_call_id",
         "messages[0].tool_call_id: is missing: the id of the call it answers"},
        {"a_call_of_the_user", Message(R"("role":"user","content":"x","tool_calls":[{}])"),
         "messages[0].tool_calls", "messages[0].tool_calls: is allowed in assistant messages only"},
        {"a_tool_of_another_type", Hello(R"(,"tools":[{"type":"web_search"}])"), "tools[0].type",
         "tools[0].type: 'web_search' is not function"},
        {"parameters_of_another_type",
         Hello(R"(,"tools":[{"type":"function","function":{"name":"f","parameters":[]}}])"),
         "tools[0].function.parameters",
         "tools[0].function.parameters: an array of 0 is not an object"},
        {"tool_choice", Hello(R"(,"tool_choice":"any")"), "tool_choice",
         "tool_choice: \"any\" is not auto, none, required or a function"},
        {"a_tool_that_is_none",
         Hello(R"(,"tool_choice":{"type":"function","function":{"name":"g"}})"),
         "tool_choice.function.name", "tool_choice.function.name: 'g' is not one of the tools"},
        {"required_without_tools", Hello(R"(,"tool_choice":"required")"), "tool_choice",
         "tool_choice: 'required' needs tools"},
        {"format_type", Hello(R"(,"response_format":{"type":"xml"})"), "response_format.type",
         "response_format.type: 'xml' is not text, json_object or json_schema"},
        {"no_schema", Hello(R"(,"response_format":{"type":"json_schema"})"),
         "response_format.json_schema",
         "response_format.json_schema: is missing: an object with a schema"},
        {"reasoning_effort", Hello(R"(,"reasoning_effort":"huge")"), "reasoning_effort",
         "reasoning_effort: 'huge' is not none, minimal, low, medium, high or xhigh"},
        {"template_argument", Hello(R"(,"chat_template_kwargs":{"thinking":true})"),
         "chat_template_kwargs.thinking",
         "chat_template_kwargs.thinking: is not a field of this request"},
        {"stream_type", Hello(R"(,"stream":"yes")"), "stream",
         "stream: \"yes\" is not true or false"},
        {"stream_options_alone", Hello(R"(,"stream_options":{})"), "stream_options",
         "stream_options: is allowed only with stream: true"},
        {"top_logprobs_alone", Hello(R"(,"top_logprobs":3)"), "top_logprobs",
         "top_logprobs: is allowed only with logprobs: true"},
        {"top_logprobs_range", Hello(R"(,"logprobs":true,"top_logprobs":21)"), "top_logprobs",
         "top_logprobs: 21 is not an integer from 0 to 20"},
        {"temperature", Hello(R"(,"temperature":-0.5)"), "temperature",
         "temperature: -0.5 is not a number of at least 0"},
        {"top_p", Hello(R"(,"top_p":0)"), "top_p", "top_p: 0 is not more than 0 and at most 1"},
        {"logit_bias_key", Hello(R"(,"logit_bias":{"x":1})"), "logit_bias",
         "logit_bias: 'x' is not a token id"},
        {"logit_bias_value", Hello(R"(,"logit_bias":{"3":101})"), "logit_bias.3",
         "logit_bias.3: 101 is not a number from -100 to 100"},
        {"n", Hello(R"(,"n":17)"), "n", "n: 17 is not an integer from 1 to 16"},
        {"max_tokens", Hello(R"(,"max_tokens":0)"), "max_tokens",
         "max_tokens: 0 is not an integer from 1 to 2147483647"},
        {"two_limits", Hello(R"(,"max_tokens":1,"max_completion_tokens":2)"),
         "max_completion_tokens", "max_completion_tokens: 2 contradicts max_tokens 1"},
        {"stop", Hello(R"(,"stop":["a",1])"), "stop[1]", "stop[1]: 1 is not a string"},
        {"a_seed_beyond_64_bits", Hello(R"(,"seed":18446744073709551615)"), "seed",
         "seed: 18446744073709551615 is not an integer from -9223372036854775808 to "
         "9223372036854775807"},
    }),
    [](const auto& info) { return info.param.name; });

class CompletionRefusalTest : public testing::TestWithParam<RefusalCase> {};

TEST_P(CompletionRefusalTest, NamesTheFieldItsValueAndWhatIsAllowed) {
  const absl::Status status = ReadCompletionRequest(MustParse(GetParam().body), false).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(status.message(), GetParam().message);
  EXPECT_EQ(FieldOf(status), GetParam().field);
}

INSTANTIATE_TEST_SUITE_P(
    Fields, CompletionRefusalTest,
    testing::ValuesIn(std::vector<RefusalCase>{
        {"no_prompt", "{}", "prompt", "prompt: is missing: a string or an array of token ids"},
        {"two_prompts", R"({"prompt":["a","b"]})", "prompt",
         "prompt: has 2 prompts: a request takes one prompt"},
        {"no_token_id", R"({"prompt":[2,-1]})", "prompt[1]", "prompt[1]: -1 is not a token id"},
        {"echo", R"({"prompt":"a","echo":true})", "echo", "echo: true is not supported"},
        {"suffix", R"({"prompt":"a","suffix":"b"})", "suffix", "suffix: is not supported"},
        {"best_of", R"({"prompt":"a","best_of":4})", "best_of",
         "best_of: 4 is not n (1): it is not supported"},
        {"messages", R"({"prompt":"a","messages":[]})", "messages",
         "messages: is not a field of this request"},
    }),
    [](const auto& info) { return info.param.name; });

TEST(ChatRequestOptionsTest, UnknownFieldsAreIgnoredWhereTheFlagSaysSo) {
  const auto query = ReadChatRequest(MustParse(Hello(R"(,"max_tokns":3)")), true);
  EXPECT_TRUE(query.ok()) << query.status();
}

TEST(ChatRequestOptionsTest, SaysHowTheAnswerIsWanted) {
  const auto query = ReadChatRequest(
      MustParse(Hello(R"(,"stream":true,"stream_options":{"include_usage":true},"logprobs":true)")),
      false);
  ASSERT_TRUE(query.ok()) << query.status();
  EXPECT_TRUE(query->answer.stream);
  EXPECT_TRUE(query->answer.include_usage);
  EXPECT_TRUE(query->answer.logprobs);
}

}  // namespace
}  // namespace facet
