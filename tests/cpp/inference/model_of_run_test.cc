// These tests check which model a run folder stands for, between writes and during them.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <thread>
#include <vector>

#include "checkpoint/checkpoint_folder.h"
#include "checkpoint/checkpoint_set.h"
#include "cllm/error.h"
#include "cllm/model.h"
#include "has.h"
#include "moments.h"
#include "sanitized.h"
#include "temporary_folder.h"
#include "watchdog.h"

namespace cllm {
namespace {

class ModelOfRun : public testing::Test {
 protected:
  /// A checkpoint whose every weight is its step.
  void save(const std::string& folder, std::int64_t step) const {
    const std::vector<float> values(static_cast<std::size_t>(layout_.flat_size()),
                                    static_cast<float>(step));
    TrainerState state;
    state.step = step;
    state.model = config_;
    state.data = {1, "of the whole", "", ""};
    write_checkpoint(folder, state, layout_, values.data(),
                     both_moments(values.data(), values.data()));
  }
  void save_step(std::int64_t step) const {
    save(checkpoints_ + "/" + checkpoint_name(step), step);
    update_latest_link(checkpoints_, checkpoint_name(step));
  }
  /// The step that all weights of the model name; -1 when they differ.
  static std::int64_t step_of(Model model) {
    std::int64_t step = -2;
    for (const Tensor& tensor : model.parameters()) {
      const auto value = static_cast<std::int64_t>(*tensor.data);
      if (step != -2 && value != step) return -1;
      step = value;
    }
    return step;
  }
  std::int64_t loaded() const { return step_of(Model::load(run_, 1)); }

  const TemporaryFolder root_{memory_folder()};
  const std::string run_ = root_ / "run";
  const std::string checkpoints_ = run_ + "/checkpoints";
  const ModelConfig config_{1, 1, 4, 4, 257};
  const ParameterLayout layout_{config_};
};

TEST_F(ModelOfRun, TheNewestByItsStepIsLoaded) {
  save(run_ + "/final", 8);
  EXPECT_EQ(loaded(), 8);
  save_step(8);
  EXPECT_EQ(loaded(), 8);
  EXPECT_EQ(Model::load(run_, 1).folder(), run_ + "/final") << "of equals the final one";
  save_step(9);
  EXPECT_EQ(loaded(), 9) << "the run went on";
  save(run_ + "/final", 12);
  EXPECT_EQ(loaded(), 12);
}

TEST_F(ModelOfRun, LatestNeedNotBeALink) {
  save_step(3);
  std::filesystem::remove(checkpoints_ + "/latest");
  EXPECT_EQ(loaded(), 3);
  EXPECT_EQ(Model::load(run_, 1).folder(), checkpoints_ + "/step-00000003");
}

constexpr std::chrono::milliseconds kPause(kSanitized ? 200 : 5);

TEST_F(ModelOfRun, LoadsFromARunThatIsBeingWritten) {
  const Watchdog watchdog("loading from a run that goes on", std::chrono::seconds(100));
  save_step(1);
  std::atomic<bool> over{false};
  std::atomic<std::int64_t> saved{1};
  std::thread trainer([&] {
    for (std::int64_t step = 2; !over; ++step) {
      if (step % 5 == 0) {
        save(run_ + "/final", step);
      } else {
        save_step(step);
      }
      prune_checkpoints(checkpoints_, 2, {}, step);
      saved = step;
      // A reader must be able to get through in the end.
      if (step % 5 == 0) std::this_thread::sleep_for(kPause);
    }
  });
  std::int64_t last = 0;
  std::string failed;
  for (int reads = 0; failed.empty() && (reads < 60 || saved < 60); ++reads) {
    try {
      const std::int64_t step = loaded();
      EXPECT_GE(step, last) << "an older one, or parts of two";
      last = step;
    } catch (const Error& error) {
      failed = error.what();
    }
  }
  over = true;
  trainer.join();
  EXPECT_EQ(failed, "");
}

}  // namespace
}  // namespace cllm
