#include "model/network.h"

namespace cllm {

std::vector<Linear> Network::linears() const {
  std::vector<Linear> all;
  for (const NetworkLayer& layer : layers) {
    all.insert(all.end(), layer.linears.begin(), layer.linears.end());
  }
  all.push_back(head);
  return all;
}

Network describe_network(const ModelConfig& config, TensorTable& table) {
  return config.is_gpt2() ? describe_gpt2(config, table) : describe_llama(config, table);
}

}  // namespace cllm
