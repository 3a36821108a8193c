// A TrainConfig holds everything that a training run can be told. The option table in options.cc
// gives each field its command-line name, unit, range and help; 0 or "" in a field marked "auto"
// lets the run decide.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

namespace cllm {

struct MemoryData;  // cllm/memory_data.h

struct TrainConfig {
  // These are data and places.
  std::string data;             ///< text, token files, data set; or a name in `in_memory`
  std::string validation;       ///< --val; "": the data set's part, or the last tenth of data
  std::string out;              ///< run folder to create; "" keeps nothing
  bool overwrite = false;       ///< replaces the run that is in `out`
  std::string init;             ///< model folder to start from
  std::string resume;           ///< run folder, or one of its checkpoints, to continue
  std::int64_t vocabulary = 0;  ///< --vocab: for token files that carry no tokenizer

  // These describe the model.
  std::string preset = "none";  ///< a known model, whose sizes are taken where none are given
  std::string family = "gpt2";  ///< gpt2 | llama | qwen2 | qwen3
  std::int64_t layers = 4;
  std::int64_t heads = 4;
  std::int64_t width = 128;  ///< --dim
  /// --seq, tokens; auto: 64, or less when the data is short; for examples as long as the longest,
  /// at most 1024 and what the model reads
  std::int64_t sequence = 0;
  std::int64_t kv_heads = 0;  ///< heads of keys and values; 0 (auto): as many as heads
  std::int64_t head_dim = 0;  ///< width of a head; 0 (auto): dim / heads
  std::int64_t hidden = 0;    ///< width of the hidden layer; 0 (auto): that of the family
  double rope_theta = 10000;  ///< slowness of rotary positions; GPT-2 has none
  bool untied = false;        ///< a head of its own, beside the token embedding
  bool bias = true;           ///< --no-bias
  bool lattice = false;       ///< couples each token with its kissing neighbours while training
  double lattice_rate = 1;    ///< --lattice-lr: multiplies the rate of the V coefficients

  // These describe adapters, which are trained in place of the weights of `init`.
  bool lora = false;
  std::int64_t lora_rank = 8;  ///< rows of A and columns of B
  double lora_alpha = 0;       ///< B A counts alpha / rank times; 0 (auto): twice the rank
  bool rslora = false;         ///< alpha / sqrt(rank) times instead
  double lora_dropout = 0;     ///< part of their input that adapters do not see in training
  std::string lora_targets = "all-linear";  ///< names of linear maps, with commas between them
  /// What of token embedding and head is trained too: names, "embeddings", or "" for nothing.
  std::string lora_modules_to_save;
  std::string base_dtype = "fp32";  ///< fp32 | bf16: what the weights of `init` are kept as
  std::string lora_init;  ///< folder of the adapter, or run, to start from; "": A random, B 0

  // These control training.
  std::int64_t batch = 12;        ///< sequences a step (before grad_accum)
  std::int64_t grad_accum = 1;    ///< the step batch is batch * grad_accum sequences
  std::int64_t steps = 0;         ///< auto: epochs if given, else 2000
  double epochs = 0;              ///< passes over the training tokens; excludes steps
  double learning_rate = -1;      ///< --lr; negative (auto): 1e-3, with init 1e-4, with lora 2e-4
  double min_learning_rate = -1;  ///< --min-lr; negative (auto): a tenth of learning_rate
  std::int64_t warmup = -1;  ///< steps; negative (auto): steps / 10 within 40 and 100, at most half
  std::string shuffle = "offsets";  ///< windows | offsets: how sequences are chosen
  std::string packing = "bfd";      ///< bfd | none: how examples share sequences; for examples only
  bool document_mask = false;       ///< no document of a sequence sees another; examples never do
  std::string schedule = "cosine";  ///< cosine | linear | constant | wsd
  double weight_decay = 0.1;        ///< matrices only
  double beta1 = 0.9;
  double beta2 = 0.99;
  double epsilon = 1e-8;
  double dropout = 0;            ///< in training only: where the family has it
  double clip = 1.0;             ///< largest global gradient norm; 0 never clips
  std::int64_t skip_limit = 20;  ///< updates skipped in a row that count as divergence; 0: none
  std::string on_divergence =
      "stop";  ///< stop | rollback: to the last good checkpoint, half the rate
  std::int64_t patience =
      0;  ///< evaluations in a row without a lower loss that end the run; 0: none
  std::int64_t seed = 1337;

  // These control the engine.
  std::string workers = "auto";      ///< a number, or auto: the fastest, at most one a core
  std::int64_t threads = 0;          ///< spheres in the whole tree, instead of workers
  std::int64_t symmetry = 12;        ///< V
  std::int64_t positions = 0;        ///< K; auto: the rule of the batch plan decides
  std::string routing = "symmetry";  ///< symmetry | round_robin
  std::string gemm = "auto";         ///< auto | native | onednn
  std::string precision = "fp32";    ///< fp32 | bf16: for the operands of products
  bool recompute = false;            ///< backward makes activations again; none are kept
  bool activate_all = false;         ///< every worker computes, also with fewer cores than workers

  // These control output. Intervals count steps; 0 means never.
  std::int64_t eval_every = -1;     ///< negative (auto): an eighth of the steps
  std::int64_t eval_tokens = -1;    ///< of the validation part, in each evaluation; 0: all of them;
                                    ///< negative (auto): what costs at most a twentieth of the run
  std::int64_t save_every = -1;     ///< negative (auto): about an eighth, at evaluations
  std::int64_t keep = 2;            ///< checkpoints kept beside the newest; at least 1
  std::string save_dtype = "fp32";  ///< fp32 | bf16 | fp16: of the weights in model.safetensors
  bool keep_best = false;           ///< also the checkpoint with the lowest validation loss
  std::int64_t log_every = -1;  ///< progress lines; negative (auto): about 20 a run, or a live line
  std::int64_t spheres_every = 0;  ///< extra lines in spheres.jsonl; 0: at the end only
  bool verbose = false;            ///< the first lines also say how a step is computed
  bool quiet = false;

  /// Holds data that `data` and `validation` may name instead of a file.
  std::vector<std::shared_ptr<const MemoryData>> in_memory;

  /// Names the options that were set on purpose; set_option adds to it. A resumed run takes these
  /// from here and all others from its checkpoint. A field that is assigned directly counts as set
  /// where it differs from its default.
  std::set<std::string> given;

  /// Holds option -> alias for options that were set by an alias, so that messages can use it.
  std::map<std::string, std::string> aliases;
};

}  // namespace cllm
