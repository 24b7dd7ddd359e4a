#include "router/media/url_rules.h"

#include <string>
#include <vector>

#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace facet {
namespace {

using ::testing::HasSubstr;
using testing::IsOk;
using testing::StatusIs;

constexpr char kHosts[] = "example.com, *.pictures.org, media.net:8443, 10.1.2.3, [::1]:9000";

UrlRules Rules(const std::string& hosts = kHosts) {
  auto rules = UrlRules::Parse(hosts, "", "");
  EXPECT_THAT(rules, IsOk());
  return *rules;
}

TEST(UrlRulesTest, HostsAndPortsThatAreNamedAreAllowed) {
  const UrlRules rules = Rules();
  for (const char* const url :
       {"http://example.com/a.png", "https://example.com/a.png?token=x#part",
        "https://EXAMPLE.com:443/", "http://example.com:80/a", "HTTP://example.com./a",
        "http://a.pictures.org/", "https://b.a.pictures.org/", "https://media.net:8443/a",
        "http://media.net:8443/a", "http://10.1.2.3/a", "http://0x0a010203/a", "http://012.1.2.3/a",
        "http://167838211/a", "http://10.1.515/", "http://[::1]:9000/a"}) {
    EXPECT_THAT(ParseHttpUrl(rules, url), IsOk()) << url;
  }
}

TEST(UrlRulesTest, AllOthersAreNot) {
  const UrlRules rules = Rules();
  struct Case {
    const char* url;
    const char* why;
  };
  for (const Case& c : std::vector<Case>{
           {"http://example.org/", "names host 'example.org' and port 80"},
           {"http://example.com.evil.org/", "'example.com.evil.org'"},
           {"http://evil-example.com/", "'evil-example.com'"},
           {"http://sub.example.com/", "'sub.example.com'"},
           {"http://pictures.org/", "'pictures.org'"},
           {"http://evilpictures.org/", "'evilpictures.org'"},
           {"http://example.com:8080/", "port 8080"},
           {"http://example.com:443/", "port 443"},
           {"https://example.com:80/", "port 80"},
           {"https://media.net/", "port 443"},
           {"http://10.1.2.4/", "'10.1.2.4'"},
           {"http://0x7f000001/", "'127.0.0.1'"},
           {"http://2130706433/", "'127.0.0.1'"},
           {"http://0177.0.0.1/", "'127.0.0.1'"},
           {"http://127.1/", "'127.0.0.1'"},
           {"http://[::ffff:127.0.0.1]/", "[::ffff:"},
           {"http://example.com@evil.org/", "user and password"},
           {"http://user:secret@example.com/", "user and password"},
           {"http://example.com:secret@evil.org:80/", "user and password"},
           {"http://ex\xc3\xa4mple.com/", "must be escaped"},
           {"http://example.com/a b", "must be escaped"},
           {"http://example.com\t/", "must be escaped"},
           {"http://example.com\r\nHost: evil/", "must be escaped"},
           {"http://", "cannot be read"},
           {"http:///a.png", "'a.png'"},
           {"http://example.com:99999/", "cannot be read"},
           {"ftp://example.com/", "another scheme"},
           {"gopher://example.com/", "another scheme"},
           {"file:///etc/passwd", "another scheme"},
           {"//example.com/", "another scheme"},
       }) {
    EXPECT_THAT(ParseHttpUrl(rules, c.url),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(c.why)))
        << c.url;
  }
  EXPECT_THAT(ParseHttpUrl(rules, "http://example.com/" + std::string(9000, 'a')),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("at most 8192")));
}

TEST(UrlRulesTest, WithoutHostsNothingIsFetchedAndAStarAllowsAll) {
  EXPECT_THAT(ParseHttpUrl(Rules(""), "http://example.com/"),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("fetches nothing")));
  EXPECT_THAT(ParseHttpUrl(Rules("*"), "https://any.where.org/"), IsOk());
  EXPECT_FALSE(ParseHttpUrl(Rules("*"), "https://any.where.org:8443/").ok());
  EXPECT_THAT(ParseHttpUrl(Rules("*:8443"), "https://any.where.org:8443/"), IsOk());
}

TEST(UrlRulesTest, WhatMayBeSecretIsNotRepeated) {
  for (const char* const url :
       {"http://other.org/secret?secret=secret", "http://secret:secret@example.com/secret",
        "http://example.com/secret secret", "foo://secret"}) {
    const auto parsed = ParseHttpUrl(Rules(), url);
    ASSERT_FALSE(parsed.ok());
    EXPECT_THAT(std::string(parsed.status().message()), ::testing::Not(HasSubstr("secret"))) << url;
  }
}

TEST(UrlRulesTest, SettingsThatAreWrongAreNamed) {
  const auto hosts = [](const char* text) { return UrlRules::Parse(text, "", "").status(); };
  for (const char* const text :
       {"*.", "a*b", "http://a", "a:0", "a:x", "a:70000", "u@a", "*.*.a"}) {
    EXPECT_THAT(hosts(text),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("--media_url_hosts: '")))
        << text;
  }
  EXPECT_THAT(UrlRules::Parse("", "relative", ""),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("--media_file_roots: 'rel")));
  EXPECT_THAT(UrlRules::Parse("", "/not/there", ""),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("directory")));
  EXPECT_THAT(UrlRules::Parse("", "", "10.0.0.0/40"),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("--media_url_allow_private: '10.0.0.0/40'")));
}

}  // namespace
}  // namespace facet
