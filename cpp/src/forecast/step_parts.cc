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

// Runs on the worker's thread.
void StepParts::add(int worker, const TileClaim& claim, std::uint64_t nanoseconds) {
  auto& ns = slots_[static_cast<std::size_t>(worker)].ns;
  const TrainStage& stage = session_->stage();
  // At the first tile that counts, the products of earlier tiles are still in the sum.
  const std::uint64_t products = std::min(session_->take_product_ns(worker), nanoseconds);
  switch (stage.kind(claim.job)) {
    case JobKind::kPosition: {
      const PhaseParts parts = parts_of(stage.phase(claim));
      ns[static_cast<std::size_t>(parts.product)] += products;
      ns[static_cast<std::size_t>(parts.pass)] += nanoseconds - products;
      return;
    }
    case JobKind::kPacking:
      ns[kPacking] += nanoseconds;
      return;
    case JobKind::kMerge:
    case JobKind::kNorm:
      ns[kReduction] += nanoseconds;
      return;
    case JobKind::kFold:
    case JobKind::kUnfold:
      ns[kLattice] += nanoseconds;
      return;
    case JobKind::kUpdate:
      ns[kOptimizer] += nanoseconds;
      return;
  }
}

std::vector<PartTime> StepParts::report(std::int64_t steps, double seconds,
                                        std::int64_t workers) const {
  const double whole = 1e3 * seconds * static_cast<double>(workers) / static_cast<double>(steps);
  std::vector<PartTime> parts;
  double busy = 0;
  const auto name = [](std::size_t p) {
    constexpr const char* kOthers[] = {"packing", "lattice", "reduction", "optimizer"};
    return p < kParts ? part_name(static_cast<Part>(p)) : kOthers[p - kParts];
  };
  for (std::size_t p = 0; p < kAll; ++p) {
    std::uint64_t ns = 0;
    for (const Slot& slot : slots_) ns += slot.ns[p];
    const bool seldom = p == kLattice || p == static_cast<std::size_t>(Part::kAdapters);
    if (seldom && ns == 0) continue;  // the model has none
    const double ms = 1e-6 * static_cast<double>(ns) / static_cast<double>(steps);
    parts.push_back({name(p), ms});
    busy += ms;
  }
  parts.push_back({"waiting", whole - busy});
  return parts;
}

}  // namespace cllm
