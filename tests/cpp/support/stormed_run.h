// These are the runs that storms kill: what they train, and on what.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "cllm/trainer.h"
#include "example_set.h"
#include "faulty_files.h"
#include "small_run.h"
#include "temporary_folder.h"

namespace cllm {

enum class Stormed {
  kText,      ///< a model, from random weights, on a text
  kExamples,  ///< all weights of a model, on packed examples of answers
  kAdapters,  ///< adapters beside a model that is kept in bf16, on the same
};

class StormedRun {
 public:
  static constexpr std::int64_t kSteps = 10;

  /// Writes the data below `root`, and the model to start from, if there is one.
  StormedRun(Stormed what, const TemporaryFolder& root) : what_(what) {
    if (what == Stormed::kText) {
      std::string text;
      for (int i = 0; i < 600; ++i) text += "line " + std::to_string(i * i % 977) + "\n";
      data_ = root.file("data.txt", text);
      return;
    }
    ExampleSet set;
    set.train = ExampleSet::some(60, 14, 1);
    set.validation = ExampleSet::some(12, 14, 5);
    data_ = root / "set";
    set.write(data_);
    // This process must not have had threads when it forks.
    EXPECT_EQ(crash_in_child({},
                             [&] {
                               TrainConfig c = small_run(data_, root / "base");
                               c.steps = 1;
                               TrainObserver quiet;
                               Trainer(c).run(quiet);
                             }),
              0);
    base_ = root / "base/final";
  }

  const std::string& data() const { return data_; }
  const char* weights_file() const {
    return what_ == Stormed::kAdapters ? "/final/adapter_model.safetensors"
                                       : "/final/model.safetensors";
  }

  TrainConfig config(const std::string& folder, int workers) const {
    TrainConfig c = small_run(data_, folder);
    c.init = base_;
    if (what_ == Stormed::kAdapters) {
      c.lora = true;
      c.lora_rank = 4;
      c.lora_dropout = 0.1;
      c.base_dtype = "bf16";
    }
    c.batch = 5;
    c.steps = kSteps;
    c.save_every = 2;
    c.eval_every = 4;
    c.keep = 1;
    c.spheres_every = 3;
    c.threads = 0;
    c.workers = std::to_string(workers);
    c.gemm = "native";
    return c;
  }

 private:
  const Stormed what_;
  std::string data_, base_;
};

}  // namespace cllm
