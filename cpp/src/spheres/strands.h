// Holds all strands of a job; every phase is in one of them.
#pragma once

#include <memory>

#include "spheres/strand.h"

namespace cllm {

/// Thread safety: as for the strands; deal is for the thread that makes the job.
template <class Atomics = StdAtomics>
class BasicStrands {
 public:
  using Strand = BasicStrand<Atomics>;

  /// Puts each phase into its strand. REQUIRES: called once before use; `laps` are those of the
  /// plan.
  void deal(const JobPlan& plan, const Laps& laps) {
    for (const PhasePlan& phase : plan.phases) {
      count_ = std::max(count_, static_cast<std::size_t>(phase.strand) + 1);
    }
    strands_ = std::make_unique<Strand[]>(count_);
    for (const Laps::Part& lap : laps.parts()) {
      for (Strand& strand : *this) strand.add_lap(lap);
      for (std::int32_t p = 0; p < lap.phases; ++p) {
        const PhasePlan& phase = plan.phases[static_cast<std::size_t>(lap.listed + p)];
        (*this)[static_cast<std::size_t>(phase.strand)].add(p, phase.tiles);
      }
    }
    for (const Strand& strand : *this) {
      with_tiles_ += strand.tiles() > 0 ? 1 : 0;
      tiles_ += strand.tiles();
    }
  }
  void reset(std::uint32_t run) noexcept {
    for (Strand& strand : *this) strand.reset(run);
  }

  std::size_t size() const noexcept { return count_; }
  Strand& operator[](std::size_t strand) const noexcept { return strands_[strand]; }
  Strand* begin() const noexcept { return strands_.get(); }
  Strand* end() const noexcept { return strands_.get() + count_; }

  /// Counts the tiles of all strands.
  std::int32_t tiles() const noexcept { return tiles_; }
  /// Counts the strands that have tiles.
  std::int32_t with_tiles() const noexcept { return with_tiles_; }
  /// Counts the unclaimed tiles.
  std::int32_t left() const noexcept {
    std::int32_t tiles = 0;
    for (const Strand& strand : *this) tiles += strand.left();
    return tiles;
  }

 private:
  std::unique_ptr<Strand[]> strands_;
  std::size_t count_ = 0;
  std::int32_t tiles_ = 0, with_tiles_ = 0;
};

}  // namespace cllm
