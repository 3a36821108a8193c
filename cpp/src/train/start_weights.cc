// This part of a trainer core fills the state of the model: from a model, with new numbers, or from
// a checkpoint.
#include <algorithm>

#include "base/folders.h"
#include "base/refuse.h"
#include "checkpoint/adapter_folder.h"
#include "checkpoint/model_folder.h"
#include "checkpoint/model_weights.h"
#include "cllm/wording.h"
#include "model/adapters.h"
#include "model/initialize.h"
#include "train/optimizer_ranges.h"
#include "train/trainer_core.h"

namespace cllm {

void TrainerCore::start_weights() {
  ModelState& state = session.state();
  if (plan.config.init.empty()) {
    initialize(state.config, state.layout, static_cast<std::uint64_t>(plan.config.seed),
               state.parameters.data());
    state.keep_all();
  } else if (!base_) {
    read_init();
  } else {  // what is frozen stays as it was read
    read_trained_again();
  }
  if (state.layout.adapted()) start_adapters();
  state.start_lattice();
}

void TrainerCore::start_adapters() {
  ModelState& state = session.state();
  if (plan.config.lora_init.empty()) {
    return initialize_adapters(state.layout, static_cast<std::uint64_t>(plan.config.seed),
                               state.adapters.data());
  }
  if (plan.adapter_folder.empty()) {
    plan.adapter_folder = resolve_adapter_folder(plan.config.lora_init);
  }
  read_adapters(plan.adapter_folder, state.layout, state.adapters.data());
}

void TrainerCore::read_init() {
  ModelState& state = session.state();
  if (plan.init_folder.empty()) plan.init_folder = resolve_model_folder(plan.config.init);
  WeightsChecksum checksum;  // of what is read, however it is kept
  read_model_parameters(plan.init_folder, state.layout, state.parameters.data(),
                        [&](const TensorEntry& weight) {
                          checksum.add(weight, state.parameters.data());
                          state.keep(weight);
                        });
  if (state.layout.adapted()) base_ = BaseModel{absolute_path(plan.init_folder), checksum.text()};
}

void TrainerCore::read_trained_again() {
  ModelState& state = session.state();
  if (plan.session.lora->modules_to_save.empty()) return;
  AlignedBuffer<float> weights(state.parameters.size());
  WeightsChecksum checksum;
  read_model_parameters(
      plan.init_folder, state.layout, weights.data(), [&](const TensorEntry& weight) {
        float* const from = weights.data() + weight.offset;
        const std::int64_t at = state.layout.among_adapters(weight.offset);
        checksum.add(weight, weights.data());
        if (at != kAbsent) {
          std::copy_n(from, weight.size, state.adapters.data() + at);
        }
        give_pages_back(from, static_cast<std::size_t>(weight.size) * sizeof(float));
      });
  check_base({base_->path, checksum.text()}, base_);
}

void TrainerCore::read_base(const TrainerState& saved) {
  read_init();
  check_base(*base_, saved.base);
}

void TrainerCore::check_base(const BaseModel& now, const std::optional<BaseModel>& before) const {
  if (before && before->checksum == now.checksum) return;
  refuse("this is not the model beside which the run trained its adapters",
         now.path + ", CRC-32C " + now.checksum,
         before ? before->checksum + ", as " + before->path + " had" : "its name",
         plan.config.resume.empty() ? option_word("init", plan.config.init)
                                    : option_word("resume", plan.config.resume),
         option_word("init", "FOLDER") + " says where that model is now");
}

void TrainerCore::read_state(const std::string& checkpoint) {
  ModelState& state = session.state();
  const TrainerState saved = read_checkpoint(
      checkpoint, state.layout, state.trainables().data(),
      named_ranges(session.state_ranges(), state.state_pointers), state.embedding());
  steps_done = saved.step;
  state.updates = saved.optimizer_step;
  set_rate_scale(saved.rate_scale);
  set_rate(saved.rate);
}

void TrainerCore::restore(const std::string& checkpoint) {
  if (!checkpoint.empty()) return read_state(checkpoint);
  ModelState& state = session.state();
  for (AlignedBuffer<float>* range : state.ranges()) {
    std::fill_n(range->data(), range->size(), 0.0f);
  }
  start_weights();
  steps_done = 0;
  state.updates = 0;
  set_rate_scale(1);
  set_rate(std::nullopt);
}

}  // namespace cllm
