#include "cpu/cpu_list.h"

#include <algorithm>
#include <charconv>
#include <fstream>

namespace cllm {
namespace {

constexpr int kMostCpus = 1 << 20;  // a damaged range must not fill the memory

/// Reads the number at `at` and moves `at` behind it; -1 when there is none.
int take_number(const char*& at, const char* end) {
  int value = -1;
  const auto read = std::from_chars(at, end, value);
  if (read.ec != std::errc() || value >= kMostCpus) return -1;
  at = read.ptr;
  return value;
}

}  // namespace

std::vector<int> parse_cpu_list(const std::string& text) {
  const char* const blanks = " \t\r\n";
  const std::size_t first = text.find_first_not_of(blanks);
  if (first == std::string::npos) return {};
  const char* at = text.data() + first;
  const char* const end = text.data() + text.find_last_not_of(blanks) + 1;
  std::vector<int> cpus;
  while (true) {
    const int low = take_number(at, end);
    int high = low;
    if (at < end && *at == '-') high = take_number(++at, end);
    if (low < 0 || high < low) return {};
    for (int cpu = low; cpu <= high; ++cpu) cpus.push_back(cpu);
    if (at == end) break;
    if (*at++ != ',') return {};
  }
  std::sort(cpus.begin(), cpus.end());
  cpus.erase(std::unique(cpus.begin(), cpus.end()), cpus.end());
  return cpus;
}

std::vector<int> read_cpu_list(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return parse_cpu_list(line);
}

}  // namespace cllm
