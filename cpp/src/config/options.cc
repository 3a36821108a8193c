#include "cllm/options.h"

#include "cllm/model_config.h"
#include "config/count_limit.h"
#include "config/new_model.h"
#include "config/option_rows.h"

namespace cllm {
namespace {

using Row = OptionRow;

// The limit keeps a product of three sizes inside 63 bits.
constexpr double kSizeLimit = 1 << 20;

// Squares of gradients below about 1e-19 are 0 in float, but their means are not. Dividing those by
// epsilon alone would make a large update from them.
constexpr double kLeastEpsilon = 1e-16;
// A gradient that is clipped to less is nothing beside any epsilon.
constexpr double kLeastClip = 1e-6;

std::vector<Option> make_table() {
  using C = TrainConfig;
  constexpr auto kText = OptionType::kString;
  constexpr auto kInteger = OptionType::kInteger;
  constexpr auto kReal = OptionType::kReal;
  constexpr auto kFlag = OptionType::kFlag;
  const auto row = [] { return Row{}; };
  const auto size = [] { return Row{}.at_least(1).at_most(kSizeLimit); };
  const auto count = [](double low) { return Row{}.at_least(low).at_most(kCountLimit); };
  OptionRows t;

  t.group("Data and places");
  t.add("data", kText, &C::data,
        "what to train on: a text, token files (also a pattern such as \"shards/*.bin\"), or a "
        "folder that `cllm prepare` made",
        row()
            .unit("PATH")
            .aliases({"train_file", "input_bin"})
            .also({"train", "input", "train-data"}));
  t.add("val", kText, &C::validation,
        "what to validate on; when not given, the validation part of the data set, or the last "
        "tenth of data",
        row()
            .unit("PATH")
            .aliases({"val_file", "validation_file", "input_val_bin"})
            .also({"validation", "val-data"}));
  t.add(
      "out", kText, &C::out, "run folder to create",
      row().unit("RUN").aliases({"output_dir", "out_dir"}).also({"output", "run", "logging-dir"}));
  t.add("overwrite", kFlag, &C::overwrite,
        "replace the run that is in the run folder; what is no run, or is in use, stays",
        row().on_resume().aliases({"overwrite_output_dir"}).also({"exist-ok"}));
  t.add("init", kText, &C::init, "model folder to start from",
        row().unit("FOLDER").also({"model"}));
  t.add("resume", kText, &C::resume,
        "run folder to continue, on any number of workers, or one of its checkpoints",
        row().unit("RUN").aliases({"resume_from_checkpoint"}).also({"continue"}));
  t.add("vocab", kInteger, &C::vocabulary,
        "vocabulary size, for token files that carry no tokenizer; auto: what the data says",
        count(1)
            .at_most(kMostVocabulary)
            .unit("tokens")
            .automatic(0)
            .aliases({"vocab_size"})
            .also({"vocabulary"}));

  t.group("Model");
  t.add("preset", kText, &C::preset,
        "a known model, whose sizes are taken where none are given; seq and the data stay yours",
        row().choices(preset_names()).also({"size", "arch"}));
  t.add("family", kText, &C::family,
        "how the model is built: as GPT-2, or as Llama, Qwen2 or Qwen3, with rotary positions",
        row().choices({"gpt2", "llama", "qwen2", "qwen3"}).also({"model-type", "architecture"}));
  t.add("layers", kInteger, &C::layers, "transformer blocks",
        size()
            .at_most(kMostLayers)
            .aliases({"n_layer"})
            .also({"num-layers", "num-hidden-layers", "depth"}));
  t.add("heads", kInteger, &C::heads, "attention heads; divides dim, unless head-dim is given",
        size().at_most(kMostHeads).aliases({"n_head"}).also({"num-heads", "num-attention-heads"}));
  t.add("dim", kInteger, &C::width, "model width",
        size().at_most(kMostWidth).aliases({"n_embd"}).also({"width", "d-model", "hidden-size"}));
  t.add("seq", kInteger, &C::sequence, "sequence length; auto: 64, less when the data is short",
        size()
            .unit("tokens")
            .automatic(0)
            .aliases({"block_size", "sequence_length", "n_positions"})
            .also({"sequence", "context", "seq-len", "max-seq-length", "n-ctx"}));
  t.add("kv-heads", kInteger, &C::kv_heads,
        "heads of keys and values, each for a group of heads; divides heads; auto: as many",
        size()
            .at_most(kMostHeads)
            .automatic(0)
            .aliases({"n_kv_head", "num_key_value_heads"})
            .also({"num-kv-heads", "gqa"}));
  t.add("head-dim", kInteger, &C::head_dim, "width of a head; auto: dim / heads",
        size().at_most(kMostWidth).automatic(0).aliases({"head_width"}).also({"head-size"}));
  t.add("hidden", kInteger, &C::hidden,
        "width of the hidden layer; auto: 4 dim in GPT-2, else 8/3 dim, a multiple of 64",
        size()
            .automatic(0)
            .aliases({"n_inner", "intermediate_size"})
            .also({"mlp", "ffn", "feed-forward"}));
  t.add("rope-theta", kReal, &C::rope_theta,
        "how slowly the slowest rotary positions turn; GPT-2 learns its positions instead",
        row().above(0).at_most(1e15).also({"rope-base", "rotary-base", "theta"}));
  t.add("untied", kFlag, &C::untied,
        "give the model a head of its own instead of the token embedding",
        row().also({"tie-word-embeddings", "untie", "tied"}));
  t.add("no-bias", kFlag, &C::bias, "keep every bias of a GPT-2 zero and frozen", row());
  t.add("lattice", kFlag, &C::lattice,
        "couple tokens while training: each one's embedding plus learned parts of its kissing "
        "neighbours'; what is saved is a plain model, with the sums as its embedding",
        row().also({"coupling", "kissing", "neighbours"}));
  t.add("lattice-lr", kReal, &C::lattice_rate,
        "learning rate of the parts that the lattice learns, as a multiple of lr; 0: they stay 0",
        row().at_least(0).at_most(1e6).also({"coupling-lr"}));

  t.group("Adapter");
  t.add("lora", kFlag, &C::lora,
        "train adapters of low rank beside the model given as init, which stays as it is; what is "
        "saved is a PEFT adapter",
        row().aliases({"use_peft"}).also({"peft", "adapter", "adapters"}));
  t.add("lora-rank", kInteger, &C::lora_rank, "rank of the adapters",
        size().at_most(kMostWidth).aliases({"lora_r"}).also({"rank"}));
  t.add("lora-alpha", kReal, &C::lora_alpha,
        "adapters count alpha / rank times; auto: twice the rank",
        row().above(0).at_most(1e6).automatic(0).also({"alpha"}));
  t.add("rslora", kFlag, &C::rslora, "adapters count alpha / sqrt(rank) times instead",
        row().aliases({"use_rslora"}).also({"rank-stabilized"}));
  t.add("lora-dropout", kReal, &C::lora_dropout,
        "part of their input that adapters do not see in training", row().at_least(0).below(1));
  t.add("lora-targets", kText, &C::lora_targets,
        "which linear maps of the layers get an adapter: all-linear, or names such as "
        "q_proj,v_proj",
        row().unit("NAMES").aliases({"lora_target_modules"}).also({"target-modules", "targets"}));
  t.add("lora-modules-to-save", kText, &C::lora_modules_to_save,
        "what is trained too beside the adapters, whole: embeddings (the token embedding and the "
        "head), or one of them by its name, such as lm_head",
        row().unit("NAMES").aliases({"modules_to_save"}).also({"train-embeddings"}));
  t.add(
      "base-dtype", kText, &C::base_dtype,
      "what the frozen weights are kept as: bf16 takes half of the memory, and rounds weights that "
      "are not stored so",
      row().choices({"fp32", "bf16"}).also({"lora-dtype", "load-in-bf16"}));
  t.add("lora-init", kText, &C::lora_init,
        "adapter to start from, in a folder of PEFT or of a run, instead of a random A and a B of "
        "0",
        row().unit("FOLDER").also({"init-lora-weights", "adapter-init"}));

  t.group("Training");
  t.add("batch", kInteger, &C::batch, "sequences that go through together",
        size().unit("sequences").aliases({"batch_size", "per_device_train_batch_size"}));
  t.add("grad-accum", kInteger, &C::grad_accum,
        "batches added up to one step; the same as a batch that many times larger",
        size().unit("batches").aliases({"gradient_accumulation_steps"}).also({"accumulate"}));
  t.add("steps", kInteger, &C::steps, "updates to make; auto: as many as epochs make, else 2000",
        count(1)
            .unit("steps")
            .automatic(0)
            .on_resume()
            .aliases({"max_steps", "max_iters", "num_iterations"})
            .also({"iterations"}));
  t.add("epochs", kReal, &C::epochs, "passes over the training tokens, instead of steps",
        row()
            .above(0)
            .at_most(1e9)
            .unit("epochs")
            .automatic(0)
            .aliases({"num_train_epochs"})
            .also({"passes", "num-epochs"}));
  t.add("shuffle", kText, &C::shuffle,
        "windows: every epoch takes each piece of seq tokens once, in random order; offsets: each "
        "sequence starts anywhere, as in nanoGPT",
        row().choices({"windows", "offsets"}));
  t.add("packing", kText, &C::packing,
        "bfd: examples of answers share sequences, the longest first, each where it fills best; "
        "none: one a sequence; no example sees another in either case",
        row().choices({"bfd", "none"}).also({"pack"}));
  t.add(
      "document-mask", kFlag, &C::document_mask,
      "documents that share a sequence do not see each other, and positions begin again with each",
      row().also({"doc-mask", "intra-document-mask"}));
  t.add("lr", kReal, &C::learning_rate,
        "highest learning rate; auto: 0.001, for a model given as init 0.0001, with lora 0.0002",
        row()
            .at_least(0)
            .at_most(1e6)
            .automatic(-1)
            .aliases({"learning_rate"})
            .also({"rate", "max-lr"}));
  t.add("min-lr", kReal, &C::min_learning_rate,
        "learning rate at the last step; auto: a tenth of lr",
        row().at_least(0).at_most(1e6).automatic(-1).aliases({"min_learning_rate"}));
  t.add(
      "warmup", kInteger, &C::warmup,
      "updates over which the rate rises to lr; auto: a tenth of steps, within 40 and 100, but at "
      "most half of steps",
      count(0).unit("steps").automatic(-1).aliases({"warmup_steps", "warmup_iters"}));
  t.add("schedule", kText, &C::schedule, "how the rate goes from lr to min-lr",
        row()
            .choices({"cosine", "linear", "constant", "wsd"})
            .aliases({"lr_scheduler_type"})
            .also({"lr-schedule", "scheduler", "decay"}));
  t.add("weight-decay", kReal, &C::weight_decay, "AdamW's decay of matrices",
        row().at_least(0).at_most(1e6).also({"decay-rate"}));
  t.add("beta1", kReal, &C::beta1, "AdamW's decay of the mean gradient",
        row().at_least(0).below(1).aliases({"adam_beta1"}));
  t.add("beta2", kReal, &C::beta2, "AdamW's decay of the mean squared gradient",
        row().at_least(0).below(1).aliases({"adam_beta2"}));
  t.add(
      "epsilon", kReal, &C::epsilon, "what AdamW adds to the denominator",
      row().at_least(kLeastEpsilon).at_most(1).aliases({"adam_epsilon"}).also({"eps", "adam-eps"}));
  t.add("clip", kReal, &C::clip, "largest global gradient norm; 0: never clip",
        row().at_least(kLeastClip).at_most(1e12).or_zero().aliases({"grad_clip", "max_grad_norm"}));
  t.add("skip-limit", kInteger, &C::skip_limit,
        "updates skipped in a row, because loss or gradient is not finite, after which the run has "
        "diverged; 0: never",
        count(0).unit("steps").on_resume().also({"max-skips"}));
  t.add(
      "on-divergence", kText, &C::on_divergence,
      "what a run does that has diverged: stop, or roll back to its last good checkpoint and go on "
      "at half the learning rate",
      row().choices({"stop", "rollback"}).on_resume().also({"on-nan"}));
  t.add(
      "dropout", kReal, &C::dropout,
      "part that is dropped in training of attention's weights and, in GPT-2, of the embedding and "
      "of what a layer adds; a model given as init keeps none of its own",
      row().at_least(0).below(1).also(
          {"drop", "dropout-rate", "resid-pdrop", "attn-pdrop", "embd-pdrop"}));
  t.add("patience", kInteger, &C::patience,
        "end the run after so many evaluations in a row without a lower validation loss; 0: never",
        count(0)
            .unit("evaluations")
            .on_resume()
            .aliases({"early_stopping_patience"})
            .also({"early-stopping", "early-stop"}));
  t.add("seed", kInteger, &C::seed,
        "seed of the first weights, of the order of the data and of dropout",
        row().at_least(0).at_most(9007199254740992.0).also({"random-seed"}));

  t.group("Engine");
  t.add("workers", kInteger, &C::workers,
        "threads that compute; auto: as many as make a step fastest, at most one a core",
        size().unit("threads").on_resume().also({"cores", "jobs", "num-workers"}));
  t.add("threads", kInteger, &C::threads,
        "threads in the whole tree, instead of workers; auto: as many as the workers need",
        size().unit("threads").automatic(0).on_resume().also({"num-threads"}));
  t.add("symmetry", kInteger, &C::symmetry,
        "most children of a sphere (a tree needs 2), positions in a step, tokens on a ring",
        size().at_most(kMostSymmetry).also({"symmetry-order"}));
  t.add("positions", kInteger, &C::positions,
        "gradient copies that a step is spread over; auto: by the batch plan",
        size().automatic(0).also({"shards"}));
  t.add("routing", kText, &C::routing,
        "which sequences share a position: by the symmetry group of most of their tokens, or dealt "
        "in turn",
        row().choices({"symmetry", "round_robin"}).also({"route", "dealing"}));
  t.add("gemm", kText, &C::gemm, "matrix product library",
        row().choices({"auto", "native", "onednn"}).also({"blas"}));
  t.add("precision", kText, &C::precision,
        "of the operands of products: fp32, or bf16, faster where the CPU multiplies it",
        row().choices({"fp32", "bf16"}).alias_of("bf16", "bf16"));
  t.add(
      "recompute", kFlag, &C::recompute,
      "make activations again on the way back instead of keeping them: less memory, more time, the "
      "same result",
      row().on_resume().aliases({"gradient_checkpointing"}).also({"checkpointing"}));
  t.add("activate-all", kFlag, &C::activate_all,
        "compute with every worker, also where there are more of them than cores: slower, the same "
        "result, as `cllm verify` shows",
        row().on_resume().also({"oversubscribe"}));

  t.group("Output");
  t.add("eval-every", kInteger, &C::eval_every,
        "validate every so many steps; 0: never; auto: eight times a run",
        count(0).unit("steps").automatic(-1).on_resume().aliases(
            {"eval_steps", "eval_interval", "val_loss_every"}));
  t.add("eval-tokens", kInteger, &C::eval_tokens,
        "validation tokens of each evaluation, the same ones every time; 0: all of them; auto: as "
        "many as cost at most a twentieth of the run, 1024 at least",
        count(0).unit("tokens").automatic(-1).on_resume().also({"val-tokens"}));
  t.add("save-every", kInteger, &C::save_every,
        "write a checkpoint every so many steps; 0: never; auto: about eight times a run, at "
        "evaluations where these are as frequent",
        count(0)
            .unit("steps")
            .automatic(-1)
            .on_resume()
            .aliases({"save_steps"})
            .also({"checkpoint-every"}));
  t.add("keep", kInteger, &C::keep, "checkpoints kept beside the newest",
        count(1).unit("checkpoints").on_resume());
  t.add("save-dtype", kText, &C::save_dtype,
        "of the weights in model.safetensors; a checkpoint has them in fp32 too, to go on from",
        row().choices({"fp32", "bf16", "fp16"}).on_resume().also({"dtype", "torch-dtype"}));
  t.add("keep-best", kFlag, &C::keep_best,
        "also keep the checkpoint with the lowest validation loss: checkpoints/best",
        row().on_resume().also({"save-best"}));
  t.add(
      "log-every", kInteger, &C::log_every,
      "a progress line every so many steps; 0: never; auto: about 20 a run, on a terminal a "
      "live line",
      count(0).unit("steps").automatic(-1).on_resume().aliases({"logging_steps", "log_interval"}));
  t.add("spheres-every", kInteger, &C::spheres_every,
        "lines in spheres.jsonl every so many steps; 0: at the end only",
        count(0).unit("steps").on_resume());
  t.add("verbose", kFlag, &C::verbose,
        "also print how a step is computed: shards and positions, tree of threads, kernels, memory",
        row().on_resume());
  t.add("quiet", kFlag, &C::quiet, "print nothing but errors", row().on_resume().also({"silent"}));
  return t.take();
}

}  // namespace

const std::vector<Option>& options() {
  static const std::vector<Option> table = make_table();
  return table;
}

}  // namespace cllm
