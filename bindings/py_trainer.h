// A trainer as Python holds it.
#pragma once

#include "cllm/trainer.h"
#include "in_use.h"

namespace cllm::python {

struct PyTrainer {
  explicit PyTrainer(const TrainConfig& config) : trainer(config) {}
  Trainer trainer;
  InUse in_use;
};

}  // namespace cllm::python
