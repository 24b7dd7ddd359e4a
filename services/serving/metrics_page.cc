#include "services/serving/metrics_page.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <exception>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"

namespace facet {
namespace {

// Opens a connection to `port` on the IPv4 host of `address` and drops it.
void KnockOn(const std::string& address, int port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return;
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(static_cast<uint16_t>(port));
  const std::string host = address.substr(0, address.rfind(':'));
  if (inet_pton(AF_INET, host.c_str(), &to.sin_addr) != 1 || to.sin_addr.s_addr == INADDR_ANY) {
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  }
  (void)connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof(to));
  close(fd);
}

}  // namespace

absl::StatusOr<std::unique_ptr<MetricsPage>> MetricsPage::Open(
    const std::string& listen,
    const std::vector<std::shared_ptr<prometheus::Collectable>>& collectables) {
  std::unique_ptr<MetricsPage> page(new MetricsPage(listen));
  try {
    page->exposer_ = std::make_unique<prometheus::Exposer>(listen, /*num_threads=*/2);
    for (const auto& collectable : collectables) page->exposer_->RegisterCollectable(collectable);
    const std::vector<int> ports = page->exposer_->GetListeningPorts();
    if (!ports.empty()) page->port_ = ports.front();
  } catch (const std::exception& e) {
    return absl::UnavailableError(
        absl::StrCat("cannot serve metrics on ", listen, " (is the port taken?): ", e.what()));
  }
  return page;
}

// The page's server looks only every 2 s whether it should end, unless somebody calls.
MetricsPage::~MetricsPage() {
  if (!exposer_) return;
  std::atomic<bool> closed{false};
  std::thread caller([this, &closed] {
    while (!closed) {
      KnockOn(listen_, port_);
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
  });
  exposer_.reset();
  closed = true;
  caller.join();
}

}  // namespace facet
