#ifndef FACET_TESTS_TESTING_FILES_H_
#define FACET_TESTS_TESTING_FILES_H_

#include <fstream>
#include <sstream>
#include <string>

#include "gtest/gtest.h"

namespace facet::testing {

// The bytes of a file. One that cannot be read fails the test.
inline std::string ReadAll(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  EXPECT_TRUE(file) << path;
  std::ostringstream bytes;
  bytes << file.rdbuf();
  return bytes.str();
}

}  // namespace facet::testing

#endif  // FACET_TESTS_TESTING_FILES_H_
