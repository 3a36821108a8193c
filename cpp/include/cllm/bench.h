// A step bench times whole training steps of a model on random tokens, without data and files.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cllm/model_config.h"

namespace cllm {

struct StepBench {
  ModelConfig model;
  std::int64_t batch = 1;          ///< sequences in the step batch
  std::int64_t sequence = 0;       ///< tokens in a sequence; 0: the model's context
  std::int64_t workers = 0;        ///< 0: one for each core that this process may use
  std::int64_t positions = 0;      ///< K; 0: the rule of the batch plan decides
  std::string precision = "fp32";  ///< fp32 | bf16
  std::string gemm = "auto";       ///< auto | native | onednn
  double seconds = 3;              ///< timed steps take about this long; at least three steps
  std::int64_t steps = 0;          ///< if not 0: this many timed steps
  bool lattice = false;            ///< couples tokens with their kissing neighbours
};

/// Says how many milliseconds of worker time a step spends on one thing.
struct PartTime {
  std::string name;
  double milliseconds = 0;
};

struct StepTimes {
  std::int64_t workers = 0;  ///< active ones
  std::int64_t parameters = 0;
  std::int64_t steps = 0;   ///< timed steps, after two that touch memory for the first time
  double milliseconds = 0;  ///< of a step: median, then least and most
  double least = 0, most = 0;
  double tokens_per_second = 0;
  double gflops = 0;       ///< from 6 P' + 6 L C T operations a token
  double peak_gflops = 0;  ///< of one core alone, measured before the steps
  double mfu = 0;          ///< gflops over the peak of the active workers; 0..1
  /// Further steps are timed tile by tile: products by kind, attention, norm and activation,
  /// embedding, loss, lattice, reduction, optimizer, waiting. The parts add up to workers times
  /// parts_milliseconds, the mean of those steps.
  std::vector<PartTime> parts;
  double parts_milliseconds = 0;
  double messages = 0;  ///< sent in a step by all spheres together
  /// Nanoseconds of a word from the first worker's core to the one farthest from it and back, just
  /// after the steps: some hundreds where they share no cache. 0: one worker, or not known.
  double round_trip_ns = 0;
};

/// Times the steps. Throws InputError for an impossible bench and one that does not fit in memory.
StepTimes measure_step(const StepBench& bench);

}  // namespace cllm
