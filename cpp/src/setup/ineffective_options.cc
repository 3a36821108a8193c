#include "setup/ineffective_options.h"

#include <utility>
#include <vector>

#include "cllm/error.h"
#include "cllm/options.h"
#include "cllm/wording.h"
#include "engine/lora_options.h"
#include "engine/session_config.h"

namespace cllm {
namespace {

class Notes {
 public:
  Notes(const TrainConfig& asked, const RunPlan& plan)
      : asked_(asked), used_(plan.config), plan_(plan) {}

  std::vector<std::string> take() {
    rate();
    data();
    model();
    intervals();
    engine();
    return std::move(notes_);
  }

 private:
  /// Says whether the option was given, and not as "auto".
  bool given(const char* name) const {
    const Option& option = *find_option(name);
    return is_given(asked_, option) && text(asked_, name) != "auto";
  }
  static std::string text(const TrainConfig& config, const char* name) {
    return option_text(config, *find_option(name));
  }
  void unused(const char* name, const std::string& why) {
    notes_.push_back(option_word(name, text(asked_, name)) + " is not used: " + why);
  }

  void rate() {
    if (used_.schedule == "constant" && given("min-lr")) {
      unused("min-lr", "the constant schedule stays at lr");
    }
    if (used_.warmup >= used_.steps && given("warmup")) {
      notes_.push_back(option_word("warmup", text(used_, "warmup")) + " is not below the " +
                       text(used_, "steps") + " steps of the run: the rate never reaches lr");
    }
    // The engine holds it as a float.
    if (static_cast<float>(used_.learning_rate) == 0.0f) {
      notes_.push_back(option_word("lr", text(used_, "lr")) +
                       " is 0 in float: no weight will change");
    }
    if (used_.learning_rate * used_.weight_decay > 1) {
      notes_.push_back(option_word("lr") + " times " + option_word("weight-decay") +
                       " is above 1: each step takes more than the whole weight away");
    }
    if (used_.skip_limit == 0 && given("on-divergence")) {
      unused("on-divergence",
             option_word("skip-limit") + " is 0, so that no run counts as diverged");
    }
  }

  void data() {
    if (!plan_.examples && given("packing")) {
      unused("packing", "the data are texts, and no examples of answers");
    }
    if (plan_.examples && given("shuffle")) {
      unused("shuffle", "every epoch takes each example once, in random order");
    }
    if (used_.document_mask && plan_.examples) {
      unused("document-mask", "an example never sees another");
    }
    if (used_.document_mask && std::string(plan_.source->kind()) == "text") {
      unused("document-mask", "a text is one document");
    }
  }

  void model() {
    if (!used_.lora && given("lora-rank")) {  // check() refuses other values than the defaults
      unused("lora-rank", "adapters are trained only with " + option_flag("lora"));
    }
    if (!used_.lattice && given("lattice-lr")) {
      unused("lattice-lr", "tokens are coupled only with " + option_word("lattice"));
    }
    const std::string init = "the model given as " + option_word("init");
    if (used_.init.empty()) {
      const bool gpt2 = used_.family == "gpt2";
      if (gpt2 && given("rope-theta")) unused("rope-theta", "a GPT-2 learns its positions");
      if (!gpt2 && given("no-bias")) unused("no-bias", "only a GPT-2 has biases that may go");
      return;
    }
    adapters();
    if (given("preset")) unused("preset", init + " has its own sizes");
    for (const char* name : {"family", "layers", "heads", "kv-heads", "dim", "head-dim", "hidden",
                             "rope-theta", "untied", "no-bias"}) {
      const std::string has = text(used_, name);
      if (given(name) && text(asked_, name) != has) unused(name, init + " has " + has);
    }
  }

  void adapters() {
    if (used_.lora_init.empty()) return;
    const auto differs = [this](const char* name) {
      return given(name) && text(asked_, name) != text(used_, name);
    };
    const auto tell = [this](const char* name) {
      const std::string has = text(used_, name);
      unused(name, "the adapter given as " + option_word("lora-init") + " has " +
                       (has.empty() ? "none" : has));
    };
    for (const char* name : {"lora-rank", "lora-alpha", "rslora"}) {
      if (differs(name)) tell(name);
    }
    for (const char* name : {"lora-targets", "lora-modules-to-save"}) {
      if (differs(name) && !names_the_same(name)) tell(name);
    }
  }

  /// Says whether an option of names says in other words which tensors the adapter has.
  bool names_the_same(const char* name) const {
    TrainConfig asked = used_;
    set_option(asked, name, text(asked_, name), name);
    const auto tensors = [this](const TrainConfig& config) {
      SessionConfig session = plan_.session;
      session.lora = lora_of(config);
      const ParameterLayout layout = layout_of(session);
      std::vector<std::string> names;
      for (const TensorEntry& tensor : layout.trainables().tensors()) names.push_back(tensor.name);
      return names;
    };
    try {
      return tensors(asked) == tensors(used_);
    } catch (const InputError&) {  // names that the model does not have
      return false;
    }
  }

  void intervals() {
    const bool evaluates = used_.eval_every > 0 && plan_.validation.size() > 0;
    if (given("val") && used_.eval_every == 0) unused("val", option_word("eval-every") + " is 0");
    if (used_.keep_best && !evaluates) unused("keep-best", "nothing is evaluated");
    if (used_.out.empty()) {
      for (const char* name : {"keep", "keep-best", "save-every", "spheres-every"}) {
        if (given(name)) unused(name, "there is no run folder");
      }
      return;
    }
    if (given("keep") && used_.save_every == 0) unused("keep", option_word("save-every") + " is 0");
    if (given("save-every") && used_.save_every >= used_.steps) {
      unused("save-every",
             "the run has " + text(used_, "steps") + " steps, and its end is saved in any case");
    }
  }

  void engine() {
    const SessionConfig& s = plan_.session;
    const BatchPlan batch = plan_session_batch(s);
    if (batch.positions.size() == 1 && given("routing"))
      unused("routing", "the step has one position");
  }

  const TrainConfig& asked_;
  const TrainConfig& used_;
  const RunPlan& plan_;
  std::vector<std::string> notes_;
};

}  // namespace

std::vector<std::string> ineffective_options(const TrainConfig& asked, const RunPlan& plan) {
  if (!asked.resume.empty()) return {};
  return Notes(asked, plan).take();
}

}  // namespace cllm
