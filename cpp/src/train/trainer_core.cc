#include "train/trainer_core.h"

#include <cmath>
#include <utility>

#include "base/clock.h"
#include "base/finite.h"
#include "base/folders.h"
#include "cllm/error.h"
#include "cllm/memory_data.h"
#include "cllm/options.h"
#include "cllm/wording.h"
#include "cpu/features.h"
#include "data/evaluation_examples.h"
#include "data/evaluation_windows.h"
#include "data/sampler.h"
#include "engine/crew_size.h"
#include "engine/evaluation_data.h"
#include "engine/memory_plan.h"
#include "model/tensors.h"
#include "train/optimizer_ranges.h"

namespace cllm {
namespace {

std::int64_t step_tokens(const TrainConfig& c) { return c.batch * c.grad_accum * c.sequence; }

DrawBatch draw_from(const RunPlan& plan) {
  const auto seed = static_cast<std::uint64_t>(plan.config.seed);
  if (plan.rows) {
    const ExampleSampler sampler(plan.rows, plan.session.batch, seed);
    return [sampler](std::int64_t step, const RowsToFill& to) { sampler.fill(step, to); };
  }
  const Sampler sampler(plan.train, plan.session.batch, plan.session.sequence, seed,
                        shuffle_named(plan.config.shuffle));
  return [sampler, border = plan.border](std::int64_t step, const RowsToFill& to) {
    sampler.fill(step, to.inputs, to.targets);
    if (border == kNoBorder) return;
    for (std::int64_t row = 0; row < sampler.rows(); ++row) {
      const RowsToFill here = to.from(row * sampler.sequence());
      find_documents(here.inputs, sampler.sequence(), border, here.first_keys);
    }
  };
}

/// Returns what an evaluation of the run predicts; null: nothing.
std::unique_ptr<const EvaluationRows> evaluated_by(const RunPlan& plan) {
  const std::int64_t tokens = plan.config.eval_tokens;
  if (plan.validation_rows) {
    return std::make_unique<EvaluationExamples>(plan.validation_rows, tokens);
  }
  if (plan.validation.empty()) return nullptr;
  return std::make_unique<EvaluationWindows>(plan.validation, plan.session.sequence, tokens,
                                             plan.border);
}

/// Returns the name of the first tensor with a value that is not finite; "" when there is none.
/// range(tensor) is the flat range that holds it.
template <class Range>
std::string first_not_finite(const TensorTable& table, Range range) {
  std::int32_t tensor = 0;
  for (const TensorEntry& entry : table.tensors()) {
    if (!all_finite(range(tensor++) + entry.offset, entry.size)) return entry.name;
  }
  return "";
}

}  // namespace

TrainerCore::TrainerCore(RunPlan run_plan)
    : plan(std::move(run_plan)),
      session(plan.session),
      batches(session.plan(), parse_routing(plan.config.routing), plan.config.symmetry,
              draw_from(plan), plan.config.lattice ? plan.session.model.vocabulary : 0,
              plan.rows != nullptr || plan.border != kNoBorder),
      rows_(evaluated_by(plan)),
      peak_(measure_gemm_peak(plan.session.gemm, kernels(), plan.session.precision)) {
  if (plan.resume.has_value() && !plan.resume->checkpoint.empty()) {
    resume();
  } else {
    start_weights();
  }
  window.emplace(session.tree());
  batches.prepare(steps_done);
}

void TrainerCore::resume() {
  const TrainerState& saved = plan.resume->state;
  const std::string where = option_word("resume", plan.config.resume);
  if (!plan.source->matches(saved.data)) {
    throw InputError({"the data is not what the run was trained on", plan.config.data,
                      "the same bytes", where, option_word("data") + " says where they are now"});
  }
  const bool own_validation = saved.validation.size > 0;
  if (plan.config.validation.empty() && own_validation != (plan.validation_source != nullptr)) {
    throw InputError({"the run did not take its validation part from where these data have it",
                      own_validation ? "none" : "files of its own",
                      own_validation ? "files of its own, as in the data set's folder"
                                     : "the last tenth of the training data",
                      where, option_word("data") + " names what the run was started with"});
  }
  // Older versions did not record it; then its size is 0.
  if (plan.validation_source && saved.validation.size > 0 &&
      !plan.validation_source->matches(saved.validation)) {
    const char* const option = plan.config.validation.empty() ? "data" : "val";
    throw InputError({"the validation data is not that of the run", plan.validation_source->path(),
                      "the same bytes", where, option_word(option) + " says where they are now"});
  }
  if (session.state().layout.adapted()) read_base(saved);
  read_state(plan.resume->checkpoint);
  plan.carried = carried_files(plan.resume->checkpoint);
  note_changes(saved);
}

void TrainerCore::note_changes(const TrainerState& saved) {
  const TrainerState now = trainer_state(false);
  const auto note = [&](const char* what, const std::string& before, const std::string& after) {
    if (before == after) return;
    plan.notes.push_back(std::string("the ") + what + " was " + before + " and is now " + after +
                         ": the result is as good, but not bit-identical");
  };
  note("CPU", saved.cpu_model, now.cpu_model);
  note("instruction set", saved.isa, now.isa);
  note("product library", saved.gemm, now.gemm);
}

void TrainerCore::set_rate(std::optional<double> rate) {
  rate_ = rate;
  session.set_rate(rate);
}

void TrainerCore::set_rate_scale(double scale) {
  rate_scale_ = scale;
  session.set_rate_scale(scale);
}

TrainerState TrainerCore::trainer_state(bool waits) const {
  TrainerState s;
  s.step = steps_done;
  s.tokens = steps_done * step_tokens(plan.config);
  s.optimizer_step = session.state().updates;
  s.rate_scale = rate_scale_;
  s.rate = rate_;
  s.seed = plan.config.seed;
  s.config = to_toml(plan.config);
  s.model = plan.session.model;
  s.byte_tokens = plan.byte_tokens;
  const auto name = [waits](const TokenSource& source) {
    return waits ? source.fingerprint() : source.fingerprint_now();
  };
  s.data = name(*plan.source);
  const auto path = [this](const std::string& named) {
    return find_memory_data(plan.config, named) ? "" : absolute_path(named);
  };
  s.data_path = path(plan.config.data);
  if (plan.validation_source) {
    s.validation = name(*plan.validation_source);
    if (!plan.config.validation.empty()) s.validation_path = path(plan.config.validation);
  }
  s.isa = kernels().name;
  s.gemm = describe_gemm_backend(plan.session.gemm, kernels());
  s.cpu_model = cpu_model();
  s.precision = plan.config.precision;
  s.weights = *weight_type_named(plan.config.save_dtype);
  s.version = CLLM_VERSION;
  s.base = base_;
  return s;
}

std::vector<OptimizerRange<const float>> TrainerCore::optimizer_ranges() const {
  const std::vector<float*>& values = session.state().state_pointers;
  return named_ranges(session.state_ranges(),
                      std::vector<const float*>(values.begin(), values.end()));
}

void TrainerCore::check_finite() const {
  const ModelState& state = session.state();
  const std::vector<const AlignedBuffer<float>*> ranges = state.ranges();
  for (std::size_t i = 0; i < ranges.size(); ++i) {
    const float* const range = ranges[i]->data();
    const std::string name =
        first_not_finite(state.layout.trainables(), [range](std::int32_t) { return range; });
    if (name.empty()) continue;
    const char* const what = i == 0 ? "weight" : session.state_ranges()[i - 1].title;
    throw Error(
        ErrorParts{std::string("a ") + what + " is not finite, nothing was saved", name,
                   "finite numbers", "step " + std::to_string(steps_done),
                   "a lower " + option_word("lr") + "; the checkpoints before are as they were"});
  }
}

std::string TrainerCore::save(const std::string& folder) {
  session.fold();
  check_finite();
  const ModelState& state = session.state();
  return write_checkpoint(folder, trainer_state(), state.layout, state.trainables().data(),
                          optimizer_ranges(), plan.carried, state.embedding());
}

std::string TrainerCore::first_bad_gradient() const {
  const ModelState& state = session.state();
  return first_not_finite(state.layout.trainables(), [&](std::int32_t tensor) {
    return state.trained_gradient(tensor, session.gradient());
  });
}

StepReport TrainerCore::step() {
  bool late = false;
  const StepBatch& batch = batches.take(steps_done, late);
  StepReport report = run_step(batch, [this] { batches.prepare(steps_done + 1); });
  report.late = report.late || late;
  return report;
}

StepReport TrainerCore::step(const TokenArray& inputs, const TokenArray& targets,
                             const TokenArray& first_keys) {
  const SessionConfig& s = session.config();
  if (inputs.sequences != s.batch || inputs.length != s.sequence) {
    throw InputError({"the step batch has another shape than the configuration", shape_text(inputs),
                      shape_text({nullptr, s.batch, s.sequence}), "inputs",
                      "batch * grad_accum sequences of seq tokens"});
  }
  check_tokens("inputs", inputs, s.model.context, s.model.vocabulary);
  check_targets(inputs, targets, s.model.vocabulary);
  check_first_keys(inputs, first_keys);
  return run_step(batches.route({inputs.data, targets.data, first_keys.data}), nullptr);
}

StepReport TrainerCore::run_step(const StepBatch& batch, std::function<void()> meanwhile) {
  has_gradient = false;
  const int workers = session.tree().active_workers();
  const std::uint64_t start = now_ns();
  const StepOutcome out =
      session.step(steps_done, batch.rows(), std::move(meanwhile), batch.sequences.data());
  cancelled_ = out.cancelled;
  if (cancelled_) {
    batches.give_back(batch);
    return {};
  }
  has_gradient = out.counted > 0;
  const double seconds = 1e-9 * static_cast<double>(now_ns() - start);
  const auto tokens = static_cast<double>(step_tokens(plan.config));
  StepReport r;
  r.learning_rate = session.learning_rate(steps_done);
  r.step = ++steps_done;
  r.tokens = r.step * step_tokens(plan.config);
  r.epoch = static_cast<double>(r.tokens) / static_cast<double>(plan.epoch_tokens());
  r.trained_tokens = out.counted;
  r.loss = out.loss;
  r.gradient_norm = out.gradient_norm;
  r.milliseconds = 1e3 * seconds;
  r.tokens_per_second = tokens / seconds;
  if (out.counted > 0) {  // else nothing was computed
    r.gflops = 1e-9 * step_flops(out.counted) / seconds;
    r.mfu = peak_.share(r.gflops, workers);
  }
  r.workers = workers;
  r.skipped = out.skipped;
  r.late = out.waited;
  return r;
}

double TrainerCore::step_flops(std::int64_t counted) const {
  const ParameterLayout& layout = session.state().layout;
  const std::int64_t tokens = step_tokens(plan.config);
  const std::int64_t left_out = plan.session.head_rows == HeadRows::kCounted ? tokens - counted : 0;
  return static_cast<double>(tokens) *
             static_cast<double>(layout.flops_per_token(plan.session.sequence)) -
         static_cast<double>(left_out) * static_cast<double>(layout.head_flops());
}

void TrainerCore::resize(std::int64_t workers) {
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

EvaluationReport TrainerCore::evaluate(const std::function<bool()>& asked) {
  window->pause();
  const double loss = session.evaluate(*rows_, asked);
  window->resume();
  return evaluation_of(plan.validation_source ? *plan.validation_source : *plan.source, *rows_,
                       steps_done, loss);
}

EvaluationReport TrainerCore::evaluate(const TokenSource& source,
                                       const std::function<bool()>& asked) {
  check_readable(source, plan.session.model, plan.byte_tokens);
  const std::unique_ptr<EvaluationRows> rows =
      rows_to_evaluate(source, plan.session.sequence, 0, plan.border);
  window->pause();
  const double loss = session.evaluate(*rows, asked);
  window->resume();
  return evaluation_of(source, *rows, steps_done, loss);
}

}  // namespace cllm
