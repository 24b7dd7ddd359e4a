#ifndef FACET_TESTS_E2E_CLIENT_RUN_H_
#define FACET_TESTS_E2E_CLIENT_RUN_H_

// One run of the command-line client.

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/testing/status_matchers.h"
#include "gtest/gtest.h"
#include "tests/testing/files.h"
#include "tests/testing/process.h"

namespace facet::testing {

struct ClientResult {
  int exit_status = -1;
  std::string out;
  std::string err;
};

// With the router's address in FACET_ROUTER; `dir` takes what the client prints. A client that does
// not end within 40 s fails the test.
inline ClientResult RunClient(const std::string& router, const std::string& dir,
                              const std::vector<std::string>& arguments) {
  const std::string out = absl::StrCat(dir, "/out"), err = absl::StrCat(dir, "/err");
  std::vector<std::string> argv = {"/bin/sh", "-c", "exec \"$@\" >\"$OUT\" 2>\"$ERR\"", "sh",
                                   BinaryPath("services/client/facet_client")};
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  auto client = ChildProcess::Start({argv,
                                     {absl::StrCat("FACET_ROUTER=", router),
                                      absl::StrCat("OUT=", out), absl::StrCat("ERR=", err)}});
  EXPECT_THAT(client, IsOk());
  const auto exit_status = (*client)->WaitForExit(absl::Seconds(40));
  EXPECT_THAT(exit_status, IsOk());
  return {exit_status.value_or(-1), ReadAll(out), ReadAll(err)};
}

}  // namespace facet::testing

#endif  // FACET_TESTS_E2E_CLIENT_RUN_H_
