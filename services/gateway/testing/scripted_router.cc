#include "services/gateway/testing/scripted_router.h"

#include <chrono>

#include "absl/strings/str_cat.h"
#include "google/protobuf/text_format.h"

namespace facet::testing {
namespace {

template <class Message>
Message FromText(const std::string& text) {
  Message message;
  if (!google::protobuf::TextFormat::ParseFromString(text, &message)) std::abort();
  return message;
}

}  // namespace

v1::ChatResponse ChatEvent(const std::string& text) { return FromText<v1::ChatResponse>(text); }
v1::GenerateResponse GenerateEvent(const std::string& text) {
  return FromText<v1::GenerateResponse>(text);
}

class ScriptedRouter::GenerationService : public v1::Generation::Service {
 public:
  explicit GenerationService(const ScriptedRouter* router) : router_(router) {}

  grpc::Status Chat(grpc::ServerContext* context, const v1::ChatRequest* request,
                    grpc::ServerWriter<v1::ChatResponse>* writer) override {
    return router_->chat(context, *request, writer);
  }
  grpc::Status Generate(grpc::ServerContext* context, const v1::GenerateRequest* request,
                        grpc::ServerWriter<v1::GenerateResponse>* writer) override {
    return router_->generate(context, *request, writer);
  }
  grpc::Status Detokenize(grpc::ServerContext*, const v1::DetokenizeRequest* request,
                          v1::DetokenizeResponse* response) override {
    response->set_text(absl::StrCat("<", request->token_ids(0), ">"));
    return grpc::Status::OK;
  }

 private:
  const ScriptedRouter* const router_;
};

class ScriptedRouter::ModelsService : public v1::Models::Service {
 public:
  explicit ModelsService(const ScriptedRouter* router) : router_(router) {}

  grpc::Status ListModels(grpc::ServerContext*, const v1::ListModelsRequest*,
                          v1::ListModelsResponse* response) override {
    *response->add_models() = Model();
    return grpc::Status::OK;
  }
  grpc::Status GetModel(grpc::ServerContext*, const v1::GetModelRequest* request,
                        v1::Model* response) override {
    if (request->name() != "org/gemma") {
      return grpc::Status(grpc::StatusCode::NOT_FOUND, "model: there is only org/gemma");
    }
    *response = Model();
    return grpc::Status::OK;
  }

 private:
  v1::Model Model() const {
    v1::Model model;
    model.set_name("org/gemma");
    model.set_context_length(128);
    model.add_modalities("text");
    model.set_ready_groups(router_->ready_groups);
    return model;
  }
  const ScriptedRouter* const router_;
};

ScriptedRouter::ScriptedRouter()
    : generation_(std::make_unique<GenerationService>(this)),
      models_(std::make_unique<ModelsService>(this)) {
  chat = [](auto*, const v1::ChatRequest& request, auto* writer) {
    writer->Write(ChatEvent("start { model: 'org/gemma' }"));
    for (int i = 0; i < request.n(); ++i) {
      writer->Write(ChatEvent(absl::StrCat("delta { index: ", i, " content: 'hi' }")));
      writer->Write(ChatEvent(absl::StrCat("sequence_end { index: ", i, " finish_reason: STOP }")));
    }
    writer->Write(ChatEvent("end { usage { prompt_tokens: 3 completion_tokens: 1 } }"));
    return grpc::Status::OK;
  };
  generate = [](auto*, const v1::GenerateRequest&, auto* writer) {
    writer->Write(GenerateEvent("start { model: 'org/gemma' }"));
    writer->Write(GenerateEvent("delta { text: 'hi' logprobs { token_id: 5 logprob: -1 } }"));
    writer->Write(GenerateEvent("end { finish_reason: LENGTH usage { prompt_tokens: 2 } }"));
    return grpc::Status::OK;
  };
  grpc::ServerBuilder builder;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port_);
  builder.RegisterService(generation_.get());
  builder.RegisterService(models_.get());
  server_ = builder.BuildAndStart();
}

ScriptedRouter::~ScriptedRouter() { server_->Shutdown(std::chrono::system_clock::now()); }

std::shared_ptr<grpc::Channel> ScriptedRouter::Channel() const {
  return grpc::CreateChannel(absl::StrCat("127.0.0.1:", port_), grpc::InsecureChannelCredentials());
}

}  // namespace facet::testing
