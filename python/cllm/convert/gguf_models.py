"""What a GGUF file's settings and tensors are in a model folder: config.json and names, by family.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy

from cllm._cllm import InputError
from cllm._words import shown
from cllm.convert.gguf_header import Header, Tensor

# As in cllm/model_config.h.
MOST_LAYERS, MOST_HEADS, MOST_WIDTH = 1 << 14, 1 << 14, 1 << 17
MOST_CONTEXT, MOST_VOCABULARY = 1 << 24, 1 << 24
EPSILONS, THETAS = (1e-12, 1.0), (1e-6, 1e15)


@dataclass(frozen=True)
class Source:
    """A tensor of the folder and the one that it is made of."""

    name: str
    shape: tuple[int, ...]  # in the folder
    of: str
    transposed: bool = False
    heads: int = 0  # whose rows are put back in order; 0: they are

    @property
    def stored(self) -> tuple[int, ...]:
        """The shape in the file."""
        return self.shape[::-1] if self.transposed else self.shape


@dataclass(frozen=True)
class Model:
    config: dict[str, Any]  # without the tokenizer's part
    context: int
    vocabulary: int
    sources: list[Source]


class Settings:
    """The settings of an architecture, each checked as it is read."""

    def __init__(self, header: Header) -> None:
        self.header = header
        self.family = str(header.single("general.architecture"))

    def refuse(self, key: str, seen: object, wanted: str) -> InputError:
        said = "is missing" if seen is None else f"got {shown(seen)}"
        return self.header.refuse(f"setting {self.family}.{key}: {said}, expected {wanted}")

    def size(self, key: str, most: int, otherwise: int | None = None) -> int:
        value = self.header.settings.get(f"{self.family}.{key}", otherwise)
        if isinstance(value, numpy.ndarray) and len(set(value.tolist())) == 1:
            value = value.tolist()[0]  # one for each layer, all alike
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
            shown = f"{len(value)} numbers" if isinstance(value, numpy.ndarray | list) else value
            raise self.refuse(key, shown, f"a whole number from 1 to {most}")
        return value

    def number(self, key: str, between: tuple[float, float],
               otherwise: float | None = None) -> float:
        value = self.header.settings.get(f"{self.family}.{key}", otherwise)
        least, most = between
        if isinstance(value, float | int) and 0 < value < 1e30:
            written = float(str(numpy.float32(value)))  # as it was: 1e-05
            if least <= written <= most:
                return written
        raise self.refuse(key, value, f"a number from {least:g} to {most:g}")

    def must_be_off(self, key: str, what: str) -> None:
        value = self.header.single(f"{self.family}.{key}")
        if value not in (None, 0, "none"):
            raise self.refuse(key, value, f"none: {what} is not done here")


# -- GPT-2 --------------------------------------------------------------------------------------

def _gpt2(settings: Settings, untied: bool) -> Model:
    layers = settings.size("block_count", MOST_LAYERS)
    width = settings.size("embedding_length", MOST_WIDTH)
    heads = settings.size("attention.head_count", MOST_HEADS)
    hidden = settings.size("feed_forward_length", MOST_WIDTH, 4 * width)
    context = settings.size("context_length", MOST_CONTEXT)
    vocabulary = _vocabulary(settings)
    if width % heads:
        raise settings.refuse("attention.head_count", heads, f"a divisor of {width}")
    sources = [Source("transformer.wte.weight", (vocabulary, width), "token_embd.weight"),
               Source("transformer.wpe.weight", (context, width), "position_embd.weight")]

    def both(name: str, of: str, wide: int = width, into: int = 0) -> None:
        """Weight and bias of a norm or, into a width, of a linear layer, which is [in, out]."""
        shape = (wide, into) if into else (wide,)
        sources.append(Source(f"{name}.weight", shape, f"{of}.weight", transposed=into > 0))
        sources.append(Source(f"{name}.bias", (into or wide,), f"{of}.bias"))

    for i in range(_possible(settings, layers)):
        to, of = f"transformer.h.{i}", f"blk.{i}"
        both(f"{to}.ln_1", f"{of}.attn_norm")
        both(f"{to}.attn.c_attn", f"{of}.attn_qkv", width, 3 * width)
        both(f"{to}.attn.c_proj", f"{of}.attn_output", width, width)
        both(f"{to}.ln_2", f"{of}.ffn_norm")
        both(f"{to}.mlp.c_fc", f"{of}.ffn_up", width, hidden)
        both(f"{to}.mlp.c_proj", f"{of}.ffn_down", hidden, width)
    both("transformer.ln_f", "output_norm")
    if untied:
        sources.append(Source("lm_head.weight", (vocabulary, width), "output.weight"))
    config = {
        "architectures": ["GPT2LMHeadModel"], "model_type": "gpt2", "n_layer": layers,
        "n_head": heads, "n_embd": width, "n_positions": context, "n_ctx": context,
        "n_inner": None if hidden == 4 * width else hidden, "activation_function": "gelu_new",
        "layer_norm_epsilon": settings.number("attention.layer_norm_epsilon", EPSILONS, 1e-5),
        "initializer_range": 0.02, "scale_attn_weights": True}
    return Model(config, context, vocabulary, sources)


# -- Llama and its like -------------------------------------------------------------------------

_LLAMA_NAMES = {"llama": "LlamaForCausalLM", "qwen2": "Qwen2ForCausalLM",
                "qwen3": "Qwen3ForCausalLM"}


def _refuse_variants(settings: Settings) -> None:
    settings.must_be_off("rope.scaling.type", "scaling of the positions")
    for key in ("rope.scaling.factor", "rope.scale_linear"):  # older files have no type
        if settings.header.single(f"{settings.family}.{key}") != 1:
            settings.must_be_off(key, "scaling of the positions")
    settings.must_be_off("attention.sliding_window", "a window of attention")
    settings.must_be_off("expert_count", "a mixture of experts")


def _llama(settings: Settings, untied: bool) -> Model:
    _refuse_variants(settings)
    family = settings.family
    layers = settings.size("block_count", MOST_LAYERS)
    width = settings.size("embedding_length", MOST_WIDTH)
    heads = settings.size("attention.head_count", MOST_HEADS)
    shared = settings.size("attention.head_count_kv", MOST_HEADS, heads)
    hidden = settings.size("feed_forward_length", MOST_WIDTH)
    context = settings.size("context_length", MOST_CONTEXT)
    head = settings.size("attention.key_length", MOST_WIDTH, max(width // heads, 1))
    vocabulary = _vocabulary(settings)
    if heads % shared:
        raise settings.refuse("attention.head_count_kv", shared, f"a divisor of {heads}")
    if head % 2:
        raise settings.refuse("attention.key_length", head, "an even number, of pairs that turn")
    for key in ("attention.value_length", "rope.dimension_count"):
        if settings.size(key, MOST_WIDTH, head) != head:
            raise settings.refuse(key, settings.size(key, MOST_WIDTH), f"{head}, the head's width")
    sources = [Source("model.embed_tokens.weight", (vocabulary, width), "token_embd.weight")]
    turns = family == "llama"  # whose q and k pair other rows than the folder's
    for i in range(_possible(settings, layers)):
        to, of = f"model.layers.{i}", f"blk.{i}"
        sources.append(Source(f"{to}.input_layernorm.weight", (width,), f"{of}.attn_norm.weight"))
        for letter, count in (("q", heads), ("k", shared), ("v", shared)):
            name, from_ = f"{to}.self_attn.{letter}_proj", f"{of}.attn_{letter}"
            ordered = count if turns and letter != "v" else 0
            sources.append(Source(f"{name}.weight", (count * head, width), f"{from_}.weight",
                                  heads=ordered))
            if family == "qwen2":
                sources.append(Source(f"{name}.bias", (count * head,), f"{from_}.bias"))
        sources.append(Source(f"{to}.self_attn.o_proj.weight", (width, heads * head),
                              f"{of}.attn_output.weight"))
        if family == "qwen3":
            sources += [Source(f"{to}.self_attn.{letter}_norm.weight", (head,),
                               f"{of}.attn_{letter}_norm.weight") for letter in "qk"]
        sources.append(Source(f"{to}.post_attention_layernorm.weight", (width,),
                              f"{of}.ffn_norm.weight"))
        for part, shape in (("gate", (hidden, width)), ("up", (hidden, width)),
                            ("down", (width, hidden))):
            sources.append(Source(f"{to}.mlp.{part}_proj.weight", shape, f"{of}.ffn_{part}.weight"))
    sources.append(Source("model.norm.weight", (width,), "output_norm.weight"))
    if untied:
        sources.append(Source("lm_head.weight", (vocabulary, width), "output.weight"))
    theta = settings.number("rope.freq_base", THETAS, 10000.0)
    config: dict[str, Any] = {
        "architectures": [_LLAMA_NAMES[family]], "model_type": family, "num_hidden_layers": layers,
        "num_attention_heads": heads, "num_key_value_heads": shared, "hidden_size": width,
        "head_dim": head, "intermediate_size": hidden, "hidden_act": "silu",
        "max_position_embeddings": context, "initializer_range": 0.02,
        "rms_norm_eps": settings.number("attention.layer_norm_rms_epsilon", EPSILONS),
        "attention_dropout": 0.0,
        "rope_parameters": {"rope_theta": theta, "rope_type": "default"},
        "rope_scaling": None, "rope_theta": theta}
    if family != "qwen2":
        config["attention_bias"] = False
    if family == "llama":
        config["mlp_bias"] = False
    else:
        config |= {"use_sliding_window": False, "sliding_window": None}
    if family == "qwen2":  # it knows no other width
        if head * heads != width:
            raise settings.refuse("attention.key_length", head, f"{width} / {heads}")
        del config["head_dim"]
    return Model(config, context, vocabulary, sources)


# -- all ----------------------------------------------------------------------------------------

_FAMILIES: dict[str, Callable[[Settings, bool], Model]] = {
    "gpt2": _gpt2, "llama": _llama, "qwen2": _llama, "qwen3": _llama}


def _possible(settings: Settings, layers: int) -> int:
    """So many layers, if there are tensors for them, before names are made for each."""
    if f"blk.{layers - 1}.attn_norm.weight" not in settings.header.tensors:
        raise settings.refuse("block_count", layers, "the number of layers that are there")
    return layers


def _vocabulary(settings: Settings) -> int:
    tokens = settings.header.tensors.get("token_embd.weight")
    if tokens is None:
        raise settings.header.refuse("tensor 'token_embd.weight' is missing")
    if not 1 <= tokens.shape[0] <= MOST_VOCABULARY:
        raise settings.header.refuse(f"a vocabulary of {tokens.shape[0]:,}, expected 1 to "
                                     f"{MOST_VOCABULARY:,}")
    return tokens.shape[0]


def describe(header: Header, same: Callable[[Tensor, Tensor], bool]) -> Model:
    """The model of the file; `same` says whether two tensors of it hold the same.

    Raises InputError for an architecture that is not known, and unless the tensors are those of the
    model, each of its shape.
    """
    settings = Settings(header)
    make = _FAMILIES.get(settings.family)
    if make is None:
        known = ", ".join(_FAMILIES)
        raise header.refuse(f"an architecture that cannot be read: got {shown(settings.family)}, "
                            f"expected one of {known}")
    found = header.tensors
    head, embedding = found.get("output.weight"), found.get("token_embd.weight")
    untied = head is not None and (embedding is None or not same(head, embedding))
    model = make(settings, untied)
    for source in model.sources:
        tensor = found.get(source.of)
        if tensor is None:
            raise header.refuse(f"tensor {source.of!r} is missing")
        if tensor.shape != source.stored:
            raise header.refuse(f"tensor {source.of!r} has another shape than the settings say: "
                                f"got {list(tensor.shape)}, expected {list(source.stored)}")
    unknown = found.keys() - {source.of for source in model.sources} - {"output.weight"}
    if unknown:
        raise header.refuse(f"a tensor that no {settings.family} model here has: got "
                            f"{shown(min(unknown))}")
    model.config.update(vocab_size=model.vocabulary, tie_word_embeddings=not untied,
                        use_cache=True, dtype="float32")
    return model
