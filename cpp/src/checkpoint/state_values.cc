#include "checkpoint/state_values.h"

#include <nlohmann/json.hpp>

#include "cllm/error.h"

namespace cllm {
namespace {

using Json = nlohmann::ordered_json;

[[noreturn]] void refuse(const std::string& where, const char* key, const Json& seen,
                         const std::string& wanted) {
  throw InputError({std::string("trainer state holds no such \"") + key + "\"", seen.dump(), wanted,
                    where, "use another checkpoint"});
}

/// Returns what a name stands for.
template <class Enum>
Enum named(const std::string& where, const Json& object, const char* key,
           std::optional<Enum> (*find)(const std::string&) noexcept) {
  const std::optional<Enum> found = find(object.at(key).get<std::string>());
  if (!found) refuse(where, key, object.at(key), "one that this version knows");
  return *found;
}

Json scaling_json(const std::optional<Llama3Scaling>& scaling) {
  if (!scaling) return nullptr;
  return {{"factor", scaling->factor},
          {"low_frequency", scaling->low_frequency},
          {"high_frequency", scaling->high_frequency},
          {"original", scaling->original}};
}

/// Reads what versions that had only GPT-2 did not write.
void read_family(const std::string& where, const Json& json, ModelConfig& model) {
  model.family = named(where, json, "family", &family_named);
  model.kv_heads = state_number(where, json, "kv_heads", 1, kMostHeads);
  model.head_dim = state_number(where, json, "head_dim", 1, kMostWidth);
  model.hidden_dim = state_number(where, json, "hidden", 1, 8 * kMostWidth);
  model.activation_kind = named(where, json, "activation", &activation_named);
  json.at("norm_epsilon").get_to(model.epsilon);
  json.at("rope_theta").get_to(model.rope_theta);
  const Json& scaling = json.at("rope_scaling");
  if (!scaling.is_null()) {
    model.rope_scaling = Llama3Scaling{scaling.at("factor"), scaling.at("low_frequency"),
                                       scaling.at("high_frequency"),
                                       state_number(where, scaling, "original", 1, kMostContext)};
  }
  json.at("tied_head").get_to(model.tied_head);
  json.at("initializer_range").get_to(model.initializer_range);
  json.at("scale_by_layer").get_to(model.scale_by_layer);
}

}  // namespace

std::int64_t state_number(const std::string& where, const Json& object, const char* key,
                          std::int64_t least, std::int64_t most) {
  const Json& value = object.at(key);
  const bool beyond =
      value.is_number_unsigned() && value.get<std::uint64_t>() > static_cast<std::uint64_t>(most);
  if (value.is_number_integer() && !beyond) {
    const auto number = value.get<std::int64_t>();
    if (number >= least && number <= most) return number;
  }
  refuse(where, key, value, "a whole number from " + std::to_string(least));
}

Json state_of_model(const ModelConfig& model) {
  return {{"family", family_name(model.family)},
          {"layers", model.layers},
          {"heads", model.heads},
          {"kv_heads", model.key_value_heads()},
          {"head_dim", model.head_width()},
          {"width", model.width},
          {"hidden", model.hidden()},
          {"positions", model.context},
          {"vocabulary", model.vocabulary},
          {"bias", model.bias},
          {"activation", activation_name(model.activation())},
          {"norm_epsilon", model.norm_epsilon()},
          {"rope_theta", model.rope_theta},
          {"rope_scaling", scaling_json(model.rope_scaling)},
          {"tied_head", model.tied_head},
          {"initializer_range", model.initializer_range},
          {"scale_by_layer", model.scale_by_layer},
          {"symmetry_order", model.symmetry_order},
          {"embd_pdrop", model.dropout.embedding},
          {"attn_pdrop", model.dropout.attention},
          {"resid_pdrop", model.dropout.residual}};
}

ModelConfig model_of_state(const std::string& where, const Json& json) {
  ModelConfig model;
  model.layers = state_number(where, json, "layers", 1);
  model.heads = state_number(where, json, "heads", 1);
  model.width = state_number(where, json, "width", 1);
  model.context = state_number(where, json, "positions", 1);
  model.vocabulary = state_number(where, json, "vocabulary", 1);
  json.at("bias").get_to(model.bias);
  model.symmetry_order = static_cast<int>(
      state_number(where, json, "symmetry_order", 1, std::numeric_limits<int>::max()));
  // Versions without dropout did not write these.
  model.dropout = {json.value("embd_pdrop", 0.0), json.value("attn_pdrop", 0.0),
                   json.value("resid_pdrop", 0.0)};
  if (json.contains("family")) read_family(where, json, model);
  try {
    check(model);
  } catch (const InputError& error) {
    throw InputError({"no model that can be run", error.what(), "", where, ""});
  }
  return model;
}

}  // namespace cllm
