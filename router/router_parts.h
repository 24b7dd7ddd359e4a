#ifndef FACET_ROUTER_ROUTER_PARTS_H_
#define FACET_ROUTER_ROUTER_PARTS_H_

#include <functional>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "router/group_directory.h"
#include "router/media/media_prompts.h"
#include "router/metrics.h"
#include "router/pacer.h"
#include "router/prompt_builder.h"
#include "router/request_log.h"
#include "router/request_validator.h"
#include "router/served_model.h"

namespace facet {

// What calls share; all of it outlives them.
struct RouterParts {
  const ServedModel* model = nullptr;
  const RequestValidator* validator = nullptr;
  const PromptBuilder* prompts = nullptr;
  MediaPrompts* media = nullptr;
  GroupDirectory* groups = nullptr;
  RouterMetrics* metrics = nullptr;
  Pacer* pacer = nullptr;
  RequestLog log = LogRequestToStdout;
  std::function<absl::Time()> clock = absl::Now;
  // How long a request waits when no group is ready; zero: not at all.
  absl::Duration wait_for_group = absl::ZeroDuration();
  // Tokens that wait to be read by one caller, all its completions together; with more, its request
  // is paused in the shard group.
  int max_buffered_tokens = 1024;
  // How long a caller for whom output waits may read nothing, once its request is paused or over.
  absl::Duration max_read_pause = absl::Minutes(1);
};

}  // namespace facet

#endif  // FACET_ROUTER_ROUTER_PARTS_H_
