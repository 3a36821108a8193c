// The plans bindings show Python the tree of spheres, the pieces of a step and the shape of a
// model.
#include "bindings.h"
#include "cllm/step_plan.h"
#include "cllm/tree_plan.h"

namespace cllm::python {
namespace {

int levels(const TreePlan& plan) { return plan.spheres.back().level + 1; }

std::string repr_of(const TreePlan& plan) {
  return "<cllm.TreePlan: " + std::to_string(plan.spheres.size()) + " spheres, " +
         std::to_string(plan.workers.size()) + " workers, " + std::to_string(levels(plan)) +
         " levels>";
}

void register_tree_plan(py::module_& m) {
  py::class_<SpherePlan>(m, "SpherePlan", "One sphere of a tree; ids count level by level.")
      .def_readonly("id", &SpherePlan::id)
      .def_readonly("level", &SpherePlan::level)
      .def_readonly("parent", &SpherePlan::parent, "-1 for the root.")
      .def_property_readonly(
          "role", [](const SpherePlan& s) { return role_name(s.role); },
          "\"root\", \"control\", \"worker\" or \"root+worker\".")
      .def_property_readonly(
          "children",
          [](const SpherePlan& s) {
            std::vector<int> ids;
            for (int c = 0; c < s.children; ++c) ids.push_back(s.first_child + c);
            return ids;
          },
          "Ids.")
      .def("__repr__", [](const SpherePlan& s) {
        return "<cllm.SpherePlan " + std::to_string(s.id) + ": " + role_name(s.role) + ">";
      });
  py::class_<TreePlan>(m, "TreePlan", "The tree that a number of threads makes.")
      .def_readonly("symmetry_order", &TreePlan::symmetry_order, "Most children of a sphere.")
      .def_readonly("spheres", &TreePlan::spheres, "All of them, by id.")
      .def_readonly("workers", &TreePlan::workers, "Ids of the leaves, from left to right.")
      .def_property_readonly("levels", &levels)
      .def("__len__", [](const TreePlan& plan) { return plan.spheres.size(); })
      .def("__repr__", &repr_of);
  m.def(
      "plan_tree", &plan_tree, py::arg("threads"), py::arg("symmetry_order") = 12,
      "Plans a tree of `threads` spheres, none of which has more than `symmetry_order` children.");
  m.def("threads_for_workers", &threads_for_workers, py::arg("workers"),
        py::arg("symmetry_order") = 12,
        "The fewest spheres whose tree has exactly `workers` workers.");
}

void register_model_config(py::module_& m) {
  py::class_<ModelConfig>(m, "ModelConfig", "The shape of a GPT-2 model.")
      .def(py::init([](std::int64_t layers, std::int64_t heads, std::int64_t dim, std::int64_t seq,
                       std::int64_t vocab, bool bias, int symmetry, double embd_pdrop,
                       double attn_pdrop, double resid_pdrop) {
             ModelConfig c{layers, heads, dim,      seq,
                           vocab,  bias,  symmetry, {embd_pdrop, attn_pdrop, resid_pdrop}};
             check(c);
             return c;
           }),
           py::kw_only(), py::arg("layers") = 4, py::arg("heads") = 4, py::arg("dim") = 128,
           py::arg("seq") = 64, py::arg("vocab") = 257, py::arg("bias") = true,
           py::arg("symmetry") = 12, py::arg("embd_pdrop") = 0.0, py::arg("attn_pdrop") = 0.0,
           py::arg("resid_pdrop") = 0.0)
      .def_readonly("layers", &ModelConfig::layers, "L, n_layer.")
      .def_readonly("heads", &ModelConfig::heads, "H, n_head.")
      .def_readonly("dim", &ModelConfig::width, "C, n_embd.")
      .def_readonly("seq", &ModelConfig::context, "T, n_positions: the longest sequence.")
      .def_readonly("vocab", &ModelConfig::vocabulary, "V', vocab_size.")
      .def_readonly("bias", &ModelConfig::bias, "False: biases are zero and stay so.")
      .def_readonly("symmetry", &ModelConfig::symmetry_order, "V of the sphere structure.")
      .def_property_readonly(
          "embd_pdrop", [](const ModelConfig& c) { return c.dropout.embedding; },
          "Part of the embedding that training drops.")
      .def_property_readonly(
          "attn_pdrop", [](const ModelConfig& c) { return c.dropout.attention; },
          "Part of attention's weights.")
      .def_property_readonly(
          "resid_pdrop", [](const ModelConfig& c) { return c.dropout.residual; },
          "Part of what attention and the hidden layer add.")
      .def(
          "__eq__",
          [](const ModelConfig& a, const py::object& other) -> py::object {
            if (!py::isinstance<ModelConfig>(other)) {
              return py::reinterpret_borrow<py::object>(Py_NotImplemented);
            }
            return py::bool_(a == other.cast<const ModelConfig&>());
          },
          py::arg("other"))
      .def("__repr__",
           [](const ModelConfig& c) {
             const auto text = [](const char* key, std::int64_t value) {
               return key + std::to_string(value);
             };
             const auto rate = [](const char* key, double value) {
               return value > 0 ? key + py::cast<std::string>(py::repr(py::float_(value))) : "";
             };
             return "ModelConfig(" + text("layers=", c.layers) + text(", heads=", c.heads) +
                    text(", dim=", c.width) + text(", seq=", c.context) +
                    text(", vocab=", c.vocabulary) + (c.bias ? "" : ", bias=False") +
                    (c.symmetry_order == 12 ? "" : text(", symmetry=", c.symmetry_order)) +
                    rate(", embd_pdrop=", c.dropout.embedding) +
                    rate(", attn_pdrop=", c.dropout.attention) +
                    rate(", resid_pdrop=", c.dropout.residual) + ")";
           })
      .attr("__hash__") = py::none();
}

}  // namespace

void register_plans(py::module_& m) {
  register_tree_plan(m);
  register_model_config(m);
  py::class_<StepPlan>(m, "StepPlan", "What a step would be. Memory in bytes.")
      .def_readonly("model", &StepPlan::model)
      .def_readonly("parameters", &StepPlan::parameters)
      .def_readonly("batch", &StepPlan::batch, "Sequences in a step.")
      .def_readonly("sequence", &StepPlan::sequence, "Tokens in a sequence.")
      .def_readonly("shards", &StepPlan::shards, "S.")
      .def_readonly("positions", &StepPlan::positions, "K.")
      .def_readonly("largest_shard", &StepPlan::largest_shard, "Sequences.")
      .def_readonly("threads", &StepPlan::threads, "Spheres.")
      .def_readonly("workers", &StepPlan::workers)
      .def_readonly("active_workers", &StepPlan::active_workers,
                    "On the cores that this process may use.")
      .def_readonly("parameter_memory", &StepPlan::parameter_memory)
      .def_readonly("moment_memory", &StepPlan::moment_memory)
      .def_readonly("activation_memory", &StepPlan::activation_memory,
                    "With the gradients and packed weights.")
      .def_readonly("worker_memory", &StepPlan::worker_memory)
      .def_readonly(
          "other_memory", &StepPlan::other_memory,
          "The program, its tables, batches, evaluation and, where it fits, the copy that\n"
          "checkpoints are written from.")
      .def_property_readonly("memory", &StepPlan::memory, "All of it.")
      .def("__repr__", [](const StepPlan& p) {
        return "<cllm.StepPlan: " + std::to_string(p.batch) + " x " + std::to_string(p.sequence) +
               " tokens in " + std::to_string(p.shards) + " shards on " +
               std::to_string(p.positions) + " positions>";
      });
  m.def("plan_step", &plan_step, py::arg("config"),
        "The step of a configuration, without looking at any file: a `seq` of auto is 64 tokens, a "
        "`vocab` of auto 257.");
}

}  // namespace cllm::python
