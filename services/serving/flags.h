#ifndef FACET_SERVICES_SERVING_FLAGS_H_
#define FACET_SERVICES_SERVING_FLAGS_H_

// Command line and environment of a Facet process.

#include <string>

namespace facet {

// Parses the flags that the program defines with ABSL_FLAG.
//   * `--max-queue=5`, `--max-queue 5` and `--max_queue 5` are the same flag.
//   * The environment variable FACET_<FLAG> (FACET_MAX_QUEUE=5) sets a flag that the command line
//     leaves out; an empty variable counts as unset.
//   * `usage` is what --help prints above the flags.
// An unknown flag, a value that does not parse (also in the environment) or an argument that is no
// flag ends the process with a message and status 2 (1 where Abseil itself finds the mistake).
void ParseFlags(int argc, char** argv, const std::string& usage);

// One line, `name=value ...` sorted by name, of every flag that the program's own files define: the
// effective configuration, for the log. Flags whose name holds "token" (secrets) show as set/unset.
std::string EffectiveFlags();

}  // namespace facet

#endif  // FACET_SERVICES_SERVING_FLAGS_H_
