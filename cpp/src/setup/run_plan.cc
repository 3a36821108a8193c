#include "setup/run_plan.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <utility>

#include "base/folders.h"
#include "base/given_names.h"
#include "base/refuse.h"
#include "checkpoint/adapter_folder.h"
#include "checkpoint/model_folder.h"
#include "checkpoint/run_folder.h"
#include "cllm/error.h"
#include "cllm/options.h"
#include "cllm/wording.h"
#include "config/new_model.h"
#include "cpu/allowance.h"
#include "cpu/features.h"
#include "data/sampler.h"
#include "data/sequence_length.h"
#include "engine/crew_size.h"
#include "engine/lora_options.h"
#include "engine/memory_plan.h"
#include "setup/ineffective_options.h"
#include "setup/run_data.h"
#include "setup/run_examples.h"
#include "setup/run_length.h"

namespace cllm {
namespace {

std::string text(std::int64_t n) { return std::to_string(n); }

/// Refuses text for a model whose tokens are no bytes, and says how to prepare it.
[[noreturn]] void refuse_bytes(const TrainConfig& config, const std::string& kind) {
  const std::string tokenizer = option_word("tokenizer", config.init);
  refuse("this model's tokens are not bytes", kind, "a data set made with its tokenizer",
         option_word("data", config.data),
         wording() == Wording::kCommandLine
             ? "cllm prepare " + config.data + " " + tokenizer + " " + option_word("out", "SET")
             : "cllm.prepare.prepare(texts, \"set\", " + tokenizer + "), then " +
                   option_word("data", "set"));
}

/// Makes the options say what the model given as init is.
void take_sizes(TrainConfig& c, const ModelConfig& model) {
  c.preset = "none";
  c.family = family_name(model.family);
  c.layers = model.layers;
  c.heads = model.heads;
  c.kv_heads = model.key_value_heads();
  c.width = model.width;
  c.head_dim = model.head_width();
  c.hidden = model.hidden();
  c.rope_theta = model.rope_theta;
  c.untied = !model.tied_head;
  c.bias = model.bias;
}

/// Opens the folder that --init names, which holds a whole model.
void find_init(RunPlan& plan) {
  plan.init_folder = resolve_model_folder(plan.config.init);
  if (!is_adapter_folder(plan.init_folder)) return;
  refuse("this is an adapter, not a model", plan.init_folder,
         "the model that it was trained beside, or both merged", option_word("init"),
         "to go on with it: " + option_word("init", "MODEL") + ", " + option_flag("lora") + ", " +
             option_word("lora-init", plan.config.init));
}

void plan_model(RunPlan& plan) {
  TrainConfig& c = plan.config;
  ModelConfig& model = plan.session.model;
  const std::int64_t vocabulary = needed_vocabulary(plan);
  if (plan.resume.has_value() && !plan.resume->checkpoint.empty()) {
    model = plan.resume->state.model;  // as it was planned when the run started
    if (model.symmetry_order != c.symmetry) {
      refuse("the run's model has another symmetry than its configuration",
             text(model.symmetry_order), text(c.symmetry), option_word("resume", c.resume),
             "use another checkpoint");
    }
    if (vocabulary > model.vocabulary) {
      refuse("the data's vocabulary is larger than the run's", text(vocabulary),
             "at most " + text(model.vocabulary), option_word("resume", c.resume));
    }
    if (c.lora) find_init(plan);
    return;
  }
  if (c.init.empty()) {
    c.sequence = plan.examples ? example_sequence(plan, c.sequence, kDefaultExampleSequence)
                               : fit_sequence(c.sequence, plan.train.size(), c.data);
    if (plan.data_set) plan.carried = carried_files(*plan.data_set, c.sequence);
    model = new_model(c, c.sequence, vocabulary);
    return;
  }
  find_init(plan);
  const ModelDescription start = read_model_config(plan.init_folder);
  model = start.config;
  model.symmetry_order = static_cast<int>(c.symmetry);
  model.dropout = dropout_of(model.family, c.dropout);
  if (vocabulary > model.vocabulary) {
    refuse("the data's vocabulary is larger than the model's", text(vocabulary),
           "at most " + text(model.vocabulary), option_word("init", c.init));
  }
  if (plan.byte_tokens && !start.byte_tokens) {
    refuse_bytes(c, plan.source->kind());
  }
  if (c.sequence > model.context) {
    refuse("the sequence is longer than the model's context", text(c.sequence),
           "at most " + text(model.context), option_word("seq"));
  }
  if (plan.examples) {
    c.sequence = example_sequence(plan, c.sequence, model.context);
  } else {
    const std::int64_t wanted =
        c.sequence > 0 ? c.sequence : std::min(model.context, kDefaultSequence);
    c.sequence = fit_sequence(c.sequence > 0 ? wanted : 0, plan.train.size(), c.data);
    c.sequence = std::min(c.sequence, wanted);
  }
  take_sizes(c, model);
  carry_tokenizer(plan, start.byte_tokens);
}

/// Decides which adapters are trained, if any are.
void plan_adapters(RunPlan& plan) {
  TrainConfig& c = plan.config;
  if (!c.lora) return;
  const bool starts = !plan.resume.has_value() || plan.resume->checkpoint.empty();
  if (starts && !c.lora_init.empty()) {
    plan.adapter_folder = resolve_adapter_folder(c.lora_init);
    const LoraConfig start = read_adapter_config(plan.adapter_folder).lora;
    check_adapter(plan.adapter_folder, start, plan.session.model);
    take_adapter(c, start);
  }
  const LoraConfig lora = *lora_of(c);
  check(lora, plan.session.model, lora_option_names());
  c.lora_alpha = lora.alpha;
}

void plan_session(RunPlan& plan) {
  TrainConfig& c = plan.config;
  SessionConfig& s = plan.session;
  s = session_for(c, ModelConfig(s.model));
  c.gemm = gemm_backend_name(s.gemm);
  if (s.precision == Precision::kBf16 && !kernels().bf16_units) {
    plan.notes.push_back(std::string("the ") + kernels().name +
                         " kernels have no units for bf16 and convert every operand: " +
                         option_word("precision", "fp32") + " is faster here");
  }
  const std::string idle = idle_cores_note(s);
  if (!idle.empty()) plan.news.push_back(idle);
  if (plan.rows) s.head_rows = HeadRows::kCounted;
  plan_session_batch(s);  // throws for impossible positions
}

/// Takes the settings of a resumed run from its folder and from what is asked for.
void take_up(RunPlan& plan) {
  plan.resume = find_resume_point(plan.config.resume);
  plan.notes = plan.resume->notes;
  plan.config = resumed_config(plan.config, *plan.resume);
}

/// Tells the user when a run that is made longer continues with another learning rate than it would
/// have had without the change.
void note_rate_jump(RunPlan& plan) {
  const std::int64_t step = plan.resume->state.step;
  TrainConfig before;
  apply_toml(before, plan.resume->state.config, "trainer_state.json: config");
  if (step == 0 || before.steps == plan.config.steps) return;
  Schedule schedule = plan.session.schedule;
  schedule.steps = before.steps;
  const double was = schedule.at(step - 1), is = plan.session.schedule.at(step);
  if (std::abs(is - was) <= 0.1 * was) return;
  const auto number = [](double rate) {
    char text[32];
    std::snprintf(text, sizeof text, "%.2g", rate);
    return std::string(text);
  };
  plan.notes.push_back("with " + text(plan.config.steps) + " steps instead of " +
                       text(before.steps) + " the learning rate goes from " + number(was) + " to " +
                       number(is) + " at step " + text(step) +
                       ": a run that may be made longer is better started with " +
                       option_word("schedule", "wsd") + ", and a new run with " +
                       option_word("init") + " and a warmup of its own goes on from any model");
}

/// Refuses to wait for evaluations that are never made.
void check_patience(const RunPlan& plan) {
  const TrainConfig& c = plan.config;
  if (c.patience == 0 || (c.eval_every > 0 && !plan.validation.empty())) return;
  refuse("nothing is evaluated",
         c.eval_every == 0 ? option_word("eval-every", "0") : "no validation data",
         "evaluations to wait for", option_word("patience"));
}

/// Says whether `path` is `folder` or lies in it.
bool lies_in(const std::string& path, const std::string& folder) {
  const std::string inner = absolute_path(path) + "/", outer = absolute_path(folder) + "/";
  return inner.compare(0, outer.size(), outer) == 0;
}

/// Checks that the run may be where it is to be.
void check_place(const RunPlan& plan) {
  const TrainConfig& c = plan.config;
  if (c.overwrite && plan.continues_in_place()) {
    refuse("a resumed run goes on in its folder", "overwrite", "", option_word("overwrite"),
           "leave it out");
  }
  if (c.out.empty() || plan.continues_in_place()) return;
  for (const std::string& source : {c.init, c.resume, c.lora_init}) {
    if (c.overwrite && !source.empty() && lies_in(source, c.out)) {
      refuse("the run that is to be replaced holds what the new one starts from", source,
             "a model or a checkpoint outside of it", option_word("overwrite"),
             "another " + option_word("out"));
    }
  }
  check_new_run_folder(c.out, c.overwrite);
}

/// Returns the bytes that each parameter takes at least, with gradient and moments where it is
/// trained: a model that does not fit is refused before anything is planned for it.
std::size_t least_bytes(const TrainConfig& config) {
  if (!config.lora) return 4 * sizeof(float);
  return parse_precision(config.base_dtype) == Precision::kBf16 ? sizeof(Bf16) : sizeof(float);
}

}  // namespace

std::int64_t RunPlan::epoch_tokens() const noexcept {
  if (rows) return rows->size() * rows->sequence();
  return cllm::epoch_tokens(train.size(), config.sequence, shuffle_named(config.shuffle));
}

bool RunPlan::continues_in_place() const {
  return resume.has_value() && !resume->run.empty() && !config.out.empty() &&
         absolute_path(resume->run) == absolute_path(config.out);
}

RunPlan plan_run(const TrainConfig& config) {
  const GivenNames names(config.aliases);
  RunPlan plan;
  plan.config = with_preset(config);
  if (!config.resume.empty()) take_up(plan);
  check(plan.config);
  open_data(plan);
  find_examples(plan);
  plan_model(plan);
  pack_examples(plan);
  check_parameters_fit(plan.session.model, least_bytes(plan.config), "memory plan");
  plan_adapters(plan);
  decide_length(plan.config, plan.epoch_tokens());
  check_patience(plan);
  plan_session(plan);
  if (plan.resume.has_value() && !plan.resume->checkpoint.empty()) note_rate_jump(plan);
  check_memory(plan.session);
  plan.session.snapshot = !plan.config.out.empty() && has_room_for_snapshot(plan.session);
  check_place(plan);
  for (std::string& note : ineffective_options(config, plan)) plan.notes.push_back(std::move(note));
  return plan;
}

std::string describe_preparation(const RunPlan& plan) {
  constexpr std::int64_t kMany = 50'000'000;  // drawing or reading them takes about a second
  const bool resumes = plan.resume.has_value() && !plan.resume->checkpoint.empty();
  const auto is_open = [](const std::unique_ptr<TokenSource>& source) {
    return source != nullptr && !source->is_hashed();
  };
  const std::int64_t weights = parameter_count(plan.session.model);
  std::string out;
  if (weights >= kMany) out = "preparing " + text(weights) + " weights";
  if (resumes && (is_open(plan.source) || is_open(plan.validation_source))) {
    out += out.empty() ? "" : ", then ";
    out += "checking that the data are what the run was trained on";
  }
  return out;
}

}  // namespace cllm
