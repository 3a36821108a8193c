// engine/golden_test.cc expects these hashes, by instruction set and case. They change only with a
// change that is meant to change results: run that test with CLLM_PRINT_GOLDEN=1 for each CLLM_ISA.
#pragma once

#include <map>
#include <string>

namespace cllm {

using GoldenBits = std::map<std::string, std::string>;

inline const std::map<std::string, GoldenBits>& golden_bits() {
  static const std::map<std::string, GoldenBits> bits = {
      {"scalar",
       {
           {"fp32-k1", "5cbf889bc00cfbb5"},
           {"fp32-k1-nobias", "8a0c079995c14673"},
           {"fp32-k1-dropout", "0d9cc24d8e056b42"},
           {"fp32-k1-dropout-nobias", "d8170c402fde872d"},
           {"fp32-k12", "38fb30c69f2ba229"},
           {"fp32-k12-nobias", "24d2118e6403b36b"},
           {"fp32-k12-dropout", "39ea70a49893bbc9"},
           {"fp32-k12-dropout-nobias", "210722b44b96c340"},
           {"bf16-k1", "d5c0eaf3c3b11ae8"},
           {"bf16-k1-nobias", "9b2a28733e4adde8"},
           {"bf16-k1-dropout", "7f4f5a09c837c8f5"},
           {"bf16-k1-dropout-nobias", "4c67071326288de9"},
           {"bf16-k12", "d8a11e2e3a2869a4"},
           {"bf16-k12-nobias", "0b54e5b6cae5d298"},
           {"bf16-k12-dropout", "292235f758f2682c"},
           {"bf16-k12-dropout-nobias", "fe12fdc47ba916f5"},
       }},
      {"avx2",
       {
           {"fp32-k1", "6dbbd27a3e2a8723"},
           {"fp32-k1-nobias", "de3f15c75cf51533"},
           {"fp32-k1-dropout", "328e20053b0bec76"},
           {"fp32-k1-dropout-nobias", "cfb4d6812bf02049"},
           {"fp32-k12", "d816fce872e39d4f"},
           {"fp32-k12-nobias", "691b6710a4e55578"},
           {"fp32-k12-dropout", "534ad11675fdd051"},
           {"fp32-k12-dropout-nobias", "cdf0624353b9efbd"},
           {"bf16-k1", "9d9edd716baf0c2f"},
           {"bf16-k1-nobias", "663cce60ada21cb0"},
           {"bf16-k1-dropout", "3cd0fc571008807d"},
           {"bf16-k1-dropout-nobias", "71f1e0cf0e1bd6ca"},
           {"bf16-k12", "4492603efb41d52a"},
           {"bf16-k12-nobias", "e14f15654ca593d4"},
           {"bf16-k12-dropout", "88624748633fd1f1"},
           {"bf16-k12-dropout-nobias", "2660f533c20cdd5a"},
       }},
      {"avx512",
       {
           {"fp32-k1", "40fdd4091cc076e9"},
           {"fp32-k1-nobias", "7fc8e18c6e92e952"},
           {"fp32-k1-dropout", "a2242aff6d08f711"},
           {"fp32-k1-dropout-nobias", "089a536a1fe69700"},
           {"fp32-k12", "a07108370cde387f"},
           {"fp32-k12-nobias", "157ed391077a6fb7"},
           {"fp32-k12-dropout", "1f090e6d85facbe5"},
           {"fp32-k12-dropout-nobias", "414c683c605078e5"},
           {"bf16-k1", "f0aae9a7cc6f1242"},
           {"bf16-k1-nobias", "47f16d236c00a3c8"},
           {"bf16-k1-dropout", "61f596db36be8d69"},
           {"bf16-k1-dropout-nobias", "a139513abb17013e"},
           {"bf16-k12", "1bc6a6662a35a4f2"},
           {"bf16-k12-nobias", "8249c7f0fb445b62"},
           {"bf16-k12-dropout", "76c47158fa62522d"},
           {"bf16-k12-dropout-nobias", "b9e0fe578f37b10f"},
       }},
      {"avx512bf16",
       {
           {"fp32-k1", "40fdd4091cc076e9"},
           {"fp32-k1-nobias", "7fc8e18c6e92e952"},
           {"fp32-k1-dropout", "a2242aff6d08f711"},
           {"fp32-k1-dropout-nobias", "089a536a1fe69700"},
           {"fp32-k12", "a07108370cde387f"},
           {"fp32-k12-nobias", "157ed391077a6fb7"},
           {"fp32-k12-dropout", "1f090e6d85facbe5"},
           {"fp32-k12-dropout-nobias", "414c683c605078e5"},
           {"bf16-k1", "538112ed189e0a5a"},
           {"bf16-k1-nobias", "3962a5598f7350c2"},
           {"bf16-k1-dropout", "799d25c42ba74de7"},
           {"bf16-k1-dropout-nobias", "35b93970adb1a230"},
           {"bf16-k12", "dcc2965096e96d3c"},
           {"bf16-k12-nobias", "ee34ff72ec84074b"},
           {"bf16-k12-dropout", "77c07e88fce3ada8"},
           {"bf16-k12-dropout-nobias", "19e8073d87309f06"},
       }},
  };
  return bits;
}

}  // namespace cllm
