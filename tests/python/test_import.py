"""`cllm import`: models as llama.cpp has them become folders that transformers opens alike."""

import json

import pytest
from conftest import needs

pytestmark = needs("cllm", "numpy", "gguf", "torch", "transformers", "tokenizers", "typer")
np = pytest.importorskip("numpy")
gguf = pytest.importorskip("gguf")
torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
cllm = pytest.importorskip("cllm")

import gguf_writing
from against_torch import opened, stirred
from cllm.convert import import_gguf
from gguf_writing import END, TOOL, write_model

TOKENS = len(gguf_writing.vocabulary()[0])
LLAMA = {"vocab_size": TOKENS, "hidden_size": 60, "intermediate_size": 200,
         "num_hidden_layers": 2, "num_attention_heads": 5, "num_key_value_heads": 1,
         "max_position_embeddings": 33, "rms_norm_eps": 1e-5}
WIDE = {"hidden_size": 72, "num_attention_heads": 6, "num_key_value_heads": 2, "head_dim": 16}
EVEN = {"hidden_size": 64, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16,
        "intermediate_size": 96}


def theta(number):
    return {"rope_parameters": {"rope_type": "default", "rope_theta": number}}


MODELS = {
    "gpt2": lambda: transformers.GPT2Config(
        vocab_size=TOKENS, n_embd=60, n_head=5, n_layer=2, n_positions=33),
    "gpt2-inner": lambda: transformers.GPT2Config(
        vocab_size=TOKENS, n_embd=64, n_head=4, n_layer=1, n_positions=33, n_inner=200,
        tie_word_embeddings=False, layer_norm_epsilon=1e-6),
    "llama": lambda: transformers.LlamaConfig(**LLAMA, tie_word_embeddings=True),
    "llama-wide": lambda: transformers.LlamaConfig(**LLAMA | WIDE | theta(5e5)),
    "qwen2": lambda: transformers.Qwen2Config(**LLAMA | theta(1e6), tie_word_embeddings=True),
    "qwen3": lambda: transformers.Qwen3Config(**LLAMA | WIDE, tie_word_embeddings=False),
    "llama-even": lambda: transformers.LlamaConfig(**LLAMA | EVEN, tie_word_embeddings=True),
}


def new_model(name):
    """A model whose every number counts: norms and biases are random too."""
    torch.manual_seed(5)
    return stirred(transformers.AutoModelForCausalLM.from_config(MODELS[name]()).eval(), 0.1)


def logits(model):
    ids = torch.arange(2 * 33).reshape(2, 33) * 7 % TOKENS
    with torch.no_grad():
        return model(ids).logits


@pytest.mark.parametrize("name", MODELS)
def test_a_model_comes_back_as_it_was(name, tmp_path, caplog):
    model = new_model(name)
    write_model(tmp_path / "m.gguf", model)
    made = import_gguf(tmp_path / "m.gguf", tmp_path / "model")
    assert made.family == model.config.model_type and made.types.keys() == {"F32"}
    again = opened(tmp_path / "model", caplog)
    assert torch.equal(logits(again), logits(model))
    assert made.parameters == sum(p.numel() for p in model.parameters())
    assert again.config.tie_word_embeddings == model.config.tie_word_embeddings
    for key in ("vocab_size", "max_position_embeddings", "num_hidden_layers", "hidden_size"):
        assert getattr(again.config, key) == getattr(model.config, key)
    end = gguf_writing.vocabulary()[0].index(END)
    for settings in (again.config, again.generation_config):
        assert (settings.bos_token_id, settings.eos_token_id, settings.pad_token_id) == (end,) * 3
    kept = json.loads((tmp_path / "model/config.json").read_text())
    if made.family != "gpt2":  # older versions read it there
        assert kept["rope_theta"] == model.config.rope_parameters["rope_theta"]


@pytest.mark.parametrize("kinds", [("F16", "BF16"), ("Q8_0",), ("Q4_1", "Q5_0")])
def test_types_are_decoded(kinds, tmp_path, monkeypatch):
    from cllm.convert import gguf_data

    monkeypatch.setattr(gguf_data, "PIECE", 1000)  # so that a tensor is read in pieces
    model = new_model("llama-even")
    write_model(tmp_path / "m.gguf", model, kinds=kinds)
    made = import_gguf(tmp_path / "m.gguf", tmp_path / "model")
    assert set(made.types) == {*kinds, "F32"}
    again = opened(tmp_path / "model").state_dict()
    for name, values in model.state_dict().items():
        error = (again[name] - values).abs().max() / values.abs().max()
        assert error < (0.1 if "Q4_1" in kinds else 0.01), name


def test_a_head_like_the_embedding_is_tied(tmp_path):
    """Older converters wrote GPT-2's embedding twice."""
    model = new_model("gpt2")
    model.config.tie_word_embeddings = False  # as the file has it
    write_model(tmp_path / "m.gguf", model)
    assert "output.weight" in {t.name for t in gguf.GGUFReader(tmp_path / "m.gguf").tensors}
    import_gguf(tmp_path / "m.gguf", tmp_path / "model")
    again = opened(tmp_path / "model")
    assert again.config.tie_word_embeddings and torch.equal(logits(again), logits(model))


LINES = ["the the 12 123 it's <|end|> then <tool>the</tool>", "  two\n\n spaces\tand 3.14",
         "naïve café, “北京” 🎉 e\u0301", "[PAD262] IT'S don'T", "", " ", "\n"]


def expected_tokenizer(pre):
    """The same tokenizer, put together by the library itself."""
    import tokenizers as lib

    tokens, types = gguf_writing.vocabulary()
    known = {token: i for i, token in enumerate(tokens) if types[i] != 5}
    made = lib.Tokenizer(lib.models.BPE(known, [tuple(m.split()) for m in gguf_writing.MERGES]))
    level = lib.pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=pre != "qwen2")
    steps = [level]
    if pre == "smollm":
        steps.insert(0, lib.pre_tokenizers.Digits(individual_digits=True))
    if pre == "qwen2":
        made.normalizer = lib.normalizers.NFC()
        pattern = transformers.models.qwen2.tokenization_qwen2.PRETOKENIZE_REGEX
        steps.insert(0, lib.pre_tokenizers.Split(lib.Regex(pattern), "isolated"))
    made.pre_tokenizer = lib.pre_tokenizers.Sequence(steps)
    made.decoder = lib.decoders.ByteLevel()
    made.add_special_tokens([END])
    made.add_tokens([lib.AddedToken(TOOL, normalized=False)])
    return made


@pytest.mark.parametrize("pre", ["gpt-2", "smollm", "qwen2"])
def test_the_tokenizer_is_restored(pre, tmp_path):
    template = "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}"
    write_model(tmp_path / "m.gguf", new_model("llama"), pre, chat_template=template)
    import_gguf(tmp_path / "m.gguf", tmp_path / "model")
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path / "model")
    wanted = expected_tokenizer(pre)
    ours = cllm._tokenizer.TextTokenizer(tmp_path / "model")
    for line in LINES:
        assert theirs.encode(line) == wanted.encode(line).ids, line
        assert ours.encode(line) == wanted.encode(line).ids, line
        if pre != "qwen2":
            assert theirs.decode(theirs.encode(line)) == line
    assert (theirs.bos_token, theirs.eos_token, theirs.pad_token) == (END,) * 3
    assert theirs.decode(theirs.encode(f"a{END}{TOOL}"), skip_special_tokens=True) == f"a{TOOL}"
    said = theirs.apply_chat_template([{"role": "user", "content": "Hi"}], tokenize=False)
    assert said == "user: Hi\n"
    assert (tmp_path / "model/chat_template.jinja").read_text() == template


def test_a_token_before_texts_and_two_ends(tmp_path):
    end = gguf_writing.vocabulary()[0].index(END)
    write_model(tmp_path / "m.gguf", new_model("llama"), add_bos_token=True, eot_token_id=7)
    import_gguf(tmp_path / "m.gguf", tmp_path / "model")
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path / "model")
    assert theirs.encode("the") == [end, *theirs.encode("the", add_special_tokens=False)]
    for file in ("config.json", "generation_config.json"):
        assert json.loads((tmp_path / "model" / file).read_text())["eos_token_id"] == [end, 7]


def test_the_real_one(smollm2):
    tokenizer = transformers.AutoTokenizer.from_pretrained(smollm2)
    model = opened(smollm2)
    start = tokenizer("The capital of France is", return_tensors="pt")
    found = model.generate(**start, max_new_tokens=2, do_sample=False)
    assert tokenizer.decode(found[0]) == "The capital of France is Paris."
    chat = tokenizer.apply_chat_template([{"role": "user", "content": "2 + 2?"}], tokenize=False,
                                         add_generation_prompt=True)
    assert chat.startswith("<|im_start|>system\n") and chat.endswith("<|im_start|>assistant\n")
    assert tokenizer.encode("<|im_end|>") == [2] and len(tokenizer.encode("2024")) == 4
    lines = ["The 12th of May, 1999: it's late.", "def f(x):\n    return x ** 2\n", "naïve 北京 🎉"]
    ours = cllm.Model.load(smollm2)
    for line in lines:
        ids = tokenizer.encode(line)
        assert tokenizer.decode(ids) == line
        assert ours._text_tokenizer().encode(line) == ids
