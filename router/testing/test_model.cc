#include "router/testing/test_model.h"

#include "base/log.h"

namespace facet::testing {

std::unique_ptr<ServedModel> MakeTestModel(bool with_tokenizer) {
  auto model = std::make_unique<ServedModel>();
  model->name = "test-model";
  model->config.model_type = "gemma4_text";
  model->config.max_position_embeddings = kTestContextLength;
  model->config.vocab_size = 300;
  model->generation.eos_token_ids = {1, 106};
  if (!with_tokenizer) return model;
  auto tokenizer = Tokenizer::Load("tests/golden/tokenizer/small/tokenizer.json");
  FACET_CHECK(tokenizer.ok()) << tokenizer.status();
  model->tokenizer = *std::move(tokenizer);
  model->config.vocab_size = model->tokenizer->vocab_size();
  model->bos_token_id = IdOf(*model, "<bos>");
  model->generation.eos_token_ids = {IdOf(*model, "<eos>"), IdOf(*model, "<turn|>")};
  return model;
}

int32_t IdOf(const ServedModel& model, const std::string& piece) {
  const auto id = model.tokenizer->TokenToId(piece);
  FACET_CHECK(id.has_value()) << "no piece " << piece;
  return *id;
}

}  // namespace facet::testing
