#include "services/audio/testing/audio_files.h"

#include <sndfile.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "gtest/gtest.h"

namespace facet::testing {
namespace {

struct Memory {
  std::vector<uint8_t> bytes;
  sf_count_t place = 0;
};

sf_count_t Length(void* user) {
  return static_cast<sf_count_t>(static_cast<Memory*>(user)->bytes.size());
}

sf_count_t Seek(sf_count_t offset, int whence, void* user) {
  auto* const memory = static_cast<Memory*>(user);
  const sf_count_t base = whence == SEEK_SET   ? 0
                          : whence == SEEK_CUR ? memory->place
                                               : Length(user);
  return memory->place = base + offset;
}

sf_count_t Read(void* to, sf_count_t count, void* user) {
  auto* const memory = static_cast<Memory*>(user);
  const sf_count_t taken = std::min(count, Length(user) - memory->place);
  std::memcpy(to, memory->bytes.data() + memory->place, static_cast<size_t>(taken));
  memory->place += taken;
  return taken;
}

sf_count_t Write(const void* from, sf_count_t count, void* user) {
  auto* const memory = static_cast<Memory*>(user);
  const auto end = static_cast<size_t>(memory->place + count);
  if (memory->bytes.size() < end) memory->bytes.resize(end);
  std::memcpy(memory->bytes.data() + memory->place, from, static_cast<size_t>(count));
  memory->place += count;
  return count;
}

sf_count_t Tell(void* user) { return static_cast<Memory*>(user)->place; }

}  // namespace

std::vector<float> Tone(double hertz, int rate, int channels, int64_t frames, double amplitude) {
  std::vector<float> samples(static_cast<size_t>(frames * channels));
  for (int64_t i = 0; i < frames; ++i) {
    samples[i * channels] =
        static_cast<float>(amplitude * std::sin(2 * M_PI * hertz * static_cast<double>(i) / rate));
  }
  return samples;
}

std::vector<uint8_t> WriteAudio(int format, int rate, int channels,
                                const std::vector<float>& samples) {
  Memory memory;
  SF_VIRTUAL_IO io = {Length, Seek, Read, Write, Tell};
  SF_INFO info = {};
  info.format = format;
  info.samplerate = rate;
  info.channels = channels;
  SNDFILE* const file = sf_open_virtual(&io, SFM_WRITE, &info, &memory);
  if (file == nullptr) {
    ADD_FAILURE() << "libsndfile cannot write format " << std::hex << format << ": "
                  << sf_strerror(nullptr);
    return {};
  }
  const auto frames = static_cast<sf_count_t>(samples.size()) / channels;
  EXPECT_EQ(sf_writef_float(file, samples.data(), frames), frames);
  EXPECT_EQ(sf_close(file), 0);
  return memory.bytes;
}

}  // namespace facet::testing
