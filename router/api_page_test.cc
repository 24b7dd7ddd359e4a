// docs/api.md tells every field of a request and every event and field of its stream, with the
// limits that are enforced.

#include <fstream>
#include <sstream>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proto/facet/v1/generation.pb.h"
#include "router/request_validator.h"

namespace facet {
namespace {

using ::testing::HasSubstr;

std::string Page() {
  std::ifstream file("docs/api.md");
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

void ExpectFields(const std::string& page, const google::protobuf::Descriptor& message,
                  const std::string& prefix) {
  for (int i = 0; i < message.field_count(); ++i) {
    EXPECT_THAT(page, HasSubstr(absl::StrCat("`", prefix, message.field(i)->name(), "`")));
  }
}

TEST(ApiPageTest, TellsEveryFieldOfARequest) {
  const std::string page = Page();
  const google::protobuf::Descriptor& request = *v1::GenerateRequest::descriptor();
  for (int i = 0; i < request.field_count(); ++i) {
    const std::string& name = request.field(i)->name();
    if (name == "sampling" || name == "stopping") continue;  // below, field by field
    EXPECT_THAT(page, HasSubstr(absl::StrCat("| `", name, "`")));
  }
  ExpectFields(page, *v1::SamplingParams::descriptor(), "sampling.");
  ExpectFields(page, *v1::StoppingParams::descriptor(), "stopping.");
}

TEST(ApiPageTest, TellsEveryEventOfAStream) {
  const std::string page = Page();
  ExpectFields(page, *v1::GenerateResponse::descriptor(), "");
  ExpectFields(page, *v1::StreamStart::descriptor(), "");
  ExpectFields(page, *v1::StreamEnd::descriptor(), "");
}

TEST(ApiPageTest, TellsTheLimitsThatAreEnforced) {
  const std::string page = Page();
  using L = RequestLimits;
  for (const std::string& limit :
       {absl::StrCat("at most ", L::kMaxLogitBiases, " token ids"),
        absl::StrCat("at most ", L::kMaxStopStrings, " strings of 1 to ", L::kMaxStopBytes),
        absl::StrCat("`stopping.stop_token_ids` | at most ", L::kMaxStopTokenIds),
        absl::StrCat("`logprobs` | 0 to ", L::kMaxTopLogprobs),
        absl::StrCat("`prompt_logprobs` | 0 to ", L::kMaxTopLogprobs),
        absl::StrCat("-", L::kMaxPriority, " to ", L::kMaxPriority),
        absl::StrCat("`n` | 0 to ", L::kMaxCompletions),
        absl::StrCat("`cache_salt` | at most ", L::kMaxCacheSaltBytes, " bytes")}) {
    EXPECT_THAT(page, HasSubstr(limit));
  }
}

}  // namespace
}  // namespace facet
