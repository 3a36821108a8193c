"""`cllm import`: what cannot be read is one clear error each, and leaves nothing behind."""

import math
import os
import random
import struct

import pytest
from conftest import needs

pytestmark = needs("cllm", "numpy", "gguf", "typer")
np = pytest.importorskip("numpy")
cllm = pytest.importorskip("cllm")

from cllm.convert import import_gguf
from gguf_writing import END, F32, Q4_1, file_of, setting, small_model, text, vocabulary

DONE, FAILED, BAD_INPUT = 0, 1, 2
SETTINGS, TENSORS = small_model()
LIST = struct.pack("<I", 9)


def run(*words):
    from cllm import cli
    from typer.testing import CliRunner

    result = CliRunner().invoke(cli.app, [*map(str, words)])
    return result.exit_code, result.output


def refused(tmp_path, content):
    """What is said of a file that cannot be read."""
    file = tmp_path / "m.gguf"
    file.write_bytes(content)
    with pytest.raises(cllm.InputError) as caught:
        import_gguf(file, tmp_path / "model")
    said = str(caught.value)
    assert said.startswith(f"{file}: ") and "\n" not in said and len(said) < 500
    assert os.listdir(tmp_path) == ["m.gguf"]
    return said


def test_the_small_model_is_read(tmp_path):
    (tmp_path / "m.gguf").write_bytes(file_of(SETTINGS, TENSORS))
    code, said = run("import", tmp_path / "m.gguf", tmp_path / "new/model")
    assert code == DONE and "llama, 1,224 parameters, vocabulary 263" in said
    assert "passed through" not in said
    assert oct((tmp_path / "new/model").stat().st_mode & 0o777) == oct(0o777 & ~umask())
    assert sorted(os.listdir(tmp_path / "new")) == ["model"]


def umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask


def changed(**settings):
    """The file with other settings; None leaves one out. A dot is written __."""
    found = SETTINGS | {key.replace("__", "."): value for key, value in settings.items()}
    return file_of({key: value for key, value in found.items() if value is not None}, TENSORS)


def with_tensors(changes=(), **named):
    return file_of(SETTINGS, {k: v for k, v in (TENSORS | dict(changes)).items() if v is not None},
                   **named)


EMBEDDING, NORM, QUERY = "token_embd.weight", "output_norm.weight", "blk.0.attn_q.weight"
NOT_FINITE = np.array([1, math.nan, 1, 1], np.float32)

HEADERS = {
    "nothing": (b"", "no GGUF file"),
    "text": (b"once upon a time", "no GGUF file: got b'once'"),
    "version 1": (file_of(SETTINGS, TENSORS, version=1), "version of GGUF"),
    "big-endian": (file_of(SETTINGS, TENSORS, version=3 << 24), "big-endian"),
    "settings": (file_of(SETTINGS, TENSORS, counts=(len(TENSORS), 1 << 60)), "too many settings"),
    "tensors": (file_of(SETTINGS, TENSORS, counts=(1 << 60, len(SETTINGS))), "too many tensors"),
    "more tensors": (file_of(SETTINGS, TENSORS, counts=(9999, len(SETTINGS))), "tensor"),
    "long text": (changed(x=struct.pack("<IQ", 8, 1 << 62)), "longer than the file"),
    "long list": (changed(x=LIST + struct.pack("<IQ", 5, 1 << 62)), "too long"),
    "longer than the file": (changed(x=LIST + struct.pack("<IQ", 5, 1 << 23)), "longer than the"),
    "lists in a list": (changed(x=LIST + struct.pack("<IQ", 9, 1)), "list of lists"),
    "unknown type": (changed(x=struct.pack("<II", 77, 1)), "unknown type: got 77"),
    "no truth": (changed(x=struct.pack("<IB", 7, 2)), "no truth value"),
    "no UTF-8": (changed(x=struct.pack("<I", 8) + text(b"\xff")), "no UTF-8"),
    "split": (changed(split__count=3), "one of several files"),
    "alignment": (changed(general__alignment=24), "power of two"),
    "no extents": (with_tensors(shapes={NORM: ()}), "0 extents"),
    "many extents": (with_tensors(shapes={NORM: (1,) * 9}), "9 extents"),
    "empty": (with_tensors(shapes={NORM: (0,)}), "is empty"),
    "overlap": (with_tensors(offsets={QUERY: 0}), "shares bytes with tensor 'token_embd.weight'"),
    "behind the file": (with_tensors(offsets={QUERY: 1 << 40}), "ends behind the file"),
    "beyond numbers": (with_tensors(offsets={QUERY: (1 << 64) - 32}), "ends behind the file"),
    "unknown numbers": (with_tensors(kinds={QUERY: 99}), "unknown type of numbers: got 99"),
    "no decoder": (with_tensors(kinds={QUERY: 24}), "gguf cannot decode: got I8"),
    "no whole blocks": (with_tensors(kinds={QUERY: Q4_1}), "expected a multiple of 32 for Q4_1"),
    "not finite": (with_tensors({NORM: NOT_FINITE}), "no finite numbers"),
}
TWICE = setting("llama")
FIRST = next(iter(SETTINGS))
HEADERS["setting twice"] = (
    file_of(SETTINGS, TENSORS, counts=(len(TENSORS), len(SETTINGS) + 1)).replace(
        text(FIRST), text(FIRST) + TWICE + text(FIRST), 1), "given twice")
HEADERS["tensor twice"] = (file_of(SETTINGS, TENSORS).replace(
    text(QUERY), text("blk.0.attn_k.weight"), 1), "there twice")


@pytest.mark.parametrize("case", HEADERS)
def test_a_damaged_file(case, tmp_path):
    content, words = HEADERS[case]
    assert words in refused(tmp_path, content)


LONG = "\U000e0001" * 10**5  # ten characters each, written out


@pytest.mark.parametrize("content", [
    file_of(SETTINGS | {LONG: b"\xff" * 4}, TENSORS),
    file_of(SETTINGS | {"general.architecture": LONG}, TENSORS),
    file_of(SETTINGS | {"llama.embedding_length": LONG}, TENSORS),
    file_of(SETTINGS | {"llama.rope.freq_base": [LONG] * 9}, TENSORS),
    file_of(SETTINGS | {"tokenizer.ggml.model": LONG}, TENSORS),
    file_of(SETTINGS | {"tokenizer.ggml.pre": LONG}, TENSORS),
    file_of(SETTINGS | {"tokenizer.ggml.pre": "9 of them" + LONG}, TENSORS),
    file_of(SETTINGS | {"tokenizer.ggml.merges": [LONG]}, TENSORS),
    file_of(SETTINGS, TENSORS | {LONG: np.ones(4, np.float32)}),
    file_of(SETTINGS, TENSORS | {LONG: np.ones(4, np.float32)}, kinds={LONG: 99}),
    file_of(SETTINGS, TENSORS | {LONG: np.ones(4, np.float32)}, shapes={LONG: (1,) * 9}),
    file_of(SETTINGS, TENSORS | {LONG: np.ones(4, np.float32)}, offsets={LONG: 1 << 40})])
def test_a_quote_of_the_file_is_short(tmp_path, content):
    assert "..." in refused(tmp_path, content)


NAMED = {name: np.ones(4, np.float32) for name in ("rope_freqs.weight", "blk.0.attn_q.bias")}
SMALLER = np.ones((4, 3), np.float32)

MODELS = {
    "no architecture": (changed(general__architecture=None), "got 'None', expected one of gpt2"),
    "architecture": (changed(general__architecture="gemma3"), "got 'gemma3'"),
    "no layers": (changed(llama__block_count=None), "llama.block_count: is missing"),
    "layers": (changed(llama__block_count=16384), "the number of layers that are there"),
    "absurd": (changed(llama__block_count=1 << 31), "from 1 to 16384"),
    "words": (changed(llama__embedding_length="wide"), "llama.embedding_length: got 'wide'"),
    "epsilon": (changed(llama__attention__layer_norm_rms_epsilon=None), "epsilon: is missing"),
    "epsilon of 0": (changed(llama__attention__layer_norm_rms_epsilon=0.0), "from 1e-12 to 1"),
    "epsilon of nearly 0": (changed(llama__attention__layer_norm_rms_epsilon=2.5e-35),
                            "from 1e-12 to 1"),
    "no number": (changed(llama__rope__freq_base=math.nan), "from 1e-06 to 1e+15"),
    "turns beyond measure": (changed(llama__rope__freq_base=1e20), "from 1e-06 to 1e+15"),
    "shared heads": (changed(llama__attention__head_count_kv=3), "a divisor of 2"),
    "unlike layers": (changed(llama__attention__head_count_kv=[1, 2]), "got '2 numbers'"),
    "part turned": (changed(llama__rope__dimension_count=1), "2, the head's width"),
    "scaling": (changed(llama__rope__scaling__type="yarn"), "got 'yarn', expected none"),
    "window": (changed(llama__attention__sliding_window=8), "a window of attention"),
    "experts": (changed(llama__expert_count=8), "a mixture of experts"),
    "no embedding": (with_tensors({EMBEDDING: None}), "'token_embd.weight' is missing"),
    "no norm": (with_tensors({NORM: None}), "'output_norm.weight' is missing"),
    "shape": (with_tensors({QUERY: SMALLER}), "got [4, 3], expected [4, 4]"),
    "huge": (with_tensors(shapes={QUERY: (1 << 40, 1 << 40)}), "another shape"),
    "huge head": (with_tensors({"output.weight": SMALLER},
                               shapes={"output.weight": (1 << 60, 4)}), "another shape"),
    "factors": (with_tensors({"rope_freqs.weight": NAMED["rope_freqs.weight"]}),
                "no llama model here has: got 'rope_freqs.weight'"),
    "bias": (with_tensors({"blk.0.attn_q.bias": NAMED["blk.0.attn_q.bias"]}), "attn_q.bias"),
}


@pytest.mark.parametrize("case", MODELS)
def test_a_model_that_is_not_known(case, tmp_path):
    content, words = MODELS[case]
    assert words in refused(tmp_path, content)


def tokenizer(**settings):
    return changed(**{f"tokenizer__ggml__{key}": value for key, value in settings.items()})


TOKENS = vocabulary()[0]
TOKENIZERS = {
    "none": (tokenizer(model=None), "got nothing, expected 'gpt2'"),
    "another": (tokenizer(model="llama"), "got 'llama', expected 'gpt2'"),
    "cut": (tokenizer(pre="tekken"), "got 'tekken', expected one of gpt-2, smollm, qwen2"),
    "no tokens": (tokenizer(tokens=None), "tokens: a tokenizer that cannot be read: got nothing"),
    "numbers": (tokenizer(tokens=[1, 2]), "a list of texts"),
    "more than rows": (tokenizer(tokens=[*TOKENS, "z"]), "264 of them, expected at most 263"),
    "twice": (tokenizer(tokens=[*TOKENS[:-3], "a", "b", "c"]), "distinct"),
    "types": (tokenizer(token_type=[1, 1]), "263 numbers"),
    "no merges": (tokenizer(merges=None), "merges"),
    "merges": (tokenizer(merges=["a b"]), "got 'a b', expected two tokens that make a third"),
    "half a merge": (tokenizer(merges=["a"]), "got 'a'"),
    "end": (tokenizer(eos_token_id=263), "eos_token_id: a tokenizer that cannot be read: got 263"),
    "worded end": (tokenizer(bos_token_id=END), "expected a token"),
}


@pytest.mark.parametrize("case", TOKENIZERS)
def test_a_tokenizer_that_is_not_known(case, tmp_path):
    content, words = TOKENIZERS[case]
    assert words in refused(tmp_path, content)


def test_a_file_that_is_cut_anywhere(tmp_path):
    content = file_of(SETTINGS, TENSORS)
    for length in [*range(0, len(content), 97), *range(len(content) - 40, len(content) - 8)]:
        refused(tmp_path, content[:length])


def test_a_file_with_any_byte_changed(tmp_path):
    """It is read, if the byte was of a weight or a name, or refused; never anything else."""
    content, pick = file_of(SETTINGS, TENSORS), random.Random(2)
    done = 0
    for _ in range(250):
        damaged = bytearray(content)
        for _ in range(pick.choice([1, 1, 4])):
            damaged[pick.randrange(len(content))] = pick.choice([0, 1, 2, 255, pick.randrange(256)])
        (tmp_path / "m.gguf").write_bytes(damaged)
        try:
            import_gguf(tmp_path / "m.gguf", tmp_path / "model", force=True)
            done += 1
        except cllm.InputError as error:
            assert str(error).startswith(str(tmp_path / "m.gguf"))
    assert 25 < done < 225


def test_what_is_there_stays(tmp_path):
    (tmp_path / "m.gguf").write_bytes(file_of(SETTINGS, TENSORS))
    out = tmp_path / "model"
    out.mkdir()
    (out / "config.json").write_text("mine")
    code, said = run("import", tmp_path / "m.gguf", out)
    assert code == BAD_INPUT and "already holds a model" in said and "--force" in said
    assert (out / "config.json").read_text() == "mine"
    (out / "notes.txt").write_text("mine")
    code, said = run("import", tmp_path / "m.gguf", out, "--force")
    assert code == BAD_INPUT and "got notes.txt" in said and len(os.listdir(out)) == 2
    (out / "notes.txt").unlink()
    assert run("import", tmp_path / "m.gguf", out, "--force")[0] == DONE
    assert (out / "model.safetensors").exists()
    code, said = run("import", tmp_path / "none.gguf", tmp_path / "other")
    assert code == BAD_INPUT and "No such file" in said
    code, said = run("import", tmp_path / "m.gguf", tmp_path / "m.gguf")
    assert code == BAD_INPUT and "is a file" in said
    assert sorted(os.listdir(tmp_path)) == ["m.gguf", "model"]


def test_an_interruption_leaves_nothing(tmp_path, monkeypatch):
    from cllm.convert import gguf_import

    def stopped(*_):
        raise KeyboardInterrupt

    (tmp_path / "m.gguf").write_bytes(file_of(SETTINGS, TENSORS, kinds={NORM: F32}))
    monkeypatch.setattr(gguf_import, "_pieces", stopped)
    code, said = run("import", tmp_path / "m.gguf", tmp_path / "model")
    assert code == 130 and "interrupted" in said and os.listdir(tmp_path) == ["m.gguf"]


@pytest.fixture
def old_model(tmp_path):
    """A model that is to be replaced, and a file to replace it by."""
    (tmp_path / "m.gguf").write_bytes(file_of(SETTINGS, TENSORS))
    import_gguf(tmp_path / "m.gguf", tmp_path / "model")
    (tmp_path / "model/generation_config.json").write_text("mine")
    (tmp_path / "model").chmod(0o750)
    return tmp_path


def seen(folder):
    """What is there, and whether it is the same folder and the same files."""
    return {path.relative_to(folder): (path.stat().st_ino, path.stat().st_mode, path.is_file()
                                       and path.read_bytes()) for path in folder.rglob("*")}


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_what_is_replaced_is_there_as_it_was_when_replacing_fails(old_model, monkeypatch, error):
    """Each call that changes folders fails once, before or after what it does."""
    from cllm.convert import gguf_import, new_folder

    before = seen(old_model)
    calls = []
    failing = [-1, False]

    def failed(call):
        def instead(*args, **options):
            calls.append(call)
            at, late = failing
            if len(calls) - 1 == at and not late:
                raise error
            found = call(*args, **options)
            if len(calls) - 1 == at:
                raise error
            return found
        return instead

    monkeypatch.setattr(new_folder.tempfile, "mkdtemp", failed(new_folder.tempfile.mkdtemp))
    monkeypatch.setattr(new_folder, "sync_folder", failed(new_folder.sync_folder))
    monkeypatch.setattr(gguf_import, "write_weights", failed(gguf_import.write_weights))
    monkeypatch.setattr(new_folder.Path, "replace", failed(new_folder.Path.replace))
    for late in (False, True):
        for at in range(100):
            calls.clear()
            failing[:] = at, late
            try:
                import_gguf(old_model / "m.gguf", old_model / "model", force=True)
            except (OSError, KeyboardInterrupt, cllm.InputError):
                assert len(calls) > at and at < 90
                assert {k: v for k, v in seen(old_model).items() if k.parts[0][0] != "."} == before
                left = [name for name in os.listdir(old_model) if name.startswith(".")]
                assert not left or (late and calls[-1].__name__ == "mkdtemp")  # nobody has its name
                for name in left:
                    (old_model / name).rmdir()
                continue
            break
        assert at > 6 and len(calls) == at
        assert sorted(os.listdir(old_model)) == ["m.gguf", "model"]
        new = seen(old_model)
        assert new.keys() == before.keys() and new != before
        before = new


def test_a_link_to_a_model_is_followed(old_model):
    (old_model / "link").symlink_to("model")
    import_gguf(old_model / "m.gguf", old_model / "link", force=True)
    assert (old_model / "link").is_symlink()
    assert (old_model / "model/generation_config.json").read_text() != "mine"
    assert sorted(os.listdir(old_model)) == ["link", "m.gguf", "model"]


def test_without_the_package_one_line_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "gguf", None)
    code, said = run("import", tmp_path / "m.gguf", tmp_path / "model")
    assert code == BAD_INPUT and "pip install gguf" in said and said.count("\n") == 1
    code, said = run("data", "smollm2", "--out", tmp_path / "model")
    assert code == BAD_INPUT and "pip install gguf" in said and "fetching" not in said
