#include "cllm/trainer.h"

#include <algorithm>
#include <cmath>

#include "base/clock.h"
#include "checkpoint/model_folder.h"
#include "cllm/error.h"
#include "cllm/memory_data.h"
#include "engine/evaluation_data.h"
#include "model/decode.h"
#include "model/tensors.h"
#include "train/run_loop.h"
#include "train/trainer_core.h"

namespace cllm {

namespace {

using Say = std::function<void(const std::string&)>;

RunPlan announced(RunPlan plan, const Say& say) {
  const std::string what = describe_preparation(plan);
  if (say && !what.empty()) say(what);
  return plan;
}

}  // namespace

class Trainer::Impl {
 public:
  Impl(const TrainConfig& config, const Say& say)
      : began_ns(now_ns()), core(announced(plan_run(config), say)) {
    core.preparing_ns = now_ns() - began_ns;
    if (!core.plan.continues_in_place()) return;
    const ResumePoint& point = *core.plan.resume;
    known = {true, point.newest, point.checkpoint.empty() ? -1 : point.state.step};
  }

  RunOutcome run(TrainObserver& observer) {
    RunLoop loop(core, observer, known);
    known = loop.known();
    try {
      const RunOutcome outcome = loop.run();
      known = loop.known();
      return outcome;
    } catch (...) {
      known = loop.known();
      throw;
    }
  }

  const std::uint64_t began_ns;
  TrainerCore core;
  RunLoop::Known known;
};

Trainer::Trainer(const TrainConfig& config, const Say& say)
    : impl_(std::make_unique<Impl>(config, say)) {}
Trainer::~Trainer() = default;

RunOutcome Trainer::run(TrainObserver& observer) { return impl_->run(observer); }
StepReport Trainer::step() { return impl_->core.step(); }
StepReport Trainer::step(const TokenArray& inputs, const TokenArray& targets,
                         const TokenArray& first_keys) {
  return impl_->core.step(inputs, targets, first_keys);
}
EvaluationReport Trainer::evaluate(const std::function<bool()>& stop) {
  return impl_->core.evaluate(stop);
}
EvaluationReport Trainer::evaluate(const std::string& path, const std::function<bool()>& stop) {
  return impl_->core.evaluate(open_for_evaluation(path, model()), stop);
}
EvaluationReport Trainer::evaluate(const MemoryData::Pointer& data,
                                   const std::function<bool()>& stop) {
  return impl_->core.evaluate(TokenSource(data), stop);
}
void Trainer::generate(const std::vector<std::int32_t>& prompt, std::int64_t count,
                       const SamplingOptions& options,
                       const std::function<bool(std::int32_t)>& on_token) {
  check(options);
  check_count(count);
  if (count == 0) return;
  impl_->core.session.fold();
  const ModelState& state = impl_->core.session.state();
  const std::unique_ptr<Gemm> gemm = make_gemm(default_gemm_backend(), kernels());
  Generator generator(state.config, state.layout, state.parameters.data(), *gemm, kernels(),
                      tokens_read(prompt, count, state.config.context), state.adapters.data(),
                      state.matrices.data());
  decode(generator, prompt, count, options,
         byte_tokens() ? kByteVocabulary : state.config.vocabulary, {}, on_token);
}
double Trainer::learning_rate() const { return impl_->core.session.learning_rate(steps_done()); }
void Trainer::set_learning_rate(std::optional<double> rate) {
  if (rate && !(*rate >= 0 && std::isfinite(*rate))) {
    throw InputError({"not a learning rate", std::to_string(*rate), "a number of at least 0",
                      "learning_rate", ""});
  }
  // What the scale of a rollback multiplies.
  if (rate) rate = *rate / impl_->core.rate_scale();
  impl_->core.set_rate(rate);
}
void Trainer::resize(std::int64_t workers) { impl_->core.resize(workers); }
bool Trainer::byte_tokens() const noexcept { return impl_->core.plan.byte_tokens; }
bool Trainer::has_validation() const noexcept { return impl_->core.can_evaluate(); }
void Trainer::save(const std::string& folder) const {
  const std::string note = impl_->core.save(folder);
  std::vector<std::string>& notes = impl_->core.plan.notes;
  if (!note.empty() && std::find(notes.begin(), notes.end(), note) == notes.end()) {
    notes.push_back(note);
  }
}

void Trainer::request_stop() noexcept { impl_->core.stop.store(true, std::memory_order_relaxed); }
bool Trainer::stop_requested() const noexcept {
  return impl_->core.stop.load(std::memory_order_relaxed);
}
void Trainer::request_save() noexcept {
  impl_->core.save_requested.store(true, std::memory_order_relaxed);
}

std::int64_t Trainer::steps_done() const noexcept { return impl_->core.steps_done; }
const std::vector<std::string>& Trainer::notes() const noexcept { return impl_->core.plan.notes; }
std::int64_t Trainer::steps_total() const noexcept { return impl_->core.plan.config.steps; }
const ModelConfig& Trainer::model() const noexcept { return impl_->core.plan.session.model; }
const TrainConfig& Trainer::config() const noexcept { return impl_->core.plan.config; }
std::vector<SphereReport> Trainer::spheres() const { return impl_->core.window->report(); }
std::vector<GroupReport> Trainer::groups() const { return impl_->core.batches.groups(); }
std::vector<RingReport> Trainer::rings() const { return impl_->core.batches.rings(); }

std::int64_t Trainer::workers() const noexcept {
  return static_cast<std::int64_t>(impl_->core.session.tree().workers());
}

std::vector<Tensor> Trainer::parameters() {
  const std::shared_ptr<ModelState> state = impl_->core.session.shared_state();
  std::vector<Tensor> all =
      tensor_refs(state->layout.trainables(), state->trainables().data(), state);
  if (state->lattice) {
    all[state->layout.token_tensor()].data = std::shared_ptr<float>(state, state->embedding());
  }
  return all;
}

std::vector<ConstTensor> Trainer::gradients() const {
  const Session& session = impl_->core.session;
  if (!impl_->core.has_gradient) {
    throw Error(ErrorParts{"there is no gradient", "no step", "a step since the threads were made",
                           "", ""});
  }
  const std::shared_ptr<const ModelState> state = session.shared_state();
  std::vector<ConstTensor> all =
      tensor_refs(state->layout.trainables(), session.gradient(), session.gradient_owner());
  if (state->lattice) {
    all[state->layout.token_tensor()].data =
        std::shared_ptr<const float>(state, state->lattice->gradient().data());
  }
  return all;
}

std::string Trainer::weights_hash() const {
  impl_->core.session.fold();
  const ModelState& state = impl_->core.session.state();
  return weights_sha256(state.layout, state.trainables().data());
}

}  // namespace cllm
