// Files of runs and model folders are changed at random. A separate process with little memory must
// then refuse them or load what was saved, soon, and never die.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <ctime>
#include <set>
#include <vector>

#include "base/sha256.h"
#include "checkpoint/manifest.h"
#include "cllm/error.h"
#include "cllm/model.h"
#include "cllm/run_config.h"
#include "cllm/trainer.h"
#include "limited_child.h"
#include "mutation.h"
#include "temporary_folder.h"

namespace cllm {

class MutationStorm {
 public:
  MutationStorm() {
    std::string text;
    for (int i = 0; i < 400; ++i) text += static_cast<char>('a' + (i * i + i / 7) % 26);
    for (const char* name : {"mine", "other"}) {
      const bool other = name[0] == 'o';
      TrainConfig config;
      config.data = root_.file(std::string(name) + ".txt", other ? text + text : text);
      config.out = root_ / name;
      config.layers = other ? 2 : 1;
      config.heads = 2;
      config.width = 8;
      config.sequence = 8;
      config.batch = 2;
      config.steps = 4;
      config.save_every = 2;
      config.workers = "1";
      config.seed = other ? 5 : 4;
      Trainer trainer(config);
      TrainObserver observer;
      trainer.run(observer);
    }
    const std::filesystem::path run = root_ / "mine";
    for (const auto& entry : std::filesystem::recursive_directory_iterator(run)) {
      // The link would lead to the same files again.
      if (entry.is_regular_file()) files_.push_back(entry.path().lexically_relative(run));
    }
    std::sort(files_.begin(), files_.end());
    for (const std::filesystem::path& folder : {run / "final", run / "checkpoints/step-00000002"}) {
      whole_.insert(state_of(folder.string()));
    }
  }

  /// Makes mutations number first to first + count - 1 and reports what went wrong by its number.
  void run(std::uint64_t first, std::uint64_t count) {
    constexpr std::uint64_t kBatch = 50;
    for (std::uint64_t done = 0; done < count; done += kBatch) {
      run_batch(first + done, std::min(kBatch, count - done));
      if (testing::Test::HasFailure()) return;
    }
  }

  std::uint64_t accepted() const { return accepted_; }
  std::uint64_t refused() const { return refused_; }

 private:
  /// Returns what loading a model gives: its weights and where its texts end.
  static std::string state_of(const std::string& folder) {
    Model model = Model::load(folder, 1);
    Sha256 hash;
    for (const Tensor& tensor : model.parameters()) {
      std::size_t size = sizeof(float);
      for (const std::int64_t n : tensor.shape) size *= static_cast<std::size_t>(n);
      hash.update(tensor.data.get(), size);
    }
    std::string text = hex(hash.finish());
    for (const std::int32_t token : model.end_tokens()) text += " " + std::to_string(token);
    return text;
  }

  struct Tally {
    std::uint64_t accepted = 0, refused = 0;
  };

  void run_batch(std::uint64_t first, std::uint64_t count) {
    const std::string said = say_in_child([&](const SayLine& say) {
      Tally tally;
      for (std::uint64_t number = first; number < first + count; ++number) {
        say("@" + std::to_string(number));
        const std::string wrong = one(number, tally);
        if (!wrong.empty()) say("!" + wrong);
      }
      say("=" + std::to_string(tally.accepted) + " " + std::to_string(tally.refused));
    });
    EXPECT_EQ(said.find('!'), std::string::npos) << said;
    const std::size_t end = said.rfind('=');
    ASSERT_NE(end, std::string::npos) << "died after number " << said.substr(said.rfind('@') + 1);
    accepted_ += std::stoull(said.substr(end + 1));
    refused_ += std::stoull(said.substr(said.find(' ', end)));
  }

  /// Returns what is wrong with mutation `number`; "" when nothing is.
  std::string one(std::uint64_t number, Tally& tally) const {
    namespace fs = std::filesystem;
    Draws draws(number);
    const fs::path run = root_ / ("run-" + std::to_string(getpid()));
    fs::remove_all(run);
    fs::copy(root_ / "mine", run, fs::copy_options::recursive | fs::copy_options::copy_symlinks);
    // Some copies are careless: no manifest vouches for the files, or one for the changed files.
    const bool loose = draws.below(4) == 0;
    const std::string name = draws.one_of(files_);
    std::string bytes = bytes_of(run / name);
    const bool gone = draws.below(20) == 0;
    if (!gone) mutate(bytes, bytes_of(fs::path(root_ / "other") / name), draws);
    if (gone) {
      fs::remove(run / name);
    } else {
      put_bytes(run / name, bytes);
    }
    const fs::path folder = (run / name).parent_path();
    if (loose && fs::path(name).filename() != kManifestName) fs::remove(folder / kManifestName);
    const std::string where = std::to_string(number) + ": " + name + (loose ? ", loose: " : ": ");

    alarm(60);
    const std::clock_t begin = std::clock();
    std::string wrong;
    if (fs::exists(folder / "model.safetensors") || gone) {
      wrong = attempt(tally, [&] {
        const std::string found = state_of(folder.string());
        return loose || whole_.count(found) > 0 ? "" : "another model is loaded";
      });
    }
    if (wrong.empty()) {
      wrong = attempt(tally, [&] {
        const GivenOptions given{"", {{"resume", run.string()}}};
        TrainConfig config = run_config(given);
        Trainer trainer(config);
        const std::int64_t step = trainer.steps_done();
        if (loose) return "";
        return step == 0 || hash_at(step) == trainer.weights_hash() ? "" : "other weights go on";
      });
    }
    const double seconds = static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC;
    alarm(0);
    if (wrong.empty() && seconds > 5) wrong = "took " + std::to_string(seconds) + " s";
    fs::remove_all(run);
    return wrong.empty() ? "" : where + wrong;
  }

  std::string hash_at(std::int64_t step) const {
    const std::filesystem::path run = root_ / "mine";
    const std::filesystem::path folder =
        step == 4 ? run / "final" : run / "checkpoints/step-00000002";
    return hex(sha256(bytes_of(folder / "model.safetensors")));
  }

  /// Refusals are InputErrors of one short line; everything else that is thrown is wrong.
  template <class Action>
  static std::string attempt(Tally& tally, Action action) {
    try {
      const std::string wrong = action();
      ++tally.accepted;
      return wrong;
    } catch (const InputError& error) {
      ++tally.refused;
      const std::string text = error.what();
      if (text.size() > 2000 || text.find('\n') != std::string::npos) return "a long message";
      return "";
    } catch (const std::exception& error) {
      return std::string("not a refusal: ") + error.what();
    }
  }

  TemporaryFolder root_;
  std::vector<std::string> files_;
  std::set<std::string> whole_;
  std::uint64_t accepted_ = 0, refused_ = 0;
};

}  // namespace cllm
