#include "services/serving/reflection.h"

#include <memory>
#include <set>
#include <string>

#include "gmock/gmock.h"
#include "google/protobuf/descriptor.pb.h"
#include "grpcpp/grpcpp.h"
#include "gtest/gtest.h"
#include "proto/facet/v1/generation.grpc.pb.h"
#include "proto/grpc/reflection/v1alpha/reflection.grpc.pb.h"

namespace facet {
namespace {

using grpc::reflection::v1alpha::ServerReflection;
using grpc::reflection::v1alpha::ServerReflectionRequest;
using grpc::reflection::v1alpha::ServerReflectionResponse;
using ::testing::Contains;

class ReflectionTest : public ::testing::Test {
 protected:
  ReflectionTest() {
    InstallReflection();
    InstallReflection();  // no second service
    grpc::ServerBuilder builder;
    int port = 0;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
    builder.RegisterService(&generation_);
    server_ = builder.BuildAndStart();
    stub_ = ServerReflection::NewStub(grpc::CreateChannel("127.0.0.1:" + std::to_string(port),
                                                          grpc::InsecureChannelCredentials()));
    context_.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(30));
    stream_ = stub_->ServerReflectionInfo(&context_);
  }
  ~ReflectionTest() override {
    stream_->WritesDone();
    EXPECT_TRUE(stream_->Finish().ok());
    server_->Shutdown();
  }

  ServerReflectionResponse Ask(const ServerReflectionRequest& request) {
    ServerReflectionResponse response;
    EXPECT_TRUE(stream_->Write(request) && stream_->Read(&response));
    EXPECT_EQ(response.original_request().SerializeAsString(), request.SerializeAsString());
    return response;
  }

  static std::set<std::string> FileNames(const ServerReflectionResponse& response) {
    std::set<std::string> names;
    for (const std::string& bytes : response.file_descriptor_response().file_descriptor_proto()) {
      google::protobuf::FileDescriptorProto file;
      EXPECT_TRUE(file.ParseFromString(bytes));
      EXPECT_TRUE(names.insert(file.name()).second) << file.name();
    }
    return names;
  }

  v1::Generation::CallbackService generation_;
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<ServerReflection::Stub> stub_;
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReaderWriter<ServerReflectionRequest, ServerReflectionResponse>>
      stream_;
};

TEST_F(ReflectionTest, ListsTheServices) {
  ServerReflectionRequest request;
  request.set_list_services("*");
  const ServerReflectionResponse response = Ask(request);
  std::multiset<std::string> names;
  for (const auto& service : response.list_services_response().service()) {
    names.insert(service.name());
  }
  EXPECT_EQ(names, (std::multiset<std::string>{"facet.v1.Generation",
                                               "grpc.reflection.v1alpha.ServerReflection"}));
}

TEST_F(ReflectionTest, GivesTheFileOfASymbolAndAllThatItImports) {
  for (const char* symbol :
       {"facet.v1.Generation", "facet.v1.Generation.Chat", "facet.v1.GenerateRequest"}) {
    ServerReflectionRequest request;
    request.set_file_containing_symbol(symbol);
    const std::set<std::string> names = FileNames(Ask(request));
    EXPECT_THAT(names, Contains("proto/facet/v1/generation.proto")) << symbol;
    EXPECT_THAT(names, Contains("proto/facet/v1/sampling.proto")) << symbol;
  }
  ServerReflectionRequest request;
  request.set_file_by_filename("proto/facet/v1/sampling.proto");
  EXPECT_THAT(FileNames(Ask(request)), Contains("proto/facet/v1/sampling.proto"));
}

TEST_F(ReflectionTest, WhatIsUnknownIsAnErrorAndTheStreamGoesOn) {
  ServerReflectionRequest file, symbol, extension, type, nothing;
  file.set_file_by_filename("no.proto");
  symbol.set_file_containing_symbol("facet.v1.Nothing");
  extension.mutable_file_containing_extension()->set_containing_type("facet.v1.ChatRequest");
  extension.mutable_file_containing_extension()->set_extension_number(7);
  type.set_all_extension_numbers_of_type("facet.v1.Nothing");
  for (const auto& request : {file, symbol, extension, type}) {
    EXPECT_EQ(Ask(request).error_response().error_code(), grpc::NOT_FOUND);
  }
  EXPECT_EQ(Ask(nothing).error_response().error_code(), grpc::INVALID_ARGUMENT);
  type.set_all_extension_numbers_of_type("facet.v1.ChatRequest");
  const ServerReflectionResponse response = Ask(type);
  EXPECT_EQ(response.all_extension_numbers_response().base_type_name(), "facet.v1.ChatRequest");
  EXPECT_EQ(response.all_extension_numbers_response().extension_number_size(), 0);
}

}  // namespace
}  // namespace facet
