// check() tests what it can test in a configuration without looking at files.
#include "base/given_names.h"
#include "base/refuse.h"
#include "cllm/error.h"
#include "cllm/options.h"
#include "config/highest_rate.h"
#include "config/new_model.h"

namespace cllm {
namespace {

/// Reads each field back through set_option, because callers may set fields without it.
void check_each(const TrainConfig& config) {
  TrainConfig copy;
  for (const Option& option : options()) {
    set_option(copy, option.name, option_text(config, option), option_word(option.name));
  }
}

/// Returns a text such as "3 or 6": the divisors of width nearest to heads on either side.
std::string nearest_heads(std::int64_t width, std::int64_t heads) {
  std::int64_t below = heads < width ? heads : width;
  while (width % below != 0) --below;
  std::int64_t above = heads;
  while (above <= width && width % above != 0) ++above;
  if (above > width) return std::to_string(below);
  return std::to_string(below) + " or " + std::to_string(above);
}

/// Checks what adapters need, and that nothing is asked of them when there are none. A run that is
/// resumed knows whether it has some.
void check_adapters(const TrainConfig& c) {
  if (!c.lora && !c.resume.empty()) return;
  if (!c.lora) {
    for (const char* name : {"lora-init", "lora-rank", "lora-alpha", "rslora", "lora-dropout",
                             "lora-targets", "lora-modules-to-save", "base-dtype"}) {
      const Option& option = *find_option(name);
      const std::string value = option_text(c, option);
      if (value == option.default_text) continue;
      refuse("no adapters are trained", value, option_flag("lora") + " with it", option_word(name));
    }
    return;
  }
  if (c.init.empty() && c.resume.empty()) {
    refuse("adapters are trained beside a model that is there", "a new model",
           "a model folder as " + option_word("init"), option_word("lora"),
           option_word("init", "FOLDER"));
  }
  if (c.lattice) {
    refuse("tokens are not coupled beside adapters", "both", "one of them", option_word("lattice"));
  }
}

}  // namespace

void check(const TrainConfig& asked) {
  const GivenNames names(asked.aliases);
  check_each(asked);
  const TrainConfig c = with_preset(asked);
  const auto text = [](std::int64_t n) { return std::to_string(n); };
  if (c.resume.empty()) {
    if (c.data.empty()) {
      refuse("nothing to train on", "", "a text, token files, or a data set", option_word("data"),
             option_word("data", "FILE.txt"));
    }
  }
  if (c.out.empty() && c.resume.empty() && c.on_divergence == "rollback") {
    refuse("nothing to roll back to", "no run folder", "a folder for checkpoints",
           option_word("on-divergence"), option_word("out", "RUN"));
  }
  check_adapters(c);
  if (c.head_dim == 0 && c.width % c.heads != 0) {
    refuse("heads do not divide the width", text(c.heads), nearest_heads(c.width, c.heads),
           option_word("heads"), option_word("dim") + " is " + text(c.width));
  }
  if (c.kv_heads > 0 && c.heads % c.kv_heads != 0) {
    refuse("heads of keys do not divide the heads", text(c.kv_heads),
           nearest_heads(c.heads, c.kv_heads), option_word("kv-heads"),
           option_word("heads") + " is " + text(c.heads));
  }
  if (c.workers != "auto" && c.threads > 0) {
    refuse("workers and threads are both given", c.workers + " and " + text(c.threads),
           "one of them", option_word("threads"),
           "threads counts the whole tree, workers its leaves");
  }
  if (c.steps > 0 && c.epochs > 0) {
    refuse("steps and epochs are both given", text(c.steps) + " steps", "one of them",
           option_word("epochs"));
  }
  if (c.min_learning_rate > highest_rate(c)) {
    TrainConfig decided = c;
    decided.learning_rate = highest_rate(c);
    refuse("the lowest rate is above the highest", option_text(c, *find_option("min-lr")),
           "at most " + option_word("lr") + " = " + option_text(decided, *find_option("lr")),
           option_word("min-lr"));
  }
  if (c.positions > c.symmetry) {
    refuse("more positions than the symmetry has", text(c.positions), "at most " + text(c.symmetry),
           option_word("positions"), "or a larger " + option_word("symmetry"));
  }
  if (c.positions > c.batch * c.grad_accum) {
    refuse("more positions than sequences in a step", text(c.positions),
           "at most " + option_word("batch") + " * " + option_word("grad-accum") + " = " +
               text(c.batch * c.grad_accum),
           option_word("positions"));
  }
}

}  // namespace cllm
