#ifndef FACET_ROUTER_MEDIA_TARGET_H_
#define FACET_ROUTER_MEDIA_TARGET_H_

#include "router/group_directory.h"
#include "router/media/media_prompts.h"
#include "router/request_context.h"

namespace facet {

// The media of a request are for whichever group it may go to. Without media nobody asks the
// groups.
inline MediaTarget TargetOf(const MediaInputs& media, const GroupDirectory& groups,
                            const RequestContext& context) {
  if (media.empty()) return {};
  GroupMedia of_groups = groups.media();
  return {context.deadline, context.cancelled, std::move(of_groups.dtype),
          of_groups.max_image_tokens};
}

}  // namespace facet

#endif  // FACET_ROUTER_MEDIA_TARGET_H_
