#include "router/served_model.h"

#include <filesystem>
#include <fstream>
#include <sstream>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "model/checkpoint.h"
#include "nlohmann/json.hpp"

namespace facet {
namespace {

// The name of the beginning-of-sequence token: a string, or an object with "content".
absl::StatusOr<std::string> BosTokenName(const std::filesystem::path& model_dir) {
  const std::filesystem::path path = model_dir / "tokenizer_config.json";
  std::ifstream file(path);
  if (!file) return "<bos>";
  std::stringstream text;
  text << file.rdbuf();
  const nlohmann::json json =
      nlohmann::json::parse(text.str(), nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) {
    return absl::InvalidArgumentError(absl::StrCat(path.string(), ": is no JSON object"));
  }
  const auto token = json.find("bos_token");
  if (token == json.end() || token->is_null()) return "<bos>";
  if (token->is_string()) return token->get<std::string>();
  if (token->is_object() && token->contains("content") && (*token)["content"].is_string()) {
    return (*token)["content"].get<std::string>();
  }
  return absl::InvalidArgumentError(
      absl::StrCat(path.string(), ": bos_token must be a string or an object with \"content\""));
}

absl::Status LoadTokenizer(const std::filesystem::path& model_dir, ServedModel* model) {
  model->bos_token_id = model->config.bos_token_id;
  const std::filesystem::path path = model_dir / "tokenizer.json";
  if (!std::filesystem::exists(path)) {
    FACET_LOG(Warning) << path.string() << " does not exist: served by token ids alone";
    return absl::OkStatus();
  }
  FACET_ASSIGN_OR_RETURN(model->tokenizer, Tokenizer::Load(path.string()));
  FACET_ASSIGN_OR_RETURN(const std::string bos, BosTokenName(model_dir));
  if (const std::optional<int32_t> id = model->tokenizer->TokenToId(bos)) model->bos_token_id = *id;
  if (model->tokenizer->vocab_size() > model->vocab_size()) {
    FACET_LOG(Warning) << "the tokenizer has " << model->tokenizer->vocab_size()
                       << " tokens and the model " << model->vocab_size()
                       << ": prompts with one of the others are refused";
  }
  return absl::OkStatus();
}

absl::Status LoadChatTemplate(const std::string& model_dir, UnknownTemplatePolicy policy,
                              ServedModel* model) {
  if (model->tokenizer == nullptr) return absl::OkStatus();
  FACET_ASSIGN_OR_RETURN(model->chat_template,
                         ChooseChatTemplate(model_dir, model->config, policy));
  const TemplateChoice& choice = model->chat_template;
  if (!choice.warning.empty()) {
    FACET_LOG(Warning) << choice.warning;
  } else {
    FACET_LOG(Info) << "chat template: " << Name(choice.variant)
                    << (choice.sha256.empty() ? ", since the checkpoint has none"
                                              : ", sha256 " + choice.sha256);
  }
  return absl::OkStatus();
}

absl::Status LoadFingerprint(const std::string& model_dir, ServedModel* model) {
  auto checkpoint = OpenCheckpoint(model_dir);
  if (absl::IsNotFound(checkpoint.status())) {
    FACET_LOG(Warning) << model_dir
                       << " holds no weights: shard groups are told apart by model type "
                       << "and vocabulary alone";
    return absl::OkStatus();
  }
  FACET_RETURN_IF_ERROR(checkpoint.status());
  model->fingerprint = (*checkpoint)->Fingerprint();
  return absl::OkStatus();
}

std::string FolderName(const std::string& model_dir) {
  std::error_code ignored;
  std::filesystem::path path = std::filesystem::absolute(model_dir, ignored).lexically_normal();
  if (path.filename().empty()) path = path.parent_path();
  const std::string name = path.filename().string();
  return name.empty() ? "model" : name;
}

}  // namespace

absl::StatusOr<std::unique_ptr<const ServedModel>> LoadServedModel(
    const std::string& model_dir, const std::string& name, UnknownTemplatePolicy unknown_template) {
  auto model = std::make_unique<ServedModel>();
  model->name = name.empty() ? FolderName(model_dir) : name;
  FACET_ASSIGN_OR_RETURN(model->config, LoadModelConfig(model_dir));
  FACET_ASSIGN_OR_RETURN(model->generation, LoadGenerationConfig(model_dir, model->config));
  FACET_RETURN_IF_ERROR(LoadTokenizer(model_dir, model.get()));
  FACET_RETURN_IF_ERROR(LoadChatTemplate(model_dir, unknown_template, model.get()));
  FACET_RETURN_IF_ERROR(LoadFingerprint(model_dir, model.get()));
  return std::unique_ptr<const ServedModel>(std::move(model));
}

}  // namespace facet
