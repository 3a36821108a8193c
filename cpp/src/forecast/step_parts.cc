#include "forecast/step_parts.h"

#include <algorithm>

namespace cllm {

StepParts::StepParts(SessionConfig& config)
    : slots_(1 +
             static_cast<std::size_t>(count_workers(config.threads, config.model.symmetry_order))) {
  config.time_products = true;
  config.tree.after_tile = [this](int worker, const TileClaim& claim, std::uint64_t nanoseconds) {
    if (session_ != nullptr) add(worker, claim, nanoseconds);
  };
}

void StepParts::start(const Session& session) {
  for (Slot& slot : slots_) slot = {};
  session_ = &session;
}

const char* StepParts::name(Part part) {
  constexpr std::array<const char*, kParts> kNames = {
      "product qkv",         "product projection", "product hidden", "product output",
      "product head",        "product dX",         "product dW",     "attention",
      "norm and activation", "embedding",          "loss",           "packing",
      "reduction",           "optimizer"};
  return kNames[part];
}

StepParts::Part StepParts::product_part(Op op) {
  switch (op) {
    case Op::kQkv:
      return kQkv;
    case Op::kProjection:
      return kProjection;
    case Op::kHidden:
      return kHidden;
    case Op::kOutput:
      return kOutput;
    case Op::kLogits:
    case Op::kFeatureGradient:
    case Op::kTokenWeight:
      return kHead;
    case Op::kOutputWeight:
    case Op::kHiddenWeight:
    case Op::kProjectionWeight:
    case Op::kQkvWeight:
      return kWeightGradients;
    default:
      return kInputGradients;
  }
}

StepParts::Part StepParts::pass_part(Op op) {
  switch (op) {
    case Op::kEmbed:
    case Op::kEmbedBackward:
      return kEmbedding;
    case Op::kAttention:
    case Op::kAttentionBackward:
      return kAttention;
    case Op::kLogits:
    case Op::kLoss:
    case Op::kLogitGradient:
      return kLoss;
    case Op::kTokenWeight:
    case Op::kOutputWeight:
    case Op::kHiddenWeight:
    case Op::kProjectionWeight:
    case Op::kQkvWeight:
      return product_part(op);
    default:
      return kNormAndActivation;
  }
}

// On the worker's thread.
void StepParts::add(int worker, const TileClaim& claim, std::uint64_t nanoseconds) {
  auto& ns = slots_[static_cast<std::size_t>(worker)].ns;
  const TrainStage& stage = session_->stage();
  // At the first tile that counts, those of earlier tiles are still there.
  const std::uint64_t products = std::min(session_->take_product_ns(worker), nanoseconds);
  switch (stage.kind(claim.job)) {
    case TrainStage::Kind::kPosition: {
      const Op op = stage.op(claim);
      ns[product_part(op)] += products;
      ns[pass_part(op)] += nanoseconds - products;
      return;
    }
    case TrainStage::Kind::kPacking:
      ns[kPacking] += nanoseconds;
      return;
    case TrainStage::Kind::kMerge:
    case TrainStage::Kind::kNorm:
      ns[kReduction] += nanoseconds;
      return;
    case TrainStage::Kind::kUpdate:
      ns[kOptimizer] += nanoseconds;
      return;
  }
}

std::vector<PartTime> StepParts::report(std::int64_t steps, double seconds,
                                        std::int64_t workers) const {
  const double whole = 1e3 * seconds * static_cast<double>(workers) / static_cast<double>(steps);
  std::vector<PartTime> parts;
  double busy = 0;
  for (std::size_t p = 0; p < kParts; ++p) {
    std::uint64_t ns = 0;
    for (const Slot& slot : slots_) ns += slot.ns[p];
    const double ms = 1e-6 * static_cast<double>(ns) / static_cast<double>(steps);
    parts.push_back({name(static_cast<Part>(p)), ms});
    busy += ms;
  }
  parts.push_back({"waiting", whole - busy});
  return parts;
}

}  // namespace cllm
