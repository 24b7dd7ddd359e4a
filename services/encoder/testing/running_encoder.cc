#include "services/encoder/testing/running_encoder.h"

#include <chrono>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/dtype.h"
#include "base/status_macros.h"
#include "tests/testing/health_client.h"

namespace facet::testing {

absl::StatusOr<std::unique_ptr<RunningEncoder>> RunningEncoder::Start(
    const std::string& binary, const std::string& model, const std::vector<std::string>& flags) {
  const std::string port_file = absl::StrCat(MakeTestDir(), "/ports.json");
  std::vector<std::string> argv = {BinaryPath(binary),         "--model=" + model,
                                   "--listen=127.0.0.1:0",     "--metrics=127.0.0.1:0",
                                   "--port_file=" + port_file, "--threads=1",
                                   "--decode_threads=2"};
  argv.insert(argv.end(), flags.begin(), flags.end());
  auto encoder = std::make_unique<RunningEncoder>();
  FACET_ASSIGN_OR_RETURN(encoder->process_, ChildProcess::Start({.argv = argv}));
  FACET_ASSIGN_OR_RETURN(encoder->ports_,
                         WaitForPorts(port_file, absl::Seconds(60), *encoder->process_));
  if (!HealthClient(encoder->ports_.grpc_address()).WaitFor("", "SERVING", absl::Seconds(60))) {
    return absl::AbortedError(absl::StrCat("not ready: ", encoder->process_->Output()));
  }
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(-1);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 200);
  encoder->channel_ = grpc::CreateCustomChannel(encoder->ports_.grpc_address(),
                                                grpc::InsecureChannelCredentials(), arguments);
  return encoder;
}

double RunningEncoder::Metric(const std::string& sample) const {
  const auto page = HttpGet(ports_.metrics, "/metrics");
  return page.ok() ? MetricValue(*page, sample).value_or(-1) : -1;
}

std::unique_ptr<grpc::ClientContext> PatientContext() {
  auto context = std::make_unique<grpc::ClientContext>();
  context->set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(120));
  return context;
}

std::vector<float> RowsOf(const internal::SoftTokens& soft) {
  std::vector<float> rows;
  if (soft.dtype() == Name(DType::kF32)) {
    rows.resize(soft.rows().size() / sizeof(float));
    std::memcpy(rows.data(), soft.rows().data(), rows.size() * sizeof(float));
    return rows;
  }
  for (size_t i = 0; i + 1 < soft.rows().size(); i += 2) {
    uint16_t value = 0;
    std::memcpy(&value, soft.rows().data() + i, sizeof(value));
    rows.push_back(Bf16ToFloat(value));
  }
  return rows;
}

}  // namespace facet::testing
