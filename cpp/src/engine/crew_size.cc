#include "engine/crew_size.h"

#include <algorithm>
#include <cmath>
#include <iomanip>
#include <limits>
#include <sstream>
#include <string>

#include "base/words.h"
#include "cllm/wording.h"
#include "cpu/placement.h"

namespace cllm {

void set_crew(SessionConfig& session, const TrainConfig& config, const Allowance& allowance) {
  const int order = static_cast<int>(config.symmetry);
  session.allowance = allowance;
  session.tree.cores = allowance.most_workers();
  session.tree.cpus = allowance.ids();
  session.tree.activate_all = config.activate_all;
  session.threads = config.threads;
  const bool choose = config.threads == 0 && config.workers == "auto";
  if (config.threads == 0) {
    const std::int64_t workers = choose ? allowance.physical_workers() : std::stoll(config.workers);
    session.threads = threads_for_workers(workers, order);
  }
  // Where not all of them can compute at the same time, the user did not ask for a certain number.
  const bool too_many = count_workers(session.threads, order) > allowance.most_workers();
  session.tune_workers = !config.activate_all && (choose || too_many);
}

std::string describe_crew(const SessionConfig& session) {
  const Allowance& a = session.allowance;
  const TreePlan tree = plan_tree(session.threads, session.model.symmetry_order);
  const int cores = count_cores(a.cpus);
  std::ostringstream out;
  const auto workers = static_cast<std::int64_t>(tree.workers.size());
  const int active = session.active_workers();
  out << counted(workers, "worker");
  if (active < workers) out << ", " << active << " at a time,";
  out << " on " << counted(cores, "core");
  if (a.cpus.size() > static_cast<std::size_t>(cores)) {
    out << " (" << a.cpus.size() << " hyperthreads)";
  }
  if (std::isfinite(a.quota)) out << " with a quota of " << a.quota;
  out << ", " << plan_placement(a, tree, active).text;
  return out.str();
}

std::string describe_choice(const Session& session) {
  const WorkerTuner& tuner = session.tuner();
  const auto milliseconds = [](double seconds) {
    std::ostringstream out;
    out << std::setprecision(3) << 1e3 * seconds << " ms";
    return out.str();
  };
  double chosen = 0, fastest = std::numeric_limits<double>::infinity();
  std::string others;
  for (const WorkerTuner::Trial& trial : tuner.trials()) {
    fastest = std::min(fastest, trial.seconds);
    if (trial.workers == tuner.workers()) {
      chosen = trial.seconds;
      continue;
    }
    others += (others.empty() ? " (" : ", ") + counted(trial.workers, "worker") + ": " +
              milliseconds(trial.seconds);
  }
  std::string text = "using " + std::to_string(tuner.workers()) + " of " +
                     counted(session.tree().most_active_workers(), "worker");
  if (chosen > fastest) text += ", because more gain too little";
  if (chosen > 0) text += ": " + milliseconds(chosen) + " a step";
  return others.empty() ? text : text + others + ")";
}

std::string idle_cores_note(const SessionConfig& session) {
  const std::int64_t workers = count_workers(session.threads, session.model.symmetry_order);
  const std::int64_t cores = session.allowance.physical_workers();
  if (workers >= cores) return "";
  return std::to_string(workers) + " of " + counted(cores, "core") +
         (workers == 1 ? " computes; " : " compute; ") + option_word("workers", "auto") +
         " uses them all";
}

}  // namespace cllm
