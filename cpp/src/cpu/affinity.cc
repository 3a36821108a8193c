#include "cpu/affinity.h"

#include <dlfcn.h>
#include <link.h>
#include <sched.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <string>

namespace cllm {
namespace {

constexpr int kMostCpus = 1 << 20;

/// Holds a set of CPUs of any size.
class CpuSet {
 public:
  explicit CpuSet(int capacity)
      : set_(CPU_ALLOC(static_cast<std::size_t>(capacity))),
        bytes_(CPU_ALLOC_SIZE(static_cast<std::size_t>(capacity))),
        capacity_(capacity) {
    if (set_ != nullptr) CPU_ZERO_S(bytes_, set_.get());
  }
  bool made() const { return set_ != nullptr; }
  bool read() { return sched_getaffinity(0, bytes_, set_.get()) == 0; }
  bool apply() const { return apply_to(pthread_self()); }
  bool apply_to(pthread_t thread) const {
    return pthread_setaffinity_np(thread, bytes_, set_.get()) == 0;
  }
  void add(int cpu) { CPU_SET_S(static_cast<std::size_t>(cpu), bytes_, set_.get()); }
  std::vector<int> cpus() const {
    std::vector<int> cpus;
    for (int cpu = 0; cpu < capacity_; ++cpu) {
      if (CPU_ISSET_S(static_cast<std::size_t>(cpu), bytes_, set_.get())) cpus.push_back(cpu);
    }
    return cpus;
  }

 private:
  struct Free {
    void operator()(cpu_set_t* set) const { CPU_FREE(set); }
  };
  std::unique_ptr<cpu_set_t, Free> set_;
  std::size_t bytes_;
  int capacity_;
};

/// Keeps the path of a loaded libgomp; packages rename it (libgomp-1a2b3c.so.1).
int find_libgomp(dl_phdr_info* info, std::size_t, void* path) {
  const char* const slash = std::strrchr(info->dlpi_name, '/');
  if (slash == nullptr || std::strncmp(slash, "/libgomp", 8) != 0) return 0;
  *static_cast<std::string*>(path) = info->dlpi_name;
  return 1;
}

}  // namespace

std::vector<int> thread_cpus() {
  // The kernel refuses a set smaller than its own with EINVAL and does not tell its size.
  for (int capacity = 1024; capacity <= kMostCpus; capacity *= 2) {
    CpuSet set(capacity);
    if (!set.made()) break;
    if (set.read()) return set.cpus();
    if (errno != EINVAL) break;
  }
  return {};
}

void allow_cpus(const std::vector<int>& cpus) noexcept { allow_cpus(pthread_self(), cpus); }

void allow_cpus(pthread_t thread, const std::vector<int>& cpus) noexcept {
  if (cpus.empty()) return;
  CpuSet set(cpus.back() + 1);
  if (!set.made()) return;
  for (const int cpu : cpus) set.add(cpu);
  set.apply_to(thread);
}

std::vector<int> cpuset_cpus() {
  std::vector<int> before = thread_cpus();
  CpuSet all(kMostCpus);
  if (!all.made()) return before;
  for (int cpu = 0; cpu < kMostCpus; ++cpu) all.add(cpu);
  if (!all.apply()) return before;
  const std::vector<int> wide = thread_cpus();
  allow_cpus(before);
  return wide;
}

int openmp_cpu_count() {
  std::string path;
  dl_iterate_phdr(find_libgomp, &path);
  if (path.empty()) return 0;
  void* const library = dlopen(path.c_str(), RTLD_LAZY | RTLD_NOLOAD);
  if (library == nullptr) return 0;
  int count = 0;
  if (void* const function = dlsym(library, "omp_get_num_procs")) {
    count = reinterpret_cast<int (*)()>(function)();
  }
  dlclose(library);
  return count;
}

}  // namespace cllm
