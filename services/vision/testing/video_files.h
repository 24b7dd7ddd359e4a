#ifndef FACET_SERVICES_VISION_TESTING_VIDEO_FILES_H_
#define FACET_SERVICES_VISION_TESTING_VIDEO_FILES_H_

// Video files for tests, as callers send them.

#include <cstdint>
#include <string>
#include <vector>

namespace facet::testing {

struct VideoSpec {
  std::string container = "mp4";  // as FFmpeg calls it
  std::string codec = "mpeg4";    // of FFmpeg's encoders
  int width = 64;
  int height = 48;
  int frames = 40;
  int rate = 25;  // frames a second: rate / rate_base
  int rate_base = 1;
  int turn = 0;  // degrees clockwise that a player is asked for
};

// Frame i is grey, all of it, with the luma of LumaOfFrame(i). Fails the test if FFmpeg cannot make
// it.
std::vector<uint8_t> MakeVideo(const VideoSpec& spec);

// From 16 to 235, other for neighbours.
int LumaOfFrame(int i);

}  // namespace facet::testing

#endif  // FACET_SERVICES_VISION_TESTING_VIDEO_FILES_H_
