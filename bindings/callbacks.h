// Callbacks carries what a run reports to functions of Python.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "bindings.h"
#include "cllm/progress.h"
#include "cllm/train_observer.h"
#include "in_use.h"
#include "signals.h"

namespace cllm::python {

/// Holds what a run calls; None is called by nobody.
struct Listeners {
  py::object step, evaluation, checkpoint, note, warning;
};

/// Calls Python functions between steps, and shows progress on standard error when it is wanted.
/// The first exception of one asks for a stop and is kept until the run has saved; after it none is
/// called.
class Callbacks final : public TrainObserver {
 public:
  Callbacks(InUse& trainer, Listeners listeners) : trainer_(trainer), to_(std::move(listeners)) {}

  void show_progress(const ProgressPlan& plan) {
    progress_ = std::make_unique<Progress>(plan, ProgressOutput::to_stderr());
  }
  void end_progress() { progress_.reset(); }
  /// Raises what a callback or a signal handler raised. REQUIRES: the GIL.
  void rethrow() { signals_.rethrow(); }

  void on_start(const std::string& summary) override {
    if (progress_) progress_->on_start(summary);
    call(to_.note, [&] { return path_object(summary); });
  }
  void on_note(const std::string& note) override {
    on_news(note);
    call(to_.warning, [&] { return path_object(note); });
  }
  void on_news(const std::string& news) override {
    if (progress_) progress_->on_note(news);
    call(to_.note, [&] { return path_object(news); });
  }
  void on_step(const StepReport& report) override {
    if (progress_) progress_->on_step(report);
    call(to_.step, [&] { return py::cast(report); });
  }
  void on_evaluation(const EvaluationReport& report) override {
    if (progress_) progress_->on_evaluation(report);
    call(to_.evaluation, [&] { return py::cast(report); });
  }
  void on_checkpoint(const std::string& folder) override {
    if (progress_) progress_->on_checkpoint(folder);
    call(to_.checkpoint, [&] { return path_object(folder); });
  }
  void on_end(const RunReport& report) override {
    if (progress_) progress_->on_end(report);
  }
  bool wants_stop() override { return failed_ || signals_.poll(); }

 private:
  template <class Make>
  void call(const py::object& function, const Make& make) {
    if (function.is_none() || failed_) return;
    const py::gil_scoped_acquire gil;
    const InUse::Rest between_steps(trainer_);
    try {
      function(make());
    } catch (py::error_already_set& error) {
      failed_ = true;
      signals_.keep(std::move(error));
    }
  }

  InUse& trainer_;
  const Listeners to_;
  std::unique_ptr<Progress> progress_;
  SignalWatch signals_;
  bool failed_ = false;  // one has raised
};

}  // namespace cllm::python
