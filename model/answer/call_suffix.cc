#include "model/answer/call_suffix.h"

#include <random>

namespace facet {

std::string RandomCallSuffix() {
  constexpr char kCharacters[] = "abcdefghijklmnopqrstuvwxyz0123456789";
  thread_local std::random_device random;  // the system's: no state to seed
  std::uniform_int_distribution<size_t> any(0, sizeof(kCharacters) - 2);
  std::string suffix(24, ' ');
  for (char& c : suffix) c = kCharacters[any(random)];
  return suffix;
}

}  // namespace facet
