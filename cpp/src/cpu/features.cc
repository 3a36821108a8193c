// This file is compiled for the baseline, because it runs before anything is known about the CPU.
#include "cpu/features.h"

#include <array>
#include <cstdlib>
#include <cstring>

#include "cllm/error.h"
#include "cpu/kernels/tables.h"

#ifdef __x86_64__
#include <cpuid.h>
#endif

namespace cllm {
namespace {

constexpr std::array<const char*, 4> kIsaNames = {"avx512bf16", "avx512", "avx2", "scalar"};

std::string join(const std::vector<std::string>& names) {
  std::string text;
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (i > 0) text += i + 1 == names.size() ? " or " : ", ";
    text += names[i];
  }
  return text;
}

}  // namespace

std::vector<const KernelTable*> runnable_kernels() {
  std::vector<const KernelTable*> tables;
#ifdef CLLM_SIMD
  // The compiler's detector also asks whether the system saves the wide registers.
  __builtin_cpu_init();
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  const bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
  const bool bf16 = __builtin_cpu_supports("avx512bf16");
  if (avx2 && avx512 && bf16) tables.push_back(&avx512bf16_kernels());
  if (avx2 && avx512) tables.push_back(&avx512_kernels());
  if (avx2) tables.push_back(&avx2_kernels());
#endif
  tables.push_back(&scalar_kernels());
  return tables;
}

const KernelTable& choose_kernels(const char* wanted, Span<const KernelTable* const> runnable) {
  if (wanted == nullptr || *wanted == '\0') return *runnable[0];
  std::vector<std::string> names;
  for (const KernelTable* table : runnable) {
    if (std::strcmp(table->name, wanted) == 0) return *table;
    names.emplace_back(table->name);
  }
  bool exists = false;
  for (const char* name : kIsaNames) exists = exists || std::strcmp(name, wanted) == 0;
  throw InputError(ErrorParts{exists ? "this CPU or this build cannot run the instruction set"
                                     : "there is no instruction set of that name",
                              "'" + std::string(wanted) + "'", join(names), "CLLM_ISA",
                              "unset it to use the best, " + names.front()});
}

const KernelTable& kernels() {
  static const KernelTable& chosen = choose_kernels(std::getenv("CLLM_ISA"), runnable_kernels());
  return chosen;
}

const KernelTable* find_kernels(const char* name) {
  for (const KernelTable* table : runnable_kernels()) {
    if (std::strcmp(table->name, name) == 0) return table;
  }
  return nullptr;
}

std::string cpu_model() {
  std::string name;
#ifdef __x86_64__
  constexpr unsigned kBrandFirst = 0x80000002, kBrandLast = 0x80000004;
  for (unsigned leaf = kBrandFirst; leaf <= kBrandLast; ++leaf) {
    std::array<unsigned, 4> words{};
    if (__get_cpuid(leaf, &words[0], &words[1], &words[2], &words[3]) == 0) break;
    std::array<char, sizeof words> text{};
    std::memcpy(text.data(), words.data(), sizeof words);
    name.append(text.data(), text.size());
  }
  name = name.substr(0, name.find('\0'));
  const std::size_t first = name.find_first_not_of(' ');
  name =
      first == std::string::npos ? "" : name.substr(first, name.find_last_not_of(' ') + 1 - first);
#endif
  return name.empty() ? "unknown CPU" : name;
}

}  // namespace cllm
