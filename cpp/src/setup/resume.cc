#include "setup/resume.h"

#include <algorithm>

#include "base/files.h"
#include "base/folders.h"
#include "base/refuse.h"
#include "checkpoint/checkpoint_set.h"
#include "checkpoint/manifest.h"
#include "cllm/error.h"
#include "cllm/memory_data.h"
#include "cllm/options.h"
#include "cllm/wording.h"
#include "data/data_files.h"

namespace cllm {
namespace {

constexpr const char* kConfigName = "config.toml";
constexpr const char* kStateName = "trainer_state.json";

/// Says how another checkpoint is named.
std::string other_checkpoint() {
  return "name another one, such as " + option_word("resume", "RUN/checkpoints/step-00000500");
}

/// Returns the run folder in which a checkpoint lies, "" when it lies in none.
std::string run_of(const std::string& checkpoint) {
  const std::string place = absolute_path(checkpoint), parent = parent_folder(place);
  std::string run;
  if (file_name(parent) == "checkpoints") run = parent_folder(parent);
  if (file_name(place) == "final") run = parent;
  return !run.empty() && is_there(run + "/" + kConfigName) ? run : "";
}

std::string without_slashes(std::string path) {
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  return path;
}

/// Takes the folder if every byte of it is as its manifest says.
ResumePoint checked(const std::string& run, const std::string& checkpoint) {
  if (!verify_folder(checkpoint)) {
    refuse("this checkpoint has no manifest", "no " + std::string(kManifestName), "one", checkpoint,
           std::string("it may be incomplete; ") + other_checkpoint());
  }
  ResumePoint point;
  point.run = run;
  point.checkpoint = checkpoint;
  point.state = read_trainer_state(checkpoint);
  return point;
}

ResumePoint newest(const std::string& run) {
  std::vector<UnusableCheckpoint> unusable;
  const std::vector<FoundCheckpoint> found = find_checkpoints(run, &unusable);
  std::vector<std::string> damaged;
  for (const FoundCheckpoint& each : found) {
    try {
      ResumePoint point = checked(run, each.folder);
      point.newest = found.front().step;
      for (const std::string& said : damaged) {
        point.notes.push_back("a newer checkpoint cannot be used, going on from step " +
                              std::to_string(point.state.step) + ": " + said);
      }
      return point;
    } catch (const Error& error) {
      damaged.push_back(error.what());
    }
  }
  if (!damaged.empty()) {
    refuse("none of the checkpoints can be used", damaged.front(), "one that is undamaged",
           option_word("resume", run),
           "a new run can start from another model with " + option_word("init"));
  }
  if (!unusable.empty()) {
    refuse("there are checkpoint folders, but none is complete",
           unusable.front().folder + ": " + unusable.front().why,
           "a folder with manifest.json and trainer_state.json", option_word("resume", run),
           "copy the whole run folder again, or start a new run");
  }
  ResumePoint point;
  point.run = run;
  point.notes.push_back("no checkpoint was completed: starting again from step 0");
  return point;
}

/// Says whether a resumed `run` may have another value: the answer does not depend on it, or it
/// says where the same bytes are now. A run that has no validation file trains on less of its data,
/// so that choice must stay.
bool may_change(const TrainConfig& run, const Option& option, const std::string& was,
                const std::string& is) {
  if (option.name == "val") return was.empty() == is.empty();
  if (option.name == "init" && run.lora) return true;  // the weights beside its adapters
  return option.on_resume || option.name == "out" || option.name == "resume" ||
         option.name == "data";
}

/// Keeps the option that was decided, of two that exclude each other.
void drop_undecided(TrainConfig& config) {
  if (config.steps > 0) config.epochs = 0;
  if (config.threads > 0) config.workers = "auto";
}

/// Says whether an option is asked for with another value than the run has. What was "auto" at the
/// start has been decided, so "auto" asks for no change.
bool asks_for_change(const TrainConfig& asked, const TrainConfig& run, const Option& option) {
  if (option.name == "resume" || option.name == "out" || !is_given(asked, option)) return false;
  const std::string now = option_text(asked, option);
  const bool decided = !option.on_resume || option.name == "steps";
  return now != option_text(run, option) && !(now == "auto" && decided);
}

/// Returns what the run is: the settings in its checkpoint, or in its folder when it has no
/// checkpoint.
TrainConfig recorded(const ResumePoint& point) {
  TrainConfig config;
  const std::string file = point.run + "/" + kConfigName;
  if (point.checkpoint.empty()) {
    load_toml(config, file);
    return config;
  }
  apply_toml(config, point.state.config, point.checkpoint + "/" + kStateName + ": config");
  if (point.run.empty() || !is_there(file)) return config;
  TrainConfig edited;
  load_toml(edited, file);
  for (const Option& option : options()) {
    const std::string was = option_text(config, option), is = option_text(edited, option);
    // A resumed run has the steps that the epochs of its checkpoint came to.
    if (was == is || (option.name == "epochs" && edited.epochs == 0 && edited.steps > 0)) continue;
    if (!may_change(config, option, was, is)) {
      refuse(
          "this was changed after the run had started, and its answer depends on it",
          option.key + " = " + is, was, file,
          "write the old value there, or start a new run with " + option_word("init", point.run));
    }
    set_option(config, option.name, is, file);
  }
  return config;
}

void check_steps(const TrainConfig& config, const ResumePoint& point) {
  if (point.checkpoint.empty() || config.steps == 0 || config.steps >= point.state.step) return;
  refuse(
      "the run has already made more steps", std::to_string(config.steps),
      "at least " + std::to_string(point.state.step), option_word("steps"),
      "an earlier checkpoint can be resumed: " + option_word("resume", "RUN/checkpoints/step-N"));
}

/// Returns the file as it is named or, when called from another folder, as it lay when the
/// checkpoint was written.
std::string found_again(const char* option, const TrainConfig& config, const std::string& named,
                        const std::string& before) {
  if (named.empty() || data_is_there(named) || find_memory_data(config, named)) return named;
  if (MemoryData::is_name(named)) {
    refuse("the run was trained on data in memory", "no data", named, option_word(option),
           "give the same data again");
  }
  if (!before.empty() && data_is_there(before)) return before;
  refuse("no such file", named, "the bytes that the run was trained on, wherever they are",
         option_word(option), "say where they are now: " + option_word(option, "PATH"));
}

/// Returns the folder of the weights beside which a run trains adapters: where it is said to be
/// now, where it was, or as it was named at the start.
std::string found_base(const TrainConfig& asked, const TrainConfig& run,
                       const TrainerState& state) {
  if (is_given(asked, *find_option("init"))) return asked.init;
  const std::string before = state.base ? state.base->path : run.init;
  for (const std::string& place : {before, run.init}) {
    if (is_there(place)) return place;
  }
  refuse("the model is gone beside which the run trains its adapters", before,
         "the same weights, wherever they are", option_word("init"),
         "say where they are now: " + option_word("init", "FOLDER"));
}

std::string place_of(const TrainConfig& asked, const ResumePoint& point) {
  const auto same = [](const std::string& a, const std::string& b) {
    return !a.empty() && !b.empty() && absolute_path(a) == absolute_path(b);
  };
  const bool whole_run = same(asked.resume, point.run);
  if (asked.out.empty()) {
    if (point.run.empty()) {
      refuse("this checkpoint belongs to no run folder", asked.resume, "a folder for the run",
             option_word("out"),
             option_word("resume", asked.resume) + " with " + option_word("out", "RUN"));
    }
    return whole_run ? asked.resume : point.run;
  }
  if (whole_run && !same(asked.out, point.run)) {
    refuse("a resumed run stays in its folder", asked.out, point.run, option_word("out"),
           "one of its checkpoints can go on elsewhere: " +
               option_word("resume", "RUN/checkpoints/step-N") + " with " +
               option_word("out", "NEW"));
  }
  return asked.out;
}

}  // namespace

ResumePoint find_resume_point(const std::string& resume) {
  const std::string folder = without_slashes(resume);
  if (folder.empty()) refuse("no run to resume", "\"\"", "a run folder", option_word("resume"));
  if (is_there(folder + "/" + kStateName)) {
    ResumePoint point = checked(run_of(folder), folder);
    point.newest = point.state.step;
    for (const FoundCheckpoint& each : find_checkpoints(point.run.empty() ? folder : point.run)) {
      point.newest = std::max(point.newest, each.step);
    }
    return point;
  }
  if (!is_there(folder + "/" + kConfigName) && !is_there(folder + "/checkpoints")) {
    const bool exists = is_there(folder);
    refuse(exists ? "not a run folder" : "no such folder", folder,
           exists ? "a folder with config.toml, or a checkpoint" : "the folder of a run",
           option_word("resume"),
           exists ? "" : "a run folder is what " + option_word("out") + " named");
  }
  ResumePoint point = newest(folder);
  if (point.checkpoint.empty() && !is_there(folder + "/" + kConfigName)) {
    refuse("not a run folder", folder, "a folder with config.toml", option_word("resume"));
  }
  return point;
}

TrainConfig resumed_config(const TrainConfig& asked, const ResumePoint& point) {
  const TrainConfig run = recorded(point);
  TrainConfig config = run;
  drop_undecided(config);
  // Of two options that exclude each other, the one that is asked for now is used.
  const TrainConfig defaults;
  const auto given = [&](const char* name) { return is_given(asked, *find_option(name)); };
  if (given("workers") && !given("threads")) config.threads = defaults.threads;
  if (given("threads") && !given("workers")) config.workers = defaults.workers;
  for (const Option& option : options()) {
    const bool counts_threads = option.name == "workers" || option.name == "threads";
    if (!asks_for_change(asked, run, option) && !(counts_threads && is_given(asked, option))) {
      continue;
    }
    const std::string was = option_text(run, option), is = option_text(asked, option);
    if (!may_change(run, option, was, is)) {
      refuse("a resumed run cannot change what its answer depends on", is,
             was.empty() ? "none" : was, option_word(option.name),
             option.name == "epochs"
                 ? "to continue it, say " + option_word("steps", "N")
                 : "a new run can start from its weights with " + option_word("init"));
    }
    set_option(config, option.name, is);
  }
  config.in_memory = asked.in_memory;
  config.data = found_again("data", config, config.data, point.state.data_path);
  config.validation = found_again("val", config, config.validation, point.state.validation_path);
  if (config.lora && !point.checkpoint.empty()) {
    config.init = found_base(asked, config, point.state);
  }
  check_steps(config, point);
  config.out = place_of(asked, point);
  config.overwrite = asked.overwrite;
  config.resume = asked.resume;
  config.given = asked.given;
  config.aliases = asked.aliases;
  return config;
}

}  // namespace cllm
