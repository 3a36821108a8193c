// A JobTable lists the jobs of a stage: what each is, what it is about, and which others it waits
// for. A new kind of work is one more row.
#pragma once

#include <cstdint>
#include <vector>

#include "spheres/job_plan.h"

namespace cllm {

/// Says what a job of a step does.
enum class JobKind : std::uint8_t {
  kPosition,  ///< forward and backward of a position's shards
  kMerge,     ///< the sum of the gradients of a node of the merge tree
  kNorm,      ///< the norm of an owner's blocks
  kUpdate,    ///< the update of an owner's blocks
  kPacking,   ///< an owner's part of the packed weights
  kFold,      ///< an owner's part of the effective embedding
  kUnfold,    ///< an owner's part of the gradient behind it
};
constexpr std::size_t kJobKinds = 7;

/// Counts the tiles of jobs that some steps have and others have not.
struct ExtraTiles {
  std::int32_t packed = 0;   ///< of the packed weights
  std::int32_t coupled = 0;  ///< of the lattice (Coupling)
};

struct JobRow {
  JobKind kind = JobKind::kPosition;
  int index = 0;                ///< number within its kind: of the position, merge or owner
  int owner = -1;               ///< the owner whose workers look here first; -1: none
  bool by_root = false;         ///< it waits for the root, too
  bool reports = false;         ///< the root is told when it ends
  std::vector<int> after = {};  ///< jobs that must have ended
};

/// Rows have the numbers of their jobs. Jobs of one kind are neighbours.
class JobTable {
 public:
  /// Appends a row and returns its number. REQUIRES: the last row is of this kind, or this row is
  /// the first of its kind.
  int add(JobRow row);
  /// Makes `job` wait for `before`, which may be a later row.
  void wait(int job, int before) { rows_[static_cast<std::size_t>(job)].after.push_back(before); }

  const JobRow& operator[](int job) const noexcept { return rows_[static_cast<std::size_t>(job)]; }
  int size() const noexcept { return static_cast<int>(rows_.size()); }
  int first(JobKind kind) const noexcept { return range(kind).first; }
  int count(JobKind kind) const noexcept { return range(kind).count; }
  /// Returns the number of jobs that report.
  int reporting() const noexcept { return reporting_; }

  /// Returns plans of all jobs with arrivals, successors, owners and reports, but without phases.
  /// The successors of a job are in the order of their numbers, because the worker who ends the job
  /// looks for its next tile in the first ones first.
  std::vector<JobPlan> plans() const;

 private:
  struct Range {
    int first = 0, count = 0;
  };
  const Range& range(JobKind kind) const noexcept {
    return ranges_[static_cast<std::size_t>(kind)];
  }

  std::vector<JobRow> rows_;
  Range ranges_[kJobKinds];
  int reporting_ = 0;
};

}  // namespace cllm
