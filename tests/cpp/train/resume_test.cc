// A run is not resumed with a model that its configuration does not describe.
#include <gtest/gtest.h>

#include <vector>

#include "checkpoint/checkpoint_folder.h"
#include "cllm/error.h"
#include "cllm/trainer.h"
#include "has.h"
#include "moments.h"
#include "small_run.h"
#include "temporary_folder.h"
#include "watchdog.h"

namespace cllm {
namespace {

TEST(Resume, RefusesAModelOfAnotherSymmetry) {
  const Watchdog watchdog("a resumed run", std::chrono::seconds(120));
  const TemporaryFolder folder;
  std::string text;
  for (int i = 0; i < 90; ++i) text += "What sits on rings of twelve stays there; ";
  TrainConfig config = small_run(folder.file("data.txt", text), folder / "run");
  config.steps = 2;
  TrainObserver quiet;
  Trainer(config).run(quiet);

  const std::string final = folder / "run/final";
  TrainerState state = read_trainer_state(final);
  const ParameterLayout layout(state.model);
  std::vector<float> weights(static_cast<std::size_t>(layout.flat_size()));
  std::vector<float> first = weights, second = weights;
  read_checkpoint(final, layout, weights.data(), both_moments(first.data(), second.data()));
  const auto complaint = [&](const char* name) {
    write_checkpoint(folder / name, state, layout, weights.data(),
                     both_moments<const float>(first.data(), second.data()));
    TrainConfig again;
    again.resume = folder / name;
    again.out = folder / "again";
    return message_of<InputError>([&] { Trainer trainer(again); });
  };
  EXPECT_EQ(complaint("same"), "");
  state.model.symmetry_order = 6;
  const std::string message = complaint("other");
  EXPECT_TRUE(has(message, "another symmetry than its configuration: got 6, expected 12"))
      << message;
  EXPECT_TRUE(has(message, "--resume")) << message;
}

}  // namespace
}  // namespace cllm
