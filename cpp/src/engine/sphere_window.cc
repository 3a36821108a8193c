#include "engine/sphere_window.h"

#include "base/clock.h"

namespace cllm {
namespace {

double seconds(std::uint64_t ns) { return 1e-9 * static_cast<double>(ns); }

}  // namespace

SphereWindow::SphereWindow(const SphereTree& tree)
    : tree_(tree), at_start_(tree.plan().spheres.size()), sums_(tree.plan().spheres.size()) {
  restart();
}

void SphereWindow::restart() {
  wall_ = 0;
  for (Counts& sum : sums_) sum = {};
  running_ = false;
  resume();
}

void SphereWindow::resume() {
  if (running_) return;
  running_ = true;
  for (std::size_t s = 0; s < at_start_.size(); ++s) at_start_[s] = read(static_cast<int>(s));
  started_ns_ = now_ns();
}

void SphereWindow::pause() {
  if (!running_) return;
  sums_ = totals();
  wall_ += seconds(now_ns() - started_ns_);
  running_ = false;
}

SphereWindow::Counts SphereWindow::read(int sphere) const {
  const SphereCounters& c = tree_.counters(sphere);
  return {tree_.cpu_seconds(sphere),  seconds(c.busy_ns.get()),
          seconds(c.parked_ns.get()), c.tiles.get(),
          c.messages_in.get(),        c.messages_out.get()};
}

std::vector<SphereWindow::Counts> SphereWindow::totals() const {
  std::vector<Counts> all = sums_;
  for (std::size_t s = 0; running_ && s < all.size(); ++s) {
    const Counts now = read(static_cast<int>(s));
    const Counts& start = at_start_[s];
    all[s].cpu += now.cpu - start.cpu;
    all[s].busy += now.busy - start.busy;
    all[s].parked += now.parked - start.parked;
    all[s].tiles += now.tiles - start.tiles;
    all[s].messages_in += now.messages_in - start.messages_in;
    all[s].messages_out += now.messages_out - start.messages_out;
  }
  return all;
}

std::vector<SphereReport> SphereWindow::report() const {
  const double wall = wall_ + (running_ ? seconds(now_ns() - started_ns_) : 0);
  const std::vector<Counts> all = totals();
  std::vector<SphereReport> reports;
  for (const SpherePlan& plan : tree_.plan().spheres) {
    const Counts& counts = all[static_cast<std::size_t>(plan.id)];
    SphereReport r;
    r.id = plan.id;
    r.level = plan.level;
    r.role = role_name(plan.role);
    r.parent = plan.parent;
    r.active = tree_.is_active(plan.id);
    r.cpu_seconds = counts.cpu;
    r.busy_seconds = counts.busy;
    r.parked_seconds = counts.parked;
    r.wall_seconds = wall;
    r.tiles = static_cast<std::int64_t>(counts.tiles);
    r.messages_in = static_cast<std::int64_t>(counts.messages_in);
    r.messages_out = static_cast<std::int64_t>(counts.messages_out);
    r.queue_high_water = static_cast<std::int64_t>(tree_.counters(plan.id).queue_high_water.get());
    reports.push_back(r);
  }
  return reports;
}

}  // namespace cllm
