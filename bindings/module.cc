// The extension module cllm._cllm has thin classes over the public headers, and nothing else.
#include "bindings.h"

PYBIND11_MODULE(_cllm, m) {
  using namespace cllm::python;
  m.doc() = "The engine of cllm. Import cllm instead.";
  m.attr("__version__") = CLLM_VERSION;
  register_errors(m);
  register_options(m);
  register_train_config(m);
  register_trainer_config(m);
  register_memory_data(m);
  register_model_config(m);
  register_plans(m);
  register_reports(m);
  register_model(m);
  register_trainer(m);
  register_stop_signals(m);
  register_bench(m);
  register_token_files(m);
  register_calls(m);
}
