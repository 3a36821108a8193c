#include "engine/step_batches.h"

#include <algorithm>
#include <utility>

#include "lattice/ring_bands.h"

namespace cllm {

StepBatches::StepBatches(const BatchPlan& plan, Routing routing, std::int64_t symmetry_order,
                         DrawBatch draw, std::int64_t vocabulary, bool documents)
    : length_(static_cast<std::size_t>(plan.sequence)),
      rings_((vocabulary + symmetry_order - 1) / symmetry_order),
      documents_(documents),
      draw_(std::move(draw)),
      router_(plan, routing, symmetry_order),
      slots_(static_cast<std::size_t>(plan.batch)),
      totals_(static_cast<std::size_t>(symmetry_order)),
      ring_totals_(rings_ == 0 ? 0 : static_cast<std::size_t>(ring_band(rings_ - 1) + 1)) {
  for (StepBatch* batch : {&drawn_, &laid_out_[0], &laid_out_[1]}) {
    batch->inputs.resize(slots_.size() * length_);
    batch->targets.resize(slots_.size() * length_);
    batch->first_keys.resize(documents ? slots_.size() * length_ : 0);
    batch->sequences.resize(slots_.size());
    batch->groups.resize(totals_.size());
    batch->rings.resize(ring_totals_.size());
  }
}

void StepBatches::lay_out(const TokenRows& rows, StepBatch& to) {
  router_.route(rows.inputs, slots_, to.groups);
  if (!to.rings.empty()) router_.count_rings(rows.inputs, to.rings);
  to.first_keys.resize(rows.first_keys == nullptr ? 0 : to.inputs.size());
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    const std::size_t place = static_cast<std::size_t>(slots_[i]) * length_;
    to.sequences[static_cast<std::size_t>(slots_[i])] = static_cast<std::int64_t>(i);
    const auto copy = [&](const std::int32_t* from, std::vector<std::int32_t>& column) {
      std::copy_n(from + i * length_, length_, column.data() + place);
    };
    copy(rows.inputs, to.inputs);
    copy(rows.targets, to.targets);
    if (rows.first_keys != nullptr) copy(rows.first_keys, to.first_keys);
  }
}

void StepBatches::draw(std::int64_t step) {
  StepBatch& batch = laid_out_[static_cast<std::size_t>(step % 2)];
  if (batch.step == step) return;
  drawn_.first_keys.resize(documents_ ? drawn_.inputs.size() : 0);
  draw_(step, {drawn_.inputs.data(), drawn_.targets.data(),
               documents_ ? drawn_.first_keys.data() : nullptr});
  lay_out(drawn_.rows(), batch);
  batch.step = step;
}

void StepBatches::prepare(std::int64_t step) noexcept {
  try {
    draw(step);
  } catch (...) {
    failed_ = std::current_exception();
  }
}

const StepBatch& StepBatches::take(std::int64_t step, bool& late) {
  const StepBatch& batch = laid_out_[static_cast<std::size_t>(step % 2)];
  if (failed_) std::rethrow_exception(std::exchange(failed_, nullptr));
  late = batch.step != step;
  draw(step);
  count(batch);
  return batch;
}

const StepBatch& StepBatches::route(const TokenRows& rows) {
  lay_out(rows, drawn_);
  count(drawn_);
  return drawn_;
}

void StepBatches::count(const StepBatch& batch, std::int64_t times) noexcept {
  for (std::size_t g = 0; g < totals_.size(); ++g) {
    totals_[g].sequences += times * batch.groups[g].sequences;
    totals_[g].tokens += times * batch.groups[g].tokens;
    totals_[g].moved += times * batch.groups[g].moved;
  }
  for (std::size_t r = 0; r < ring_totals_.size(); ++r) {
    ring_totals_[r].tokens += times * batch.rings[r].tokens;
    ring_totals_[r].moved += times * batch.rings[r].moved;
  }
}

std::vector<GroupReport> StepBatches::groups() const {
  std::vector<GroupReport> reports;
  for (std::size_t g = 0; g < totals_.size(); ++g) {
    const auto group = static_cast<std::int64_t>(g);
    const GroupCount& total = totals_[g];
    reports.push_back(
        {group, router_.position_of(group), total.sequences, total.tokens, total.moved});
  }
  return reports;
}

std::vector<RingReport> StepBatches::rings() const {
  std::vector<RingReport> reports;
  for (std::size_t b = 0; b < ring_totals_.size(); ++b) {
    const auto band = static_cast<std::int64_t>(b);
    const RingCount& total = ring_totals_[b];
    if (total.tokens == 0) continue;
    const std::int64_t first = first_ring(band), end = std::min(first_ring(band + 1), rings_);
    reports.push_back(
        {first, end - first, first * router_.symmetry_order(), total.tokens, total.moved});
  }
  return reports;
}

}  // namespace cllm
