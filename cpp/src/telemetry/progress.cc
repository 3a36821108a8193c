#include "cllm/progress.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <utility>

#include "base/folders.h"
#include "telemetry/patient_writer.h"
#include "telemetry/progress_text.h"

namespace cllm {
namespace {

constexpr double kLiveSeconds = 0.1;
constexpr double kSilenceSeconds = 30;
constexpr std::int64_t kLinesARun = 20;

int terminal_columns() {
  if (::isatty(STDERR_FILENO) == 0) return 0;
  winsize size{};
  const bool known = ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
  return known ? size.ws_col : 80;
}

}  // namespace

ProgressOutput ProgressOutput::to_stderr() {
  return {[writer = std::make_shared<PatientWriter>(STDERR_FILENO)](std::string_view text) {
            writer->write(text);
          },
          terminal_columns,
          [] {
            const auto now = std::chrono::steady_clock::now().time_since_epoch();
            return std::chrono::duration<double>(now).count();
          }};
}

void write_to_stderr(std::string_view text) { PatientWriter(STDERR_FILENO).write(text); }

Progress::Progress(const ProgressPlan& plan, ProgressOutput output)
    : plan_(plan),
      place_(plan.run.empty() ? "" : absolute_path(plan.run)),
      out_(std::move(output)) {
  started_ = lined_ = out_.seconds();
}

Progress::~Progress() {
  erase();
  if (skipped_ > 1) keep_line(std::to_string(skipped_) + " updates were skipped in this run");
}

void Progress::on_start(const std::string& summary) {
  if (plan_.quiet) return;
  keep_line(summary);
  started_ = lined_ = out_.seconds();
  draw("step " + std::to_string(plan_.first_step) + "/" + std::to_string(plan_.last_step));
}

void Progress::on_note(const std::string& note) {
  if (!plan_.quiet) keep_line(note);
}

void Progress::on_step(const StepReport& report) {
  if (plan_.quiet) return;
  if (report.skipped) tell_skipped(report);
  window_ms_ += report.milliseconds;
  window_tokens_ += report.tokens_per_second * report.milliseconds;
  window_gflops_ += report.gflops * report.milliseconds;
  window_mfu_ += report.mfu * report.milliseconds;

  const double now = out_.seconds();
  const bool stays = line_is_due(report, now);
  if (!stays && now - drawn_ < kLiveSeconds) return;
  const int columns = out_.columns();
  if (!stays && columns == 0) return;

  const double elapsed = now - started_;
  const auto done = static_cast<double>(report.step - plan_.first_step);
  const auto left = static_cast<double>(plan_.last_step - report.step);
  const double remaining = done > 0 ? elapsed / done * left : -1;
  const StepReport shown = averaged(report);
  if (stays) {
    keep_line(step_text(shown, plan_.last_step, elapsed, remaining, 0));
    lined_ = now;
  } else {
    // The last column stays free, because some terminals wrap as soon as it is written.
    draw(step_text(shown, plan_.last_step, elapsed, remaining, std::max(columns - 1, 1)));
  }
  window_ms_ = window_tokens_ = window_gflops_ = window_mfu_ = 0;
}

/// Tells of the first, the tenth, the hundredth, ... skipped step in a run; all of them are
/// counted.
void Progress::tell_skipped(const StepReport& report) {
  ++skipped_;
  std::int64_t told = 1;
  while (told < skipped_) told *= 10;
  if (skipped_ != told) return;
  std::string text = "step " + std::to_string(report.step) + ": update skipped, " +
                     (report.trained_tokens > 0 ? "the loss or the gradient norm is not finite"
                                                : "there was no target to learn from");
  if (skipped_ > 1) text += " (" + std::to_string(skipped_) + " so far)";
  keep_line(text);
}

bool Progress::line_is_due(const StepReport& report, double now) const {
  if (plan_.log_every >= 0) return plan_.log_every > 0 && report.step % plan_.log_every == 0;
  if (out_.columns() > 0) return report.step == plan_.last_step;
  const std::int64_t every =
      std::max<std::int64_t>(1, (plan_.last_step - plan_.first_step) / kLinesARun);
  return report.step == plan_.first_step + 1 || report.step == plan_.last_step ||
         report.step % every == 0 || now - lined_ >= kSilenceSeconds;
}

StepReport Progress::averaged(const StepReport& report) const {
  StepReport mean = report;
  if (window_ms_ > 0) {
    mean.tokens_per_second = window_tokens_ / window_ms_;
    mean.gflops = window_gflops_ / window_ms_;
    mean.mfu = window_mfu_ / window_ms_;
  }
  return mean;
}

void Progress::on_evaluation(const EvaluationReport& report) {
  if (!plan_.quiet) keep_line(evaluation_text(report));
}

void Progress::on_checkpoint(const std::string& folder) {
  if (plan_.quiet) return;
  const bool inside = !place_.empty() && folder.compare(0, place_.size() + 1, place_ + "/") == 0;
  keep_line("saved " + (inside ? plan_.run + folder.substr(place_.size()) : folder));
}

void Progress::on_end(const RunReport& report) {
  if (!plan_.quiet) keep_line(end_text(report));
}

void Progress::keep_line(const std::string& text) {
  erase();
  const bool ended = !text.empty() && text.back() == '\n';
  out_.write(ended ? text : text + "\n");
  drawn_ = -1;  // the live line comes back with the next step
}

void Progress::draw(const std::string& text) {
  if (out_.columns() == 0) return;
  // Blanks cover what a longer line left, which works on every terminal.
  std::string line = "\r" + text;
  if (on_screen_ > text.size()) line.append(on_screen_ - text.size(), ' ');
  out_.write(line);
  on_screen_ = text.size();
  drawn_ = out_.seconds();
}

void Progress::erase() {
  if (on_screen_ == 0) return;
  out_.write("\r" + std::string(on_screen_, ' ') + "\r");
  on_screen_ = 0;
}

}  // namespace cllm
