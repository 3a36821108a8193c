"""Models as GGUF files, for the tests of `cllm import`."""

import struct

import numpy as np
from cllm.prepare.tokenizers import byte_names

END, TOOL = "<|end|>", "<tool>"
MERGES = ["Ġ t", "h e", "Ġt he", "1 2"]
F32, Q8_0, Q4_1 = 0, 8, 3


def vocabulary():
    """Bytes, some merged, a special token and one of the user's own, and one that nobody uses."""
    tokens = [*byte_names(), *(merge.replace(" ", "") for merge in MERGES), END, TOOL, "[PAD262]"]
    return tokens, [1] * (len(tokens) - 3) + [3, 4, 5]


def tokenizer_settings(pre="gpt-2"):
    tokens, types = vocabulary()
    end = tokens.index(END)
    return {"model": "gpt2", "pre": pre, "tokens": tokens, "token_type": types, "merges": MERGES,
            "bos_token_id": end, "eos_token_id": end, "padding_token_id": end}


# -- models of transformers, as llama.cpp's converter writes them --------------------------------

def names_of(family, layers):
    """Names in transformers with those in GGUF, without weight and bias."""
    if family == "gpt2":
        names = {"transformer.wte": "token_embd", "transformer.wpe": "position_embd",
                 "transformer.ln_f": "output_norm"}
        inner = {"ln_1": "attn_norm", "attn.c_attn": "attn_qkv", "attn.c_proj": "attn_output",
                 "ln_2": "ffn_norm", "mlp.c_fc": "ffn_up", "mlp.c_proj": "ffn_down"}
        place = "transformer.h"
    else:
        names = {"model.embed_tokens": "token_embd", "model.norm": "output_norm"}
        inner = {"input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm",
                 "self_attn.o_proj": "attn_output"}
        inner |= {f"self_attn.{x}_proj": f"attn_{x}" for x in "qkv"}
        inner |= {f"self_attn.{x}_norm": f"attn_{x}_norm" for x in "qk"}
        inner |= {f"mlp.{x}_proj": f"ffn_{x}" for x in ("gate", "up", "down")}
        place = "model.layers"
    for i in range(layers):
        names |= {f"{place}.{i}.{a}": f"blk.{i}.{b}" for a, b in inner.items()}
    return names | {"lm_head": "output"}


def turned(rows, heads):
    """Rows of q or k as architecture llama has them."""
    return rows.reshape(heads, 2, -1, *rows.shape[1:]).swapaxes(1, 2).reshape(rows.shape)


def settings_of(config):
    """The settings of an architecture, from a config of transformers."""
    if config.model_type == "gpt2":
        return {"block_count": config.n_layer, "context_length": config.n_positions,
                "embedding_length": config.n_embd, "attention.head_count": config.n_head,
                "feed_forward_length": config.n_inner or 4 * config.n_embd,
                "attention.layer_norm_epsilon": config.layer_norm_epsilon}
    head = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    return {"block_count": config.num_hidden_layers, "embedding_length": config.hidden_size,
            "context_length": config.max_position_embeddings, "vocab_size": config.vocab_size,
            "feed_forward_length": config.intermediate_size,
            "attention.head_count": config.num_attention_heads,
            "attention.head_count_kv": config.num_key_value_heads,
            "attention.key_length": head, "attention.value_length": head,
            "attention.layer_norm_rms_epsilon": config.rms_norm_eps,
            "rope.freq_base": config.rope_parameters["rope_theta"], "rope.dimension_count": head}


def write_model(path, model, pre="gpt-2", kinds=(), **tokenizer):
    """Writes a model of transformers by the package gguf. `kinds` are types for its matrices."""
    import gguf

    config, family = model.config, model.config.model_type
    writer = gguf.GGUFWriter(path, family)
    for key, value in settings_of(config).items():
        add = writer.add_float32 if isinstance(value, float) else writer.add_uint32
        add(f"{family}.{key}", value)
    for key, value in (tokenizer_settings(pre) | tokenizer).items():
        add = (writer.add_array if isinstance(value, list) else
               writer.add_string if isinstance(value, str) else
               writer.add_bool if isinstance(value, bool) else writer.add_uint32)
        add(f"tokenizer.{'' if key == 'chat_template' else 'ggml.'}{key}", value)
    tied = config.tie_word_embeddings
    count = config.num_hidden_layers
    for name, of in names_of(family, count).items():
        for kind in ("weight", "bias"):
            tensor = model.state_dict().get(f"{name}.{kind}")
            if tensor is None or (name == "lm_head" and tied):
                continue
            values = tensor.detach().float().numpy()
            if family == "gpt2" and values.ndim == 2 and ".h." in name:
                values = values.T
            if family == "llama" and name.endswith(("q_proj", "k_proj")):
                heads = (config.num_attention_heads if name.endswith("q_proj") else
                         config.num_key_value_heads)
                values = turned(values, heads)
            values = np.ascontiguousarray(values)
            if kinds and values.ndim == 2:
                to = gguf.GGMLQuantizationType[kinds[len(writer.tensors[0]) % len(kinds)]]
                writer.add_tensor(f"{of}.{kind}", gguf.quantize(values, to), raw_dtype=to)
            else:
                writer.add_tensor(f"{of}.{kind}", values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


# -- files of bytes, for those that are damaged ---------------------------------------------------

def text(value):
    raw = value.encode() if isinstance(value, str) else value
    return struct.pack("<Q", len(raw)) + raw


def setting(value):
    """A setting's type and value."""
    if isinstance(value, bytes):  # as they are
        return value
    if isinstance(value, str):
        return struct.pack("<I", 8) + text(value)
    if isinstance(value, bool):
        return struct.pack("<I?", 7, value)
    if isinstance(value, float):
        return struct.pack("<If", 6, value)
    if isinstance(value, int):
        return struct.pack("<II", 4, value)
    inner = b"".join(map(text, value)) if isinstance(value[0], str) else (
        struct.pack(f"<{len(value)}i", *value))
    return struct.pack("<IIQ", 9, 8 if isinstance(value[0], str) else 5, len(value)) + inner


def small_model():
    """Settings and tensors of a llama of one layer, without noise that a test does not need."""
    width, hidden, tokens = 4, 8, len(vocabulary()[0])
    settings = {"general.architecture": "llama", "llama.block_count": 1,
                "llama.embedding_length": width, "llama.context_length": 16,
                "llama.feed_forward_length": hidden, "llama.attention.head_count": 2,
                "llama.attention.layer_norm_rms_epsilon": 1e-5,
                **{f"tokenizer.ggml.{key}": value for key, value in tokenizer_settings().items()}}
    shapes = {"token_embd": (tokens, width), "output_norm": (width,), "blk.0.attn_norm": (width,),
              "blk.0.ffn_norm": (width,), "blk.0.ffn_gate": (hidden, width),
              "blk.0.ffn_up": (hidden, width), "blk.0.ffn_down": (width, hidden)}
    shapes |= {f"blk.0.attn_{x}": (width, width) for x in ("q", "k", "v", "output")}
    pick = np.random.default_rng(1)
    return settings, {f"{name}.weight": pick.standard_normal(shape).astype(np.float32)
                      for name, shape in shapes.items()}


def file_of(settings, tensors, *, kinds=None, offsets=None, shapes=None, counts=None,
            magic=b"GGUF", version=3):
    """The bytes of a GGUF file; keywords say something else than what is true."""
    kinds, offsets, shapes = kinds or {}, offsets or {}, shapes or {}
    head = magic + struct.pack("<IQQ", version, *(counts or (len(tensors), len(settings))))
    for key, value in settings.items():
        head += text(key) + setting(value)
    at, data = 0, b""
    for name, values in tensors.items():
        shape = shapes.get(name, values.shape)
        head += text(name) + struct.pack(f"<I{len(shape)}Q", len(shape), *shape[::-1])
        head += struct.pack("<IQ", kinds.get(name, F32), offsets.get(name, at))
        raw = values.tobytes()
        data += raw + b"\0" * (-len(raw) % 32)
        at = len(data)
    return head + b"\0" * (-len(head) % 32) + data
