// Pings of clients over real sockets: by gRPC, and frame by frame as other libraries would.

#include "services/serving/connection_limits.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdint>
#include <string>
#include <thread>

#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "proto/facet/v1/generation.grpc.pb.h"

namespace facet {
namespace {

// One delta, then silence until told otherwise.
class SilentService final : public v1::Generation::Service {
 public:
  grpc::Status Generate(grpc::ServerContext*, const v1::GenerateRequest*,
                        grpc::ServerWriter<v1::GenerateResponse>* writer) override {
    v1::GenerateResponse message;
    message.mutable_delta()->add_token_ids(1);
    writer->Write(message);
    end.WaitForNotificationWithTimeout(absl::Seconds(30));
    writer->Write(message);
    return grpc::Status::OK;
  }

  absl::Notification end;
};

class ConnectionLimitsTest : public ::testing::Test {
 protected:
  ConnectionLimitsTest() {
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port_);
    builder.RegisterService(&service_);
    SetConnectionLimits(builder);
    server_ = builder.BuildAndStart();
  }
  ~ConnectionLimitsTest() override { server_->Shutdown(std::chrono::system_clock::now()); }

  SilentService service_;
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
};

TEST_F(ConnectionLimitsTest, AClientThatPingsEverySecondKeepsItsSilentStream) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 1000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 2000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  const auto channel = grpc::CreateCustomChannel("127.0.0.1:" + std::to_string(port_),
                                                 grpc::InsecureChannelCredentials(), arguments);
  const auto stub = v1::Generation::NewStub(channel);
  grpc::ClientContext context;
  const auto reader = stub->Generate(&context, v1::GenerateRequest());
  v1::GenerateResponse message;
  ASSERT_TRUE(reader->Read(&message));
  std::thread end([this] {
    absl::SleepFor(absl::Seconds(6));
    service_.end.Notify();
  });
  EXPECT_TRUE(reader->Read(&message));
  EXPECT_FALSE(reader->Read(&message));
  const grpc::Status status = reader->Finish();
  EXPECT_TRUE(status.ok()) << status.error_message();
  end.join();
}

// A connection that speaks HTTP/2 by hand.
class RawConnection {
 public:
  explicit RawConnection(int port) : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(static_cast<uint16_t>(port));
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connected_ = connect(fd_, reinterpret_cast<sockaddr*>(&to), sizeof(to)) == 0;
    Write("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
  }
  ~RawConnection() { close(fd_); }

  bool connected() const { return connected_; }

  struct Frame {
    uint8_t type = 0;
    uint8_t flags = 0;
    std::string payload;
  };

  void Send(uint8_t type, uint8_t flags, const std::string& payload) {
    std::string frame(9, '\0');
    frame[2] = static_cast<char>(payload.size());
    frame[3] = static_cast<char>(type);
    frame[4] = static_cast<char>(flags);
    Write(frame + payload);
  }

  // False when the peer has closed, or says nothing for 5 s.
  bool Receive(Frame* frame) {
    std::string head;
    if (!Read(9, &head)) return false;
    const auto byte = [&head](size_t i) { return static_cast<uint8_t>(head[i]); };
    frame->type = byte(3);
    frame->flags = byte(4);
    return Read((size_t{byte(0)} << 16) + (size_t{byte(1)} << 8) + byte(2), &frame->payload);
  }

 private:
  void Write(const std::string& bytes) {
    EXPECT_EQ(send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(bytes.size()));
  }
  bool Read(size_t size, std::string* out) {
    out->clear();
    while (out->size() < size) {
      pollfd waiting{fd_, POLLIN, 0};
      char bytes[4096];
      if (poll(&waiting, 1, 5000) != 1) return false;
      const ssize_t n = read(fd_, bytes, std::min(sizeof(bytes), size - out->size()));
      if (n <= 0) return false;
      out->append(bytes, static_cast<size_t>(n));
    }
    return true;
  }

  const int fd_;
  bool connected_ = false;
};

TEST_F(ConnectionLimitsTest, HundredsOfPingsWithoutACallAreAllAnswered) {
  constexpr uint8_t kSettings = 4, kPing = 6, kGoAway = 7, kAck = 1;
  constexpr int kPings = 300;
  RawConnection connection(port_);
  ASSERT_TRUE(connection.connected());
  connection.Send(kSettings, 0, "");
  connection.Send(kSettings, kAck, "");
  int answers = 0;
  for (int i = 0; i < kPings; ++i) {
    const std::string payload = "ping" + std::to_string(1000 + i);
    connection.Send(kPing, 0, payload);
    RawConnection::Frame frame;
    do {
      ASSERT_TRUE(connection.Receive(&frame)) << "after " << answers << " answers";
      ASSERT_NE(frame.type, kGoAway) << frame.payload;
    } while (frame.type != kPing || frame.flags != kAck);
    EXPECT_EQ(frame.payload, payload);
    ++answers;
  }
  EXPECT_EQ(answers, kPings);
}

}  // namespace
}  // namespace facet
