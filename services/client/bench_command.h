#ifndef FACET_SERVICES_CLIENT_BENCH_COMMAND_H_
#define FACET_SERVICES_CLIENT_BENCH_COMMAND_H_

#include <string>
#include <vector>

namespace facet {

// `facet bench`: a closed loop of requests (each of `concurrency` callers sends its next one when
// its last has ended) with prompts of random token ids, and what it measured as a table or as JSON.
// Returns the exit status: 1 if no request ended well.
int RunBench(const std::vector<std::string>& arguments);

}  // namespace facet

#endif  // FACET_SERVICES_CLIENT_BENCH_COMMAND_H_
