#ifndef FACET_SERVICES_VISION_TESTING_PLAIN_PNG_H_
#define FACET_SERVICES_VISION_TESTING_PLAIN_PNG_H_

#include <string>

namespace facet::testing {

// A PNG of noise, RGB, whose pixels are stored without compression: as many bytes as pixels * 3.
std::string PlainPng(int height, int width);

}  // namespace facet::testing

#endif  // FACET_SERVICES_VISION_TESTING_PLAIN_PNG_H_
