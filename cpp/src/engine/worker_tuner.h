// A WorkerTuner measures how many workers make a step fastest; `--workers auto` uses that number.
#pragma once

#include <cstdint>
#include <vector>

namespace cllm {

/// Tries all workers first, then half, a quarter, ... as long as that is no slower, and then
/// numbers between the best one and its neighbours, to a quarter of it. It judges a number by the
/// median of a few steps: of more where steps are so short that anything disturbs them, of fewer
/// where they are long or clearly slower. Among numbers whose times differ by no more than noise
/// the smallest wins, because other programs may use the cores. It tries everything again after
/// sixteen times as many steps, and then whenever 256 times as many have passed, because whatever
/// disturbed the choice may be gone. It also starts again when steps take clearly longer or shorter
/// than at the time of the choice (cores that moved apart, another program). Such a change has to
/// last twice as long each time, up to a limit.
///
/// The choice follows from the times alone. It may differ from run to run; the training result does
/// not.
class WorkerTuner {
 public:
  /// Makes a tuner for `most` workers at most; 1 is settled at once.
  explicit WorkerTuner(int most);

  /// Returns the number of workers for the next step.
  int workers() const noexcept { return workers_; }
  bool settled() const noexcept { return settled_; }

  /// Is told that a step with workers() took so long.
  void took(double seconds);

  /// Holds the median seconds of a step with one number of workers. trials() lists the last ones
  /// tried, in that order.
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
  std::int64_t steps_ = 0;       // since all numbers were first tried, or tried again
  std::int64_t next_start_ = 0;  // in steps_, once the choice is settled
  int rest_ = 0;                 // next_start_ divided by the steps that the choice takes
  int warming_ = 0;              // steps that do not count yet
  std::vector<double> times_;    // with workers_, ascending
  int changed_ = 0;              // medians in a row that differ from the choice
  int patience_ = 2;             // how many of them start it again
  std::vector<Trial> trials_;
  Trial best_{0, 0};
  double fastest_ = 0;  // seconds, with any number of workers
};

}  // namespace cllm
