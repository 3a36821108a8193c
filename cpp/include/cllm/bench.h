// Timing whole training steps of a model on random tokens: no data, no files.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cllm/model_config.h"

namespace cllm {

struct StepBench {
  ModelConfig model;
  std::int64_t batch = 1;          ///< sequences in the step batch
  std::int64_t sequence = 0;       ///< tokens in one of them; 0: the model's positions
  std::int64_t workers = 0;        ///< 0: the cores that this process may use
  std::int64_t positions = 0;      ///< K; 0: by the rule of the batch plan
  std::string precision = "fp32";  ///< fp32 | bf16
  std::string gemm = "auto";       ///< auto | native | onednn
  double seconds = 3;              ///< timed steps take about so long, three steps at least
  std::int64_t steps = 0;          ///< that many timed steps instead
};

/// Milliseconds of worker time that a step spends on one thing.
struct PartTime {
  std::string name;
  double milliseconds = 0;
};

struct StepTimes {
  std::int64_t workers = 0;  ///< active ones
  std::int64_t parameters = 0;
  std::int64_t steps = 0;   ///< timed, after two that touch memory for the first time
  double milliseconds = 0;  ///< of a step, the median; the least and the most
  double least = 0, most = 0;
  double tokens_per_second = 0;
  double gflops = 0;       ///< 6 P' + 6 L C T operations a token
  double peak_gflops = 0;  ///< of one core alone, measured before the steps
  double mfu = 0;          ///< gflops over the peak of the active workers; 0..1
  /// Of further steps, which are timed tile by tile: products by kind, attention, norm and
  /// activation, embedding, loss, reduction, optimizer, waiting. They add up to workers times
  /// parts_milliseconds, the mean of those steps.
  std::vector<PartTime> parts;
  double parts_milliseconds = 0;
  double messages = 0;  ///< sent in a step, by all spheres together
  /// A word from the first worker's core to the one farthest from it and back, nanoseconds, just
  /// after the steps: some hundreds where they share no cache. 0: one worker, or not known.
  double round_trip_ns = 0;
};

/// Throws InputError for a bench that cannot be, or that does not fit in memory.
StepTimes measure_step(const StepBench& bench);

}  // namespace cllm
