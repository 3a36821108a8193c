#include "cpu/placement.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <tuple>

namespace cllm {
namespace {

/// Lists the kinds of domains in which siblings may fit, smallest first.
enum Level : int { kCache, kNode, kPackage, kMachine, kLevels };

int domain_of(const LogicalCpu& cpu, int level) {
  switch (level) {
    case kCache:
      return cpu.cache;
    case kNode:
      return cpu.node;
    case kPackage:
      return cpu.package;
    default:
      return 0;  // one machine
  }
}

/// Holds the workers with one parent, and where those of them are that have a place.
struct Family {
  std::vector<int> waiting;  // workers, the next one last
  std::vector<std::size_t> placed;
};

class Placer {
 public:
  Placer(const Topology& cpus, int workers)
      : cpus_(cpus), used_(cpus.size(), 0), in_tier_(cpus.size(), 0), result_(workers, -1) {}

  /// Opens the tier of equally good CPUs: one kind of core, one number among hyperthreads.
  int open_tier(int thread, int speed) {
    for (std::size_t i = 0; i < cpus_.size(); ++i) {
      in_tier_[i] = cpus_[i].thread == thread && cpus_[i].speed == speed;
    }
    return static_cast<int>(std::count(in_tier_.begin(), in_tier_.end(), 1));
  }

  /// Puts `count` of the family on CPUs of the tier. REQUIRES: that many are free.
  void place(Family& family, int count) {
    for (int level = kCache; level < kLevels; ++level) {
      const int domain = best_domain(family, count, level);
      if (domain >= 0) return fill(family, count, level, domain);
    }
  }

  std::vector<int> take() { return std::move(result_); }

 private:
  bool is_free(std::size_t i) const { return in_tier_[i] != 0 && used_[i] == 0; }

  /// Counts the free CPUs of each domain of a level.
  std::vector<int> room(int level) const {
    std::vector<int> free;
    for (std::size_t i = 0; i < cpus_.size(); ++i) {
      const auto domain = static_cast<std::size_t>(domain_of(cpus_[i], level));
      if (free.size() <= domain) free.resize(domain + 1, 0);
      if (is_free(i)) ++free[domain];
    }
    return free;
  }

  /// Returns the domain that `count` siblings should go to; -1 when they fit in none of this level.
  /// The best domain is one where some of the family already are; then one whose surroundings have
  /// most room, so that families spread; then the one that they fill best.
  int best_domain(const Family& family, int count, int level) const {
    const std::vector<int> free = room(level);
    const int around = level == kCache ? kNode : std::min<int>(level + 1, kMachine);
    const std::vector<int> outer = room(around);
    int best = -1;
    std::tuple<int, int, int> best_rank;
    for (std::size_t i = 0; i < cpus_.size(); ++i) {
      const int domain = domain_of(cpus_[i], level);
      const int left = free[static_cast<std::size_t>(domain)];
      if (left < count) continue;
      const auto mates =
          std::count_if(family.placed.begin(), family.placed.end(),
                        [&](std::size_t p) { return domain_of(cpus_[p], level) == domain; });
      const std::tuple<int, int, int> rank = {
          static_cast<int>(mates), outer[static_cast<std::size_t>(domain_of(cpus_[i], around))],
          -left};
      if (best < 0 || rank > best_rank) {
        best = domain;
        best_rank = rank;
      }
    }
    return best;
  }

  /// Takes CPUs of one domain, from as few smaller domains as possible.
  void fill(Family& family, int count, int level, int domain) {
    if (level == kCache) {
      for (std::size_t i = 0; i < cpus_.size() && count > 0; ++i) {
        if (cpus_[i].cache != domain || !is_free(i)) continue;
        used_[i] = 1;
        result_[static_cast<std::size_t>(family.waiting.back())] = cpus_[i].id;
        family.waiting.pop_back();
        family.placed.push_back(i);
        --count;
      }
      return;
    }
    while (count > 0) {
      const std::vector<int> free = room(level - 1);
      int best = -1, most = 0;
      for (std::size_t i = 0; i < cpus_.size(); ++i) {
        if (domain_of(cpus_[i], level) != domain) continue;
        const int inner = domain_of(cpus_[i], level - 1);
        const int left = free[static_cast<std::size_t>(inner)];
        // The best is the smallest that holds the rest; while none does, the largest.
        const bool better = left >= count ? most < count || left < most : left > most;
        if (left > 0 && better) {
          best = inner;
          most = left;
        }
      }
      const int part = std::min(count, most);
      fill(family, part, level - 1, best);
      count -= part;
    }
  }

  const Topology& cpus_;
  std::vector<char> used_, in_tier_;
  std::vector<int> result_;
};

std::vector<Family> families_of(const TreePlan& plan, int active) {
  std::vector<Family> families;
  int last_parent = -2;
  for (int w = 0; w < active; ++w) {
    const int id = plan.workers[static_cast<std::size_t>(w)];
    const int parent = plan.spheres[static_cast<std::size_t>(id)].parent;
    if (parent != last_parent) families.push_back({});
    last_parent = parent;
    families.back().waiting.push_back(w);
  }
  for (Family& f : families) std::reverse(f.waiting.begin(), f.waiting.end());
  return families;
}

/// Places up to `room` workers: the same share of every family, large shares first.
int place_tier(Placer& placer, std::vector<Family>& families, int room) {
  const auto waiting = [](const Family& f) { return static_cast<std::int64_t>(f.waiting.size()); };
  std::int64_t total = 0;
  for (const Family& f : families) total += waiting(f);
  const std::int64_t count = std::min<std::int64_t>(room, total);
  if (count == 0) return 0;
  std::vector<std::pair<int, std::size_t>> shares;
  std::int64_t before = 0;
  for (std::size_t f = 0; f < families.size(); ++f) {
    const std::int64_t after = before + waiting(families[f]);
    shares.push_back({static_cast<int>(after * count / total - before * count / total), f});
    before = after;
  }
  std::stable_sort(shares.begin(), shares.end(),
                   [](const auto& a, const auto& b) { return a.first > b.first; });
  for (const auto& [share, f] : shares) {
    if (share > 0) placer.place(families[f], share);
  }
  return static_cast<int>(count);
}

std::string why_not_pinned(const Allowance& allowance, int active) {
  if (active == 1) return "one worker, the calling thread";
  if (std::floor(allowance.quota) < static_cast<double>(allowance.cpus.size())) {
    return "a quota shares these cores";
  }
  if (!allowance.cores_are_ours) return "other hyperthreads of these cores are not ours";
  if (active < count_cores(allowance.cpus)) return "fewer workers than cores";
  if (active > static_cast<int>(allowance.cpus.size())) return "more workers than cores";
  return "";
}

}  // namespace

std::vector<int> place(const Topology& cpus, const TreePlan& plan, int active) {
  std::vector<Family> families = families_of(plan, active);
  Placer placer(cpus, active);
  std::vector<std::pair<int, int>> tiers;
  for (const LogicalCpu& cpu : cpus) tiers.push_back({cpu.thread, cpu.speed});
  std::sort(tiers.begin(), tiers.end());
  tiers.erase(std::unique(tiers.begin(), tiers.end()), tiers.end());
  for (const auto& [thread, speed] : tiers) {
    place_tier(placer, families, placer.open_tier(thread, speed));
  }
  return placer.take();
}

Placement plan_placement(const Allowance& allowance, const TreePlan& plan, int active) {
  const std::string why = why_not_pinned(allowance, active);
  if (!why.empty()) return {{}, "not pinned: " + why};
  return {place(allowance.cpus, plan, active), "pinned"};
}

}  // namespace cllm
