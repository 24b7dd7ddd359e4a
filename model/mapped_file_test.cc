#include "model/mapped_file.h"

#include <sys/stat.h>
#include <unistd.h>

#include <string>
#include <utility>

#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "model/testing/safetensors_writer.h"

namespace facet {
namespace {

using ::facet::testing::IsOk;
using ::facet::testing::MakeTestDir;
using ::facet::testing::StatusIs;
using ::facet::testing::WriteFile;
using ::testing::HasSubstr;

std::string Text(const MappedFile& file) {
  return std::string(file.bytes().begin(), file.bytes().end());
}

class MappedFileTest : public ::testing::Test {
 protected:
  void SetUp() override { WriteFile(path_, "0123456789"); }
  const std::string path_ = MakeTestDir() + "/file";
};

TEST_F(MappedFileTest, KeepsItsBytesWhenMoved) {
  auto opened = MappedFile::Open(path_);
  ASSERT_THAT(opened, IsOk());
  const uint8_t* const where = opened->bytes().data();
  MappedFile file = *std::move(opened);
  EXPECT_EQ(Text(file), "0123456789");
  EXPECT_EQ(file.bytes().data(), where);
  WriteFile(path_ + "2", "other");
  auto other = MappedFile::Open(path_ + "2");
  ASSERT_THAT(other, IsOk());
  file = *std::move(other);
  EXPECT_EQ(Text(file), "other");
}

TEST_F(MappedFileTest, OutlivesTheFilesName) {
  const auto file = MappedFile::Open(path_);
  ASSERT_THAT(file, IsOk());
  ASSERT_EQ(unlink(path_.c_str()), 0);
  EXPECT_EQ(Text(*file), "0123456789");
  EXPECT_THAT(file->CheckSize(), IsOk());
}

TEST_F(MappedFileTest, ReadsPartsAndNoticesTheEnd) {
  const auto file = MappedFile::Open(path_);
  ASSERT_THAT(file, IsOk());
  std::string part(3, ' ');
  ASSERT_THAT(file->ReadAt(7, absl::MakeSpan(part)), IsOk());
  EXPECT_EQ(part, "789");
  EXPECT_THAT(file->ReadAt(8, absl::MakeSpan(part)),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("ends at byte 10, 11 needed")));
}

TEST_F(MappedFileTest, NoticesThatItsFileWasCutOrGrew) {
  const auto file = MappedFile::Open(path_);
  ASSERT_THAT(file, IsOk());
  ASSERT_EQ(truncate(path_.c_str(), 9), 0);
  EXPECT_THAT(file->CheckSize(),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("10 bytes before, 9 now")));
  std::string all(10, ' ');
  EXPECT_THAT(file->ReadAt(0, absl::MakeSpan(all)), StatusIs(absl::StatusCode::kDataLoss));
  ASSERT_EQ(truncate(path_.c_str(), 11), 0);
  EXPECT_THAT(file->CheckSize(), StatusIs(absl::StatusCode::kDataLoss));
}

TEST_F(MappedFileTest, MayBeEmpty) {
  WriteFile(path_, "");
  const auto file = MappedFile::Open(path_);
  ASSERT_THAT(file, IsOk());
  EXPECT_TRUE(file->bytes().empty());
}

TEST_F(MappedFileTest, MustBeARegularFile) {
  ASSERT_EQ(mkfifo((path_ + ".pipe").c_str(), 0600), 0);
  EXPECT_THAT(MappedFile::Open(path_ + ".pipe"), StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(MappedFile::Open("/dev/zero"), StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(MappedFile::Open(path_ + "/x"), StatusIs(absl::StatusCode::kNotFound));
}

}  // namespace
}  // namespace facet
