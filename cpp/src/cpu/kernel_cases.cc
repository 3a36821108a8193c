#include "cpu/kernel_cases.h"

#include <stdexcept>
#include <vector>

#include "cpu/cases/case_lists.h"

namespace cllm {

Span<const KernelCase> kernel_cases() {
  static const std::vector<KernelCase> all = [] {
    std::vector<KernelCase> cases;
    for (const Span<const KernelCase> some :
         {attention_cases<float>(), row_cases<float>(), product_cases<float>(), float_cases(),
          attention_cases<Bf16>(), row_cases<Bf16>(), product_cases<Bf16>()}) {
      cases.insert(cases.end(), some.begin(), some.end());
    }
    return cases;
  }();
  return all;
}

const KernelCase& kernel_case(const std::string& kernel, bool bf16) {
  for (const KernelCase& one : kernel_cases()) {
    if (kernel == one.kernel && bf16 == one.bf16) return one;
  }
  throw std::invalid_argument("no kernel is called " + kernel);
}

}  // namespace cllm
