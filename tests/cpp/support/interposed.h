// Counts calls of the allocator, of mmap and of pthread's mutexes while told to: these functions
// replace the C library's for the whole process. Only one source of a test may include this.
#pragma once

#include <dlfcn.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstddef>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || !defined(__GLIBC__)
#define CLLM_INTERPOSED 0  // sanitizers replace them themselves
#else
#define CLLM_INTERPOSED 1
#endif

namespace cllm {

struct Calls {
  std::atomic<bool> counting{false};
  std::atomic<long> allocations{0}, mappings{0}, mutexes{0};

  void start() {
    allocations = mappings = mutexes = 0;
    counting = true;
  }
  void stop() { counting = false; }
  void count(std::atomic<long>& calls) noexcept {
    if (counting.load(std::memory_order_relaxed)) calls.fetch_add(1, std::memory_order_relaxed);
  }
};
inline Calls calls;

}  // namespace cllm

#if CLLM_INTERPOSED
extern "C" {
void* __libc_malloc(std::size_t);
void* __libc_calloc(std::size_t, std::size_t);
void* __libc_realloc(void*, std::size_t);
void* __libc_memalign(std::size_t, std::size_t);
void __libc_free(void*);

void* malloc(std::size_t size) {
  cllm::calls.count(cllm::calls.allocations);
  return __libc_malloc(size);
}
void* calloc(std::size_t count, std::size_t size) {
  cllm::calls.count(cllm::calls.allocations);
  return __libc_calloc(count, size);
}
void* realloc(void* old, std::size_t size) {
  cllm::calls.count(cllm::calls.allocations);
  return __libc_realloc(old, size);
}
void* memalign(std::size_t alignment, std::size_t size) {
  cllm::calls.count(cllm::calls.allocations);
  return __libc_memalign(alignment, size);
}
void* aligned_alloc(std::size_t alignment, std::size_t size) { return memalign(alignment, size); }
int posix_memalign(void** out, std::size_t alignment, std::size_t size) {
  *out = memalign(alignment, size);
  return *out == nullptr ? ENOMEM : 0;
}
void free(void* data) {
  if (data != nullptr) cllm::calls.count(cllm::calls.allocations);
  __libc_free(data);
}

void* mmap(void* at, std::size_t size, int protection, int flags, int file, off_t offset) noexcept {
  cllm::calls.count(cllm::calls.mappings);
  return reinterpret_cast<void*>(syscall(SYS_mmap, at, size, protection, flags, file, offset));
}
int munmap(void* at, std::size_t size) noexcept {
  cllm::calls.count(cllm::calls.mappings);
  return static_cast<int>(syscall(SYS_munmap, at, size));
}

#define CLLM_COUNT_MUTEX(name, type)                                                    \
  int name(type* object) noexcept {                                                     \
    cllm::calls.count(cllm::calls.mutexes);                                             \
    static const auto next = reinterpret_cast<int (*)(type*)>(dlsym(RTLD_NEXT, #name)); \
    return next(object);                                                                \
  }
CLLM_COUNT_MUTEX(pthread_mutex_lock, pthread_mutex_t)
CLLM_COUNT_MUTEX(pthread_mutex_trylock, pthread_mutex_t)
CLLM_COUNT_MUTEX(pthread_mutex_unlock, pthread_mutex_t)
CLLM_COUNT_MUTEX(pthread_rwlock_rdlock, pthread_rwlock_t)
CLLM_COUNT_MUTEX(pthread_rwlock_wrlock, pthread_rwlock_t)
#undef CLLM_COUNT_MUTEX
}
#endif
