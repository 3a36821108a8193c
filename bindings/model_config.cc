// A ModelConfig is a value in Python, whose fields are arguments too.
#include "cllm/model_config.h"

#include <cmath>
#include <optional>

#include "arguments.h"
#include "bindings.h"
#include "cllm/error.h"
#include "value_class.h"

namespace cllm::python {
namespace {

using Size = std::optional<std::int64_t>;

Family family_of(const std::string& name) {
  const std::optional<Family> family = family_named(name);
  if (family) return *family;
  throw InputError({"no such family of models", name, "gpt2, llama, qwen2 or qwen3", "family", ""});
}

Activation activation_of(const std::string& name) {
  const std::optional<Activation> activation = activation_named(name);
  if (activation) return *activation;
  throw InputError({"no such activation", name, "gelu_new, gelu, relu or silu", "activation", ""});
}

/// Returns the scaling as config.json has it, or None.
py::object scaling_dict(const ModelConfig& c) {
  if (!c.rope_scaling) return py::none();
  py::dict found;
  found["rope_type"] = "llama3";
  found["factor"] = c.rope_scaling->factor;
  found["low_freq_factor"] = c.rope_scaling->low_frequency;
  found["high_freq_factor"] = c.rope_scaling->high_frequency;
  found["original_max_position_embeddings"] = c.rope_scaling->original;
  return found;
}

/// Throws for what a key of rope_scaling holds.
[[noreturn]] void refuse_scaling(const char* key, const std::string& what, const py::handle& seen,
                                 const std::string& wanted) {
  throw InputError(
      {what, seen ? shown(seen) : "", wanted, std::string("rope_scaling: ") + key, ""});
}

double scaling_number(const py::dict& given, const char* key) {
  if (!given.contains(key)) refuse_scaling(key, "missing", {}, "a number");
  const py::object value = given[key];
  const bool is_other = py::isinstance<py::bool_>(value) || !PyNumber_Check(value.ptr());
  const double number = is_other ? 0 : PyFloat_AsDouble(value.ptr());
  const bool has_failed = PyErr_Occurred() != nullptr;
  PyErr_Clear();
  if (is_other || has_failed) refuse_scaling(key, "not a number", value, "a number");
  if (!std::isfinite(number)) refuse_scaling(key, "not finite", value, "a number");
  return number;
}

std::optional<Llama3Scaling> scaling_of(const py::handle& value) {
  if (value.is_none()) return std::nullopt;
  if (!py::isinstance<py::dict>(value)) {
    throw InputError(
        {"not a dict", shown(value), "one as config.json has it, or None", "rope_scaling", ""});
  }
  const auto given = py::reinterpret_borrow<py::dict>(value);
  const char* const kind = given.contains("rope_type") ? "rope_type" : "type";  // the older name
  if (!given.contains(kind)) refuse_scaling("rope_type", "missing", {}, "llama3");
  const py::object type = given[kind];
  if (!py::isinstance<py::str>(type) || !type.equal(py::str("llama3"))) {
    refuse_scaling(kind, "no such scaling of rotary positions", type, "llama3");
  }
  Llama3Scaling scaling;
  scaling.factor = scaling_number(given, "factor");
  scaling.low_frequency = scaling_number(given, "low_freq_factor");
  scaling.high_frequency = scaling_number(given, "high_freq_factor");
  constexpr const char* kOriginal = "original_max_position_embeddings";
  const double original = scaling_number(given, kOriginal);
  if (!(std::abs(original) < 1e15) || original != std::floor(original)) {
    refuse_scaling(kOriginal, "not a number of tokens", given[kOriginal], "a whole number");
  }
  scaling.original = static_cast<std::int64_t>(original);
  return scaling;
}

/// Binds one of the three dropout rates.
void add_rate(ValueClass<ModelConfig>& cls, const char* name, double DropoutRates::* rate,
              const char* doc) {
  cls.field(
      name, [rate](const ModelConfig& c) { return c.dropout.*rate; },
      [rate](ModelConfig& c, const py::handle& value) { c.dropout.*rate = value.cast<double>(); },
      doc);
}

/// Binds a size that follows from others unless it is given.
void add_size(ValueClass<ModelConfig>& cls, const char* name,
              std::int64_t (ModelConfig::*size)() const noexcept, std::int64_t ModelConfig::* given,
              const char* doc) {
  cls.field(
      name, [size](const ModelConfig& c) { return (c.*size)(); },
      [given](ModelConfig& c, const py::handle& value) { c.*given = value.cast<std::int64_t>(); },
      doc);
}

/// Writes what is not the default, so that the text makes the same configuration again.
std::string repr_of_model(const ModelConfig& c) {
  ModelConfig plain;
  plain.layers = c.layers;
  plain.heads = c.heads;
  plain.width = c.width;
  plain.context = c.context;
  plain.vocabulary = c.vocabulary;
  plain.family = c.family;
  const py::dict all = py::cast(c).attr("to_dict")(), usual = py::cast(plain).attr("to_dict")();
  std::string text;
  for (const auto& [key, value] : all) {
    const auto name = key.cast<std::string>();
    const bool size = name == "layers" || name == "heads" || name == "dim" || name == "seq" ||
                      name == "vocab" || (name == "family" && !c.is_gpt2());
    if (!size && value.equal(usual[key])) continue;
    text += (text.empty() ? "" : ", ") + name + "=" + std::string(py::repr(value));
  }
  return "ModelConfig(" + text + ")";
}

void add_parts(ValueClass<ModelConfig>& cls) {
  cls.field(
      "family", [](const ModelConfig& c) { return std::string(family_name(c.family)); },
      [](ModelConfig& c, const py::handle& name) {
        c.family = family_of(name.cast<std::string>());
      },
      "\"gpt2\", \"llama\", \"qwen2\" or \"qwen3\": model_type.");
  add_size(cls, "kv_heads", &ModelConfig::key_value_heads, &ModelConfig::kv_heads,
           "Heads of keys and values, each for some of heads: num_key_value_heads.");
  add_size(cls, "head_dim", &ModelConfig::head_width, &ModelConfig::head_dim,
           "Width of a head: D, dim / heads unless given.");
  add_size(cls, "hidden", &ModelConfig::hidden, &ModelConfig::hidden_dim,
           "Width of the hidden layer: F, n_inner, intermediate_size.");
  cls.field(
      "activation",
      [](const ModelConfig& c) { return std::string(activation_name(c.activation())); },
      [](ModelConfig& c, const py::handle& name) {
        c.activation_kind = activation_of(name.cast<std::string>());
      },
      "What the hidden layer applies: \"gelu_new\", \"gelu\", \"relu\"; \"silu\" but for GPT-2.");
  cls.field(
      "norm_epsilon", [](const ModelConfig& c) { return c.norm_epsilon(); },
      [](ModelConfig& c, const py::handle& value) { c.epsilon = value.cast<double>(); },
      "What norms add to the mean square: layer_norm_epsilon, rms_norm_eps.");
  cls.field("rope_theta", &ModelConfig::rope_theta,
            "Base of the wave lengths of rotary positions, which GPT-2 does not have.");
  cls.field(
      "rope_scaling", &scaling_dict,
      [](ModelConfig& c, const py::handle& value) { c.rope_scaling = scaling_of(value); },
      "None, or the numbers of rope_type \"llama3\" as config.json has them.");
  cls.field("tied_head", &ModelConfig::tied_head,
            "Whether the token embedding is the head: tie_word_embeddings.");
  cls.field("initializer_range", &ModelConfig::initializer_range, "Deviation of new weights.");
  cls.field("scale_attn_by_inverse_layer_idx", &ModelConfig::scale_by_layer,
            "Whether GPT-2's scores are divided by the number of their layer.");
}

ModelConfig make(std::int64_t layers, std::int64_t heads, std::int64_t dim, std::int64_t seq,
                 std::int64_t vocab, bool bias, int symmetry, double embd_pdrop, double attn_pdrop,
                 double resid_pdrop, const std::string& family, Size kv_heads, Size head_dim,
                 Size hidden, const std::optional<std::string>& activation,
                 std::optional<double> norm_epsilon, double rope_theta,
                 const ScalingArgument& rope_scaling, bool tied_head, double initializer_range,
                 bool scale_attn_by_inverse_layer_idx) {
  ModelConfig c{layers, heads, dim,      seq,
                vocab,  bias,  symmetry, {embd_pdrop, attn_pdrop, resid_pdrop}};
  c.family = family_of(family);
  c.kv_heads = kv_heads.value_or(0);
  c.head_dim = head_dim.value_or(0);
  c.hidden_dim = hidden.value_or(0);
  if (activation) c.activation_kind = activation_of(*activation);
  c.epsilon = norm_epsilon.value_or(0);
  c.rope_theta = rope_theta;
  c.rope_scaling = scaling_of(rope_scaling);
  c.tied_head = tied_head;
  c.initializer_range = initializer_range;
  c.scale_by_layer = scale_attn_by_inverse_layer_idx;
  check(c);
  return c;
}

}  // namespace

void register_model_config(py::module_& m) {
  ValueClass<ModelConfig> cls(m, "ModelConfig",
                              "The family and the sizes of a model; they cannot be changed.");
  cls.field("layers", &ModelConfig::layers, "Transformer blocks: L, n_layer.")
      .field("heads", &ModelConfig::heads, "Attention heads, which divide dim: H, n_head.")
      .field("dim", &ModelConfig::width, "Width: C, n_embd.")
      .field("seq", &ModelConfig::context, "The longest sequence: T, n_positions.")
      .field("vocab", &ModelConfig::vocabulary, "Words of the vocabulary: V', vocab_size.")
      .field("bias", &ModelConfig::bias, "False: every bias of a GPT-2 is zero and stays so.")
      .field("symmetry", &ModelConfig::symmetry_order, "V of the sphere structure.");
  add_rate(cls, "embd_pdrop", &DropoutRates::embedding,
           "Part of the embedding that training drops.");
  add_rate(cls, "attn_pdrop", &DropoutRates::attention,
           "Part of attention's weights that training drops.");
  add_rate(cls, "resid_pdrop", &DropoutRates::residual,
           "Part of what attention and the hidden layer add that training drops.");
  add_parts(cls);
  cls.derived("parameters", &parameter_count, "The number of weights of such a model.");
  cls.repr(&repr_of_model)
      .done()
      .def(py::init(&make), py::kw_only(), py::arg("layers") = 4, py::arg("heads") = 4,
           py::arg("dim") = 128, py::arg("seq") = 64, py::arg("vocab") = 257,
           py::arg("bias") = true, py::arg("symmetry") = 12, py::arg("embd_pdrop") = 0.0,
           py::arg("attn_pdrop") = 0.0, py::arg("resid_pdrop") = 0.0, py::arg("family") = "gpt2",
           py::arg("kv_heads") = py::none(), py::arg("head_dim") = py::none(),
           py::arg("hidden") = py::none(), py::arg("activation") = py::none(),
           py::arg("norm_epsilon") = py::none(), py::arg("rope_theta") = 10000.0,
           py::arg("rope_scaling") = py::none(), py::arg("tied_head") = true,
           py::arg("initializer_range") = 0.02, py::arg("scale_attn_by_inverse_layer_idx") = false);
}

}  // namespace cllm::python
