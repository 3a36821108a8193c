"""The engine of cllm. Shapes: B sequences, T tokens, V' words.

tools/dev/stubs.py writes this file.
"""

import enum
from collections.abc import Callable, Iterable, Sequence
from os import PathLike
from typing import Any, ClassVar, Literal, TypeAlias, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

_Path: TypeAlias = str | PathLike[str]
_Data: TypeAlias = (
    str
    | PathLike[str]
    | bytes
    | NDArray[np.integer[Any]]
    | Iterable[str]
    | Iterable[bytes]
    | Iterable[int]
    | Iterable[Sequence[int]]
)

class CllmError(RuntimeError):
    """Any failure of the engine."""

    def __str__(self) -> str:
        """Errors quote what files and callers hold, and are one line all the same."""

class InputError(CllmError, ValueError):
    """A value, file or array that cannot be: the text says what, seen, wanted and where."""

class Option:
    """One row of the option table."""

    def __eq__(self, other: object) -> bool: ...
    def __hash__(self) -> int: ...
    def __repr__(self) -> str: ...
    def to_dict(self) -> dict[str, Any]:
        """Returns every attribute by its name."""

    @property
    def alias_values(self) -> dict[str, str]:
        """Of aliases that are flags: the value that each stands for."""

    @property
    def aliases(self) -> list[str]:
        """Other names that are accepted, as in TrainConfig: learning_rate."""

    @property
    def choices(self) -> list[str]:
        """What a text may be; empty: anything."""

    @property
    def default(self) -> str:
        """The default's text."""

    @property
    def explained(self) -> str:
        """Help, range, choices and other names, as a command's help says it."""

    @property
    def group(self) -> str:
        """Heading in the help."""

    @property
    def help(self) -> str:
        """What it is for: a phrase without a full stop."""

    @property
    def key(self) -> str:
        """Name in config.toml and TrainConfig: grad_accum."""

    @property
    def may_be_auto(self) -> bool:
        """Whether "auto" lets the run decide."""

    @property
    def name(self) -> str:
        """Name on the command line, without dashes: grad-accum."""

    @property
    def type(self) -> str:
        """"text", "integer", "real" or "flag"."""

    @property
    def unit(self) -> str:
        """Unit; "" when there is none."""

    @property
    def wanted(self) -> str:
        """What may be written."""

class TrainConfig:
    """Everything that a training run can be told, by the keys of config.toml.

    Values are checked when they are assigned; "auto" lets the run decide where an option
    accepts it. TrainConfig(data="text.txt", out="run", steps=500)"""

    def __init__(
        self,
        *,
        data: _Data = "",
        val: _Data = "",
        out: _Path = "",
        overwrite: bool = False,
        init: _Path = "",
        resume: _Path = "",
        vocab: int | Literal["auto"] = "auto",
        preset: Literal[
            "none",
            "gpt2",
            "gpt2-medium",
            "gpt2-large",
            "shakespeare-char",
            "smollm2-135m",
            "smollm2-360m",
            "qwen2.5-0.5b",
            "qwen3-0.6b",
        ] = "none",
        family: Literal["gpt2", "llama", "qwen2", "qwen3"] = "gpt2",
        layers: int = 4,
        heads: int = 4,
        dim: int = 128,
        seq: int | Literal["auto"] = "auto",
        kv_heads: int | Literal["auto"] = "auto",
        head_dim: int | Literal["auto"] = "auto",
        hidden: int | Literal["auto"] = "auto",
        rope_theta: float = 10000.0,
        untied: bool = False,
        no_bias: bool = False,
        lattice: bool = False,
        lattice_lr: float = 1.0,
        lora: bool = False,
        lora_rank: int = 8,
        lora_alpha: float | Literal["auto"] = "auto",
        rslora: bool = False,
        lora_dropout: float = 0.0,
        lora_targets: str | Sequence[str] = "all-linear",
        lora_modules_to_save: str | Sequence[str] = "",
        base_dtype: Literal["fp32", "bf16"] = "fp32",
        lora_init: _Path = "",
        batch: int = 12,
        grad_accum: int = 1,
        steps: int | Literal["auto"] = "auto",
        epochs: float | Literal["auto"] = "auto",
        shuffle: Literal["windows", "offsets"] = "offsets",
        packing: Literal["bfd", "none"] = "bfd",
        document_mask: bool = False,
        lr: float | Literal["auto"] = "auto",
        min_lr: float | Literal["auto"] = "auto",
        warmup: int | Literal["auto"] = "auto",
        schedule: Literal["cosine", "linear", "constant", "wsd"] = "cosine",
        weight_decay: float = 0.1,
        beta1: float = 0.9,
        beta2: float = 0.99,
        epsilon: float = 1e-08,
        clip: float = 1.0,
        skip_limit: int = 20,
        on_divergence: Literal["stop", "rollback"] = "stop",
        dropout: float = 0.0,
        patience: int = 0,
        seed: int = 1337,
        workers: int | Literal["auto"] = "auto",
        threads: int | Literal["auto"] = "auto",
        symmetry: int = 12,
        positions: int | Literal["auto"] = "auto",
        routing: Literal["symmetry", "round_robin"] = "symmetry",
        gemm: Literal["auto", "native", "onednn"] = "auto",
        precision: Literal["fp32", "bf16"] = "fp32",
        recompute: bool = False,
        activate_all: bool = False,
        eval_every: int | Literal["auto"] = "auto",
        eval_tokens: int | Literal["auto"] = "auto",
        save_every: int | Literal["auto"] = "auto",
        keep: int = 2,
        save_dtype: Literal["fp32", "bf16", "fp16"] = "fp32",
        keep_best: bool = False,
        log_every: int | Literal["auto"] = "auto",
        spheres_every: int = 0,
        verbose: bool = False,
        quiet: bool = False,
        train_file: _Data = ...,
        input_bin: _Data = ...,
        val_file: _Data = ...,
        validation_file: _Data = ...,
        input_val_bin: _Data = ...,
        output_dir: _Path = ...,
        out_dir: _Path = ...,
        overwrite_output_dir: bool = ...,
        resume_from_checkpoint: _Path = ...,
        vocab_size: int | Literal["auto"] = ...,
        n_layer: int = ...,
        n_head: int = ...,
        n_embd: int = ...,
        block_size: int | Literal["auto"] = ...,
        sequence_length: int | Literal["auto"] = ...,
        n_positions: int | Literal["auto"] = ...,
        n_kv_head: int | Literal["auto"] = ...,
        num_key_value_heads: int | Literal["auto"] = ...,
        head_width: int | Literal["auto"] = ...,
        n_inner: int | Literal["auto"] = ...,
        intermediate_size: int | Literal["auto"] = ...,
        use_peft: bool = ...,
        lora_r: int = ...,
        use_rslora: bool = ...,
        lora_target_modules: str | Sequence[str] = ...,
        modules_to_save: str | Sequence[str] = ...,
        batch_size: int = ...,
        per_device_train_batch_size: int = ...,
        gradient_accumulation_steps: int = ...,
        max_steps: int | Literal["auto"] = ...,
        max_iters: int | Literal["auto"] = ...,
        num_iterations: int | Literal["auto"] = ...,
        num_train_epochs: float | Literal["auto"] = ...,
        learning_rate: float | Literal["auto"] = ...,
        min_learning_rate: float | Literal["auto"] = ...,
        warmup_steps: int | Literal["auto"] = ...,
        warmup_iters: int | Literal["auto"] = ...,
        lr_scheduler_type: Literal["cosine", "linear", "constant", "wsd"] = ...,
        adam_beta1: float = ...,
        adam_beta2: float = ...,
        adam_epsilon: float = ...,
        grad_clip: float = ...,
        max_grad_norm: float = ...,
        early_stopping_patience: int = ...,
        bf16: bool = ...,
        gradient_checkpointing: bool = ...,
        eval_steps: int | Literal["auto"] = ...,
        eval_interval: int | Literal["auto"] = ...,
        val_loss_every: int | Literal["auto"] = ...,
        save_steps: int | Literal["auto"] = ...,
        logging_steps: int | Literal["auto"] = ...,
        log_interval: int | Literal["auto"] = ...,
    ) -> None:
        """Names with the default `...` are other names of an option, and unset unless given.

        data: What to train on: a text, token files (also a pattern such as "shards/*.bin"), or a
            folder that `cllm prepare` made [PATH]; '' by default.
        val: What to validate on; when not given, the validation part of the data set, or the last
            tenth of data [PATH]; '' by default.
        out: Run folder to create [RUN]; '' by default.
        overwrite: Replace the run that is in the run folder; what is no run, or is in use, stays;
            False by default.
        init: Model folder to start from [FOLDER]; '' by default.
        resume: Run folder to continue, on any number of workers, or one of its checkpoints [RUN];
            '' by default.
        vocab: Vocabulary size, for token files that carry no tokenizer; auto: what the data says
            [tokens]; 'auto' by default.
        preset: A known model, whose sizes are taken where none are given; seq and the data stay
            yours; 'none' by default.
        family: How the model is built: as GPT-2, or as Llama, Qwen2 or Qwen3, with rotary
            positions; 'gpt2' by default.
        layers: Transformer blocks; 4 by default.
        heads: Attention heads; divides dim, unless head-dim is given; 4 by default.
        dim: Model width; 128 by default.
        seq: Sequence length; auto: 64, less when the data is short [tokens]; 'auto' by default.
        kv_heads: Heads of keys and values, each for a group of heads; divides heads; auto: as
            many; 'auto' by default.
        head_dim: Width of a head; auto: dim / heads; 'auto' by default.
        hidden: Width of the hidden layer; auto: 4 dim in GPT-2, else 8/3 dim, a multiple of 64;
            'auto' by default.
        rope_theta: How slowly the slowest rotary positions turn; GPT-2 learns its positions
            instead; 10000.0 by default.
        untied: Give the model a head of its own instead of the token embedding; False by default.
        no_bias: Keep every bias of a GPT-2 zero and frozen; False by default.
        lattice: Couple tokens while training: each one's embedding plus learned parts of its
            kissing neighbours'; what is saved is a plain model, with the sums as its embedding;
            False by default.
        lattice_lr: Learning rate of the parts that the lattice learns, as a multiple of lr; 0:
            they stay 0; 1.0 by default.
        lora: Train adapters of low rank beside the model given as init, which stays as it is;
            what is saved is a PEFT adapter; False by default.
        lora_rank: Rank of the adapters; 8 by default.
        lora_alpha: Adapters count alpha / rank times; auto: twice the rank; 'auto' by default.
        rslora: Adapters count alpha / sqrt(rank) times instead; False by default.
        lora_dropout: Part of their input that adapters do not see in training; 0.0 by default.
        lora_targets: Which linear maps of the layers get an adapter: all-linear, or names such as
            q_proj,v_proj [NAMES]; 'all-linear' by default.
        lora_modules_to_save: What is trained too beside the adapters, whole: embeddings (the
            token embedding and the head), or one of them by its name, such as lm_head [NAMES]; ''
            by default.
        base_dtype: What the frozen weights are kept as: bf16 takes half of the memory, and rounds
            weights that are not stored so; 'fp32' by default.
        lora_init: Adapter to start from, in a folder of PEFT or of a run, instead of a random A
            and a B of 0 [FOLDER]; '' by default.
        batch: Sequences that go through together [sequences]; 12 by default.
        grad_accum: Batches added up to one step; the same as a batch that many times larger
            [batches]; 1 by default.
        steps: Updates to make; auto: as many as epochs make, else 2000 [steps]; 'auto' by
            default.
        epochs: Passes over the training tokens, instead of steps [epochs]; 'auto' by default.
        shuffle: Windows: every epoch takes each piece of seq tokens once, in random order;
            offsets: each sequence starts anywhere, as in nanoGPT; 'offsets' by default.
        packing: Bfd: examples of answers share sequences, the longest first, each where it fills
            best; none: one a sequence; no example sees another in either case; 'bfd' by default.
        document_mask: Documents that share a sequence do not see each other, and positions begin
            again with each; False by default.
        lr: Highest learning rate; auto: 0.001, for a model given as init 0.0001, with lora
            0.0002; 'auto' by default.
        min_lr: Learning rate at the last step; auto: a tenth of lr; 'auto' by default.
        warmup: Updates over which the rate rises to lr; auto: a tenth of steps, within 40 and
            100, but at most half of steps [steps]; 'auto' by default.
        schedule: How the rate goes from lr to min-lr; 'cosine' by default.
        weight_decay: AdamW's decay of matrices; 0.1 by default.
        beta1: AdamW's decay of the mean gradient; 0.9 by default.
        beta2: AdamW's decay of the mean squared gradient; 0.99 by default.
        epsilon: What AdamW adds to the denominator; 1e-08 by default.
        clip: Largest global gradient norm; 0: never clip; 1.0 by default.
        skip_limit: Updates skipped in a row, because loss or gradient is not finite, after which
            the run has diverged; 0: never [steps]; 20 by default.
        on_divergence: What a run does that has diverged: stop, or roll back to its last good
            checkpoint and go on at half the learning rate; 'stop' by default.
        dropout: Part that is dropped in training of attention's weights and, in GPT-2, of the
            embedding and of what a layer adds; a model given as init keeps none of its own; 0.0
            by default.
        patience: End the run after so many evaluations in a row without a lower validation loss;
            0: never [evaluations]; 0 by default.
        seed: Seed of the first weights, of the order of the data and of dropout; 1337 by default.
        workers: Threads that compute; auto: as many as make a step fastest, at most one a core
            [threads]; 'auto' by default.
        threads: Threads in the whole tree, instead of workers; auto: as many as the workers need
            [threads]; 'auto' by default.
        symmetry: Most children of a sphere (a tree needs 2), positions in a step, tokens on a
            ring; 12 by default.
        positions: Gradient copies that a step is spread over; auto: by the batch plan; 'auto' by
            default.
        routing: Which sequences share a position: by the symmetry group of most of their tokens,
            or dealt in turn; 'symmetry' by default.
        gemm: Matrix product library; 'auto' by default.
        precision: Of the operands of products: fp32, or bf16, faster where the CPU multiplies it;
            'fp32' by default.
        recompute: Make activations again on the way back instead of keeping them: less memory,
            more time, the same result; False by default.
        activate_all: Compute with every worker, also where there are more of them than cores:
            slower, the same result, as `cllm verify` shows; False by default.
        eval_every: Validate every so many steps; 0: never; auto: eight times a run [steps];
            'auto' by default.
        eval_tokens: Validation tokens of each evaluation, the same ones every time; 0: all of
            them; auto: as many as cost at most a twentieth of the run, 1024 at least [tokens];
            'auto' by default.
        save_every: Write a checkpoint every so many steps; 0: never; auto: about eight times a
            run, at evaluations where these are as frequent [steps]; 'auto' by default.
        keep: Checkpoints kept beside the newest [checkpoints]; 2 by default.
        save_dtype: Of the weights in model.safetensors; a checkpoint has them in fp32 too, to go
            on from; 'fp32' by default.
        keep_best: Also keep the checkpoint with the lowest validation loss: checkpoints/best;
            False by default.
        log_every: A progress line every so many steps; 0: never; auto: about 20 a run, on a
            terminal a live line [steps]; 'auto' by default.
        spheres_every: Lines in spheres.jsonl every so many steps; 0: at the end only [steps]; 0
            by default.
        verbose: Also print how a step is computed: shards and positions, tree of threads,
            kernels, memory; False by default.
        quiet: Print nothing but errors; False by default.
        """

    def replace(
        self,
        *,
        data: _Data = ...,
        val: _Data = ...,
        out: _Path = ...,
        overwrite: bool = ...,
        init: _Path = ...,
        resume: _Path = ...,
        vocab: int | Literal["auto"] = ...,
        preset: Literal[
            "none",
            "gpt2",
            "gpt2-medium",
            "gpt2-large",
            "shakespeare-char",
            "smollm2-135m",
            "smollm2-360m",
            "qwen2.5-0.5b",
            "qwen3-0.6b",
        ] = ...,
        family: Literal["gpt2", "llama", "qwen2", "qwen3"] = ...,
        layers: int = ...,
        heads: int = ...,
        dim: int = ...,
        seq: int | Literal["auto"] = ...,
        kv_heads: int | Literal["auto"] = ...,
        head_dim: int | Literal["auto"] = ...,
        hidden: int | Literal["auto"] = ...,
        rope_theta: float = ...,
        untied: bool = ...,
        no_bias: bool = ...,
        lattice: bool = ...,
        lattice_lr: float = ...,
        lora: bool = ...,
        lora_rank: int = ...,
        lora_alpha: float | Literal["auto"] = ...,
        rslora: bool = ...,
        lora_dropout: float = ...,
        lora_targets: str | Sequence[str] = ...,
        lora_modules_to_save: str | Sequence[str] = ...,
        base_dtype: Literal["fp32", "bf16"] = ...,
        lora_init: _Path = ...,
        batch: int = ...,
        grad_accum: int = ...,
        steps: int | Literal["auto"] = ...,
        epochs: float | Literal["auto"] = ...,
        shuffle: Literal["windows", "offsets"] = ...,
        packing: Literal["bfd", "none"] = ...,
        document_mask: bool = ...,
        lr: float | Literal["auto"] = ...,
        min_lr: float | Literal["auto"] = ...,
        warmup: int | Literal["auto"] = ...,
        schedule: Literal["cosine", "linear", "constant", "wsd"] = ...,
        weight_decay: float = ...,
        beta1: float = ...,
        beta2: float = ...,
        epsilon: float = ...,
        clip: float = ...,
        skip_limit: int = ...,
        on_divergence: Literal["stop", "rollback"] = ...,
        dropout: float = ...,
        patience: int = ...,
        seed: int = ...,
        workers: int | Literal["auto"] = ...,
        threads: int | Literal["auto"] = ...,
        symmetry: int = ...,
        positions: int | Literal["auto"] = ...,
        routing: Literal["symmetry", "round_robin"] = ...,
        gemm: Literal["auto", "native", "onednn"] = ...,
        precision: Literal["fp32", "bf16"] = ...,
        recompute: bool = ...,
        activate_all: bool = ...,
        eval_every: int | Literal["auto"] = ...,
        eval_tokens: int | Literal["auto"] = ...,
        save_every: int | Literal["auto"] = ...,
        keep: int = ...,
        save_dtype: Literal["fp32", "bf16", "fp16"] = ...,
        keep_best: bool = ...,
        log_every: int | Literal["auto"] = ...,
        spheres_every: int = ...,
        verbose: bool = ...,
        quiet: bool = ...,
        train_file: _Data = ...,
        input_bin: _Data = ...,
        val_file: _Data = ...,
        validation_file: _Data = ...,
        input_val_bin: _Data = ...,
        output_dir: _Path = ...,
        out_dir: _Path = ...,
        overwrite_output_dir: bool = ...,
        resume_from_checkpoint: _Path = ...,
        vocab_size: int | Literal["auto"] = ...,
        n_layer: int = ...,
        n_head: int = ...,
        n_embd: int = ...,
        block_size: int | Literal["auto"] = ...,
        sequence_length: int | Literal["auto"] = ...,
        n_positions: int | Literal["auto"] = ...,
        n_kv_head: int | Literal["auto"] = ...,
        num_key_value_heads: int | Literal["auto"] = ...,
        head_width: int | Literal["auto"] = ...,
        n_inner: int | Literal["auto"] = ...,
        intermediate_size: int | Literal["auto"] = ...,
        use_peft: bool = ...,
        lora_r: int = ...,
        use_rslora: bool = ...,
        lora_target_modules: str | Sequence[str] = ...,
        modules_to_save: str | Sequence[str] = ...,
        batch_size: int = ...,
        per_device_train_batch_size: int = ...,
        gradient_accumulation_steps: int = ...,
        max_steps: int | Literal["auto"] = ...,
        max_iters: int | Literal["auto"] = ...,
        num_iterations: int | Literal["auto"] = ...,
        num_train_epochs: float | Literal["auto"] = ...,
        learning_rate: float | Literal["auto"] = ...,
        min_learning_rate: float | Literal["auto"] = ...,
        warmup_steps: int | Literal["auto"] = ...,
        warmup_iters: int | Literal["auto"] = ...,
        lr_scheduler_type: Literal["cosine", "linear", "constant", "wsd"] = ...,
        adam_beta1: float = ...,
        adam_beta2: float = ...,
        adam_epsilon: float = ...,
        grad_clip: float = ...,
        max_grad_norm: float = ...,
        early_stopping_patience: int = ...,
        bf16: bool = ...,
        gradient_checkpointing: bool = ...,
        eval_steps: int | Literal["auto"] = ...,
        eval_interval: int | Literal["auto"] = ...,
        val_loss_every: int | Literal["auto"] = ...,
        save_steps: int | Literal["auto"] = ...,
        logging_steps: int | Literal["auto"] = ...,
        log_interval: int | Literal["auto"] = ...,
    ) -> TrainConfig:
        """Returns a copy with other values for some keys; those that are not given stay."""

    @property
    def data(self) -> Any:
        """What to train on: a text, token files (also a pattern such as "shards/*.bin"), or a
        folder that `cllm prepare` made [PATH]; '' by default."""

    @data.setter
    def data(self, value: _Data) -> None: ...
    @property
    def train_file(self) -> Any:
        """Another name of data."""

    @train_file.setter
    def train_file(self, value: _Data) -> None: ...
    @property
    def input_bin(self) -> Any:
        """Another name of data."""

    @input_bin.setter
    def input_bin(self, value: _Data) -> None: ...
    @property
    def val(self) -> Any:
        """What to validate on; when not given, the validation part of the data set, or the last
        tenth of data [PATH]; '' by default."""

    @val.setter
    def val(self, value: _Data) -> None: ...
    @property
    def val_file(self) -> Any:
        """Another name of val."""

    @val_file.setter
    def val_file(self, value: _Data) -> None: ...
    @property
    def validation_file(self) -> Any:
        """Another name of val."""

    @validation_file.setter
    def validation_file(self, value: _Data) -> None: ...
    @property
    def input_val_bin(self) -> Any:
        """Another name of val."""

    @input_val_bin.setter
    def input_val_bin(self, value: _Data) -> None: ...
    @property
    def out(self) -> str:
        """Run folder to create [RUN]; '' by default."""

    @out.setter
    def out(self, value: _Path) -> None: ...
    @property
    def output_dir(self) -> str:
        """Another name of out."""

    @output_dir.setter
    def output_dir(self, value: _Path) -> None: ...
    @property
    def out_dir(self) -> str:
        """Another name of out."""

    @out_dir.setter
    def out_dir(self, value: _Path) -> None: ...
    @property
    def overwrite(self) -> bool:
        """Replace the run that is in the run folder; what is no run, or is in use, stays; False
        by default."""

    @overwrite.setter
    def overwrite(self, value: bool) -> None: ...
    @property
    def overwrite_output_dir(self) -> bool:
        """Another name of overwrite."""

    @overwrite_output_dir.setter
    def overwrite_output_dir(self, value: bool) -> None: ...
    @property
    def init(self) -> str:
        """Model folder to start from [FOLDER]; '' by default."""

    @init.setter
    def init(self, value: _Path) -> None: ...
    @property
    def resume(self) -> str:
        """Run folder to continue, on any number of workers, or one of its checkpoints [RUN]; ''
        by default."""

    @resume.setter
    def resume(self, value: _Path) -> None: ...
    @property
    def resume_from_checkpoint(self) -> str:
        """Another name of resume."""

    @resume_from_checkpoint.setter
    def resume_from_checkpoint(self, value: _Path) -> None: ...
    @property
    def vocab(self) -> int | Literal["auto"]:
        """Vocabulary size, for token files that carry no tokenizer; auto: what the data says
        [tokens]; 'auto' by default."""

    @vocab.setter
    def vocab(self, value: int | Literal["auto"]) -> None: ...
    @property
    def vocab_size(self) -> int | Literal["auto"]:
        """Another name of vocab."""

    @vocab_size.setter
    def vocab_size(self, value: int | Literal["auto"]) -> None: ...
    @property
    def preset(
        self,
    ) -> Literal[
        "none",
        "gpt2",
        "gpt2-medium",
        "gpt2-large",
        "shakespeare-char",
        "smollm2-135m",
        "smollm2-360m",
        "qwen2.5-0.5b",
        "qwen3-0.6b",
    ]:
        """A known model, whose sizes are taken where none are given; seq and the data stay
        yours; 'none' by default."""

    @preset.setter
    def preset(
        self,
        value: Literal[
            "none",
            "gpt2",
            "gpt2-medium",
            "gpt2-large",
            "shakespeare-char",
            "smollm2-135m",
            "smollm2-360m",
            "qwen2.5-0.5b",
            "qwen3-0.6b",
        ],
    ) -> None: ...
    @property
    def family(self) -> Literal["gpt2", "llama", "qwen2", "qwen3"]:
        """How the model is built: as GPT-2, or as Llama, Qwen2 or Qwen3, with rotary positions;
        'gpt2' by default."""

    @family.setter
    def family(self, value: Literal["gpt2", "llama", "qwen2", "qwen3"]) -> None: ...
    @property
    def layers(self) -> int:
        """Transformer blocks; 4 by default."""

    @layers.setter
    def layers(self, value: int) -> None: ...
    @property
    def n_layer(self) -> int:
        """Another name of layers."""

    @n_layer.setter
    def n_layer(self, value: int) -> None: ...
    @property
    def heads(self) -> int:
        """Attention heads; divides dim, unless head-dim is given; 4 by default."""

    @heads.setter
    def heads(self, value: int) -> None: ...
    @property
    def n_head(self) -> int:
        """Another name of heads."""

    @n_head.setter
    def n_head(self, value: int) -> None: ...
    @property
    def dim(self) -> int:
        """Model width; 128 by default."""

    @dim.setter
    def dim(self, value: int) -> None: ...
    @property
    def n_embd(self) -> int:
        """Another name of dim."""

    @n_embd.setter
    def n_embd(self, value: int) -> None: ...
    @property
    def seq(self) -> int | Literal["auto"]:
        """Sequence length; auto: 64, less when the data is short [tokens]; 'auto' by default."""

    @seq.setter
    def seq(self, value: int | Literal["auto"]) -> None: ...
    @property
    def block_size(self) -> int | Literal["auto"]:
        """Another name of seq."""

    @block_size.setter
    def block_size(self, value: int | Literal["auto"]) -> None: ...
    @property
    def sequence_length(self) -> int | Literal["auto"]:
        """Another name of seq."""

    @sequence_length.setter
    def sequence_length(self, value: int | Literal["auto"]) -> None: ...
    @property
    def n_positions(self) -> int | Literal["auto"]:
        """Another name of seq."""

    @n_positions.setter
    def n_positions(self, value: int | Literal["auto"]) -> None: ...
    @property
    def kv_heads(self) -> int | Literal["auto"]:
        """Heads of keys and values, each for a group of heads; divides heads; auto: as many;
        'auto' by default."""

    @kv_heads.setter
    def kv_heads(self, value: int | Literal["auto"]) -> None: ...
    @property
    def n_kv_head(self) -> int | Literal["auto"]:
        """Another name of kv_heads."""

    @n_kv_head.setter
    def n_kv_head(self, value: int | Literal["auto"]) -> None: ...
    @property
    def num_key_value_heads(self) -> int | Literal["auto"]:
        """Another name of kv_heads."""

    @num_key_value_heads.setter
    def num_key_value_heads(self, value: int | Literal["auto"]) -> None: ...
    @property
    def head_dim(self) -> int | Literal["auto"]:
        """Width of a head; auto: dim / heads; 'auto' by default."""

    @head_dim.setter
    def head_dim(self, value: int | Literal["auto"]) -> None: ...
    @property
    def head_width(self) -> int | Literal["auto"]:
        """Another name of head_dim."""

    @head_width.setter
    def head_width(self, value: int | Literal["auto"]) -> None: ...
    @property
    def hidden(self) -> int | Literal["auto"]:
        """Width of the hidden layer; auto: 4 dim in GPT-2, else 8/3 dim, a multiple of 64;
        'auto' by default."""

    @hidden.setter
    def hidden(self, value: int | Literal["auto"]) -> None: ...
    @property
    def n_inner(self) -> int | Literal["auto"]:
        """Another name of hidden."""

    @n_inner.setter
    def n_inner(self, value: int | Literal["auto"]) -> None: ...
    @property
    def intermediate_size(self) -> int | Literal["auto"]:
        """Another name of hidden."""

    @intermediate_size.setter
    def intermediate_size(self, value: int | Literal["auto"]) -> None: ...
    @property
    def rope_theta(self) -> float:
        """How slowly the slowest rotary positions turn; GPT-2 learns its positions instead;
        10000.0 by default."""

    @rope_theta.setter
    def rope_theta(self, value: float) -> None: ...
    @property
    def untied(self) -> bool:
        """Give the model a head of its own instead of the token embedding; False by default."""

    @untied.setter
    def untied(self, value: bool) -> None: ...
    @property
    def no_bias(self) -> bool:
        """Keep every bias of a GPT-2 zero and frozen; False by default."""

    @no_bias.setter
    def no_bias(self, value: bool) -> None: ...
    @property
    def lattice(self) -> bool:
        """Couple tokens while training: each one's embedding plus learned parts of its kissing
        neighbours'; what is saved is a plain model, with the sums as its embedding; False by
        default."""

    @lattice.setter
    def lattice(self, value: bool) -> None: ...
    @property
    def lattice_lr(self) -> float:
        """Learning rate of the parts that the lattice learns, as a multiple of lr; 0: they stay
        0; 1.0 by default."""

    @lattice_lr.setter
    def lattice_lr(self, value: float) -> None: ...
    @property
    def lora(self) -> bool:
        """Train adapters of low rank beside the model given as init, which stays as it is; what
        is saved is a PEFT adapter; False by default."""

    @lora.setter
    def lora(self, value: bool) -> None: ...
    @property
    def use_peft(self) -> bool:
        """Another name of lora."""

    @use_peft.setter
    def use_peft(self, value: bool) -> None: ...
    @property
    def lora_rank(self) -> int:
        """Rank of the adapters; 8 by default."""

    @lora_rank.setter
    def lora_rank(self, value: int) -> None: ...
    @property
    def lora_r(self) -> int:
        """Another name of lora_rank."""

    @lora_r.setter
    def lora_r(self, value: int) -> None: ...
    @property
    def lora_alpha(self) -> float | Literal["auto"]:
        """Adapters count alpha / rank times; auto: twice the rank; 'auto' by default."""

    @lora_alpha.setter
    def lora_alpha(self, value: float | Literal["auto"]) -> None: ...
    @property
    def rslora(self) -> bool:
        """Adapters count alpha / sqrt(rank) times instead; False by default."""

    @rslora.setter
    def rslora(self, value: bool) -> None: ...
    @property
    def use_rslora(self) -> bool:
        """Another name of rslora."""

    @use_rslora.setter
    def use_rslora(self, value: bool) -> None: ...
    @property
    def lora_dropout(self) -> float:
        """Part of their input that adapters do not see in training; 0.0 by default."""

    @lora_dropout.setter
    def lora_dropout(self, value: float) -> None: ...
    @property
    def lora_targets(self) -> str:
        """Which linear maps of the layers get an adapter: all-linear, or names such as
        q_proj,v_proj [NAMES]; 'all-linear' by default."""

    @lora_targets.setter
    def lora_targets(self, value: str | Sequence[str]) -> None: ...
    @property
    def lora_target_modules(self) -> str:
        """Another name of lora_targets."""

    @lora_target_modules.setter
    def lora_target_modules(self, value: str | Sequence[str]) -> None: ...
    @property
    def lora_modules_to_save(self) -> str:
        """What is trained too beside the adapters, whole: embeddings (the token embedding and
        the head), or one of them by its name, such as lm_head [NAMES]; '' by default."""

    @lora_modules_to_save.setter
    def lora_modules_to_save(self, value: str | Sequence[str]) -> None: ...
    @property
    def modules_to_save(self) -> str:
        """Another name of lora_modules_to_save."""

    @modules_to_save.setter
    def modules_to_save(self, value: str | Sequence[str]) -> None: ...
    @property
    def base_dtype(self) -> Literal["fp32", "bf16"]:
        """What the frozen weights are kept as: bf16 takes half of the memory, and rounds
        weights that are not stored so; 'fp32' by default."""

    @base_dtype.setter
    def base_dtype(self, value: Literal["fp32", "bf16"]) -> None: ...
    @property
    def lora_init(self) -> str:
        """Adapter to start from, in a folder of PEFT or of a run, instead of a random A and a B
        of 0 [FOLDER]; '' by default."""

    @lora_init.setter
    def lora_init(self, value: _Path) -> None: ...
    @property
    def batch(self) -> int:
        """Sequences that go through together [sequences]; 12 by default."""

    @batch.setter
    def batch(self, value: int) -> None: ...
    @property
    def batch_size(self) -> int:
        """Another name of batch."""

    @batch_size.setter
    def batch_size(self, value: int) -> None: ...
    @property
    def per_device_train_batch_size(self) -> int:
        """Another name of batch."""

    @per_device_train_batch_size.setter
    def per_device_train_batch_size(self, value: int) -> None: ...
    @property
    def grad_accum(self) -> int:
        """Batches added up to one step; the same as a batch that many times larger [batches]; 1
        by default."""

    @grad_accum.setter
    def grad_accum(self, value: int) -> None: ...
    @property
    def gradient_accumulation_steps(self) -> int:
        """Another name of grad_accum."""

    @gradient_accumulation_steps.setter
    def gradient_accumulation_steps(self, value: int) -> None: ...
    @property
    def steps(self) -> int | Literal["auto"]:
        """Updates to make; auto: as many as epochs make, else 2000 [steps]; 'auto' by default."""

    @steps.setter
    def steps(self, value: int | Literal["auto"]) -> None: ...
    @property
    def max_steps(self) -> int | Literal["auto"]:
        """Another name of steps."""

    @max_steps.setter
    def max_steps(self, value: int | Literal["auto"]) -> None: ...
    @property
    def max_iters(self) -> int | Literal["auto"]:
        """Another name of steps."""

    @max_iters.setter
    def max_iters(self, value: int | Literal["auto"]) -> None: ...
    @property
    def num_iterations(self) -> int | Literal["auto"]:
        """Another name of steps."""

    @num_iterations.setter
    def num_iterations(self, value: int | Literal["auto"]) -> None: ...
    @property
    def epochs(self) -> float | Literal["auto"]:
        """Passes over the training tokens, instead of steps [epochs]; 'auto' by default."""

    @epochs.setter
    def epochs(self, value: float | Literal["auto"]) -> None: ...
    @property
    def num_train_epochs(self) -> float | Literal["auto"]:
        """Another name of epochs."""

    @num_train_epochs.setter
    def num_train_epochs(self, value: float | Literal["auto"]) -> None: ...
    @property
    def shuffle(self) -> Literal["windows", "offsets"]:
        """Windows: every epoch takes each piece of seq tokens once, in random order; offsets:
        each sequence starts anywhere, as in nanoGPT; 'offsets' by default."""

    @shuffle.setter
    def shuffle(self, value: Literal["windows", "offsets"]) -> None: ...
    @property
    def packing(self) -> Literal["bfd", "none"]:
        """Bfd: examples of answers share sequences, the longest first, each where it fills
        best; none: one a sequence; no example sees another in either case; 'bfd' by default."""

    @packing.setter
    def packing(self, value: Literal["bfd", "none"]) -> None: ...
    @property
    def document_mask(self) -> bool:
        """Documents that share a sequence do not see each other, and positions begin again with
        each; False by default."""

    @document_mask.setter
    def document_mask(self, value: bool) -> None: ...
    @property
    def lr(self) -> float | Literal["auto"]:
        """Highest learning rate; auto: 0.001, for a model given as init 0.0001, with lora
        0.0002; 'auto' by default."""

    @lr.setter
    def lr(self, value: float | Literal["auto"]) -> None: ...
    @property
    def learning_rate(self) -> float | Literal["auto"]:
        """Another name of lr."""

    @learning_rate.setter
    def learning_rate(self, value: float | Literal["auto"]) -> None: ...
    @property
    def min_lr(self) -> float | Literal["auto"]:
        """Learning rate at the last step; auto: a tenth of lr; 'auto' by default."""

    @min_lr.setter
    def min_lr(self, value: float | Literal["auto"]) -> None: ...
    @property
    def min_learning_rate(self) -> float | Literal["auto"]:
        """Another name of min_lr."""

    @min_learning_rate.setter
    def min_learning_rate(self, value: float | Literal["auto"]) -> None: ...
    @property
    def warmup(self) -> int | Literal["auto"]:
        """Updates over which the rate rises to lr; auto: a tenth of steps, within 40 and 100,
        but at most half of steps [steps]; 'auto' by default."""

    @warmup.setter
    def warmup(self, value: int | Literal["auto"]) -> None: ...
    @property
    def warmup_steps(self) -> int | Literal["auto"]:
        """Another name of warmup."""

    @warmup_steps.setter
    def warmup_steps(self, value: int | Literal["auto"]) -> None: ...
    @property
    def warmup_iters(self) -> int | Literal["auto"]:
        """Another name of warmup."""

    @warmup_iters.setter
    def warmup_iters(self, value: int | Literal["auto"]) -> None: ...
    @property
    def schedule(self) -> Literal["cosine", "linear", "constant", "wsd"]:
        """How the rate goes from lr to min-lr; 'cosine' by default."""

    @schedule.setter
    def schedule(self, value: Literal["cosine", "linear", "constant", "wsd"]) -> None: ...
    @property
    def lr_scheduler_type(self) -> Literal["cosine", "linear", "constant", "wsd"]:
        """Another name of schedule."""

    @lr_scheduler_type.setter
    def lr_scheduler_type(self, value: Literal["cosine", "linear", "constant", "wsd"]) -> None: ...
    @property
    def weight_decay(self) -> float:
        """AdamW's decay of matrices; 0.1 by default."""

    @weight_decay.setter
    def weight_decay(self, value: float) -> None: ...
    @property
    def beta1(self) -> float:
        """AdamW's decay of the mean gradient; 0.9 by default."""

    @beta1.setter
    def beta1(self, value: float) -> None: ...
    @property
    def adam_beta1(self) -> float:
        """Another name of beta1."""

    @adam_beta1.setter
    def adam_beta1(self, value: float) -> None: ...
    @property
    def beta2(self) -> float:
        """AdamW's decay of the mean squared gradient; 0.99 by default."""

    @beta2.setter
    def beta2(self, value: float) -> None: ...
    @property
    def adam_beta2(self) -> float:
        """Another name of beta2."""

    @adam_beta2.setter
    def adam_beta2(self, value: float) -> None: ...
    @property
    def epsilon(self) -> float:
        """What AdamW adds to the denominator; 1e-08 by default."""

    @epsilon.setter
    def epsilon(self, value: float) -> None: ...
    @property
    def adam_epsilon(self) -> float:
        """Another name of epsilon."""

    @adam_epsilon.setter
    def adam_epsilon(self, value: float) -> None: ...
    @property
    def clip(self) -> float:
        """Largest global gradient norm; 0: never clip; 1.0 by default."""

    @clip.setter
    def clip(self, value: float) -> None: ...
    @property
    def grad_clip(self) -> float:
        """Another name of clip."""

    @grad_clip.setter
    def grad_clip(self, value: float) -> None: ...
    @property
    def max_grad_norm(self) -> float:
        """Another name of clip."""

    @max_grad_norm.setter
    def max_grad_norm(self, value: float) -> None: ...
    @property
    def skip_limit(self) -> int:
        """Updates skipped in a row, because loss or gradient is not finite, after which the run
        has diverged; 0: never [steps]; 20 by default."""

    @skip_limit.setter
    def skip_limit(self, value: int) -> None: ...
    @property
    def on_divergence(self) -> Literal["stop", "rollback"]:
        """What a run does that has diverged: stop, or roll back to its last good checkpoint and
        go on at half the learning rate; 'stop' by default."""

    @on_divergence.setter
    def on_divergence(self, value: Literal["stop", "rollback"]) -> None: ...
    @property
    def dropout(self) -> float:
        """Part that is dropped in training of attention's weights and, in GPT-2, of the
        embedding and of what a layer adds; a model given as init keeps none of its own; 0.0
        by default."""

    @dropout.setter
    def dropout(self, value: float) -> None: ...
    @property
    def patience(self) -> int:
        """End the run after so many evaluations in a row without a lower validation loss; 0:
        never [evaluations]; 0 by default."""

    @patience.setter
    def patience(self, value: int) -> None: ...
    @property
    def early_stopping_patience(self) -> int:
        """Another name of patience."""

    @early_stopping_patience.setter
    def early_stopping_patience(self, value: int) -> None: ...
    @property
    def seed(self) -> int:
        """Seed of the first weights, of the order of the data and of dropout; 1337 by default."""

    @seed.setter
    def seed(self, value: int) -> None: ...
    @property
    def workers(self) -> int | Literal["auto"]:
        """Threads that compute; auto: as many as make a step fastest, at most one a core
        [threads]; 'auto' by default."""

    @workers.setter
    def workers(self, value: int | Literal["auto"]) -> None: ...
    @property
    def threads(self) -> int | Literal["auto"]:
        """Threads in the whole tree, instead of workers; auto: as many as the workers need
        [threads]; 'auto' by default."""

    @threads.setter
    def threads(self, value: int | Literal["auto"]) -> None: ...
    @property
    def symmetry(self) -> int:
        """Most children of a sphere (a tree needs 2), positions in a step, tokens on a ring; 12
        by default."""

    @symmetry.setter
    def symmetry(self, value: int) -> None: ...
    @property
    def positions(self) -> int | Literal["auto"]:
        """Gradient copies that a step is spread over; auto: by the batch plan; 'auto' by
        default."""

    @positions.setter
    def positions(self, value: int | Literal["auto"]) -> None: ...
    @property
    def routing(self) -> Literal["symmetry", "round_robin"]:
        """Which sequences share a position: by the symmetry group of most of their tokens, or
        dealt in turn; 'symmetry' by default."""

    @routing.setter
    def routing(self, value: Literal["symmetry", "round_robin"]) -> None: ...
    @property
    def gemm(self) -> Literal["auto", "native", "onednn"]:
        """Matrix product library; 'auto' by default."""

    @gemm.setter
    def gemm(self, value: Literal["auto", "native", "onednn"]) -> None: ...
    @property
    def precision(self) -> Literal["fp32", "bf16"]:
        """Of the operands of products: fp32, or bf16, faster where the CPU multiplies it;
        'fp32' by default."""

    @precision.setter
    def precision(self, value: Literal["fp32", "bf16"]) -> None: ...
    @property
    def bf16(self) -> bool:
        """Whether precision is bf16."""

    @bf16.setter
    def bf16(self, value: bool) -> None: ...
    @property
    def recompute(self) -> bool:
        """Make activations again on the way back instead of keeping them: less memory, more
        time, the same result; False by default."""

    @recompute.setter
    def recompute(self, value: bool) -> None: ...
    @property
    def gradient_checkpointing(self) -> bool:
        """Another name of recompute."""

    @gradient_checkpointing.setter
    def gradient_checkpointing(self, value: bool) -> None: ...
    @property
    def activate_all(self) -> bool:
        """Compute with every worker, also where there are more of them than cores: slower, the
        same result, as `cllm verify` shows; False by default."""

    @activate_all.setter
    def activate_all(self, value: bool) -> None: ...
    @property
    def eval_every(self) -> int | Literal["auto"]:
        """Validate every so many steps; 0: never; auto: eight times a run [steps]; 'auto' by
        default."""

    @eval_every.setter
    def eval_every(self, value: int | Literal["auto"]) -> None: ...
    @property
    def eval_steps(self) -> int | Literal["auto"]:
        """Another name of eval_every."""

    @eval_steps.setter
    def eval_steps(self, value: int | Literal["auto"]) -> None: ...
    @property
    def eval_interval(self) -> int | Literal["auto"]:
        """Another name of eval_every."""

    @eval_interval.setter
    def eval_interval(self, value: int | Literal["auto"]) -> None: ...
    @property
    def val_loss_every(self) -> int | Literal["auto"]:
        """Another name of eval_every."""

    @val_loss_every.setter
    def val_loss_every(self, value: int | Literal["auto"]) -> None: ...
    @property
    def eval_tokens(self) -> int | Literal["auto"]:
        """Validation tokens of each evaluation, the same ones every time; 0: all of them; auto:
        as many as cost at most a twentieth of the run, 1024 at least [tokens]; 'auto' by
        default."""

    @eval_tokens.setter
    def eval_tokens(self, value: int | Literal["auto"]) -> None: ...
    @property
    def save_every(self) -> int | Literal["auto"]:
        """Write a checkpoint every so many steps; 0: never; auto: about eight times a run, at
        evaluations where these are as frequent [steps]; 'auto' by default."""

    @save_every.setter
    def save_every(self, value: int | Literal["auto"]) -> None: ...
    @property
    def save_steps(self) -> int | Literal["auto"]:
        """Another name of save_every."""

    @save_steps.setter
    def save_steps(self, value: int | Literal["auto"]) -> None: ...
    @property
    def keep(self) -> int:
        """Checkpoints kept beside the newest [checkpoints]; 2 by default."""

    @keep.setter
    def keep(self, value: int) -> None: ...
    @property
    def save_dtype(self) -> Literal["fp32", "bf16", "fp16"]:
        """Of the weights in model.safetensors; a checkpoint has them in fp32 too, to go on
        from; 'fp32' by default."""

    @save_dtype.setter
    def save_dtype(self, value: Literal["fp32", "bf16", "fp16"]) -> None: ...
    @property
    def keep_best(self) -> bool:
        """Also keep the checkpoint with the lowest validation loss: checkpoints/best; False by
        default."""

    @keep_best.setter
    def keep_best(self, value: bool) -> None: ...
    @property
    def log_every(self) -> int | Literal["auto"]:
        """A progress line every so many steps; 0: never; auto: about 20 a run, on a terminal a
        live line [steps]; 'auto' by default."""

    @log_every.setter
    def log_every(self, value: int | Literal["auto"]) -> None: ...
    @property
    def logging_steps(self) -> int | Literal["auto"]:
        """Another name of log_every."""

    @logging_steps.setter
    def logging_steps(self, value: int | Literal["auto"]) -> None: ...
    @property
    def log_interval(self) -> int | Literal["auto"]:
        """Another name of log_every."""

    @log_interval.setter
    def log_interval(self, value: int | Literal["auto"]) -> None: ...
    @property
    def spheres_every(self) -> int:
        """Lines in spheres.jsonl every so many steps; 0: at the end only [steps]; 0 by default."""

    @spheres_every.setter
    def spheres_every(self, value: int) -> None: ...
    @property
    def verbose(self) -> bool:
        """Also print how a step is computed: shards and positions, tree of threads, kernels,
        memory; False by default."""

    @verbose.setter
    def verbose(self, value: bool) -> None: ...
    @property
    def quiet(self) -> bool:
        """Print nothing but errors; False by default."""

    @quiet.setter
    def quiet(self, value: bool) -> None: ...
    __hash__: ClassVar[None]  # type: ignore[assignment]

    @staticmethod
    def from_toml(text: str) -> TrainConfig:
        """Returns the defaults with the `key = value` lines of a config.toml."""

    def __eq__(self, other: object) -> bool: ...
    def __repr__(self) -> str: ...
    def to_dict(self) -> dict[str, Any]:
        """Returns every key with its value; other names are left out."""

    def to_toml(self) -> str:
        """Returns a config.toml with help as comments, without `resume` and `overwrite`."""

class TrainerConfig(TrainConfig):
    """The configuration of a trainer, with every "auto" decided. It cannot be changed; copies
    and replace() give a TrainConfig.
    """

class ModelConfig:
    """The family and the sizes of a model; they cannot be changed."""

    def __eq__(self, other: object) -> bool: ...
    def __hash__(self) -> int: ...
    def __init__(
        self,
        *,
        layers: int = 4,
        heads: int = 4,
        dim: int = 128,
        seq: int = 64,
        vocab: int = 257,
        bias: bool = True,
        symmetry: int = 12,
        embd_pdrop: float = 0.0,
        attn_pdrop: float = 0.0,
        resid_pdrop: float = 0.0,
        family: str = "gpt2",
        kv_heads: int | None = None,
        head_dim: int | None = None,
        hidden: int | None = None,
        activation: str | None = None,
        norm_epsilon: float | None = None,
        rope_theta: float = 10000.0,
        rope_scaling: dict[str, Any] | None = None,
        tied_head: bool = True,
        initializer_range: float = 0.02,
        scale_attn_by_inverse_layer_idx: bool = False,
    ) -> None: ...
    def __repr__(self) -> str: ...
    def to_dict(self) -> dict[str, Any]:
        """Returns every field by its name; values inside are dicts too."""

    @property
    def activation(self) -> str:
        """What the hidden layer applies: "gelu_new", "gelu", "relu"; "silu" but for GPT-2."""

    @property
    def attn_pdrop(self) -> float:
        """Part of attention's weights that training drops."""

    @property
    def bias(self) -> bool:
        """False: every bias of a GPT-2 is zero and stays so."""

    @property
    def dim(self) -> int:
        """Width: C, n_embd."""

    @property
    def embd_pdrop(self) -> float:
        """Part of the embedding that training drops."""

    @property
    def family(self) -> str:
        """"gpt2", "llama", "qwen2" or "qwen3": model_type."""

    @property
    def head_dim(self) -> int:
        """Width of a head: D, dim / heads unless given."""

    @property
    def heads(self) -> int:
        """Attention heads, which divide dim: H, n_head."""

    @property
    def hidden(self) -> int:
        """Width of the hidden layer: F, n_inner, intermediate_size."""

    @property
    def initializer_range(self) -> float:
        """Deviation of new weights."""

    @property
    def kv_heads(self) -> int:
        """Heads of keys and values, each for some of heads: num_key_value_heads."""

    @property
    def layers(self) -> int:
        """Transformer blocks: L, n_layer."""

    @property
    def norm_epsilon(self) -> float:
        """What norms add to the mean square: layer_norm_epsilon, rms_norm_eps."""

    @property
    def parameters(self) -> int:
        """The number of weights of such a model."""

    @property
    def resid_pdrop(self) -> float:
        """Part of what attention and the hidden layer add that training drops."""

    @property
    def rope_scaling(self) -> Any:
        """None, or the numbers of rope_type "llama3" as config.json has them."""

    @property
    def rope_theta(self) -> float:
        """Base of the wave lengths of rotary positions, which GPT-2 does not have."""

    @property
    def scale_attn_by_inverse_layer_idx(self) -> bool:
        """Whether GPT-2's scores are divided by the number of their layer."""

    @property
    def seq(self) -> int:
        """The longest sequence: T, n_positions."""

    @property
    def symmetry(self) -> int:
        """V of the sphere structure."""

    @property
    def tied_head(self) -> bool:
        """Whether the token embedding is the head: tie_word_embeddings."""

    @property
    def vocab(self) -> int:
        """Words of the vocabulary: V', vocab_size."""

class SpherePlan:
    """One sphere of a tree; ids count level by level."""

    def __eq__(self, other: object) -> bool: ...
    def __hash__(self) -> int: ...
    def __repr__(self) -> str: ...
    def to_dict(self) -> dict[str, Any]:
        """Returns every field by its name; values inside are dicts too."""

    @property
    def children(self) -> list[int]:
        """Ids."""

    @property
    def id(self) -> int:
        """Number in the tree."""

    @property
    def level(self) -> int:
        """0 for the root."""

    @property
    def parent(self) -> int:
        """Id; -1 for the root."""

    @property
    def role(self) -> str:
        """"root", "control", "worker" or "root+worker"."""

    @property
    def subtree(self) -> int:
        """Which of the root's children it descends from, from 0; -1 for the root."""

class TreePlan:
    """The tree that a number of threads makes."""

    def __eq__(self, other: object) -> bool: ...
    def __hash__(self) -> int: ...
    def __len__(self) -> int: ...
    def __repr__(self) -> str: ...
    def to_dict(self) -> dict[str, Any]:
        """Returns the tree as dicts and lists."""

    @property
    def levels(self) -> int:
        """Levels of the tree, the root's included."""

    @property
    def spheres(self) -> list[SpherePlan]:
        """All of them, by id."""

    @property
    def symmetry_order(self) -> int:
        """Most children of a sphere; 2 where it is 1."""

    @property
    def workers(self) -> list[int]:
        """Ids of the leaves, from left to right."""

class StepPlan:
    """What a step would be. Memory is in bytes."""

    def __eq__(self, other: object) -> bool: ...
    def __hash__(self) -> int: ...
    def __repr__(self) -> str: ...
    def to_dict(self) -> dict[str, Any]:
        """Returns every field by its name; values inside are dicts too."""

    @property
    def activation_memory(self) -> int:
        """Memory of activations, gradients and packed weights."""

    @property
    def active_workers(self) -> int:
        """Workers that compute on the cores that this process may use."""

    @property
    def batch(self) -> int:
        """Sequences in a step."""

    @property
    def largest_shard(self) -> int:
        """Sequences in the largest shard."""

    @property
    def memory(self) -> int:
        """All of it."""

    @property
    def model(self) -> ModelConfig:
        """The shape of the model."""

    @property
    def moment_memory(self) -> int:
        """Memory of the optimizer's moments."""

    @property
    def other_memory(self) -> int:
        """Memory of the program, its tables, batches, evaluation and, where it fits, the copy
        that checkpoints are written from.
        """

    @property
    def parameter_memory(self) -> int:
        """Memory of the weights."""

    @property
    def parameters(self) -> int:
        """Weights of the model."""

    @property
    def positions(self) -> int:
        """Gradient copies that it is spread over: K."""

    @property
    def sequence(self) -> int:
        """Tokens in a sequence."""

    @property
    def shards(self) -> int:
        """Shards that the step is cut into: S."""

    @property
    def threads(self) -> int:
        """Spheres of the tree."""

    @property
    def trained(self) -> int:
        """Numbers that a step changes: the weights, or those of adapters."""

    @property
    def worker_memory(self) -> int:
        """Memory of the workers."""

    @property
    def workers(self) -> int:
        """Spheres that compute."""

class StepReport:
    """One optimizer update; one line of metrics.jsonl."""

    def __eq__(self, other: object) -> bool: ...
    def __hash__(self) -> int: ...
    def __repr__(self) -> str: ...
    def to_dict(self) -> dict[str, Any]:
        """Returns every field by its name; values inside are dicts too."""

    @property
    def epoch(self) -> float:
        """Passes over the training tokens so far."""

    @property
    def gflops(self) -> float:
        """Arithmetic over the wall time, 1e9 operations a second."""

    @property
    def grad_norm(self) -> float:
        """Global norm of the gradient, before clipping."""

    @property
    def late(self) -> bool:
        """Whether the workers waited for data, because a batch was not ready in time."""

    @property
    def loss(self) -> float:
        """Mean cross-entropy of the step, nats a token."""

    @property
    def lr(self) -> float:
        """Learning rate of the step."""

    @property
    def mfu(self) -> float:
        """Part of the cores' measured GEMM peak, 0 to 1."""

    @property
    def ms(self) -> float:
        """Wall time of the step, milliseconds."""

    @property
    def skipped(self) -> bool:
        """Whether nothing was updated, because loss or gradient was not finite, or because
        there was no target to learn from.
        """

    @property
    def step(self) -> int:
        """Updates done, counting this one."""

    @property
    def tokens(self) -> int:
        """Tokens trained on so far."""

    @property
    def tokens_per_s(self) -> float:
        """Tokens trained on in a second."""

    @property
    def trained_tokens(self) -> int:
        """Targets of the step that are learned from: those that are not -1."""

    @property
    def workers(self) -> int:
        """Workers that were to compute in it."""

class EvaluationReport:
    """The mean loss over tokens that are not trained on; one line of metrics.jsonl."""

    def __eq__(self, other: object) -> bool: ...
    def __hash__(self) -> int: ...
    def __repr__(self) -> str: ...
    def to_dict(self) -> dict[str, Any]:
        """Returns every field by its name; values inside are dicts too."""

    @property
    def bits_per_byte(self) -> float | None:
        """The loss in bits a byte of text; None where tokens are no bytes."""

    @property
    def perplexity(self) -> float:
        """exp(val_loss)."""

    @property
    def step(self) -> int | None:
        """Updates of the run done before it; None for a Model, which is of no run."""

    @property
    def val_loss(self) -> float:
        """Mean cross-entropy, nats a token."""

    @property
    def val_tokens(self) -> int:
        """Tokens predicted in this evaluation."""

    @property
    def val_tokens_total(self) -> int:
        """Tokens that the data has to predict."""

class SphereReport:
    """What a sphere did in training steps; one line of spheres.jsonl. Times are in seconds."""

    def __eq__(self, other: object) -> bool: ...
    def __hash__(self) -> int: ...
    def __repr__(self) -> str: ...
    def to_dict(self) -> dict[str, Any]:
        """Returns every field by its name; values inside are dicts too."""

    @property
    def active(self) -> bool:
        """Whether it was given work in training steps."""

    @property
    def busy_s(self) -> float:
        """Time inside tiles."""

    @property
    def cpu_s(self) -> float:
        """Time on a CPU."""

    @property
    def id(self) -> int:
        """Number in the tree, level by level."""

    @property
    def level(self) -> int:
        """0 for the root."""

    @property
    def messages_in(self) -> int:
        """Messages received."""

    @property
    def messages_out(self) -> int:
        """Messages sent."""

    @property
    def parent(self) -> int:
        """Id; -1 for the root."""

    @property
    def parked_s(self) -> float:
        """Time asleep in the kernel."""

    @property
    def queue_high_water(self) -> int:
        """Most messages that waited."""

    @property
    def role(self) -> str:
        """"root", "control", "worker" or "root+worker"."""

    @property
    def tiles(self) -> int:
        """Tiles that it computed."""

    @property
    def wall_s(self) -> float:
        """Time of the steps that the others cover."""

class GroupReport:
    """The tokens of one symmetry group in the steps so far, and where the sequences in which they
    prevail went; one line of groups.jsonl.
    """

    def __eq__(self, other: object) -> bool: ...
    def __hash__(self) -> int: ...
    def __repr__(self) -> str: ...
    def to_dict(self) -> dict[str, Any]:
        """Returns every field by its name; values inside are dicts too."""

    @property
    def group(self) -> int:
        """Number of the group."""

    @property
    def moved(self) -> int:
        """Its sequences that went elsewhere, so that positions stay equal."""

    @property
    def position(self) -> int:
        """Where routing by symmetry sends its sequences."""

    @property
    def sequences(self) -> int:
        """Sequences in which no group has more tokens."""

    @property
    def tokens(self) -> int:
        """Tokens of the group, in sequences of any."""

class RingReport:
    """The tokens of a band of rings of the lattice in the steps so far; one line of rings.jsonl.
    The lowest 16 rings are a band each; above, each half of a doubling is one.
    """

    def __eq__(self, other: object) -> bool: ...
    def __hash__(self) -> int: ...
    def __repr__(self) -> str: ...
    def to_dict(self) -> dict[str, Any]:
        """Returns every field by its name; values inside are dicts too."""

    @property
    def first(self) -> int:
        """Its first token."""

    @property
    def moved(self) -> int:
        """Those in sequences that went elsewhere, so that positions stay equal."""

    @property
    def ring(self) -> int:
        """Number of its lowest ring."""

    @property
    def rings(self) -> int:
        """How many rings it has."""

    @property
    def tokens(self) -> int:
        """Tokens of all its rings."""

class RunOutcome(enum.Enum):
    """How Trainer.run() ended."""

    FINISHED = ...
    STOPPED = ...

class StopText:
    """Keeps back what may be the start of a stop string."""

    def __init__(self, stops: Sequence[bytes]) -> None: ...
    def add(self, piece: bytes) -> bytes:
        """Returns what is certain to come before every stop string."""

    def finish(self) -> bytes:
        """Returns what was kept back, for nothing more comes."""

    @property
    def is_over(self) -> bool:
        """Whether a stop string was met."""

class Model:
    """A model in memory: B sequences of T tokens, V' words.

    One thread at a time may call it; a second one gets a CllmError. Results do
    not depend on `workers`, the number of computing threads (None: the cores
    that this process may use).
    """

    @overload
    def __init__(
        self,
        config: ModelConfig,
        *,
        seed: int = 1337,
        byte_tokens: bool = False,
        workers: int | None = None,
    ) -> None:
        """Makes new weights, as training starts from. With `byte_tokens` a token is a byte."""

    @overload
    def __init__(
        self, folder: _Path, *, adapter: _Path | None = None, workers: int | None = None
    ) -> None:
        """Reads a model folder, or the newest model of a run folder. A LoRA adapter's folder,
        of PEFT or of a run, is the model that it names with the adapter added; `adapter` is
        added to the model in `folder` instead.
        """

    def __repr__(self) -> str: ...
    def _generate_on(
        self,
        prompt: Any,
        *,
        tokens: int,
        temperature: float,
        top_k: int,
        top_p: float,
        seed: int,
        known: int,
        on_token: Any,
    ) -> NDArray[np.int32]:
        """Does as generate() for ids, and keeps what was read: of the next prompt, what it begins
        with as the text before did is not read again. The weights stay as they are between.
        """

    def _texts_to_encode(self, path: _Path) -> list[str]:
        """Returns the files of a path that are text while the model's tokens are no bytes, so
        that its tokenizer has to encode them first; none when evaluate() can read the data.
        """

    def evaluate(self, data: _Data, *, tokens: int = 0, text_bytes: int = 0) -> EvaluationReport:
        """Computes the mean loss over `data`, which may be what TrainConfig(data=...) may be.
        `tokens` is how many to predict, the same ones every time; 0: all. `text_bytes` counts
        the bytes of text that ids stand for, if they are known.
        """

    def generate(
        self,
        prompt: Any,
        *,
        tokens: int = 200,
        temperature: float = 0.8,
        top_k: int = 0,
        top_p: float = 1.0,
        seed: int = 1337,
        known: int = 0,
        stop: Any = (),
        on_token: Any = None,
    ) -> Any:
        """Continues the prompt by at most `tokens` tokens and returns what was added: str for a
        str (byte models), bytes for bytes (byte models), int32[n] for a sequence of tokens.
        It ends early at one of `end_tokens`, which is not part of the result. With `known` only
        tokens below it are drawn: what the tokenizer knows of a vocabulary that was rounded up.
        Text ends before any of `stop`. `on_token` is called with each token, or byte, as it comes;
        where it returns False, no more are drawn.
        """

    def logits(self, tokens: ArrayLike) -> NDArray[np.float32]:
        """float32[B, T, V'] behind every token of integers[B, T]."""

    def loss_and_gradients(
        self, inputs: ArrayLike, targets: ArrayLike, first_keys: ArrayLike | None = None
    ) -> tuple[float, dict[str, NDArray[np.float32]]]:
        """The mean cross-entropy of targets[B, T] given inputs[B, T], nats a token, and its
        gradient by every tensor, named and shaped as in parameters(). A target of -1 is not
        counted. If sequences hold several documents, one after another, `first_keys`[B, T]
        give each token the index in its sequence of the first token of its document:
        positions count from there, and attention sees nothing before it.
        """

    def parameters(self) -> dict[str, NDArray[np.float32]]:
        """Every tensor by its name in model.safetensors: float32 views, writing to one changes
        the model.
        """

    def save(self, folder: _Path, *, dtype: str = "fp32") -> None:
        """Writes a folder that transformers' from_pretrained opens. `dtype` is what the weights
        are rounded to: "fp32", "bf16" or "fp16".
        """

    @property
    def byte_tokens(self) -> bool:
        """Whether a token is a byte, so that text needs no tokenizer."""

    @property
    def config(self) -> ModelConfig:
        """The shape of the model."""

    @property
    def end_tokens(self) -> list[int]:
        """Tokens that end a text: those of generation_config.json, else of config.json."""

    @property
    def folder(self) -> str:
        """The folder that was read; "" for a new model."""

class Trainer:
    """A training run on a tree of threads. Nothing is written before run() or save().

    TrainConfig(resume="run") continues a run: options that are not set are the run's own.
    One thread at a time may use it; a second one gets a CllmError. From any thread may come
    request_stop(), request_save() and a look at steps_done. After fork() the child gets a
    CllmError from the first step, because threads are not copied.
    """

    def __init__(self, config: TrainConfig, *, on_note: Callable[[str], Any] | None = None) -> None:
        """on_note(str) is told what will take seconds before it begins."""

    def __iter__(self) -> Any:
        """Steps until steps_total, a StepReport each."""

    def __next__(self) -> StepReport: ...
    def __repr__(self) -> str: ...
    def _generate(
        self,
        prompt: Any,
        *,
        tokens: int,
        temperature: float,
        top_k: int,
        top_p: float,
        seed: int,
        known: int,
        on_token: Any,
    ) -> None:
        """Continues ids with the weights as they are now, until on_token(id) is False."""

    def evaluate(self, data: _Data | None = None) -> EvaluationReport:
        """Computes the mean loss over eval_tokens of the validation part or, if given, over all
        of `data`, which may be what TrainConfig(data=...) may be.
        """

    def gradients(self) -> dict[str, NDArray[np.float32]]:
        """The gradient of the last step before clipping, likewise; read-only, and overwritten
        by the next step.
        """

    def groups(self) -> list[GroupReport]:
        """What the steps held of each symmetry group of tokens."""

    def parameters(self) -> dict[str, NDArray[np.float32]]:
        """Every tensor by its name in model.safetensors: float32 views without copies. Writing
        to one changes the model. With `lattice` the token embedding is E, from which the
        file's is made with the coefficients "lattice.w" (cllm.lattice). With `lora` these
        are the adapters: A as NAME.lora_A.weight, B as NAME.lora_B.weight.
        """

    def request_save(self) -> None:
        """Asks run() to write a checkpoint after this step and go on; likewise."""

    def request_stop(self) -> None:
        """Asks run() to save and return; from any thread or callback."""

    def resize(self, workers: int) -> None:
        """Another number of computing threads from the next step on. No bit changes."""

    def rings(self) -> list[RingReport]:
        """What they held of each band of rings of the lattice that had tokens; none without
        `lattice`.
        """

    def run(
        self,
        *,
        on_step: Callable[[StepReport], Any] | None = None,
        on_evaluation: Callable[[EvaluationReport], Any] | None = None,
        on_checkpoint: Callable[[str], Any] | None = None,
        on_note: Callable[[str], Any] | None = None,
        on_warning: Callable[[str], Any] | None = None,
        progress: bool = False,
    ) -> RunOutcome:
        """Trains to the last step: metrics, evaluations, checkpoints, final model in the run
        folder. The callbacks get a StepReport, an EvaluationReport, a checkpoint's folder, a
        note; what one raises ends the run at once. Ctrl-C and request_stop() save first.
        `on_warning` gets those notes that are a cause for concern.
        `progress` shows a live line on standard error.
        """

    def save(self, folder: _Path) -> None:
        """Writes a complete checkpoint, which Model.load and transformers open too, and from
        which TrainConfig(resume=folder, out="run") goes on in a run of its own. With `lora`
        it is an adapter, which PEFT opens.
        """

    def spheres(self) -> list[SphereReport]:
        """What each sphere did, by id."""

    def step(
        self,
        inputs: ArrayLike | None = None,
        targets: ArrayLike | None = None,
        first_keys: ArrayLike | None = None,
    ) -> StepReport:
        """One update: on the next batch of the data, or on your own integers inputs[B, T] and
        targets[B, T], or on [B, T + 1], of which each token is the target of the one before
        it. B is batch * grad_accum, T is seq. Targets of -1 and `first_keys`[B, T] are as for
        Model.loss_and_gradients; without a target that counts the update is skipped.
        """

    def weights_hash(self) -> str:
        """SHA-256 of the model.safetensors that save() writes; with `lora`, of
        adapter_model.safetensors.
        """

    @property
    def _stop_requested(self) -> bool:
        """Whether a stop was asked for, by a signal too, and the run goes on so far."""

    @property
    def config(self) -> Any:
        """The configuration with every "auto" decided; it cannot be changed."""

    @property
    def has_validation(self) -> bool:
        """Whether there is a validation part."""

    @property
    def learning_rate(self) -> float:
        """Learning rate of the next step. One that is set holds for all later steps, in a resumed
        run too; None goes back to the schedule.
        """

    @learning_rate.setter
    def learning_rate(self, arg1: float | None) -> None: ...
    @property
    def model_config(self) -> ModelConfig:
        """The shape of the model."""

    @property
    def steps_done(self) -> int:
        """Updates done; any thread may ask."""

    @property
    def steps_total(self) -> int:
        """Updates of the whole run."""

    @property
    def workers(self) -> int:
        """Threads that compute."""

class StopOnSignal:
    """Hands what catch_stop_signals caught to a trainer inside a `with`;
    afterwards signals change nothing.
    """

    def __enter__(self) -> None: ...
    def __exit__(self, *args: object) -> None: ...
    def __init__(self, trainer: Trainer) -> None: ...

class KernelTime:
    """How long one call of a kernel takes."""

    def __eq__(self, other: object) -> bool: ...
    def __hash__(self) -> int: ...
    def __repr__(self) -> str: ...
    def to_dict(self) -> dict[str, Any]:
        """Returns every field by its name; values inside are dicts too."""

    @property
    def bytes_moved(self) -> float:
        """Bytes read and written; 0: measured by an earlier version."""

    @property
    def kernel(self) -> str:
        """Name of the kernel."""

    @property
    def nanoseconds(self) -> float:
        """Time of a call."""

    @property
    def operations(self) -> float:
        """Operations of products and attention; 0 for passes over memory."""

    @property
    def sizes(self) -> list[int]:
        """Products: m, n, k, KiB wandered through; attention: T, D; passes over rows:
        rows, columns, KiB; flat ranges: elements, KiB.
        """

class MachineRates:
    """What each of so many workers reaches when all do the same at once."""

    def __eq__(self, other: object) -> bool: ...
    def __hash__(self) -> int: ...
    def __repr__(self) -> str: ...
    def to_dict(self) -> dict[str, Any]:
        """Returns every field by its name; values inside are dicts too."""

    @property
    def copy_gbs(self) -> float:
        """Rate of memcpy, bytes read and written."""

    @property
    def gemm_gflops(self) -> float:
        """Rate of a large product."""

    @property
    def times(self) -> list[KernelTime]:
        """Times of the kernels."""

    @property
    def wake_us(self) -> float:
        """From a message to its sleeping reader."""

    @property
    def workers(self) -> int:
        """How many did the same."""

class Machine:
    """What a machine does when nothing else is asked of it."""

    @staticmethod
    def from_json(text: str, where: str = "machine") -> Machine:
        """Reads what to_json() gave; an error names `where`."""

    @staticmethod
    def measure(workers: Sequence[int], *, gemm: str = "auto") -> Machine:
        """Measures with each of these numbers of workers: about three seconds for one of them."""

    def __eq__(self, other: object) -> bool: ...
    def __hash__(self) -> int: ...
    def __repr__(self) -> str: ...
    def to_json(self) -> str:
        """Returns everything as JSON."""

    @property
    def cpu(self) -> str:
        """Name of the CPU."""

    @property
    def gemm(self) -> str:
        """The backend of products."""

    @property
    def here(self) -> bool:
        """Whether it is of this CPU and the instruction set in use."""

    @property
    def kernels(self) -> str:
        """The instruction set."""

    @property
    def rates(self) -> list[MachineRates]:
        """Rates by number of workers, ascending."""

class StepTimes:
    """How long training steps took, in milliseconds."""

    def __eq__(self, other: object) -> bool: ...
    def __hash__(self) -> int: ...
    def __repr__(self) -> str: ...
    def to_dict(self) -> dict[str, Any]:
        """Returns every field by its name; values inside are dicts too."""

    @property
    def gflops(self) -> float:
        """1e9 operations a second."""

    @property
    def least(self) -> float:
        """The shortest step."""

    @property
    def messages(self) -> float:
        """Messages sent in a step."""

    @property
    def mfu(self) -> float:
        """Part of the active workers' peak, 0 to 1."""

    @property
    def milliseconds(self) -> float:
        """The median of a step."""

    @property
    def most(self) -> float:
        """The longest step."""

    @property
    def parameters(self) -> int:
        """Weights of the model."""

    @property
    def parts(self) -> dict[str, Any]:
        """Milliseconds of worker time in further steps, by what they were spent on."""

    @property
    def parts_milliseconds(self) -> float:
        """The mean of those steps."""

    @property
    def peak_gflops(self) -> float:
        """The most that one core alone reaches."""

    @property
    def round_trip_ns(self) -> float:
        """A word from the first worker's core to the one farthest from it and back,
        nanoseconds: some hundreds where they share no cache. 0: one worker, or not known.
        """

    @property
    def steps(self) -> int:
        """Steps that were timed."""

    @property
    def tokens_per_second(self) -> float:
        """Tokens trained on in a second."""

    @property
    def workers(self) -> int:
        """Workers that computed."""

class StepForecast:
    """What a step would cost on a machine."""

    def __eq__(self, other: object) -> bool: ...
    def __hash__(self) -> int: ...
    def __repr__(self) -> str: ...
    def to_dict(self) -> dict[str, Any]:
        """Returns every field by its name; values inside are dicts too."""

    @property
    def messages(self) -> int:
        """Messages sent in the step."""

    @property
    def milliseconds(self) -> float:
        """Time of the step."""

    @property
    def pass_ms(self) -> float:
        """Worker time in everything else."""

    @property
    def product_ms(self) -> float:
        """Worker time inside products."""

    @property
    def tiles(self) -> int:
        """Tiles of the step."""

    @property
    def waiting_ms(self) -> float:
        """Worker time spent waiting."""

    @property
    def workers(self) -> int:
        """Workers that compute."""

class TokenFileInfo:
    """What the header of a token file says."""

    @property
    def begin(self) -> int:
        """Bytes before the first token."""

    @property
    def text_bytes(self) -> int:
        """Bytes of the text that the tokens stand for; 0 when unknown."""

    @property
    def tokenizer(self) -> bytes:
        """SHA-256 of the tokenizer; zeros when there is none."""

    @property
    def tokens(self) -> int:
        """How many there are."""

    @property
    def vocabulary(self) -> int:
        """Every token is below it."""

    @property
    def width(self) -> int:
        """Bytes a token: 2 or 4."""

class TokenWriter:
    """Writes a token file piece by piece; it appears at finish(), and never
    without it.

    Args:
        path: Of the file, usually named .bin.
        vocabulary: Every token is below it.
        width: Bytes a token: 2 (vocabularies up to 65536) or 4.
        tokenizer: SHA-256 of the tokenizer, where there is one.
    """

    def __init__(
        self, path: _Path, *, vocabulary: int, width: int, tokenizer: bytes = b""
    ) -> None: ...
    def append(self, tokens: ArrayLike) -> None:
        """Appends integers, of any width."""

    def finish(self, *, text_bytes: int = 0) -> None:
        """Completes the file. text_bytes counts the text that the tokens stand for."""

def catch_stop_signals(*, announce: bool) -> None:
    """From here on SIGINT, SIGTERM, SIGHUP and SIGXCPU ask for a stop, SIGUSR1 for a
    checkpoint, and Python does not hear of them.
    """

def check_prompt(prompt: str) -> None:
    """Raises InputError for a prompt that names a file."""

def configure(given: Sequence[tuple[str, str]], *, config_file: _Path | None = None) -> TrainConfig:
    """What a command line means: (name, text) pairs over a config file over the defaults; with
    `resume`, over what the run was started with. Checked as a whole.
    """

def generate_options() -> list[tuple[str, list[str], str]]:
    """Returns the options of `cllm generate`: name, other names, help."""

def is_text(text: str) -> bool:
    """Says whether a str that stands for data is a text, because it cannot be a path: it has a
    line break, or a name that is longer than file systems allow.
    """

def kissing_neighbours(vocab: int, symmetry: int) -> NDArray[np.int32]:
    """Returns the neighbours [vocab, symmetry] of every token, by direction."""

def kissing_neighbours_of(token: int, vocab: int, symmetry: int) -> NDArray[np.int32]:
    """Returns those [symmetry] of one token."""

def measure_step(
    model: ModelConfig,
    *,
    batch: int,
    seq: int = 0,
    workers: int = 0,
    positions: int = 0,
    precision: str = "fp32",
    gemm: str = "auto",
    seconds: float = 3.0,
    steps: int = 0,
    lattice: bool = False,
) -> StepTimes:
    """Trains a model of this shape on random tokens and times its steps. `seq` of 0 is the
    model's, `workers` of 0 the cores of this process; `steps` of 0 takes `seconds`. With
    `lattice` tokens are coupled.
    """

def near_name(name: str, among: Sequence[str]) -> str:
    """The one of these names that may be meant; "" when none is near."""

def option_word(name: str, value: str = "") -> str:
    """Returns an option in the words of errors: --eval-every 5, or eval_every=5."""

def options() -> list[Option]:
    """Returns every option of train_model, `cllm train` and TrainConfig, in the order of the
    help.
    """

def plan_step(config: TrainConfig) -> StepPlan:
    """Plans the step of a configuration without looking at any file: a `seq` of auto is 64
    tokens, a `vocab` of auto 257.
    """

def plan_tree(threads: int, symmetry_order: int = 12) -> TreePlan:
    """Plans a tree of `threads` spheres, none of which has more children than `symmetry_order`,
    or than 2 where that is 1.
    """

def predict_step(config: TrainConfig, machine: Machine, where: str = "machine") -> StepForecast:
    """Plays the step of plan_step(config) through with the times of the machine's kernels. An
    error names `where`.
    """

def read_token_file(path: _Path, *, verify: bool = True) -> TokenFileInfo:
    """Returns what the header of a token file says; with verify all its checksums and tokens are
    checked.
    """

def refuse_repeated_option(first: str, second: str) -> None:
    """Raises InputError because one option is given twice: by these names, as typed."""

def set_command_line_words(on: bool) -> bool:
    """Whether errors say --eval-every, or eval_every; returns what was before."""

def take_standard_descriptors() -> None:
    """Opens /dev/null where descriptor 0, 1 or 2 is closed."""

def threads_for_workers(workers: int, symmetry_order: int = 12) -> int:
    """Returns the fewest spheres whose tree has exactly `workers` workers."""

def unknown_generate_option_hint(name: str) -> str:
    """What to do about a name that is no option of `cllm generate`."""

def unknown_option_hint(name: str, more: Sequence[str]) -> str:
    """What to do about a name that is no option of the table, nor one of `more`."""

def write_to_stderr(text: str) -> None:
    """As far as it can be written without waiting; never fails."""

__version__: str
