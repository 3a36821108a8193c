#include "cllm/trainer.h"

#include <cmath>
#include <filesystem>
#include <limits>
#include <utility>

#include "base/clock.h"
#include "checkpoint/checkpoint_set.h"
#include "checkpoint/model_folder.h"
#include "cllm/error.h"
#include "cllm/options.h"
#include "cpu/features.h"
#include "data/sampler.h"
#include "model/initialize.h"
#include "train/crew_size.h"
#include "train/gemm_peak.h"
#include "train/run_folder.h"
#include "train/tensors.h"
#include "train/trainer_impl.h"

namespace cllm {
namespace {

std::int64_t step_tokens(const TrainConfig& c) { return c.batch * c.grad_accum * c.sequence; }

/// A run that continues lies where it was; a new one must have a place that is free.
RunPlan plan_checked(const TrainConfig& config) {
  RunPlan plan = plan_run(config);
  if (config.resume.empty()) check_new_run_folder(plan.config.out);
  return plan;
}

DrawBatch draw_from(const RunPlan& plan) {
  const Sampler sampler(plan.train, plan.session.batch, plan.session.sequence,
                        static_cast<std::uint64_t>(plan.config.seed));
  return [sampler](std::int64_t step, std::int32_t* inputs, std::int32_t* targets) {
    sampler.fill(step, inputs, targets);
  };
}

/// The checkpoint of `run` that has come furthest; "" when none was completed.
std::string newest_checkpoint(const std::string& run) {
  std::string newest;
  std::int64_t most = -1;
  for (const char* name : {"/checkpoints/latest", "/final"}) {
    if (!std::filesystem::exists(run + name + "/" + kManifestName)) continue;
    const std::int64_t step = read_trainer_state(run + name).step;
    if (step > most) newest = run + name;
    most = std::max(most, step);
  }
  return newest;
}

}  // namespace

Trainer::Impl::Impl(const TrainConfig& config)
    : plan(plan_checked(config)),
      session(plan.session),
      batches(session.plan(), parse_routing(plan.config.routing), plan.config.symmetry,
              draw_from(plan)),
      peak_gflops_(measure_gemm_peak(plan.session.gemm, kernels(), plan.session.precision)) {
  if (!plan.validation.empty()) windows_.emplace(plan.validation, plan.session.sequence);
  if (config.resume.empty()) {
    start_weights();
  } else {
    resume();
  }
  window.emplace(session.tree());
  batches.prepare(steps_done);
}

void Trainer::Impl::start_weights() {
  ModelState& state = session.state();
  if (!plan.config.init.empty()) {
    read_model_parameters(plan.init_folder, state.layout, state.parameters.data());
  } else {
    initialize(state.config, state.layout, static_cast<std::uint64_t>(plan.config.seed),
               state.parameters.data());
  }
}

void Trainer::Impl::resume() {
  const std::string folder = newest_checkpoint(plan.config.resume);
  if (folder.empty()) {
    plan.notes.push_back("no checkpoint was completed: starting again from step 0");
    return start_weights();
  }
  ModelState& state = session.state();
  const TrainerState saved = read_checkpoint(folder, state.layout, state.parameters.data(),
                                             state.first_moment.data(), state.second_moment.data());
  if (saved.data != fingerprint(plan.config.data)) {
    throw InputError({"the data is not what the run was trained on", plan.config.data,
                      "the same file, unchanged", "--resume " + plan.config.resume, ""});
  }
  const TrainerState now = trainer_state();
  if (saved.precision != now.precision) {
    throw InputError({"the precision is not that of the run", now.precision, saved.precision,
                      "--resume " + plan.config.resume, "restore its config.toml"});
  }
  if (!(saved.model.dropout == now.model.dropout)) {
    throw InputError({"the dropout is not that of the run", std::to_string(plan.config.dropout),
                      std::to_string(saved.model.dropout.residual),
                      "--resume " + plan.config.resume, "restore its config.toml"});
  }
  const auto note_change = [&](const char* what, const std::string& before,
                               const std::string& after) {
    if (before == after) return;
    plan.notes.push_back(std::string("the ") + what + " was " + before + " and is now " + after +
                         ": the result is as good, but not bit-identical");
  };
  note_change("CPU", saved.cpu_model, now.cpu_model);
  note_change("instruction set", saved.isa, now.isa);
  note_change("product library", saved.gemm, now.gemm);
  plan.carried = carried_files(folder);
  steps_done = saved_step_ = saved.step;
  state.updates = saved.optimizer_step;
}

TrainerState Trainer::Impl::trainer_state() const {
  TrainerState s;
  s.step = steps_done;
  s.tokens = steps_done * step_tokens(plan.config);
  s.optimizer_step = session.state().updates;
  s.seed = plan.config.seed;
  s.config = to_toml(plan.config);
  s.model = plan.session.model;
  s.byte_tokens = plan.byte_tokens;
  s.data = fingerprint(plan.config.data);
  s.isa = kernels().name;
  s.gemm = describe_gemm_backend(plan.session.gemm, kernels());
  s.cpu_model = cpu_model();
  s.precision = plan.config.precision;
  s.version = CLLM_VERSION;
  return s;
}

StepReport Trainer::Impl::step() {
  bool late = false;
  const StepBatch& batch = batches.take(steps_done, late);
  StepReport report = run_step(batch, [this] { batches.prepare(steps_done + 1); });
  report.late = report.late || late;
  return report;
}

StepReport Trainer::Impl::step(const TokenArray& inputs, const TokenArray& targets) {
  const SessionConfig& s = session.config();
  check_same_shape(inputs, targets);
  if (inputs.sequences != s.batch || inputs.length != s.sequence) {
    throw InputError({"the step batch has another shape than the configuration", shape_text(inputs),
                      shape_text({nullptr, s.batch, s.sequence}), "inputs",
                      "batch * grad_accum sequences of seq tokens"});
  }
  check_tokens("inputs", inputs, s.model.positions, s.model.vocabulary);
  check_tokens("targets", targets, s.model.positions, s.model.vocabulary);
  return run_step(batches.route(inputs.data, targets.data), nullptr);
}

StepReport Trainer::Impl::run_step(const StepBatch& batch, std::function<void()> meanwhile) {
  has_gradient = false;
  const int workers = session.tree().active_workers();
  const std::uint64_t start = now_ns();
  const StepOutcome out = session.step(steps_done, batch.inputs.data(), batch.targets.data(),
                                       std::move(meanwhile), batch.sequences.data());
  has_gradient = true;
  const double seconds = 1e-9 * static_cast<double>(now_ns() - start);
  const auto tokens = static_cast<double>(step_tokens(plan.config));
  StepReport r;
  r.learning_rate = plan.session.schedule.at(steps_done);
  r.step = ++steps_done;
  r.tokens = r.step * step_tokens(plan.config);
  r.epoch = static_cast<double>(r.tokens) / static_cast<double>(plan.train.size());
  r.loss = out.loss;
  r.gradient_norm = out.gradient_norm;
  r.milliseconds = 1e3 * seconds;
  r.tokens_per_second = tokens / seconds;
  r.gflops = 1e-9 * r.tokens_per_second *
             static_cast<double>(flops_per_token(plan.session.model, plan.session.sequence));
  r.mfu = r.gflops / (peak_gflops_ * workers);
  r.workers = workers;
  r.skipped = out.skipped;
  r.late = out.waited;
  return r;
}

void Trainer::Impl::resize(std::int64_t workers) {
  TrainConfig config = plan.config;
  set_option(config, "workers", std::to_string(workers), "workers");
  config.threads = 0;
  SessionConfig changed = plan.session;
  changed.tune_workers = false;
  changed.threads = threads_for_workers(workers, plan.session.model.symmetry_order);
  check_memory(changed);
  session.resize(changed.threads);
  window.emplace(session.tree());
  has_gradient = false;
  plan.session = std::move(changed);
  plan.config = std::move(config);
}

EvaluationReport Trainer::Impl::evaluate(const std::function<bool()>& asked) {
  window->pause();
  EvaluationReport r;
  r.step = steps_done;
  r.validation_loss = session.evaluate(
      *windows_, [&] { return stop.load(std::memory_order_relaxed) || (asked && asked()); });
  if (plan.byte_tokens) r.bits_per_byte = r.validation_loss / std::log(2.0);
  window->resume();
  return r;
}

void Trainer::Impl::save(const std::string& folder) const {
  const ModelState& state = session.state();
  write_checkpoint(folder, trainer_state(), state.layout, state.parameters.data(),
                   state.first_moment.data(), state.second_moment.data(), plan.carried);
}

// -- the loop -----------------------------------------------------------------------------------

void Trainer::Impl::open_run_folder() {
  const std::string& out = plan.config.out;
  std::filesystem::create_directories(out + "/checkpoints");
  write_file_durably(out + "/config.toml", to_toml(plan.config));
  if (!plan.config.resume.empty()) truncate_after_step(out + "/metrics.jsonl", steps_done);
  metrics_.emplace(out + "/metrics.jsonl");
  spheres_.emplace(out + "/spheres.jsonl");
  groups_.emplace(out + "/groups.jsonl");
}

void Trainer::Impl::save_checkpoint(TrainObserver& observer) {
  if (saved_step_ == steps_done) return;
  window->pause();
  const std::string checkpoints = plan.config.out + "/checkpoints";
  const std::string name = checkpoint_name(steps_done);
  save(checkpoints + "/" + name);
  update_latest_link(checkpoints, name);
  prune_checkpoints(checkpoints, plan.config.keep, {}, steps_done);
  saved_step_ = steps_done;
  observer.on_checkpoint(checkpoints + "/" + name);
  window->resume();
}

bool Trainer::Impl::stopping(TrainObserver& observer) {
  if (observer.wants_stop()) stop.store(true, std::memory_order_relaxed);
  return stop.load(std::memory_order_relaxed);
}

void Trainer::Impl::evaluate_and_tell(TrainObserver& observer) {
  const EvaluationReport report = evaluate([&] { return stopping(observer); });
  if (std::isnan(report.validation_loss) && stop.load()) return;  // it was broken off
  metrics_->write(report);
  observer.on_evaluation(report);
}

void Trainer::Impl::tell_choice(TrainObserver& observer) {
  const WorkerTuner& tuner = session.tuner();
  if (!tuner.settled() || tuner.trials().empty() || tuner.workers() == chosen_) return;
  chosen_ = tuner.workers();
  observer.on_note(describe_choice(session));
  window->restart();  // the counts are of those that go on
}

void Trainer::Impl::write_counts() {
  window->pause();
  for (const SphereReport& report : window->report()) spheres_->write(report, steps_done);
  for (const GroupReport& report : batches.groups()) groups_->write(report, steps_done);
  window->resume();
}

RunOutcome Trainer::Impl::run(TrainObserver& observer) {
  constexpr std::int64_t kWarmingSteps = 10;  // first touch of memory, caches, primitives
  const TrainConfig& c = plan.config;
  open_run_folder();
  observer.on_start(describe(plan));
  for (const std::string& note : plan.notes) observer.on_note(note);
  const std::int64_t first = steps_done;
  std::int64_t late = 0;
  window->restart();
  while (steps_done < c.steps && !stopping(observer)) {
    if (steps_done - first == kWarmingSteps) window->restart();
    const StepReport report = step();
    late += report.late ? 1 : 0;
    metrics_->write(report);
    observer.on_step(report);
    tell_choice(observer);
    const bool last = steps_done == c.steps;
    if (windows_ && (due(c.eval_every) || (last && c.eval_every > 0))) evaluate_and_tell(observer);
    const bool wanted = save_wanted.exchange(false, std::memory_order_relaxed);
    if ((due(c.save_every) || wanted) && !last) save_checkpoint(observer);
    if (due(c.spheres_every) && !last) write_counts();
  }
  write_counts();
  if (late * 20 > steps_done - first) {
    observer.on_note("the workers waited for data in " + std::to_string(late) + " of " +
                     std::to_string(steps_done - first) + " steps");
  }
  if (steps_done < c.steps) {
    save_checkpoint(observer);
    stop.store(false, std::memory_order_relaxed);  // the request is met
    return RunOutcome::kStopped;
  }
  save(c.out + "/final");
  observer.on_checkpoint(c.out + "/final");
  return RunOutcome::kFinished;
}

// -- the public face ----------------------------------------------------------------------------

Trainer::Trainer(const TrainConfig& config) : impl_(std::make_unique<Impl>(config)) {}
Trainer::~Trainer() = default;

RunOutcome Trainer::run(TrainObserver& observer) { return impl_->run(observer); }
StepReport Trainer::step() { return impl_->step(); }
StepReport Trainer::step(const TokenArray& inputs, const TokenArray& targets) {
  return impl_->step(inputs, targets);
}
EvaluationReport Trainer::evaluate(const std::function<bool()>& stop) {
  return impl_->evaluate(stop);
}
void Trainer::resize(std::int64_t workers) { impl_->resize(workers); }
bool Trainer::has_validation() const noexcept { return !impl_->plan.validation.empty(); }
void Trainer::save(const std::string& folder) const { impl_->save(folder); }
void Trainer::request_save() noexcept { impl_->save_wanted.store(true, std::memory_order_relaxed); }
void Trainer::request_stop() noexcept { impl_->stop.store(true, std::memory_order_relaxed); }
std::int64_t Trainer::steps_done() const noexcept { return impl_->steps_done; }
std::int64_t Trainer::steps_total() const noexcept { return impl_->plan.config.steps; }
const ModelConfig& Trainer::model() const noexcept { return impl_->plan.session.model; }
const TrainConfig& Trainer::config() const noexcept { return impl_->plan.config; }
std::vector<SphereReport> Trainer::spheres() const { return impl_->window->report(); }
std::vector<GroupReport> Trainer::groups() const { return impl_->batches.groups(); }

std::int64_t Trainer::workers() const noexcept {
  return static_cast<std::int64_t>(impl_->session.tree().workers());
}

std::vector<Tensor> Trainer::parameters() {
  const std::shared_ptr<ModelState> state = impl_->session.shared_state();
  return tensor_refs(state->layout, state->parameters.data(), state);
}

std::vector<ConstTensor> Trainer::gradients() const {
  const Session& session = impl_->session;
  if (!impl_->has_gradient) {
    throw Error(ErrorParts{"there is no gradient", "no step", "a step since the threads were made",
                           "", ""});
  }
  return tensor_refs(session.state().layout, session.gradient(), session.gradient_owner());
}

std::string Trainer::weights_hash() const {
  const ModelState& state = impl_->session.state();
  return weights_sha256(state.layout, state.parameters.data());
}

}  // namespace cllm
