#include "model/layout.h"

namespace cllm {

ParameterLayout::ParameterLayout(const ModelConfig& config)
    : network_(describe_network(config, table_)), attention_(config.layers * config.query_width()) {
  for (const Linear& linear : network_.linears()) multiplying_ += linear.size();
}

std::int64_t ParameterLayout::flops_per_token(std::int64_t sequence) const noexcept {
  return 6 * multiplying_ + 6 * attention_ * sequence;
}

}  // namespace cllm
