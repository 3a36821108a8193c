// What a machine does when nothing else is asked of it: times of the engine's kernels, memory,
// waking of threads. Measured alone, kept as JSON, and all that a step's time is predicted from.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace cllm {

/// How long one call of a kernel takes. What its sizes are is said by `kernel_axes`.
struct KernelTime {
  std::string kernel;
  std::vector<std::int64_t> sizes;
  double nanoseconds = 0;
};

/// What so many workers reach when all of them do the same at once; each figure is one worker's.
struct MachineRates {
  std::int64_t workers = 1;
  double gemm_gflops = 0;  ///< a large product
  double copy_gbs = 0;     ///< memcpy outside of every cache, bytes read and bytes written
  double wake_us = 0;      ///< from a message to the parked thread that reads it, median
  std::vector<KernelTime> times;
};

/// The times hold for this CPU, this instruction set and this backend of products.
struct Machine {
  std::string cpu;
  std::string kernels;
  std::string gemm;
  std::vector<MachineRates> rates;  ///< ascending by workers, at least one
};

/// Measures with each number of workers in turn: about three seconds for one of them.
/// `gemm` is auto, native or onednn. Throws InputError for another one, and unless there is at
/// least one number and each is at least 1.
Machine measure_machine(const std::vector<std::int64_t>& workers, const std::string& gemm = "auto");

/// Whether it is of this CPU and of the instruction set in use.
bool measured_here(const Machine& machine);

/// One JSON object, and the way back. Throws InputError, naming `where`, for anything else.
std::string machine_json(const Machine& machine);
Machine parse_machine(const std::string& json, const std::string& where);

}  // namespace cllm
