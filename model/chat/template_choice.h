#ifndef FACET_MODEL_CHAT_TEMPLATE_CHOICE_H_
#define FACET_MODEL_CHAT_TEMPLATE_CHOICE_H_

// Which of the published chat templates a checkpoint goes with.

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "model/chat/chat_template.h"
#include "model/config.h"

namespace facet {

// SHA-256 of the files published on 2026-07-09, in hexadecimal.
inline constexpr absl::string_view kSmallTemplateSha256 =
    "0a2c8073c878ab1da004bee933a998606537bbb62016310352c7285c3f01c5b5";
inline constexpr absl::string_view kLargeTemplateSha256 =
    "ae53464bf3be25802b3a5b37def7fd89667067d7577049b3b2d74c4d8de4c6d4";

// What to do about a checkpoint with another template: one of its own, or an older one.
enum class UnknownTemplatePolicy { kUseOurs, kRefuse };

struct TemplateChoice {
  ChatVariant variant = ChatVariant::kSmall;
  // Where the checkpoint's template is, and its hash; empty if it has none.
  std::string path;
  std::string sha256;
  // To be logged at start: that the template is not ours, with both hashes. Empty: all is well.
  std::string warning;
};

// Looks at `model_dir`/chat_template.jinja, then at chat_template of tokenizer_config.json. One
// that is ours names its variant. Without any, and with an unknown one, the model does: models with
// per-layer embeddings (E2B, E4B) go with the small one. FailedPrecondition for an unknown one
// under kRefuse; InvalidArgument for files that cannot be read as what they are.
absl::StatusOr<TemplateChoice> ChooseChatTemplate(const std::string& model_dir,
                                                  const ModelConfig& config,
                                                  UnknownTemplatePolicy policy);

}  // namespace facet

#endif  // FACET_MODEL_CHAT_TEMPLATE_CHOICE_H_
