// Latency of AllReduceSum between two processes, over shared memory and over Gloo, and as a measure
// for both a bare exchange of the same bytes over one TCP connection. All in one run, since this
// machine's speed changes from run to run: compare the ratios.
//
//   collective_bench [repetitions]

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/log.h"
#include "shard/collective/gloo_collective.h"
#include "shard/collective/shm_collective.h"
#include "shard/collective/testing/child_process.h"
#include "shard/collective/testing/file_store.h"
#include "shard/collective/testing/network_lab.h"

namespace facet {
namespace {

using Clock = std::chrono::steady_clock;

constexpr size_t kSizes[] = {5 << 10, 20 << 10, 1 << 20};

int Repetitions(size_t bytes, int repetitions) {
  return bytes >= (1 << 20) ? std::max(1, repetitions / 5) : repetitions;
}

// Microseconds in the middle and at nine tenths.
struct Latency {
  double p50 = 0;
  double p90 = 0;
};

Latency Measure(int repetitions, const std::function<void()>& once) {
  for (int i = 0; i < repetitions / 10; ++i) once();
  std::vector<double> micros;
  for (int i = 0; i < repetitions; ++i) {
    const auto start = Clock::now();
    once();
    micros.push_back(std::chrono::duration<double, std::micro>(Clock::now() - start).count());
  }
  std::sort(micros.begin(), micros.end());
  return {micros[micros.size() / 2], micros[micros.size() * 9 / 10]};
}

// One entry a size.
using Latencies = std::vector<Latency>;

Latencies MeasureReduce(Collective& c, int repetitions) {
  Latencies out;
  for (const size_t bytes : kSizes) {
    std::vector<float> data(bytes / sizeof(float), 0.0f);
    const absl::Status ready = c.Barrier();
    FACET_CHECK(ready.ok()) << ready.ToString();
    out.push_back(Measure(Repetitions(bytes, repetitions), [&] {
      const absl::Status status = c.AllReduceSum(absl::MakeSpan(data));
      FACET_CHECK(status.ok()) << status.ToString();
    }));
  }
  return out;
}

// Rank 1 in a child; `enter` moves a rank to where it has to run. Measured on rank 0.
using Join = std::function<std::unique_ptr<Collective>(int rank)>;
Latencies InTwoProcesses(int repetitions, const Join& join) {
  int result[2];
  FACET_CHECK(pipe(result) == 0) << "pipe";
  std::vector<ChildProcess> ranks;
  for (int rank = 0; rank < 2; ++rank) {
    ranks.push_back(ChildProcess::Fork([&, rank] {
      const Latencies latencies = MeasureReduce(*join(rank), repetitions);
      const auto bytes = static_cast<ssize_t>(latencies.size() * sizeof(Latency));
      const bool written = rank != 0 || write(result[1], latencies.data(), bytes) == bytes;
      return written ? 0 : 1;
    }));
  }
  for (ChildProcess& rank : ranks) FACET_CHECK(rank.Wait() == 0) << "a rank failed";
  Latencies latencies(std::size(kSizes));
  const auto bytes = static_cast<ssize_t>(latencies.size() * sizeof(Latency));
  FACET_CHECK(read(result[0], latencies.data(), bytes) == bytes) << "read";
  close(result[0]);
  close(result[1]);
  return latencies;
}

Latencies MeasureShm(int repetitions, absl::Duration spin_limit) {
  ShmCollectiveOptions options;
  options.segment_name = absl::StrCat("/facet-bench-", getpid());
  options.world_size = 2;
  options.spin_limit = spin_limit;
  return InTwoProcesses(repetitions, [&](int rank) {
    ShmCollectiveOptions of_rank = options;
    of_rank.rank = rank;
    auto c = CreateShmCollective(of_rank);
    FACET_CHECK(c.ok()) << c.status().ToString();
    return *std::move(c);
  });
}

Latencies MeasureGloo(int repetitions, size_t chunk_bytes, const NetworkLab* lab) {
  static int runs = 0;
  std::string folder = absl::StrCat("/tmp/facet-bench-", getpid(), "-", ++runs);
  FACET_CHECK(system(absl::StrCat("mkdir -p ", folder).c_str()) == 0) << folder;
  const Latencies latencies = InTwoProcesses(repetitions, [&](int rank) {
    FACET_CHECK(lab == nullptr || lab->Enter(rank)) << "setns";
    FileStore store(folder);
    GlooCollectiveOptions options;
    options.rank = rank;
    options.world_size = 2;
    options.chunk_bytes = chunk_bytes;
    options.hostname = lab == nullptr ? "127.0.0.1" : NetworkLab::AddressOf(rank);
    options.key_prefix = "bench";
    auto c = CreateGlooCollective(options, store);
    FACET_CHECK(c.ok()) << c.status().ToString();
    return *std::move(c);
  });
  FACET_CHECK(system(absl::StrCat("rm -r ", folder).c_str()) == 0) << folder;
  return latencies;
}

// A bare exchange: both sides write everything and read everything, on blocking sockets.
void ExchangeBytes(int fd, std::vector<char>& buffer) {
  size_t written = 0, got = 0;
  while (written < buffer.size() || got < buffer.size()) {
    if (written < buffer.size()) {
      const size_t n = std::min<size_t>(buffer.size() - written, size_t{64} << 10);
      const ssize_t rv = send(fd, buffer.data() + written, n, 0);
      FACET_CHECK(rv > 0) << "send";
      written += static_cast<size_t>(rv);
    }
    // As much as has been written, so that neither side's buffers fill up.
    while (got < written) {
      const ssize_t rv = recv(fd, buffer.data() + got, written - got, 0);
      FACET_CHECK(rv > 0) << "recv";
      got += static_cast<size_t>(rv);
    }
  }
}

Latencies MeasureTcp(int repetitions) {
  const int listener = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof(address);
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  FACET_CHECK(bind(listener, generic, length) == 0 && listen(listener, 1) == 0 &&
              getsockname(listener, generic, &length) == 0)
      << "listen";
  const int on = 1;
  const auto run = [&](int fd) {
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    Latencies out;
    for (const size_t bytes : kSizes) {
      std::vector<char> buffer(bytes);
      out.push_back(Measure(Repetitions(bytes, repetitions), [&] { ExchangeBytes(fd, buffer); }));
    }
    close(fd);
    return out;
  };
  ChildProcess peer = ChildProcess::Fork([&] {
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    FACET_CHECK(connect(fd, generic, length) == 0) << "connect";
    run(fd);
    return 0;
  });
  const int fd = accept(listener, nullptr, nullptr);
  FACET_CHECK(fd >= 0) << "accept";
  close(listener);
  Latencies latencies = run(fd);
  FACET_CHECK(peer.Wait() == 0) << "peer";
  return latencies;
}

void PrintRow(const std::string& name, const Latencies& latencies, const Latencies& base) {
  std::printf("%-34s", name.c_str());
  for (size_t i = 0; i < latencies.size(); ++i) {
    std::printf(" | %8.1f %8.1f %6.2f", latencies[i].p50, latencies[i].p90,
                latencies[i].p50 / base[i].p50);
  }
  std::printf("\n");
}

int Run(int repetitions) {
  std::printf("AllReduceSum, 2 processes, microseconds: p50, p90, p50 / p50 of bare TCP\n%-34s",
              "");
  for (const size_t bytes : kSizes) std::printf(" | %16zu KiB     ", bytes >> 10);
  std::printf("\n");
  const Latencies tcp = MeasureTcp(repetitions);
  PrintRow("bare TCP exchange, loopback", tcp, tcp);
  PrintRow("shared memory, spinning 20 us", MeasureShm(repetitions, absl::Microseconds(20)), tcp);
  PrintRow("shared memory, futex only", MeasureShm(repetitions, absl::ZeroDuration()), tcp);
  for (const size_t chunk : {size_t{64} << 10, size_t{256} << 10, size_t{1} << 20}) {
    PrintRow(absl::StrCat("Gloo, loopback, chunks of ", chunk >> 10, " KiB"),
             MeasureGloo(repetitions, chunk, nullptr), tcp);
  }
  const auto lab = NetworkLab::Create(2);
  if (!lab.ok()) {
    std::printf("Gloo between namespaces: left out (%s)\n", lab.status().ToString().c_str());
    return 0;
  }
  for (const size_t chunk : {size_t{64} << 10, size_t{256} << 10, size_t{1} << 20}) {
    PrintRow(absl::StrCat("Gloo, MTU 1500, chunks of ", chunk >> 10, " KiB"),
             MeasureGloo(repetitions, chunk, lab->get()), tcp);
  }
  return 0;
}

}  // namespace
}  // namespace facet

int main(int argc, char** argv) {
  setvbuf(stdout, nullptr, _IONBF, 0);
  return facet::Run(argc > 1 ? std::max(10, atoi(argv[1])) : 1000);
}
