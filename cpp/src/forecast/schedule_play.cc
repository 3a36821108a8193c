#include "forecast/schedule_play.h"

#include <algorithm>
#include <queue>
#include <stdexcept>

namespace cllm {
namespace {

struct NoTiles final : TileRunner {
  void run_tile(int, const TileClaim&) override {}
};

class Play {
 public:
  Play(TrainSchedule& schedule, const ShardJobs& shards, const TreePlan& tree, std::int64_t active,
       const PlayTimes& times)
      : schedule_(schedule),
        times_(times),
        stage_(schedule.jobs(shards), tree.owned_runs(active), no_tiles_),
        workers_(static_cast<std::size_t>(active)) {
    for (std::size_t w = 0; w < workers_.size(); ++w) {
      const auto id = static_cast<std::size_t>(tree.workers[w]);
      workers_[w].hops = tree.root_computes(active) ? 1 : tree.spheres[id].level;
    }
  }

  PlayedStep run() {
    stage_.reset(static_cast<int>(workers_.size()));
    schedule_.begin(stage_);
    offer();
    while (!events_.empty()) {
      const Event event = events_.top();
      events_.pop();
      step_.time = event.at;
      if (event.worker < 0) {
        if (schedule_.on_done(stage_, event.job)) return step_;
      } else {
        Worker& w = workers_[static_cast<std::size_t>(event.worker)];
        if (stage_.finish(w.claim)) {
          events_.push({step_.time + times_.wake, -1, w.claim.job});
          step_.done_messages += w.hops;
        }
        w.idle_since = step_.time;
        take(event.worker);
      }
      offer();
    }
    throw std::logic_error("nobody works and the step is not complete");
  }

 private:
  struct Worker {
    TileClaim claim;
    double idle_since = 0;
    int hops = 1;  // to the root
    bool busy = false;
  };
  struct Event {
    double at;
    int worker;  // whose tile ends; -1: the root hears that `job` is done
    int job;
    bool operator<(const Event& other) const noexcept {  // the earliest is on top
      return at != other.at ? at > other.at : worker > other.worker;
    }
  };

  void offer() {
    for (std::size_t w = 0; w < workers_.size(); ++w) {
      if (!workers_[w].busy) take(static_cast<int>(w));
    }
  }
  void take(int worker) {
    Worker& w = workers_[static_cast<std::size_t>(worker)];
    const TileClaim claim = stage_.claim(worker, w.claim.job);
    w.busy = static_cast<bool>(claim);
    if (!claim) return;
    w.claim = claim;
    ++step_.tiles;
    const double woken = step_.time - w.idle_since > times_.spin ? times_.wake : 0;
    events_.push({step_.time + woken + times_.claim + times_.tile(claim), worker, claim.job});
  }

  TrainSchedule& schedule_;
  const PlayTimes& times_;
  NoTiles no_tiles_;
  Stage stage_;
  std::vector<Worker> workers_;
  std::priority_queue<Event> events_;
  PlayedStep step_;
};

}  // namespace

PlayedStep play_schedule(TrainSchedule& schedule, const ShardJobs& shards, const TreePlan& tree,
                         std::int64_t active, const PlayTimes& times) {
  return Play(schedule, shards, tree, active, times).run();
}

}  // namespace cllm
