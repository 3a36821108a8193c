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
  } else if (!base_ || !plan.session.lora->modules_to_save.empty()) {
    read_init();  // frozen weights stay as they were read
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

void TrainerCore::read_base(const TrainerState& saved) {
  read_init();
  if (saved.base && saved.base->checksum == base_->checksum) return;
  refuse("this is not the model beside which the run trained its adapters",
         base_->path + ", CRC-32C " + base_->checksum,
         saved.base ? saved.base->checksum + ", as " + saved.base->path + " had" : "its name",
         option_word("resume", plan.config.resume),
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
