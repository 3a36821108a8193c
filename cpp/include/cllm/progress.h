// Progress shows people how a run goes: by a live line on a terminal, by plain lines elsewhere.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "cllm/train_observer.h"

namespace cllm {

/// Says where progress goes; tests replace it.
struct ProgressOutput {
  std::function<void(std::string_view)> write;
  std::function<int()> columns;     ///< width of the terminal, asked at each update; 0: no terminal
  std::function<double()> seconds;  ///< a clock that never goes back

  /// Uses standard error, without ever waiting for it, and the monotonic clock.
  static ProgressOutput to_stderr();
};

/// Writes one text on standard error, as far as that is possible without waiting long.
void write_to_stderr(std::string_view text);

struct ProgressPlan {
  std::int64_t first_step = 0;  ///< updates done before this run
  std::int64_t last_step = 0;
  std::int64_t log_every = -1;  ///< lines that stay; 0: never; negative: about 20 a run, at least
                                ///< one every 30 s, or only the live line on a terminal
  bool quiet = false;           ///< prints nothing at all
  std::string run{};            ///< run folder as the user named it; lines name its folders so
};

/// Prints what it is told. A step costs at most two system calls unless a line is due; the live
/// line is drawn at most 10 times a second. Thread safety: one thread at a time.
class Progress : public TrainObserver {
 public:
  Progress(const ProgressPlan& plan, ProgressOutput output);
  ~Progress() override;  ///< removes the live line, says how many updates were skipped
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void on_start(const std::string& summary) override;
  void on_note(const std::string& note) override;
  void on_step(const StepReport& report) override;
  void on_evaluation(const EvaluationReport& report) override;
  void on_checkpoint(const std::string& folder) override;
  void on_end(const RunReport& report) override;

 private:
  void tell_skipped(const StepReport& report);
  bool line_is_due(const StepReport& report, double now) const;
  StepReport averaged(const StepReport& report) const;
  void keep_line(const std::string& text);
  void draw(const std::string& text);
  void erase();

  ProgressPlan plan_;
  std::string place_;  ///< where the run folder is
  ProgressOutput out_;
  double started_ = 0;         ///< when the first step began
  double lined_ = 0;           ///< when the last line that stays was written
  double drawn_ = -1;          ///< when the live line was drawn
  std::size_t on_screen_ = 0;  ///< columns that the live line covers
  std::int64_t skipped_ = 0;   ///< updates
  // These are sums since rates were last shown, weighted by the time of each step.
  double window_ms_ = 0;
  double window_tokens_ = 0;
  double window_gflops_ = 0;
  double window_mfu_ = 0;
};

}  // namespace cllm
