// Finds by measurement how many workers make a step fastest: what `--workers auto` settles on.
#pragma once

#include <cstdint>
#include <vector>

namespace cllm {

/// Tries all workers first, then half, a quarter, ... as long as that is no slower, then counts
/// between the best one and its neighbours, to a quarter of it. A count is judged by the median of
/// a few steps: of more where steps are so short that anything disturbs them, of fewer where they
/// are long or plainly slower. Of counts within the noise of each other the smaller one wins:
/// somebody else may use the cores. All of this is done again after sixteen times as many steps,
/// and then whenever 256 times as many have passed: what disturbed the choice may be gone. It
/// begins anew when steps take plainly longer or shorter than when the choice was made (cores that
/// moved apart, another program), which has to last twice as long each time, up to a limit.
///
/// Pure: the choice follows from the times alone. It may differ from run to run; what is trained
/// does not.
class WorkerTuner {
 public:
  /// `most` workers at most; 1 is settled at once.
  explicit WorkerTuner(int most);

  /// Workers to run the next step with.
  int workers() const noexcept { return workers_; }
  bool settled() const noexcept { return settled_; }

  /// A step with workers() took so long.
  void took(double seconds);

  /// Median seconds of a step with one of the counts that were tried last, in that order.
  struct Trial {
    int workers;
    double seconds;
  };
  const std::vector<Trial>& trials() const noexcept { return trials_; }

 private:
  void start(int warming, int rest);
  bool enough() const;
  bool has_changed();
  void judge();
  void try_next();
  int between() const;

  int most_;
  int workers_;
  bool settled_;
  std::int64_t steps_ = 0;       // since counts were first tried, or tried again
  std::int64_t next_start_ = 0;  // in steps_, once it is settled
  int rest_ = 0;                 // next_start_ over the steps that the choice takes
  int warming_ = 0;              // steps that do not count yet
  std::vector<double> times_;    // of workers_, ascending
  int changed_ = 0;              // medians in a row that are not as chosen
  int patience_ = 2;             // how many of them begin it anew
  std::vector<Trial> trials_;
  Trial best_{0, 0};
  double fastest_ = 0;  // seconds, of whatever count
};

}  // namespace cllm
