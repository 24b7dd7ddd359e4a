#include "services/serving/flags.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "absl/flags/commandlineflag.h"
#include "absl/flags/parse.h"
#include "absl/flags/reflection.h"
#include "absl/flags/usage.h"
#include "absl/flags/usage_config.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "services/serving/build_info.h"

namespace facet {
namespace {

// Flags of Abseil itself are defined under absl/; ours under services/, tools/ and tests/.
bool IsOwnFile(absl::string_view file) { return !absl::StrContains(file, "absl/"); }

[[noreturn]] void UsageError(const std::string& message) {
  std::fprintf(stderr, "%s\nTry --help.\n", message.c_str());
  std::exit(2);
}

// --some-flag=a-b -> --some_flag=a-b. Everything after a bare `--` stays as it is.
std::vector<std::string> WithUnderscores(int argc, char** argv) {
  std::vector<std::string> out;
  bool flags_ended = false;
  for (int i = 0; i < argc; ++i) {
    std::string argument = argv[i];
    if (argument == "--") flags_ended = true;
    if (i > 0 && !flags_ended && absl::StartsWith(argument, "--")) {
      const size_t end = std::min(argument.find('='), argument.size());
      std::replace(argument.begin() + 2, argument.begin() + static_cast<ptrdiff_t>(end), '-', '_');
    }
    out.push_back(std::move(argument));
  }
  return out;
}

void SetFromEnvironment() {
  for (const auto& [name, flag] : absl::GetAllFlags()) {
    if (!IsOwnFile(flag->Filename())) continue;
    const std::string variable = absl::StrCat("FACET_", absl::AsciiStrToUpper(name));
    const char* value = std::getenv(variable.c_str());
    if (value == nullptr || *value == '\0') continue;
    std::string error;
    if (!flag->ParseFrom(value, &error)) {
      UsageError(absl::StrCat("ERROR: environment variable ", variable, "='", value, "': ", error));
    }
  }
}

}  // namespace

void ParseFlags(int argc, char** argv, const std::string& usage) {
  absl::SetProgramUsageMessage(usage);
  absl::FlagsUsageConfig config;
  config.contains_help_flags = IsOwnFile;
  config.contains_helpshort_flags = IsOwnFile;
  config.version_string = [] { return absl::StrCat("facet ", Version(), " ", BuildId(), "\n"); };
  absl::SetFlagsUsageConfig(config);
  SetFromEnvironment();
  std::vector<std::string> arguments = WithUnderscores(argc, argv);
  std::vector<char*> pointers;
  for (std::string& a : arguments) pointers.push_back(a.data());
  const std::vector<char*> rest =
      absl::ParseCommandLine(static_cast<int>(pointers.size()), pointers.data());
  if (rest.size() > 1) UsageError(absl::StrCat("ERROR: unexpected argument '", rest[1], "'"));
}

std::string EffectiveFlags() {
  std::vector<std::string> lines;
  for (const auto& [name, flag] : absl::GetAllFlags()) {
    if (!IsOwnFile(flag->Filename())) continue;
    std::string value = flag->CurrentValue();
    if (absl::EndsWith(name, "token")) value = value.empty() ? "(unset)" : "(set)";
    lines.push_back(absl::StrCat(name, "=", value));
  }
  std::sort(lines.begin(), lines.end());
  return absl::StrJoin(lines, " ");
}

}  // namespace facet
