// The jobs of a stage as a table: what each is, what it is about, and which others it waits for. A
// new kind of work is a row more.
#pragma once

#include <cstdint>
#include <vector>

#include "spheres/job_plan.h"

namespace cllm {

/// What a step's jobs do.
enum class JobKind : std::uint8_t {
  kPosition,  ///< forward and backward of a position's shards
  kMerge,     ///< the sum of the gradients of a node of the merge tree
  kNorm,      ///< the norm of an owner's blocks
  kUpdate,    ///< the update of an owner's blocks
  kPacking,   ///< an owner's part of the packed weights
};
constexpr std::size_t kJobKinds = 5;

struct JobRow {
  JobKind kind = JobKind::kPosition;
  int index = 0;                ///< of its kind: the position, merge or owner
  int owner = -1;               ///< whose workers look here first; -1: nobody's
  bool by_root = false;         ///< it waits for the root, too
  bool reports = false;         ///< its end is told to the root
  std::vector<int> after = {};  ///< jobs that must have ended
};

/// Jobs have the numbers of their rows. Those of one kind are neighbours.
class JobTable {
 public:
  /// Appends a row and returns its number. Throws std::logic_error unless the last row is of this
  /// kind, or none is.
  int add(JobRow row);
  /// `job` waits for `before`, which may be a later row.
  void wait(int job, int before) { rows_[static_cast<std::size_t>(job)].after.push_back(before); }

  const JobRow& operator[](int job) const noexcept { return rows_[static_cast<std::size_t>(job)]; }
  int size() const noexcept { return static_cast<int>(rows_.size()); }
  int first(JobKind kind) const noexcept { return range(kind).first; }
  int count(JobKind kind) const noexcept { return range(kind).count; }
  /// How many jobs report.
  int reporting() const noexcept { return reporting_; }

  /// Plans of all jobs with arrivals, successors, owners and reports, without phases. A job's
  /// successors are in the order of their numbers: who ends a job looks among the first ones first.
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
