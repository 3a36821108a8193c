#include "base/aligned_buffer.h"

#include <sys/mman.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <string>

#include "cllm/error.h"

namespace cllm {
namespace {

constexpr std::size_t kHugePage = std::size_t{2} << 20, kPage = 4096;

}  // namespace

void* map_zeroed(std::size_t bytes) {
  // A large request is mapped with extra room and cut at a huge-page border; the rest goes back.
  const bool huge = bytes >= kHugePage;
  const std::size_t mapped = huge ? bytes + kHugePage : bytes;
  void* raw = mmap(nullptr, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (raw == MAP_FAILED) {
    throw Error({"not enough memory",
                 std::to_string(bytes) + " bytes refused by the kernel: " + std::strerror(errno),
                 "", "", "try a smaller model, batch or sequence length"});
  }
  if (!huge) return raw;
  const auto address = reinterpret_cast<std::uintptr_t>(raw);
  const std::uintptr_t start = (address + kHugePage - 1) & ~(kHugePage - 1);
  // munmap and mmap round to whole pages in the same way, so `unmap(data, bytes)` frees what is
  // left here.
  const std::uintptr_t end = (start + bytes + kPage - 1) & ~(kPage - 1);
  const std::uintptr_t mapped_end = (address + mapped + kPage - 1) & ~(kPage - 1);
  if (start > address) munmap(raw, start - address);
  if (mapped_end > end) munmap(reinterpret_cast<void*>(end), mapped_end - end);
  auto* data = reinterpret_cast<void*>(start);
  madvise(data, bytes, MADV_HUGEPAGE);  // advice only: a kernel without huge pages refuses
  return data;
}

void unmap(void* data, std::size_t bytes) noexcept { munmap(data, bytes); }

void take_small_pages(void* data, std::size_t bytes) noexcept {
  madvise(data, bytes, MADV_NOHUGEPAGE);
}

void give_pages_back(void* data, std::size_t bytes) noexcept {
  const auto address = reinterpret_cast<std::uintptr_t>(data);
  const std::uintptr_t begin = (address + kPage - 1) & ~(kPage - 1);
  const std::uintptr_t end = (address + bytes) & ~(kPage - 1);
  if (begin < end) madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
}

}  // namespace cllm
