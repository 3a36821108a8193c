// trainer_state.json of any text: what is accepted comes back from what is written of it.
#include "checkpoint/trainer_state.h"
#include "fuzz_input.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace cllm;
  TrainerState state;
  if (!fuzz_attempt([&] { state = parse_trainer_state(fuzz_text(data, size), "state"); })) return 0;
  fuzz_require(state.step >= 0 && state.tokens >= 0 && state.optimizer_step >= 0, "counts");
  const std::string written = trainer_state_json(state);
  fuzz_require(trainer_state_json(parse_trainer_state(written, "state")) == written,
               "the same state");
  return 0;
}
