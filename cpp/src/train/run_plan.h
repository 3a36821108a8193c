// From what the user asked for to what will be done: data opened, every "auto" decided, all of it
// checked before anything is written.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "checkpoint/carried_files.h"
#include "cllm/train_config.h"
#include "data/split.h"
#include "engine/session.h"
#include "train/resume.h"

namespace cllm {

struct RunPlan {
  TrainConfig config;                 ///< every "auto" decided
  std::optional<ResumePoint> resume;  ///< where a resumed run goes on
  SessionConfig session;
  bool byte_tokens = true;
  std::string init_folder;              ///< the model folder that --init means; "": new weights
  ExtraFiles carried;                   ///< files that its checkpoints keep of that folder
  std::unique_ptr<TokenSource> source;  ///< of the training tokens
  std::unique_ptr<TokenSource> validation_source;  ///< when it is a file of its own
  TokenRange train;
  TokenRange validation;           ///< empty: none
  std::vector<std::string> notes;  ///< what the user should know, once

  /// Whether the run goes on in the folder that it has been in.
  bool continues_in_place() const;
};

/// Throws InputError for everything that cannot be done, memory that is not there and a place for
/// the run that is taken included.
RunPlan plan_run(const TrainConfig& config);

/// What is about to happen, in a few lines: model, data, plan, tree, memory.
std::string describe(const RunPlan& plan);

/// What takes long before the first step, in one line; "" when nothing does.
std::string describe_preparation(const RunPlan& plan);

}  // namespace cllm
