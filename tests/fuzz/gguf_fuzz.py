"""A coverage-guided fuzzer of `cllm import`, by atheris: GGUF files of any content.

    pip install atheris gguf
    python tests/fuzz/gguf_fuzz.py -max_total_time=600 -rss_limit_mb=1024 -timeout=10

An input is the bytes of a file or, behind a byte below 128, a list of changes to a whole small
model, so that what is wrong lies behind a header that is right. It stops at the first input that is
answered by anything but one short InputError or a model that CLLM opens; atheris leaves that input
in a file, which the same command runs again when it is named.
"""

import shutil
import struct
import sys
import tempfile
from pathlib import Path

import numpy

try:
    import atheris
except ImportError:
    sys.exit("gguf_fuzz.py: needs atheris: pip install atheris")

with atheris.instrument_imports(include=["cllm.convert"]):
    import cllm
    from cllm.convert import import_gguf

sys.path.insert(0, str(Path(__file__).parents[1] / "python"))
import gguf_writing

FOLDER = Path(tempfile.mkdtemp(prefix="cllm-fuzz-", dir="/dev/shm"))
TOKENIZERS = ["gpt-2", "smollm", "qwen2"]


def model_of(family: str, untied: bool) -> tuple[dict, dict]:
    """Settings and tensors of a small model of a family."""
    settings, tensors = gguf_writing.small_model()
    if untied:
        tensors["output.weight"] = tensors["token_embd.weight"] + 1
    if family == "llama":
        return settings, tensors
    width, ones = 4, numpy.ones
    settings = {key.replace("llama.", f"{family}."): value for key, value in settings.items()}
    settings["general.architecture"] = family
    if family == "qwen2":
        tensors |= {f"blk.0.attn_{x}.bias": ones(width, "f4") for x in "qkv"}
    if family == "qwen3":
        tensors |= {f"blk.0.attn_{x}_norm.weight": ones(2, "f4") for x in "qk"}
    if family == "gpt2":
        hidden = tensors["blk.0.ffn_up.weight"].shape[0]
        for name in ("ffn_gate", "attn_q", "attn_k", "attn_v"):
            del tensors[f"blk.0.{name}.weight"]
        tensors |= {"position_embd.weight": ones((16, width), "f4"),
                    "blk.0.attn_qkv.weight": ones((3 * width, width), "f4")}
        for name, size in (("output_norm", width), ("blk.0.attn_norm", width),
                           ("blk.0.ffn_norm", width), ("blk.0.attn_qkv", 3 * width),
                           ("blk.0.attn_output", width), ("blk.0.ffn_up", hidden),
                           ("blk.0.ffn_down", width)):
            tensors[f"{name}.bias"] = ones(size, "f4")
    return settings, tensors


FAMILIES = ["llama", "gpt2", "qwen2", "qwen3"]
MODELS = {(family, untied): model_of(family, untied)
          for family in FAMILIES for untied in (False, True)}
# Settings that some models have, and what is between texts and lists.
MORE = [f"{family}.{key}" for family in FAMILIES for key in (
    "attention.head_count_kv", "attention.key_length", "attention.value_length",
    "rope.dimension_count", "rope.freq_base", "rope.scaling.type", "rope.scaling.factor",
    "rope.scale_linear", "attention.sliding_window", "expert_count",
    "attention.layer_norm_epsilon")] + [
    "general.alignment", "split.count", "tokenizer.chat_template", "tokenizer.ggml.add_bos_token",
    "tokenizer.ggml.eot_token_id", "tokenizer.ggml.unknown_token_id"]
FORMS = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<B", 10: "<Q",
         11: "<q", 12: "<d"}


def some_text(take: atheris.FuzzedDataProvider) -> bytes:
    return gguf_writing.text(take.ConsumeBytes(take.ConsumeIntInRange(0, 40)))


def some_value(take: atheris.FuzzedDataProvider) -> bytes:
    """A setting's type and value; most are a small number, as most settings are."""
    kind = take.PickValueInList([4, 4, 5, 6, 7, 8, 9, 10, 11, 12, 0, 13])
    head = struct.pack("<I", kind)
    if kind == 8:
        return head + some_text(take)
    if kind == 9:
        inner, count = take.PickValueInList([4, 5, 6, 7, 8, 8, 9]), take.ConsumeIntInRange(0, 9)
        head += struct.pack("<IQ", inner, count)
        if inner == 8:
            return head + b"".join(some_text(take) for _ in range(count))
        return head + take.ConsumeBytes(count * struct.calcsize(FORMS.get(inner, "<I")))
    if kind in (4, 5, 10, 11) and take.ConsumeBool():
        return head + struct.pack(FORMS[kind], take.ConsumeIntInRange(0, 20))
    form = FORMS.get(kind, "<I")
    return head + take.ConsumeBytes(struct.calcsize(form)).ljust(struct.calcsize(form), b"\0")


def changed_model(data: bytes) -> bytes:
    """A whole model with changes that the data name."""
    take = atheris.FuzzedDataProvider(data)
    settings, tensors = map(dict, MODELS[take.PickValueInList(FAMILIES), take.ConsumeBool()])
    says: dict[str, dict] = {"kinds": {}, "offsets": {}, "shapes": {}}
    for _ in range(take.ConsumeIntInRange(0, 5)):
        name = take.PickValueInList([*tensors])
        match take.ConsumeIntInRange(0, 9):
            case 0:
                says["kinds"][name] = take.ConsumeIntInRange(0, 50)
            case 1:
                says["offsets"][name] = 32 * take.ConsumeIntInRange(-2, 300) % (1 << 64)
            case 2:
                says["shapes"][name] = tuple(take.ConsumeIntInRange(0, 1 << take.PickValueInList(
                    [3, 9, 62])) for _ in range(take.ConsumeIntInRange(0, 5)))
            case 3:
                tensors[take.ConsumeUnicodeNoSurrogates(12)] = tensors[name]
            case 4 if len(tensors) > 1:
                del tensors[name]
            case 5:
                values = tensors[name].copy()
                values.flat[0] = struct.unpack("<f", take.ConsumeBytes(4).ljust(4, b"\0"))[0]
                tensors[name] = values
            case 6:
                settings["tokenizer.ggml.pre"] = take.PickValueInList(TOKENIZERS)
            case 7:
                settings[take.ConsumeUnicodeNoSurrogates(12)] = some_value(take)
            case _:
                settings[take.PickValueInList([*settings, *MORE])] = some_value(take)
    return gguf_writing.file_of(settings, tensors, **says)


def read_gguf(data: bytes) -> None:
    path, out = FOLDER / "m.gguf", FOLDER / "model"
    path.write_bytes(changed_model(data[1:]) if data and data[0] < 128 else data[1:])
    try:
        made = import_gguf(path, out)
    except cllm.InputError as error:
        said = str(error)
        assert said.startswith(f"{path}: ") and "\n" not in said and len(said) <= 1500, said
        assert sorted(p.name for p in FOLDER.iterdir() if p.name != "corpus") == ["m.gguf"]
        return
    model = cllm.Model.load(out, workers=1)
    assert model.config.parameters == made.parameters and model.config.family == made.family
    shutil.rmtree(out)


def seeds() -> list[bytes]:
    """Whole files, and changes to each family's model."""
    changes = [bytes([16 * family, 200, untied]) for family in range(4) for untied in range(2)]
    return [b"\xff" + gguf_writing.file_of(*model) for model in MODELS.values()] + [
        change + bytes(range(i, i + 60)) for change in changes for i in (0, 90, 180)] + changes


def main() -> None:
    options = sys.argv[1:]
    if all(option.startswith("-") for option in options):
        corpus = FOLDER / "corpus"
        corpus.mkdir()
        for number, seed in enumerate(seeds()):
            (corpus / str(number)).write_bytes(seed)
        options = [*options, str(corpus)]
    atheris.Setup([sys.argv[0], *options], read_gguf)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
