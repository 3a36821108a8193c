// The plans bindings show Python the tree of spheres and the pieces of a step.
#include "bindings.h"
#include "cllm/lattice.h"
#include "cllm/step_plan.h"
#include "cllm/tree_plan.h"
#include "value_class.h"

namespace cllm::python {
namespace {

int levels(const TreePlan& plan) { return plan.spheres.back().level + 1; }

/// Returns what the tree is made from.
py::tuple shape_of(const TreePlan& plan) {
  return py::make_tuple(plan.spheres.size(), plan.symmetry_order);
}

std::string repr_of(const TreePlan& plan) {
  return "<cllm.TreePlan: " + std::to_string(plan.spheres.size()) + " spheres, " +
         std::to_string(plan.workers.size()) + " workers, " + std::to_string(levels(plan)) +
         " levels>";
}

std::vector<int> children_of(const SpherePlan& s) {
  std::vector<int> ids;
  for (int c = 0; c < s.children; ++c) ids.push_back(s.first_child + c);
  return ids;
}

void set_children(SpherePlan& s, const py::handle& value) {
  const auto ids = value.cast<std::vector<int>>();
  s.children = static_cast<int>(ids.size());
  if (!ids.empty()) s.first_child = ids.front();
}

void set_role(SpherePlan& s, const py::handle& value) {
  const auto wanted = value.cast<std::string>();
  for (const SphereRole role :
       {SphereRole::kRoot, SphereRole::kControl, SphereRole::kWorker, SphereRole::kRootWorker}) {
    if (wanted == role_name(role)) s.role = role;
  }
}

void register_tree_plan(py::module_& m) {
  ValueClass<SpherePlan>(m, "SpherePlan", "One sphere of a tree; ids count level by level.")
      .field("id", &SpherePlan::id, "Number in the tree.")
      .field("level", &SpherePlan::level, "0 for the root.")
      .field("parent", &SpherePlan::parent, "Id; -1 for the root.")
      .field(
          "role", [](const SpherePlan& s) { return role_name(s.role); }, &set_role,
          "\"root\", \"control\", \"worker\" or \"root+worker\".")
      .field("children", &children_of, &set_children, "Ids.")
      .field("subtree", &SpherePlan::subtree,
             "Which of the root's children it descends from, from 0; -1 for the root.")
      .done();
  py::class_<TreePlan>(m, "TreePlan", "The tree that a number of threads makes.")
      .def_readonly("symmetry_order", &TreePlan::symmetry_order,
                    "Most children of a sphere; 2 where it is 1.")
      .def_readonly("spheres", &TreePlan::spheres, "All of them, by id.")
      .def_readonly("workers", &TreePlan::workers, "Ids of the leaves, from left to right.")
      .def_property_readonly("levels", &levels, "Levels of the tree, the root's included.")
      .def("__len__", [](const TreePlan& plan) { return plan.spheres.size(); })
      .def(
          "__eq__",
          [](const TreePlan& plan, const py::object& other) -> py::object {
            if (!py::isinstance<TreePlan>(other)) {
              return py::reinterpret_borrow<py::object>(Py_NotImplemented);
            }
            return py::bool_(shape_of(plan).equal(shape_of(other.cast<const TreePlan&>())));
          },
          py::arg("other"))
      .def("__hash__", [](const TreePlan& plan) { return py::hash(shape_of(plan)); })
      .def("__repr__", &repr_of)
      .def(py::pickle(&shape_of,
                      [](const py::tuple& shape) {
                        return plan_tree(shape[0].cast<std::int64_t>(), shape[1].cast<int>());
                      }))
      .def(
          "to_dict",
          [](const TreePlan& plan) {
            py::dict found;
            found["symmetry_order"] = plan.symmetry_order;
            found["spheres"] = plain_value(py::cast(plan.spheres));
            found["workers"] = plan.workers;
            return found;
          },
          "Returns the tree as dicts and lists.");
  m.def(
      "plan_tree", &plan_tree, py::arg("threads"), py::arg("symmetry_order") = 12,
      "Plans a tree of `threads` spheres, none of which has more children than `symmetry_order`,\n"
      "or than 2 where that is 1.");
  m.def("threads_for_workers", &threads_for_workers, py::arg("workers"),
        py::arg("symmetry_order") = 12,
        "Returns the fewest spheres whose tree has exactly `workers` workers.");
}

void register_step_plan(py::module_& m) {
  ValueClass<StepPlan>(m, "StepPlan", "What a step would be. Memory is in bytes.")
      .field("model", &StepPlan::model, "The shape of the model.")
      .field("parameters", &StepPlan::parameters, "Weights of the model.")
      .field("trained", &StepPlan::trained,
             "Numbers that a step changes: the weights, or those of adapters.")
      .field("batch", &StepPlan::batch, "Sequences in a step.")
      .field("sequence", &StepPlan::sequence, "Tokens in a sequence.")
      .field("shards", &StepPlan::shards, "Shards that the step is cut into: S.")
      .field("positions", &StepPlan::positions, "Gradient copies that it is spread over: K.")
      .field("largest_shard", &StepPlan::largest_shard, "Sequences in the largest shard.")
      .field("threads", &StepPlan::threads, "Spheres of the tree.")
      .field("workers", &StepPlan::workers, "Spheres that compute.")
      .field("active_workers", &StepPlan::active_workers,
             "Workers that compute on the cores that this process may use.")
      .field("parameter_memory", &StepPlan::parameter_memory, "Memory of the weights.")
      .field("moment_memory", &StepPlan::moment_memory, "Memory of the optimizer's moments.")
      .field("activation_memory", &StepPlan::activation_memory,
             "Memory of activations, gradients and packed weights.")
      .field("worker_memory", &StepPlan::worker_memory, "Memory of the workers.")
      .field("other_memory", &StepPlan::other_memory,
             "Memory of the program, its tables, batches, evaluation and, where it fits, the copy\n"
             "that checkpoints are written from.")
      .derived("memory", &StepPlan::memory, "All of it.")
      .done();
  m.def("plan_step", &plan_step, py::arg("config"),
        "Plans the step of a configuration without looking at any file: a `seq` of auto is 64\n"
        "tokens, a `vocab` of auto 257.");
}

void register_lattice(py::module_& m) {
  m.def(
      "kissing_neighbours",
      [](std::int64_t vocab, std::int64_t symmetry) {
        const std::vector<std::int32_t> all = kissing_neighbours(vocab, symmetry);
        return py::array_t<std::int32_t>({vocab, symmetry}, all.data());
      },
      py::arg("vocab"), py::arg("symmetry"),
      "Returns the neighbours [vocab, symmetry] of every token, by direction.");
  m.def(
      "kissing_neighbours_of",
      [](std::int64_t token, std::int64_t vocab, std::int64_t symmetry) {
        const std::vector<std::int32_t> all = kissing_neighbours_of(token, vocab, symmetry);
        return py::array_t<std::int32_t>(symmetry, all.data());
      },
      py::arg("token"), py::arg("vocab"), py::arg("symmetry"),
      "Returns those [symmetry] of one token.");
}

}  // namespace

void register_plans(py::module_& m) {
  register_tree_plan(m);
  register_step_plan(m);
  register_lattice(m);
}

}  // namespace cllm::python
