#include "engine/job_table.h"

#include <stdexcept>
#include <utility>

namespace cllm {

int JobTable::add(JobRow row) {
  const int job = size();
  Range& range = ranges_[static_cast<std::size_t>(row.kind)];
  if (range.count == 0) range.first = job;
  if (range.first + range.count++ != job) {
    throw std::logic_error("jobs of one kind are neighbours in the table");
  }
  reporting_ += row.reports ? 1 : 0;
  rows_.push_back(std::move(row));
  return job;
}

std::vector<JobPlan> JobTable::plans() const {
  std::vector<JobPlan> plans(rows_.size());
  for (int job = 0; job < size(); ++job) {
    const JobRow& row = (*this)[job];
    JobPlan& plan = plans[static_cast<std::size_t>(job)];
    plan.owner = row.owner;
    plan.reports = row.reports;
    plan.arrivals = static_cast<std::int32_t>(row.after.size()) + (row.by_root ? 1 : 0);
    for (const int before : row.after) {
      plans[static_cast<std::size_t>(before)].successors.push_back(job);
    }
  }
  return plans;
}

}  // namespace cllm
