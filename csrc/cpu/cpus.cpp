// How many threads this process may and shall use: reads the affinity mask, the files of cgroups v1 and
// v2, and two environment variables.
#include <sched.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string_view>
#include <thread>
#include <vector>

#include "base/error.h"
#include "cpu.h"
#include "cpu/threads.h"

namespace steep {

namespace {

// The smallest quota so far, in processors; 0 before the first.
struct Least {
  double cpus = 0;
  void take(double quota, double period) {
    if (!(quota > 0 && period > 0)) return;  // "max" and -1 stand for none
    cpus = cpus > 0 ? std::min(cpus, quota / period) : quota / period;
  }
};

void take_v2(const std::string& folder, Least& least) {
  std::string quota;
  double period = 0;
  if (std::ifstream(folder + "/cpu.max") >> quota >> period) {
    least.take(std::atof(quota.c_str()), period);
  }
}

void take_v1(const std::string& folder, Least& least) {
  double quota = 0, period = 0;
  std::ifstream(folder + "/cpu.cfs_quota_us") >> quota;
  std::ifstream(folder + "/cpu.cfs_period_us") >> period;
  least.take(quota, period);
}

// A cgroup and those it lies in, up to the root of the mount. A container may see its own group as
// that root and still be told a longer path: folders that are not there set no limit.
template <class Take>
void walk(const std::string& mount, std::string path, Take&& take, Least& least) {
  for (;;) {
    take(mount + path, least);
    const auto slash = path.rfind('/');
    if (slash == std::string::npos) return;
    path.resize(slash);
  }
}

bool names(const std::string& controllers, std::string_view wanted) {
  std::istringstream list(controllers);
  for (std::string one; std::getline(list, one, ',');) {
    if (one == wanted) return true;
  }
  return false;
}

std::string_view trimmed(std::string_view s) {
  const auto from = s.find_first_not_of(" \t");
  return from == s.npos ? s.substr(0, 0) : s.substr(from, s.find_last_not_of(" \t") - from + 1);
}

// The number a text is as a whole, or 0 where it is none from 1 to cpu::kMaxThreads.
int thread_count(std::string_view s) {
  int n = 0;
  s = trimmed(s);
  const auto [end, error] = std::from_chars(s.data(), s.data() + s.size(), n);
  const bool whole = error == std::errc() && end == s.data() + s.size();
  return whole && n >= 1 && n <= cpu::kMaxThreads ? n : 0;
}

}  // namespace

int cpu::quota_cpus(const std::string& root) {
  const std::string mount = root + "/sys/fs/cgroup";
  Least least;
  std::string own_v2 = "/", own_v1 = "/", v1_name = "cpu";
  std::ifstream groups(root + "/proc/self/cgroup");
  for (std::string line; std::getline(groups, line);) {  // id:controllers:path
    const auto first = line.find(':'), second = line.find(':', first + 1);
    if (first == line.npos || second == line.npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    if (controllers.empty()) own_v2 = line.substr(second + 1);
    if (names(controllers, "cpu")) own_v1 = line.substr(second + 1), v1_name = controllers;
  }
  for (const char* v2 : {"", "/unified"}) walk(mount + v2, own_v2, take_v2, least);
  walk(mount + "/cpu", own_v1, take_v1, least);
  if (v1_name != "cpu") walk(mount + "/" + v1_name, own_v1, take_v1, least);
  return static_cast<int>(std::min(std::ceil(least.cpus), 1e6));
}

int cpu::usable_cpus() {
  int cpus = static_cast<int>(std::thread::hardware_concurrency());
#if defined(__linux__)
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof(set), &set) == 0) cpus = CPU_COUNT(&set);
  if (const int quota = quota_cpus(""); quota > 0) cpus = std::min(cpus, quota);
#endif
  return std::clamp(cpus, 1, cpu::kMaxThreads);
}

int environment_threads() {
  if (const char* value = std::getenv("STEEP_NUM_THREADS"); value != nullptr && *value) {
    if (const int n = thread_count(value); n > 0) return n;
    refuse("STEEP_NUM_THREADS: expects a whole number from 1 to ", cpu::kMaxThreads, ", got \"",
           value, "\". Set one, or unset it for all processors this process may use.");
  }
  // Not ours: a list is a number for each nested level, and what cannot be read is ignored.
  const char* value = std::getenv("OMP_NUM_THREADS");
  if (value == nullptr) return 0;
  const std::string_view list = value;
  return thread_count(list.substr(0, list.find(',')));
}

}  // namespace steep
