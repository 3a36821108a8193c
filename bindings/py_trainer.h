// A PyTrainer is a trainer as Python holds it.
#pragma once

#include <functional>
#include <string>

#include "cllm/trainer.h"
#include "in_use.h"

namespace cllm::python {

struct PyTrainer {
  PyTrainer(const TrainConfig& config, const std::function<void(const std::string&)>& say)
      : trainer(config, say) {}
  Trainer trainer;
  InUse in_use;
  bool told = false;  // somebody had the chance to hear its notes
};

}  // namespace cllm::python
