// How many threads this process may and shall use: processors, quotas of its cgroups, environment.
#pragma once
#include <string>

namespace steep {

inline constexpr int kMaxThreads = 4096;  // more are a mistake, and would be started

int usable_cpus();  // affinity mask and cgroup quotas, at least 1
// Processors that this process's own cgroups and all around them allow, 0 where none of them sets a
// limit. `root` stands before /proc and /sys.
int quota_cpus(const std::string& root);
// STEEP_NUM_THREADS, else OMP_NUM_THREADS, else 0; refuses a STEEP_NUM_THREADS that is no number.
int environment_threads();

}  // namespace steep
