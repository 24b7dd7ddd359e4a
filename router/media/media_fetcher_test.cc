// Media by URL against a real HTTP server, good and bad.

#include "router/media/media_fetcher.h"

#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "router/media/testing/http_test_server.h"

namespace facet {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::HttpTestServer;
using ::testing::IsEmpty;
using testing::IsOk;
using ::testing::Not;
using testing::StatusIs;

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;
constexpr auto kUnavailable = absl::StatusCode::kUnavailable;
constexpr int64_t kMaxBytes = 1000;

v1::Media UrlMedium(const std::string& url) {
  v1::Media media;
  media.set_kind(v1::Media::IMAGE);
  media.set_max_soft_tokens(70);
  media.set_url(url);
  return media;
}

class MediaFetcherTest : public ::testing::Test {
 protected:
  void Serve(HttpTestServer::Handler handler) {
    server_ = std::make_unique<HttpTestServer>(std::move(handler));
  }
  std::string Url(const std::string& path, const std::string& host = "127.0.0.1") const {
    return absl::StrCat("http://", host, ":", server_->port(), path);
  }
  // The host, if one is given, is allowed with the server's port.
  void Start(const std::string& host, const std::string& allow_private,
             absl::Duration timeout = absl::Seconds(30), const std::string& roots = "") {
    MediaFetcher::Options options;
    const std::string port = server_ == nullptr ? "" : absl::StrCat(":", server_->port());
    auto rules = UrlRules::Parse(host.empty() ? "" : host + port, roots, allow_private);
    ASSERT_THAT(rules, IsOk());
    options.rules = *std::move(rules);
    options.timeout = timeout;
    options.threads = 4;
    ASSERT_THAT(options.Validate(), IsOk());
    registry_ = std::make_unique<prometheus::Registry>();
    metrics_ = std::make_unique<MediaMetrics>(*registry_);
    fetcher_ = std::make_unique<MediaFetcher>(options, metrics_.get());
  }

  absl::StatusOr<std::vector<std::string>> FetchAll(const std::vector<v1::Media>& media,
                                                    int64_t max_bytes = kMaxBytes,
                                                    absl::Time deadline = absl::InfiniteFuture(),
                                                    std::stop_token cancelled = {}) {
    MediaInputs inputs;
    for (const v1::Media& medium : media) {
      inputs.push_back({&medium, absl::StrCat("media[", inputs.size(), "]")});
      if (absl::Status ok = fetcher_->Check(inputs.back()); !ok.ok()) return ok;
    }
    auto fetched = fetcher_->Fetch(inputs, max_bytes, deadline, cancelled);
    if (!fetched.ok()) return fetched.status();
    std::vector<std::string> out;
    for (const MediaInput& input : fetched->inputs) {
      EXPECT_EQ(input.media->kind(), v1::Media::IMAGE);
      EXPECT_EQ(input.media->max_soft_tokens(), 70);
      out.push_back(input.media->data());
    }
    return out;
  }
  absl::StatusOr<std::string> Fetch(const std::string& url) {
    auto all = FetchAll({UrlMedium(url)});
    if (!all.ok()) return all.status();
    return (*all)[0];
  }

  std::unique_ptr<HttpTestServer> server_;
  std::unique_ptr<prometheus::Registry> registry_;
  std::unique_ptr<MediaMetrics> metrics_;
  std::unique_ptr<MediaFetcher> fetcher_;
};

TEST_F(MediaFetcherTest, UrlsBecomeBytesBesideMediaThatAreBytesAlready) {
  Serve([](const std::string&, const std::string& path, HttpTestServer::Peer& peer) {
    peer.Answer("image/png", "picture" + path);
  });
  Start("127.0.0.1", "127.0.0.1");
  v1::Media inline_medium = UrlMedium("");
  inline_medium.set_data("inline");
  const auto got = FetchAll({UrlMedium(Url("/a")), inline_medium, UrlMedium(Url("/b?x=y")),
                             UrlMedium("data:image/png;base64,AAEC")});
  ASSERT_THAT(got, IsOk());
  EXPECT_THAT(*got, ElementsAre("picture/a", "inline", "picture/b?x=y", std::string("\0\1\2", 3)));
  EXPECT_EQ(metrics_->download_bytes.Value(), 9 + 13 + 3);
  EXPECT_EQ(metrics_->downloads_in_flight.Value(), 0);
}

TEST_F(MediaFetcherTest, NothingOfThisProcessIsShown) {
  ASSERT_EQ(setenv("http_proxy", "http://127.0.0.1:1", 1), 0);
  Serve([](const std::string&, const std::string&, HttpTestServer::Peer& peer) {
    peer.Send("HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\nContent-Type: image/png\r\n\r\nx");
  });
  Start("127.0.0.1", "127.0.0.1");
  EXPECT_THAT(Fetch(Url("/1")), IsOk());
  EXPECT_THAT(Fetch(Url("/2")), IsOk());
  unsetenv("http_proxy");
  ASSERT_EQ(server_->requests().size(), 2);
  for (const std::string& head : server_->requests()) {
    EXPECT_THAT(head, HasSubstr("GET /"));
    EXPECT_THAT(head, Not(HasSubstr("ookie")));
    EXPECT_THAT(head, Not(HasSubstr("uthorization")));
  }
}

TEST_F(MediaFetcherTest, OnlyAddressesThatMayBeReachedAreConnectedTo) {
  Serve([](const std::string&, const std::string&, HttpTestServer::Peer& peer) {
    peer.Answer("image/png", "x");
  });
  struct Case {
    const char* host;
    const char* allow_private;
    bool reached;
  };
  // The names are allowed; what they lead to may not be.
  for (const Case& c : std::vector<Case>{{"127.0.0.1", "127.0.0.1", true},
                                         {"127.0.0.1", "127.0.0.0/8", true},
                                         {"127.0.0.1", "", false},
                                         {"127.0.0.1", "127.0.0.2,10.0.0.0/8", false},
                                         {"localhost", "", false},
                                         {"0x7f000001", "", false},
                                         {"0177.0.0.1", "", false},
                                         {"2130706433", "", false},
                                         {"0.0.0.0", "127.0.0.1", false},
                                         {"[::1]", "127.0.0.1", false},
                                         {"[::ffff:127.0.0.1]", "", false}}) {
    Start("*", c.allow_private);
    const auto got = Fetch(Url("/a", c.host));
    if (c.reached) {
      EXPECT_THAT(got, IsOk()) << c.host;
    } else {
      EXPECT_THAT(got, StatusIs(kInvalid, HasSubstr("no public address"))) << c.host;
    }
  }
  EXPECT_EQ(server_->requests().size(), 2);
}

TEST_F(MediaFetcherTest, RedirectsAreFollowedThreeTimesAndCheckedEachTime) {
  const HttpTestServer elsewhere(
      [](const std::string&, const std::string&, HttpTestServer::Peer& peer) {
        peer.Answer("image/png", "from the inside");
      },
      "127.0.0.2");
  Serve([&](const std::string&, const std::string& path, HttpTestServer::Peer& peer) {
    if (path == "/3") peer.Redirect(301, "/2");
    if (path == "/2") peer.Redirect(307, Url("/1"));
    if (path == "/1") peer.Redirect(302, "0");
    if (path == "/0") peer.Answer("image/png", "at last");
    if (path == "/4") peer.Redirect(308, "/3");
    if (path == "/loop") peer.Redirect(302, "/loop");
    if (path == "/other") peer.Redirect(302, "http://example.org/secret");
    if (path == "/inside") peer.Redirect(302, absl::StrCat("http://127.0.0.2:", server_->port()));
    if (path == "/port") peer.Redirect(302, absl::StrCat("http://127.0.0.2:", elsewhere.port()));
    if (path == "/file") peer.Redirect(302, "file:///etc/passwd");
    if (path == "/gopher") peer.Redirect(302, "gopher://127.0.0.1:25/");
    if (path == "/user") peer.Redirect(302, "http://a:b@127.0.0.1/");
    if (path == "/metadata") peer.Redirect(302, "http://169.254.169.254/latest/meta-data/");
    if (path == "/nowhere") peer.Send("HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n");
  });
  Start("127.0.0.1", "127.0.0.1");
  const auto three = Fetch(Url("/3"));
  ASSERT_THAT(three, IsOk());
  EXPECT_EQ(*three, "at last");
  EXPECT_THAT(Fetch(Url("/4")), StatusIs(kInvalid, HasSubstr("more than 3 times")));
  EXPECT_THAT(Fetch(Url("/loop")), StatusIs(kInvalid, HasSubstr("more than 3 times")));
  EXPECT_THAT(Fetch(Url("/nowhere")), StatusIs(kInvalid, HasSubstr("answers 302")));
  for (const char* const path :
       {"/other", "/inside", "/port", "/file", "/gopher", "/user", "/metadata"}) {
    const auto got = Fetch(Url(path));
    EXPECT_THAT(got, StatusIs(kInvalid, HasSubstr("media[0].url redirects to a URL that"))) << path;
    EXPECT_THAT(std::string(got.status().message()), Not(HasSubstr("secret")));
  }
  // A host that is allowed, at an address that is not.
  Start("*", "127.0.0.1");
  EXPECT_THAT(Fetch(Url("/inside")), StatusIs(kInvalid, HasSubstr("no public address")));
  EXPECT_THAT(elsewhere.requests(), IsEmpty());
}

TEST_F(MediaFetcherTest, WhatAServerAnswersDecidesWhoseFaultItIs) {
  struct Case {
    const char* answer;
    absl::StatusCode code;
    const char* message;
  };
  const std::vector<Case> cases = {
      {"HTTP/1.1 404 Gone\r\nContent-Length: 0\r\n\r\n", kInvalid, "answers 404"},
      {"HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n", kInvalid, "answers 401"},
      {"HTTP/1.1 204 None\r\n\r\n", kInvalid, "answers 204"},
      {"HTTP/1.1 206 Part\r\nContent-Length: 1\r\n\r\nx", kInvalid, "answers 206"},
      {"HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n", kUnavailable, "answers 500"},
      {"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n", kUnavailable, "answers 503"},
      {"HTTP/1.1 429 Slow\r\nContent-Length: 0\r\n\r\n", kUnavailable, "answers 429"},
      {"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 2\r\n\r\nhi", kInvalid,
       "is of type 'text/html'"},
      {"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}", kInvalid,
       "'application/json'"},
      {"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", kInvalid, "an empty body"},
      {"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\nContent-Length: 9\r\n\r\nshort", kUnavailable,
       "does not deliver"},
      {"what is this", kUnavailable, "does not deliver"},
      {"", kUnavailable, "does not deliver"},
      {"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\nContent-Length: 1001\r\n\r\n", kInvalid,
       "more bytes than are left of --max_media_bytes"},
  };
  Serve([&](const std::string&, const std::string& path, HttpTestServer::Peer& peer) {
    peer.Send(cases[std::stoul(path.substr(1))].answer);
  });
  Start("127.0.0.1", "127.0.0.1");
  for (size_t i = 0; i < cases.size(); ++i) {
    EXPECT_THAT(Fetch(Url(absl::StrCat("/", i))),
                StatusIs(cases[i].code, HasSubstr(cases[i].message)))
        << cases[i].answer;
  }
}

TEST_F(MediaFetcherTest, NobodyAtAPortIsUnavailable) {
  Serve([](const std::string&, const std::string&, HttpTestServer::Peer&) {});
  Start("127.0.0.1", "127.0.0.1");
  const std::string url = Url("/");
  server_.reset();
  EXPECT_THAT(Fetch(url), StatusIs(kUnavailable, HasSubstr("media[0].url host '127.0.0.1'")));
}

TEST_F(MediaFetcherTest, ABodyWithoutALengthEndsAtTheLimit) {
  std::atomic<int64_t> sent{0};
  Serve([&](const std::string&, const std::string&, HttpTestServer::Peer& peer) {
    peer.Send("HTTP/1.1 200 OK\r\nContent-Type: image/png\r\n\r\n");
    const std::string chunk(1000, 'x');
    while (sent < 1 << 30 && peer.Send(chunk)) sent += 1000;
  });
  Start("127.0.0.1", "127.0.0.1");
  EXPECT_THAT(Fetch(Url("/")), StatusIs(kInvalid, HasSubstr("left of --max_media_bytes")));
  server_.reset();
  EXPECT_LT(sent, 64 << 20);  // what sockets buffer
}

TEST_F(MediaFetcherTest, TheMediaOfARequestShareTheBytes) {
  Serve([](const std::string&, const std::string& path, HttpTestServer::Peer& peer) {
    peer.Answer("image/png", std::string(std::stoul(path.substr(1)), 'x'));
  });
  Start("127.0.0.1", "127.0.0.1");
  v1::Media inline_medium = UrlMedium("");
  inline_medium.set_data(std::string(300, 'x'));
  const auto fetch = [&](int first, int second) {
    return FetchAll({UrlMedium(Url(absl::StrCat("/", first))), inline_medium,
                     UrlMedium(Url(absl::StrCat("/", second)))});
  };
  EXPECT_THAT(fetch(300, 400), IsOk());
  EXPECT_THAT(fetch(300, 401), StatusIs(kInvalid, HasSubstr("--max_media_bytes")));
}

TEST_F(MediaFetcherTest, ASlowServerEndsAtTheTimeoutOrTheDeadline) {
  Serve([](const std::string&, const std::string&, HttpTestServer::Peer& peer) {
    peer.Send("HTTP/1.1 200 OK\r\nContent-Type: image/png\r\nContent-Length: 900\r\n\r\n");
    while (peer.Send("x")) absl::SleepFor(absl::Milliseconds(20));
  });
  Start("127.0.0.1", "127.0.0.1", absl::Milliseconds(200));
  EXPECT_THAT(Fetch(Url("/")), StatusIs(kUnavailable, HasSubstr("--media_url_timeout")));
  Start("127.0.0.1", "127.0.0.1");
  EXPECT_THAT(FetchAll({UrlMedium(Url("/"))}, kMaxBytes, absl::Now() + absl::Milliseconds(200)),
              StatusIs(absl::StatusCode::kDeadlineExceeded, HasSubstr("media[0].url")));
}

TEST_F(MediaFetcherTest, ARequestThatEndsEndsItsDownloads) {
  std::atomic<int> asked{0};
  Serve([&](const std::string&, const std::string&, HttpTestServer::Peer& peer) {
    ++asked;
    peer.Send("HTTP/1.1 200 OK\r\nContent-Type: image/png\r\n\r\n");
    while (peer.Send("x")) absl::SleepFor(absl::Milliseconds(20));
  });
  Start("127.0.0.1", "127.0.0.1", absl::Minutes(10));
  std::stop_source caller;
  std::thread leaver([&] {
    while (asked < 2) absl::SleepFor(absl::Milliseconds(1));
    caller.request_stop();
  });
  EXPECT_THAT(FetchAll({UrlMedium(Url("/a")), UrlMedium(Url("/b"))}, kMaxBytes,
                       absl::InfiniteFuture(), caller.get_token()),
              StatusIs(absl::StatusCode::kCancelled));
  leaver.join();
  EXPECT_EQ(metrics_->downloads_in_flight.Value(), 0);
}

TEST_F(MediaFetcherTest, TheFirstThatFailsEndsTheOthers) {
  absl::Notification slow_one_began;
  Serve([&](const std::string&, const std::string& path, HttpTestServer::Peer& peer) {
    if (path == "/slow") {
      peer.Send("HTTP/1.1 200 OK\r\nContent-Type: image/png\r\n\r\n");
      slow_one_began.Notify();
      while (peer.Send("x")) absl::SleepFor(absl::Milliseconds(20));
    } else {
      slow_one_began.WaitForNotification();
      peer.Send("HTTP/1.1 404 Gone\r\nContent-Length: 0\r\n\r\n");
    }
  });
  Start("127.0.0.1", "127.0.0.1", absl::Minutes(10));
  EXPECT_THAT(FetchAll({UrlMedium(Url("/slow")), UrlMedium(Url("/gone"))}),
              StatusIs(kInvalid, HasSubstr("media[1].url host '127.0.0.1' answers 404")));
}

TEST_F(MediaFetcherTest, DownloadsOfARequestRunSideBySide) {
  std::atomic<int> at_once{0};
  Serve([&](const std::string&, const std::string&, HttpTestServer::Peer& peer) {
    ++at_once;
    while (at_once < 4) absl::SleepFor(absl::Milliseconds(1));
    peer.Answer("image/png", "x");
  });
  Start("127.0.0.1", "127.0.0.1");
  EXPECT_THAT(FetchAll(std::vector<v1::Media>(4, UrlMedium(Url("/")))), IsOk());
}

TEST_F(MediaFetcherTest, DataUrlsAreReadOrRefused) {
  Start("", "");
  const std::string data = "pictures";
  const std::string base64 = absl::Base64Escape(data);
  for (const std::string& url : {"data:image/png;base64," + base64, "data:;base64," + base64,
                                 "DATA:audio/wav;charset=x;BASE64," + base64,
                                 std::string("data:image/png;base64,cGljdHVyZXM%3D")}) {
    const auto got = Fetch(url);
    ASSERT_THAT(got, IsOk()) << url;
    EXPECT_EQ(*got, data) << url;
  }
  struct Case {
    const char* url;
    const char* message;
  };
  for (const Case& c : std::vector<Case>{{"data:image/png,abc", "without ';base64,'"},
                                         {"data:image/png;base64", "without ';base64,'"},
                                         {"data:image/png;base64,*", "not valid base64"},
                                         {"data:image/png;base64,%4", "no %XX"},
                                         {"data:image/png;base64,", "without data"},
                                         {"data:text/html;base64,AAAA", "'text/html'"},
                                         {"blob:http://x/y", "is none of https:"},
                                         {"cat.png", "is none of https:"}}) {
    EXPECT_THAT(Fetch(c.url), StatusIs(kInvalid, HasSubstr(c.message))) << c.url;
  }
  const std::string large = absl::Base64Escape(std::string(1001, 'x'));
  EXPECT_THAT(Fetch("data:image/png;base64," + large),
              StatusIs(kInvalid, HasSubstr("--max_media_bytes")));
}

class FileUrlTest : public MediaFetcherTest {
 protected:
  FileUrlTest() {
    std::string pattern = absl::StrCat(::testing::TempDir(), "/filesXXXXXX");
    dir_ = mkdtemp(pattern.data());
    root_ = dir_ + "/root";
    std::filesystem::create_directories(root_ + "/below");
    std::filesystem::create_directories(dir_ + "/root2");
    Write(root_ + "/below/a picture.png", "picture");
    Write(dir_ + "/outside.png", "outside");
    Write(dir_ + "/root2/a.png", "outside");
    Start("", "", absl::Seconds(30), root_);
  }
  static void Write(const std::string& path, const std::string& text) {
    std::ofstream(path, std::ios::binary) << text;
  }
  std::string dir_, root_;
};

TEST_F(FileUrlTest, FilesBelowTheRootsAreRead) {
  std::filesystem::create_symlink("below/a picture.png", root_ + "/inside.png");
  for (const std::string& url :
       {"file://" + root_ + "/below/a%20picture.png", "file://localhost" + root_ + "/inside.png",
        "FILE://" + root_ + "/below/../inside.png"}) {
    const auto got = Fetch(url);
    ASSERT_THAT(got, IsOk()) << url;
    EXPECT_EQ(*got, "picture");
  }
}

TEST_F(FileUrlTest, NothingElseIsWhateverThePathLooksLike) {
  std::filesystem::create_symlink("../outside.png", root_ + "/link.png");
  std::filesystem::create_directory_symlink("..", root_ + "/up");
  std::filesystem::create_symlink("/etc/passwd", root_ + "/passwd.png");
  ASSERT_EQ(mkfifo((root_ + "/pipe").c_str(), 0600), 0);
  Write(root_ + "/large.png", std::string(1001, 'x'));
  struct Case {
    std::string url;
    const char* message;
  };
  for (const Case& c : std::vector<Case>{
           {"file:///etc/passwd", "no file below --media_file_roots"},
           {"file://" + dir_ + "/outside.png", "no file below"},
           {"file://" + dir_ + "/root2/a.png", "no file below"},
           {"file://" + root_ + "/../outside.png", "no file below"},
           {"file://" + root_ + "/%2e%2e/outside.png", "no file below"},
           {"file://" + root_ + "/link.png", "no file below"},
           {"file://" + root_ + "/up/outside.png", "no file below"},
           {"file://" + root_ + "/passwd.png", "no file below"},
           {"file://" + root_ + "/not-there.png", "no file below"},
           {"file://" + dir_ + "/not-there.png", "no file below"},
           {"file:///proc/self/environ", "no file below"},
           {"file://" + root_, "no file below"},
           {"file://" + root_ + "/below", "no plain file"},
           {"file://" + root_ + "/pipe", "no plain file"},
           {"file://" + root_ + "/a%00.png", "zero byte"},
           {"file://" + root_ + "/a%.png", "no %XX"},
           {"file://elsewhere" + root_ + "/inside.png", "no file:///path"},
           {"file:inside.png", "no file:///path"},
           {"file://" + root_ + "/large.png", "a file of 1001 bytes; at most 1000"}}) {
    EXPECT_THAT(Fetch(c.url), StatusIs(kInvalid, HasSubstr(c.message))) << c.url;
  }
}

TEST_F(FileUrlTest, WithoutRootsNoneIsRead) {
  Start("", "");
  EXPECT_THAT(Fetch("file://" + root_ + "/below/a%20picture.png"),
              StatusIs(kInvalid, HasSubstr("reads none (--media_file_roots)")));
}

}  // namespace
}  // namespace facet
