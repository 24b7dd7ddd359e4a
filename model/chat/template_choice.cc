#include "model/chat/template_choice.h"

#include <openssl/sha.h>

#include <cstdint>
#include <optional>

#include "absl/status/status.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "model/json.h"

namespace facet {
namespace {

constexpr size_t kMaxTemplateBytes = size_t{1} << 20;

std::string Sha256(const std::string& bytes) {
  unsigned char digest[SHA256_DIGEST_LENGTH];
  SHA256(reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(), digest);
  return absl::BytesToHexString(
      absl::string_view(reinterpret_cast<const char*>(digest), sizeof(digest)));
}

// chat_template of tokenizer_config.json: a string, or a list of {name, template} with a default.
absl::StatusOr<std::optional<std::string>> TemplateInConfig(const std::string& path) {
  const absl::StatusOr<nlohmann::json> config = ReadJsonFile(path);
  if (absl::IsNotFound(config.status())) return std::nullopt;
  FACET_RETURN_IF_ERROR(config.status());
  absl::Status error;
  const JsonObject members(*config, error);
  const nlohmann::json* value = members.Find("chat_template");
  FACET_RETURN_IF_ERROR(error);
  if (value == nullptr) return std::nullopt;
  if (value->is_string()) return value->get<std::string>();
  for (const nlohmann::json& entry : value->is_array() ? *value : nlohmann::json::array()) {
    const JsonObject named(entry, error);
    if (named.String("name") == "default") return named.String("template");
  }
  return absl::InvalidArgumentError(
      absl::StrCat(path, ": chat_template: ", Excerpt(*value),
                   " where a template or a list with one named default is expected"));
}

struct Found {
  std::string path, text;
};

absl::StatusOr<std::optional<Found>> FindTemplate(const std::string& model_dir) {
  const std::string path = model_dir + "/chat_template.jinja";
  absl::StatusOr<std::string> text = ReadFile(path, kMaxTemplateBytes);
  if (text.ok()) return Found{path, *std::move(text)};
  if (!absl::IsNotFound(text.status())) return text.status();
  const std::string config_path = model_dir + "/tokenizer_config.json";
  FACET_ASSIGN_OR_RETURN(std::optional<std::string> in_config, TemplateInConfig(config_path));
  if (!in_config) return std::nullopt;
  return Found{config_path, *std::move(in_config)};
}

}  // namespace

absl::StatusOr<TemplateChoice> ChooseChatTemplate(const std::string& model_dir,
                                                  const ModelConfig& config,
                                                  UnknownTemplatePolicy policy) {
  TemplateChoice choice;
  choice.variant = config.per_layer_input_size > 0 ? ChatVariant::kSmall : ChatVariant::kLarge;
  FACET_ASSIGN_OR_RETURN(const std::optional<Found> found, FindTemplate(model_dir));
  if (!found) return choice;
  choice.path = found->path;
  choice.sha256 = Sha256(found->text);
  if (choice.sha256 == kSmallTemplateSha256) {
    choice.variant = ChatVariant::kSmall;
  } else if (choice.sha256 == kLargeTemplateSha256) {
    choice.variant = ChatVariant::kLarge;
  } else {
    const bool small = choice.variant == ChatVariant::kSmall;
    choice.warning = absl::StrCat(
        choice.path, ": its chat template (SHA-256 ", choice.sha256,
        ") is not one that this server has; the published one of 2026-07-09 for ",
        Name(choice.variant), " models is ", small ? kSmallTemplateSha256 : kLargeTemplateSha256);
    if (policy == UnknownTemplatePolicy::kRefuse) {
      return absl::FailedPreconditionError(choice.warning);
    }
    absl::StrAppend(&choice.warning, " and is used instead");
  }
  return choice;
}

}  // namespace facet
