// A small run takes milliseconds: one layer, four sequences of sixteen tokens.
#pragma once

#include <string>

#include "cllm/train_config.h"

namespace cllm {

inline TrainConfig small_run(const std::string& data, const std::string& out) {
  TrainConfig config;
  config.data = data;
  config.out = out;
  config.layers = 1;
  config.heads = 2;
  config.width = 16;
  config.sequence = 16;
  config.batch = 4;
  config.threads = 3;
  config.activate_all = true;
  return config;
}

}  // namespace cllm
