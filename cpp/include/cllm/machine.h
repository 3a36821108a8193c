// A machine is described by times of the engine's kernels, of memory and of waking threads. They
// are measured with no other load, kept as JSON, and are all that a step's time is predicted from.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace cllm {

/// Says how long one call of a kernel takes, and what it does. The sizes are m, n, k, KiB of
/// products; T, D of attention; rows, columns, KiB of passes over rows; elements, KiB of flat
/// ranges. The calls find their operands anywhere in the KiB. Measurements of earlier versions hold
/// neither bytes nor operations: both are 0.
struct KernelTime {
  std::string kernel;
  std::vector<std::int64_t> sizes;
  double nanoseconds = 0;
  double bytes_moved = 0;  ///< read and written
  double operations = 0;   ///< of products and attention; 0: it is a pass over memory
};

/// Says what `workers` workers reach when all do the same at once; each figure is one worker's.
struct MachineRates {
  std::int64_t workers = 1;
  double gemm_gflops = 0;  ///< a large product
  double copy_gbs = 0;     ///< memcpy outside every cache; counts bytes read and written
  double wake_us = 0;      ///< from a message until the parked thread reads it, median
  std::vector<KernelTime> times;
};

/// The times hold for this CPU, this instruction set and this backend of products.
struct Machine {
  std::string cpu;
  std::string kernels;
  std::string gemm;
  std::vector<MachineRates> rates;  ///< ascending by workers, at least one
};

/// Measures with each number of workers in turn, about three seconds each. `gemm` is auto, native
/// or onednn. Throws InputError for another `gemm`, and unless `workers` has at least one number
/// and each is at least 1.
Machine measure_machine(const std::vector<std::int64_t>& workers, const std::string& gemm = "auto");

/// Says whether it describes this CPU and the instruction set in use.
bool measured_here(const Machine& machine);

/// These write one JSON object and read it. Throws InputError, naming `where`, for anything else.
std::string machine_json(const Machine& machine);
Machine parse_machine(const std::string& json, const std::string& where);

}  // namespace cllm
