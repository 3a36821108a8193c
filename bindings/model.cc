// The model bindings give Python a Model, which is a model in memory.
#include "cllm/model.h"

#include <memory>
#include <optional>

#include "arguments.h"
#include "cllm/stop_text.h"
#include "in_use.h"
#include "memory_data.h"
#include "signals.h"

namespace cllm::python {
namespace {

struct PyModel {
  explicit PyModel(Model&& loaded) : model(std::move(loaded)) {}
  Model model;
  InUse in_use;
};

using Workers = std::optional<std::int64_t>;

std::int64_t worker_count(Workers workers) {
  if (!workers) return 0;
  if (*workers >= 1) return *workers;
  throw InputError({"value out of range", std::to_string(*workers), "1 or more, or None", "workers",
                    "None takes the cores that this process may use"});
}

std::unique_ptr<PyModel> load(const PathArgument& folder, const OptionalPath& adapter,
                              Workers workers) {
  const std::string path = path_text(folder, "folder");
  const std::string beside = adapter.is_none() ? "" : path_text(adapter, "adapter");
  const std::int64_t count = worker_count(workers);
  const py::gil_scoped_release release;
  return std::make_unique<PyModel>(Model::load(path, count, beside));
}

std::unique_ptr<PyModel> create(const ModelConfig& config, std::int64_t seed, bool byte_tokens,
                                Workers workers) {
  const std::int64_t count = worker_count(workers);
  const py::gil_scoped_release release;
  return std::make_unique<PyModel>(Model::create(config, seed, byte_tokens, count));
}

void save(PyModel& self, const PathArgument& folder, const std::string& dtype) {
  const std::string path = path_text(folder, "folder");
  const InUse::Hold hold(self.in_use, "the model");
  const py::gil_scoped_release release;
  self.model.save(path, dtype);
}

Arrays parameters(PyModel& self) {
  const InUse::Reading hold(self.in_use, "the model");
  return array_views(self.model.parameters());
}

py::array_t<float> logits(PyModel& self, const TokensArgument& tokens) {
  const InUse::Hold hold(self.in_use, "the model");
  const TokenMatrix matrix(tokens, "tokens");
  self.model.check_shape("tokens", matrix.rows(), matrix.columns());
  const std::int64_t V = self.model.config().vocabulary;
  const std::vector<std::int32_t> values = matrix.values(V);
  py::array_t<float> out({matrix.rows(), matrix.columns(), V});
  const TokenArray array{values.data(), matrix.rows(), matrix.columns()};
  float* const data = out.mutable_data();
  const py::gil_scoped_release release;
  self.model.logits(array, data);
  return out;
}

py::typing::Tuple<py::float_, Arrays> loss_and_gradients(PyModel& self,
                                                         const TokensArgument& inputs,
                                                         const TokensArgument& targets,
                                                         const OptionalTokens& first_keys) {
  const InUse::Hold hold(self.in_use, "the model");
  const TokenMatrix in(inputs, "inputs"), out(targets, "targets");
  self.model.check_shape("inputs", in.rows(), in.columns());
  self.model.check_shape("targets", out.rows(), out.columns());
  const std::int64_t V = self.model.config().vocabulary;
  const std::vector<std::int32_t> in_values = in.values(V), out_values = out.values(V);
  const FirstKeys keys(first_keys, in);
  Arrays gradients;
  std::vector<float*> data;
  for (const Tensor& tensor : self.model.parameters()) {
    py::array_t<float> array(tensor.shape);
    data.push_back(array.mutable_data());
    gradients[py::str(tensor.name)] = array;
  }
  double loss = 0;
  {
    const py::gil_scoped_release release;
    loss = self.model.loss_and_gradients({in_values.data(), in.rows(), in.columns()},
                                         {out_values.data(), out.rows(), out.columns()}, data,
                                         keys.array());
  }
  return py::make_tuple(loss, gradients);
}

EvaluationReport evaluate(PyModel& self, const DataArgument& data, std::int64_t tokens,
                          std::int64_t text_bytes) {
  const InUse::Hold hold(self.in_use, "the model");
  const MemoryData::Pointer in_memory = data_in_memory(data, "data");
  const std::string path = in_memory ? "" : path_text(data, "data");
  SignalWatch signals;
  EvaluationReport report;
  {
    const py::gil_scoped_release release;
    const auto stop = [&] { return signals.poll(); };
    report = in_memory ? self.model.evaluate(in_memory, tokens, text_bytes, stop)
                       : self.model.evaluate(path, tokens, stop);
  }
  signals.rethrow();
  report.step = -1;  // it is of no run
  return report;
}

py::typing::List<py::str> texts_to_encode(PyModel& self, const PathArgument& path) {
  py::typing::List<py::str> files;
  for (const std::string& file : self.model.texts_to_encode(path_text(path, "data"))) {
    files.append(path_object(file));
  }
  return files;
}

/// Hands each piece to `on_piece`, if there is one, with the GIL. A signal ends the generation, and
/// so does a listener that returns False.
class Listener {
 public:
  explicit Listener(py::object on_piece) : on_piece_(std::move(on_piece)) {}

  template <class Make>
  bool hear(const Make& make) {
    bool goes_on = true;
    if (!on_piece_.is_none()) {
      const py::gil_scoped_acquire gil;
      goes_on = !on_piece_(make()).is(py::bool_(false));
    }
    return !signals_.poll() && goes_on;
  }
  void rethrow() { signals_.rethrow(); }

 private:
  const py::object on_piece_;
  SignalWatch signals_;
};

py::object generate_text(PyModel& self, const py::object& prompt, std::int64_t tokens,
                         const SamplingOptions& options, const std::vector<std::string>& stops,
                         Listener& listener) {
  const bool is_text = py::isinstance<py::str>(prompt);
  const std::string start =
      is_text ? utf8_text(prompt.cast<py::str>(), "prompt") : std::string(prompt.cast<py::bytes>());
  std::string text;
  {
    const py::gil_scoped_release release;
    const auto hear = [&](const std::string& piece) {
      text += piece;
      return listener.hear([&] { return py::bytes(piece); });
    };
    self.model.generate_text(start, tokens, options, hear, stops);
  }
  listener.rethrow();
  const py::bytes bytes(text);
  // A character may be cut off at the end, and a model early in training writes bytes that are not
  // UTF-8.
  return is_text ? bytes.attr("decode")("utf-8", "replace") : py::object(bytes);
}

py::array_t<std::int32_t> generate_ids(PyModel& self, const py::object& prompt, std::int64_t tokens,
                                       const SamplingOptions& options, Listener& listener,
                                       bool keep) {
  const std::vector<std::int32_t> start =
      token_list(prompt, "prompt", self.model.config().vocabulary);
  std::vector<std::int32_t> found;
  const auto hear = [&](std::int32_t token) {
    found.push_back(token);
    return listener.hear([&] { return py::int_(token); });
  };
  {
    const py::gil_scoped_release release;
    self.model.generate(start, tokens, options, hear, keep);
  }
  listener.rethrow();
  return py::array_t<std::int32_t>(static_cast<py::ssize_t>(found.size()), found.data());
}

AnyArgument generate(PyModel& self, const AnyArgument& prompt, std::int64_t tokens,
                     double temperature, std::int64_t top_k, double top_p, std::int64_t seed,
                     std::int64_t known, const AnyArgument& stop, const AnyArgument& on_token) {
  const InUse::Hold hold(self.in_use, "the model");
  const SamplingOptions options{temperature, top_k, top_p, seed, known};
  Listener listener(on_token);
  if (py::isinstance<py::str>(prompt) || py::isinstance<py::bytes>(prompt)) {
    const auto stops = stop.cast<std::vector<std::string>>();
    return AnyArgument(generate_text(self, prompt, tokens, options, stops, listener));
  }
  return AnyArgument(generate_ids(self, prompt, tokens, options, listener, false));
}

py::array_t<std::int32_t> generate_on(PyModel& self, const AnyArgument& prompt, std::int64_t tokens,
                                      double temperature, std::int64_t top_k, double top_p,
                                      std::int64_t seed, std::int64_t known,
                                      const AnyArgument& on_token) {
  const InUse::Hold hold(self.in_use, "the model");
  Listener listener(on_token);
  return generate_ids(self, prompt, tokens, {temperature, top_k, top_p, seed, known}, listener,
                      true);
}

}  // namespace

void register_model(py::module_& m) {
  py::class_<StopText>(m, "StopText", "Keeps back what may be the start of a stop string.")
      .def(py::init([](const std::vector<py::bytes>& stops) {
             return StopText(std::vector<std::string>(stops.begin(), stops.end()));
           }),
           py::arg("stops"))
      .def(
          "add", [](StopText& self, const py::bytes& piece) { return py::bytes(self.add(piece)); },
          py::arg("piece"), "Returns what is certain to come before every stop string.")
      .def(
          "finish", [](StopText& self) { return py::bytes(self.finish()); },
          "Returns what was kept back, for nothing more comes.")
      .def_property_readonly("is_over", &StopText::is_over, "Whether a stop string was met.");
  py::class_<PyModel>(
      m, "Model", py::release_gil_before_calling_cpp_dtor(),
      "A model in memory: B sequences of T tokens, V' words.\n\n"
      "One thread at a time may call it; a second one gets a CllmError. Results do\n"
      "not depend on `workers`, the number of computing threads (None: the cores\n"
      "that this process may use).")
      .def(py::init(&create), py::arg("config"), py::kw_only(), py::arg("seed") = 1337,
           py::arg("byte_tokens") = false, py::arg("workers") = py::none(),
           "Makes new weights, as training starts from. With `byte_tokens` a token is a byte.")
      .def(py::init(&load), py::arg("folder"), py::kw_only(), py::arg("adapter") = py::none(),
           py::arg("workers") = py::none(),
           "Reads a model folder, or the newest model of a run folder. A LoRA adapter's folder,\n"
           "of PEFT or of a run, is the model that it names with the adapter added; `adapter` is\n"
           "added to the model in `folder` instead.")
      .def("save", &save, py::arg("folder"), py::kw_only(), py::arg("dtype") = "fp32",
           "Writes a folder that transformers' from_pretrained opens. `dtype` is what the weights\n"
           "are rounded to: \"fp32\", \"bf16\" or \"fp16\".")
      .def_property_readonly(
          "config", [](const PyModel& self) { return self.model.config(); },
          "The shape of the model.")
      .def_property_readonly(
          "folder", [](const PyModel& self) { return path_object(self.model.folder()); },
          "The folder that was read; \"\" for a new model.")
      .def_property_readonly(
          "byte_tokens", [](const PyModel& self) { return self.model.byte_tokens(); },
          "Whether a token is a byte, so that text needs no tokenizer.")
      .def_property_readonly(
          "end_tokens", [](const PyModel& self) { return self.model.end_tokens(); },
          "Tokens that end a text: those of generation_config.json, else of config.json.")
      .def("parameters", &parameters,
           "Every tensor by its name in model.safetensors: float32 views, writing to one changes\n"
           "the model.")
      .def("logits", &logits, py::arg("tokens"),
           "float32[B, T, V'] behind every token of integers[B, T].")
      .def("loss_and_gradients", &loss_and_gradients, py::arg("inputs"), py::arg("targets"),
           py::arg("first_keys") = py::none(),
           "The mean cross-entropy of targets[B, T] given inputs[B, T], nats a token, and its\n"
           "gradient by every tensor, named and shaped as in parameters(). A target of -1 is not\n"
           "counted. If sequences hold several documents, one after another, `first_keys`[B, T]\n"
           "give each token the index in its sequence of the first token of its document:\n"
           "positions count from there, and attention sees nothing before it.")
      .def(
          "evaluate", &evaluate, py::arg("data"), py::kw_only(), py::arg("tokens") = 0,
          py::arg("text_bytes") = 0,
          "Computes the mean loss over `data`, which may be what TrainConfig(data=...) may be.\n"
          "`tokens` is how many to predict, the same ones every time; 0: all. `text_bytes` counts\n"
          "the bytes of text that ids stand for, if they are known.")
      .def("_texts_to_encode", &texts_to_encode, py::arg("path"),
           "Returns the files of a path that are text while the model's tokens are no bytes, so\n"
           "that its tokenizer has to encode them first; none when evaluate() can read the data.")
      .def("generate", &generate, py::arg("prompt"), py::kw_only(), py::arg("tokens") = 200,
           py::arg("temperature") = 0.8, py::arg("top_k") = 0, py::arg("top_p") = 1.0,
           py::arg("seed") = 1337, py::arg("known") = 0, py::arg("stop") = py::tuple(),
           py::arg("on_token") = py::none(),
           "Continues the prompt by at most `tokens` tokens and returns what was added: str for a\n"
           "str (byte models), bytes for bytes (byte models), int32[n] for a sequence of tokens.\n"
           "It ends early at one of `end_tokens`, which is not part of the result. With `known` "
           "only\n"
           "tokens below it are drawn: what the tokenizer knows of a vocabulary that was rounded "
           "up.\n"
           "Text ends before any of `stop`. `on_token` is called with each token, or byte, as it "
           "comes;\n"
           "where it returns False, no more are drawn.")
      .def("_generate_on", &generate_on, py::arg("prompt"), py::kw_only(), py::arg("tokens"),
           py::arg("temperature"), py::arg("top_k"), py::arg("top_p"), py::arg("seed"),
           py::arg("known"), py::arg("on_token"),
           "Does as generate() for ids, and keeps what was read: of the next prompt, what it "
           "begins\n"
           "with as the text before did is not read again. The weights stay as they are between.")
      .def("__repr__", [](const PyModel& self) {
        return "<cllm.Model: " + std::string(py::repr(py::cast(self.model.config()))) + ">";
      });
}

}  // namespace cllm::python
