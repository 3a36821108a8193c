#include "setup/run_summary.h"

#include <cstdio>

#include "base/words.h"
#include "cllm/wording.h"
#include "cpu/features.h"
#include "engine/crew_size.h"
#include "engine/memory_plan.h"

namespace cllm {
namespace {

std::string mib(std::size_t bytes) {
  return grouped(static_cast<std::int64_t>(bytes >> 20)) + " MiB";
}

std::int64_t steps_made(const RunPlan& plan) {
  return plan.resume.has_value() ? plan.resume->state.step : 0;
}

bool is_over(const RunPlan& plan) { return steps_made(plan) >= plan.config.steps; }

std::string model_line(const RunPlan& plan) {
  const ModelConfig& m = plan.session.model;
  const std::string from = plan.init_folder.empty() ? "" : ", from " + plan.init_folder;
  const std::string family = m.is_gpt2() ? "" : std::string(family_name(m.family)) + ", ";
  const std::string of_keys =
      m.head_group() == 1 ? "" : " (" + grouped(m.key_value_heads()) + " of keys)";
  return "model   " + family + counted(m.layers, "layer") + ", " + counted(m.heads, "head") +
         of_keys + ", width " + grouped(m.width) + ", vocabulary " + grouped(m.vocabulary) + ": " +
         counted(ParameterLayout(m).parameters(), "parameter") + from;
}

/// Returns the line of examples: what is trained of them, and how many sequences they make.
std::string example_line(const RunPlan& plan) {
  const RowCounts& train = plan.rows->counts();
  std::string text = "data    " + plan.config.data +
                     " (examples): " + counted(train.examples, "example") + " of " +
                     counted(train.tokens, "token") + " to train on, " + grouped(train.targets) +
                     " of them predicted, in " + counted(plan.rows->size(), "sequence");
  if (!plan.validation_rows) return text + ", nothing to validate";
  return text + ", " + grouped(plan.validation_rows->counts().examples) +
         (plan.config.validation.empty() ? "" : " of " + plan.config.validation) + " to validate";
}

std::string adapter_line(const RunPlan& plan) {
  if (!plan.session.lora) return "";
  const LoraConfig& lora = *plan.session.lora;
  const ParameterLayout layout = layout_of(plan.session);
  const double share = 100 * static_cast<double>(layout.trainables().parameters()) /
                       static_cast<double>(layout.parameters());
  char share_text[32], scale[32];
  std::snprintf(share_text, sizeof share_text, "%.2g", share);
  std::snprintf(scale, sizeof scale, "%.3g", lora.scale());
  const std::string& whole = plan.config.lora_modules_to_save;
  return "\nadapter rank " + grouped(lora.rank) + ", scale " + scale + ", on " +
         plan.config.lora_targets + (whole.empty() ? "" : ", and " + whole + " whole") + ": " +
         counted(layout.trainables().parameters(), "parameter") + ", " + share_text +
         " % of the model's" + (plan.adapter_folder.empty() ? "" : ", from " + plan.adapter_folder);
}

std::string data_line(const RunPlan& plan) {
  if (plan.rows) return example_line(plan);
  std::string validate = ", nothing to validate";
  if (!plan.validation.empty()) {
    validate = ", " + grouped(plan.validation.size()) +
               (plan.config.validation.empty() ? "" : " of " + plan.config.validation) +
               " to validate";
  }
  const auto files = static_cast<std::int64_t>(plan.source->files());
  return "data    " + plan.config.data + " (" + plan.source->kind() +
         (files > 1 ? ", " + counted(files, "file") : "") +
         "): " + counted(plan.train.size(), "token") + " to train on" + validate;
}

std::string train_line(const RunPlan& plan) {
  const TrainConfig& c = plan.config;
  const SessionConfig& s = plan.session;
  const std::int64_t done = steps_made(plan);
  if (is_over(plan)) {
    return "train   nothing more: all " + counted(c.steps, "step") + " are made; with " +
           option_word("steps", "N") + " the run goes on";
  }
  const double tokens = static_cast<double>(c.steps) * static_cast<double>(s.batch * s.sequence);
  char epochs[32];
  std::snprintf(epochs, sizeof epochs, "%.3g", tokens / static_cast<double>(plan.epoch_tokens()));
  std::string text = "train   " + counted(c.steps, "step");
  if (done > 0) text += ", on from step " + grouped(done);
  text += ", each of " + grouped(s.batch) + " x " + counted(s.sequence, "token") + ": " + epochs +
          (std::string(epochs) == "1" ? " epoch" : " epochs");
  const bool evaluates = c.eval_every > 0 && !plan.validation.empty();
  if (evaluates) text += "; validated every " + counted(c.eval_every, "step");
  if (c.patience > 0) text += "; ends early after " + grouped(c.patience) + " without a lower loss";
  return text;
}

std::string save_line(const RunPlan& plan) {
  const TrainConfig& c = plan.config;
  if (c.out.empty()) return "\nsave    nothing: there is no run folder";
  if (is_over(plan)) return "";
  std::string text = "\nsave    " + c.out + "/final at the end, ";
  if (c.save_every > 0 && c.save_every < c.steps) {
    text += c.out + "/checkpoints every " + counted(c.save_every, "step") + ", ";
  }
  return text + c.out + "/metrics.jsonl at each step";
}

std::string engine_lines(const RunPlan& plan) {
  const SessionConfig& s = plan.session;
  const BatchPlan batch = plan_session_batch(s);
  const MemoryPlan memory = plan_memory(s);
  std::string out;
  out += "step    " + grouped(s.batch) + " x " + counted(s.sequence, "token") + " in " +
         counted(static_cast<std::int64_t>(batch.shards.size()), "shard") + " on " +
         counted(static_cast<std::int64_t>(batch.positions.size()), "position") + ", routed by " +
         (plan.config.routing == "symmetry" ? "symmetry" : "turn") + "\n";
  out += "tree    " + counted(s.threads, "sphere") + ", " + describe_crew(s) + "\n";
  out += "kernels " + describe_gemm_backend(s.gemm, kernels()) + ", " +
         precision_name(s.precision) + "\n";
  out += "memory  " + mib(memory.total()) + ": parameters " + mib(memory.parameters) +
         ", moments " + mib(memory.moments) + ", gradients and activations " +
         mib(memory.activations_and_gradients) + ", workers " + mib(memory.workers) +
         ", program, data and saving " + mib(memory.rest());
  return out;
}

}  // namespace

std::string describe(const RunPlan& plan) {
  std::string text = model_line(plan) + adapter_line(plan) + "\n" + data_line(plan) + "\n" +
                     train_line(plan) + save_line(plan);
  if (plan.config.verbose) text += "\n" + engine_lines(plan);
  return text;
}

}  // namespace cllm
