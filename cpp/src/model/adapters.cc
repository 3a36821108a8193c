#include "model/adapters.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "base/refuse.h"
#include "base/rng.h"

namespace cllm {
namespace {

/// Says whether a target is the whole name of a linear map or the end of it, from a dot on.
bool names(const std::string& target, const std::string& name) {
  if (target.size() >= name.size()) return target == name;
  const std::size_t at = name.size() - target.size();
  return name[at - 1] == '.' && name.compare(at, target.size(), target) == 0;
}

/// The name of a head also where it is the token embedding.
constexpr const char* kHeadName = "lm_head";

std::string last_part(const std::string& name) { return name.substr(name.rfind('.') + 1); }

/// Returns the name of what a weight belongs to.
std::string module_of(const TensorEntry& weight) {
  return weight.name.substr(0, weight.name.rfind('.'));
}

/// Remembers which names of parts of a model were found.
class NamedParts {
 public:
  /// `all` stands for every part; `unknown` is the error of a name that no part has.
  NamedParts(const std::vector<std::string>& names, const char* all, const char* unknown,
             const std::string& where)
      : names_(names), all_(all), unknown_(unknown), where_(where) {}

  bool have(const std::string& name) {
    known_.insert(last_part(name));
    bool found = false;
    for (const std::string& asked : names_) {
      if (asked != all_ && !names(asked, name)) continue;
      found_.insert(asked);
      found = true;
    }
    return found;
  }

  void check_found() const {
    for (const std::string& asked : names_) {
      if (found_.count(asked) > 0) continue;
      std::string known = all_;
      for (const std::string& name : known_) known += ", " + name;
      refuse(unknown_, "\"" + asked + "\"", known, where_);
    }
  }

 private:
  const std::vector<std::string>& names_;
  const std::string all_;
  const char* const unknown_;
  const std::string& where_;
  std::set<std::string> found_, known_;
};

void check_values(const LoraConfig& lora, const LoraNames& words, std::int64_t width) {
  if (lora.rank < 1 || lora.rank > width) {
    refuse("no rank of an adapter", std::to_string(lora.rank),
           "1 to " + std::to_string(width) + ", the width of the model", words.rank);
  }
  if (!(lora.alpha > 0) || !std::isfinite(lora.alpha)) {
    refuse("not a scale of adapters", std::to_string(lora.alpha), "above 0", words.alpha);
  }
  if (!(lora.dropout >= 0 && lora.dropout < 1)) {
    refuse("not a part that can be dropped", std::to_string(lora.dropout), "at least 0 and below 1",
           words.dropout);
  }
}

/// Throws unless every layer has the adapters of the first: all are cut in the same way.
void check_layers(const Network& network, const std::string& where) {
  const auto same = [](const Linear& a, const Linear& b) {
    return std::equal(a.adapter.parts.begin(), a.adapter.parts.end(), b.adapter.parts.begin(),
                      b.adapter.parts.end(), [](const AdapterPart& p, const AdapterPart& q) {
                        return p.first == q.first;
                      });
  };
  for (const NetworkLayer& layer : network.layers) {
    if (std::equal(layer.linears.begin(), layer.linears.end(),
                   network.layers.front().linears.begin(), same)) {
      continue;
    }
    refuse("not every layer has the same adapters", "the name of a map of one layer",
           "names that all layers have, such as q_proj", where);
  }
}

/// Calls body(linear, p) for part p of each linear map's adapter.
template <class Body>
void for_parts(const Network& network, Body body) {
  for (const Linear& linear : network.linears()) {
    for (std::size_t p = 0; p < linear.adapter.parts.size(); ++p) body(linear, p);
  }
}

}  // namespace

double LoraConfig::scale() const noexcept {
  const auto r = static_cast<double>(rank);
  return alpha / (rslora ? std::sqrt(r) : r);
}

bool operator==(const LoraConfig& a, const LoraConfig& b) noexcept {
  return a.rank == b.rank && a.alpha == b.alpha && a.dropout == b.dropout && a.rslora == b.rslora &&
         a.targets == b.targets && a.modules_to_save == b.modules_to_save;
}

void check(const LoraConfig& lora, const ModelConfig& model, const LoraNames& names) {
  TensorTable weights, adapters;
  Network network = describe_network(model, weights);
  add_adapters(lora, names, weights, network, adapters);
  add_trained_weights(lora, names, weights, network, adapters);
}

std::vector<LinearPart> parts_of(const Linear& linear, const TensorTable& weights) {
  const std::vector<TensorEntry>& tensors = weights.tensors();
  auto tensor = std::lower_bound(
      tensors.begin(), tensors.end(), linear.weight,
      [](const TensorEntry& entry, std::int64_t offset) { return entry.offset < offset; });
  std::vector<LinearPart> parts;
  for (std::int64_t first = 0; first < linear.outputs; ++tensor) {
    const std::int64_t outputs = tensor->size / linear.inputs;
    parts.push_back({module_of(*tensor), first, outputs});
    first += outputs;
  }
  return parts;
}

void add_adapters(const LoraConfig& lora, const LoraNames& words, const TensorTable& weights,
                  Network& network, TensorTable& trainables) {
  check_values(lora, words, network.token_embedding.width);
  if (lora.targets.empty()) {
    refuse("no linear map gets an adapter", "no targets", kAllLinear, words.targets);
  }
  NamedParts targets(lora.targets, kAllLinear, "the model has no linear map of this name",
                     words.targets);
  for (NetworkLayer& layer : network.layers) {
    for (Linear& linear : layer.linears) {
      Adapter& adapter = linear.adapter;
      adapter.rank = lora.rank;
      adapter.scale = static_cast<float>(lora.scale());
      std::vector<TensorPart> a, b;
      for (const LinearPart& part : parts_of(linear, weights)) {
        if (!targets.have(part.name)) continue;
        a.push_back({part.name + ".lora_A.weight", {lora.rank, linear.inputs}});
        b.push_back({part.name + ".lora_B.weight", {part.outputs, lora.rank}});
        adapter.parts.push_back({part.first, part.outputs});
      }
      if (!adapter.exists()) continue;
      adapter.a = trainables.add(std::move(a), Initialization::kUniform);
      for (std::size_t p = 0; p < b.size(); ++p) {
        adapter.parts[p].b = trainables.add(b[p].name, b[p].shape, Initialization::kZeros);
      }
    }
  }
  targets.check_found();
  check_layers(network, words.targets);
}

std::vector<TrainedWeight> add_trained_weights(const LoraConfig& lora, const LoraNames& words,
                                               const TensorTable& weights, const Network& network,
                                               TensorTable& trainables) {
  NamedParts modules(lora.modules_to_save, kEmbeddings,
                     "the model has no embedding or head of this name", words.modules_to_save);
  std::vector<TrainedWeight> trained;
  for (const TensorEntry& weight : weights.tensors()) {
    const bool is_one =
        weight.offset == network.token_embedding.weight || weight.offset == network.head.weight;
    if (!is_one) continue;
    bool is_asked = modules.have(module_of(weight));
    if (network.tied()) is_asked = modules.have(kHeadName) || is_asked;
    if (!is_asked) continue;
    trained.push_back(
        {weight.offset, trainables.add(weight.name, weight.shape, weight.initialization)});
  }
  modules.check_found();
  return trained;
}

std::vector<std::string> plain_modules(const ParameterLayout& layout) {
  std::vector<std::string> plain;
  for (const TensorEntry& weight : layout.tensors()) {
    if (layout.among_adapters(weight.offset) == kAbsent) continue;
    plain.push_back(last_part(module_of(weight)));
    if (layout.network().tied()) plain.emplace_back(kHeadName);
  }
  return plain;
}

std::vector<std::string> plain_targets(const ParameterLayout& layout) {
  std::vector<std::string> plain;
  const auto add = [&plain](const std::string& name) {
    if (std::find(plain.begin(), plain.end(), name) == plain.end()) plain.push_back(name);
  };
  for (const std::string& target : layout.lora()->targets) {
    if (target != kAllLinear) {
      add(target);
      continue;
    }
    for (const Linear& linear : layout.layer(0).linears) {
      for (const LinearPart& part : parts_of(linear, layout.weights())) {
        add(last_part(part.name));
      }
    }
  }
  return plain;
}

void initialize_adapters(const ParameterLayout& layout, std::uint64_t seed, float* adapters) {
  const std::vector<TensorEntry>& tensors = layout.trainables().tensors();
  for (std::size_t t = 0; t < tensors.size(); ++t) {
    if (tensors[t].initialization != Initialization::kUniform) continue;
    const double most = 1 / std::sqrt(static_cast<double>(tensors[t].shape.back()));
    for (std::int64_t i = 0; i < tensors[t].size; ++i) {
      const RandomBlock block =
          random_block(seed, RandomStream::kInitialAdapters, static_cast<std::uint32_t>(t),
                       static_cast<std::uint64_t>(i));
      const double u = uniform_double(random_bits64(block, 0));
      adapters[tensors[t].offset + i] = static_cast<float>((2 * u - 1) * most);
    }
  }
}

void merge_adapters(const ParameterLayout& layout, const float* adapters, float* weights) {
  for_parts(layout.network(), [&](const Linear& linear, std::size_t p) {
    const Adapter& adapter = linear.adapter;
    const AdapterPart& part = adapter.parts[p];
    const std::int64_t r = adapter.rank, inputs = linear.inputs;
    const bool in_out = linear.order == WeightOrder::kInOut;
    const float* const a = adapters + adapter.a + static_cast<std::int64_t>(p) * r * inputs;
    const float* const b = adapters + part.b;
    // The stored rows are those of A^T or of B, and each is a sum of rows of the other factor.
    const std::int64_t rows = in_out ? inputs : part.outputs;
    const std::int64_t columns = in_out ? part.outputs : inputs;
    std::vector<double> other(static_cast<std::size_t>(r * columns));  // [r, columns]
    for (std::int64_t k = 0; k < r; ++k) {
      for (std::int64_t j = 0; j < columns; ++j) {
        const float number = in_out ? b[j * r + k] : a[k * inputs + j];
        other[static_cast<std::size_t>(k * columns + j)] = static_cast<double>(number);
      }
    }
    std::vector<double> sums(static_cast<std::size_t>(columns));
    double* const sum = sums.data();
    const auto scale = static_cast<double>(adapter.scale);
    for (std::int64_t i = 0; i < rows; ++i) {
      std::fill(sums.begin(), sums.end(), 0.0);
      for (std::int64_t k = 0; k < r; ++k) {
        const auto factor = static_cast<double>(in_out ? a[k * inputs + i] : b[i * r + k]);
        const double* const row = other.data() + k * columns;
        for (std::int64_t j = 0; j < columns; ++j) sum[j] += factor * row[j];
      }
      float* const w = weights + linear.weight +
                       (in_out ? i * linear.outputs + part.first : (part.first + i) * inputs);
      for (std::int64_t j = 0; j < columns; ++j) {
        w[j] = static_cast<float>(static_cast<double>(w[j]) + scale * sum[j]);
      }
    }
  });
  for (const TensorEntry& weight : layout.tensors()) {
    const std::int64_t at = layout.among_adapters(weight.offset);
    if (at != kAbsent) std::copy_n(adapters + at, weight.size, weights + weight.offset);
  }
}

}  // namespace cllm
