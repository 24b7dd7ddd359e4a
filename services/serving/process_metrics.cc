#include "services/serving/process_metrics.h"

#include <dirent.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "prometheus/metric_family.h"
#include "services/serving/build_info.h"

namespace facet {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;

void Add(std::vector<MetricFamily>& out, const char* name, const char* help, MetricType type,
         double value, std::vector<ClientMetric::Label> labels = {}) {
  ClientMetric metric;
  metric.label = std::move(labels);
  if (type == MetricType::Counter) {
    metric.counter.value = value;
  } else {
    metric.gauge.value = value;
  }
  out.push_back({name, help, type, {std::move(metric)}});
}

// Field `index` (counted from 1, as in proc(5)) of /proc/self/stat; the name in field 2 may hold
// spaces, so counting starts behind its closing bracket.
bool StatField(int index, double* value) {
  std::ifstream file("/proc/self/stat");
  std::string line;
  if (!std::getline(file, line)) return false;
  const size_t bracket = line.rfind(')');
  if (bracket == std::string::npos) return false;
  std::istringstream rest(line.substr(bracket + 1));
  std::string word;
  for (int i = 3; i <= index; ++i) {
    if (!(rest >> word)) return false;
  }
  *value = std::strtod(word.c_str(), nullptr);
  return true;
}

bool BootTime(double* seconds) {
  std::ifstream file("/proc/stat");
  std::string word;
  while (file >> word) {
    if (word == "btime") return static_cast<bool>(file >> *seconds);
  }
  return false;
}

int OpenFiles() {
  DIR* dir = opendir("/proc/self/fd");
  if (dir == nullptr) return -1;
  int count = -3;  // ".", ".." and the handle of this very listing
  while (readdir(dir) != nullptr) ++count;
  closedir(dir);
  return count;
}

class ProcessMetrics final : public prometheus::Collectable {
 public:
  std::vector<MetricFamily> Collect() const override {
    std::vector<MetricFamily> out;
    Add(out, "facet_build_info", "Which program this is; always 1.", MetricType::Gauge, 1,
        {{"version", Version()}, {"build", BuildId()}});
    const double ticks = static_cast<double>(sysconf(_SC_CLK_TCK));
    double user = 0, system = 0, value = 0, boot = 0;
    if (StatField(14, &user) && StatField(15, &system)) {
      Add(out, "process_cpu_seconds_total", "CPU time of this process, user and system.",
          MetricType::Counter, (user + system) / ticks);
    }
    if (StatField(24, &value)) {
      Add(out, "process_resident_memory_bytes", "Memory of this process that is in RAM.",
          MetricType::Gauge, value * static_cast<double>(sysconf(_SC_PAGESIZE)));
    }
    if (StatField(23, &value)) {
      Add(out, "process_virtual_memory_bytes", "Address space of this process.", MetricType::Gauge,
          value);
    }
    if (StatField(20, &value)) {
      Add(out, "process_threads", "Threads of this process.", MetricType::Gauge, value);
    }
    if (StatField(22, &value) && BootTime(&boot)) {
      Add(out, "process_start_time_seconds", "When this process started, in Unix time.",
          MetricType::Gauge, boot + value / ticks);
    }
    if (const int files = OpenFiles(); files >= 0) {
      Add(out, "process_open_fds", "Open file descriptors.", MetricType::Gauge, files);
    }
    rlimit limit{};
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY) {
      Add(out, "process_max_fds", "Limit of open file descriptors.", MetricType::Gauge,
          static_cast<double>(limit.rlim_cur));
    }
    return out;
  }
};

}  // namespace

std::shared_ptr<prometheus::Collectable> MakeProcessMetrics() {
  return std::make_shared<ProcessMetrics>();
}

}  // namespace facet
