#include "services/client/router_address.h"

#include <cstdlib>
#include <fstream>

#include "gtest/gtest.h"

namespace facet {
namespace {

class RouterAddressTest : public testing::Test {
 protected:
  void SetUp() override {
    unsetenv("FACET_ROUTER");
    setenv("FACET_ROUTER_FILE", file_.c_str(), 1);
  }
  void Write(const std::string& content) { std::ofstream(file_) << content; }

  const std::string file_ = testing::TempDir() + "/router.address";
};

TEST_F(RouterAddressTest, TheFlagWinsThenTheVariableThenTheFileThenTheDefault) {
  Write("10.0.0.3:3\n");
  setenv("FACET_ROUTER", "10.0.0.2:2", 1);
  EXPECT_EQ(FindRouter("10.0.0.1:1"), "10.0.0.1:1");
  EXPECT_EQ(FindRouter(std::nullopt), "10.0.0.2:2");
  setenv("FACET_ROUTER", "", 1);
  EXPECT_EQ(FindRouter(std::nullopt), "10.0.0.3:3");
  Write("");
  EXPECT_EQ(FindRouter(std::nullopt), "127.0.0.1:50051");
  setenv("FACET_ROUTER_FILE", "/no/such/file", 1);
  EXPECT_EQ(FindRouter(std::nullopt), "127.0.0.1:50051");
}

}  // namespace
}  // namespace facet
