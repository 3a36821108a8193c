"""SmolLM2-135M, a model that people use: what transformers computes from its folder is computed
here, and what is trained and saved here opens there.
"""

import pytest
from conftest import ALL, needs

pytestmark = needs("cllm", "torch", "transformers", "gguf")
cllm = pytest.importorskip("cllm")
torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from against_torch import difference, forward, same_training, step, tokens_of

TOLERANCE = 1e-3
VOCABULARY = 49152
PROMPTS = """The capital of France is the city
Once upon a time there was a king
Water boils at a temperature of one hundred
In the beginning of the twentieth century people
My favourite recipe for bread begins with flour
The first law of motion says that every
She opened the old door and saw that
To sort a list of numbers you can
Dear Sir or Madam, I am writing to
The three most important things about cats are""".split("\n")
STARTS = 7  # tokens of each prompt, so that all of them are one batch
ADDED = 100


@pytest.fixture(scope="module")
def theirs(smollm2):
    return transformers.AutoModelForCausalLM.from_pretrained(smollm2).eval()


@pytest.fixture(scope="module")
def ours(smollm2):
    return cllm.Model.load(smollm2)


@pytest.fixture(scope="module")
def starts(smollm2):
    tokenizer = transformers.AutoTokenizer.from_pretrained(smollm2)
    return torch.tensor([tokenizer.encode(prompt)[:STARTS] for prompt in PROMPTS])


def batch(seed, sequences=2, length=64):
    return tokens_of(seed, VOCABULARY, sequences, length, first=17)


def test_logits(ours, theirs):
    inputs, targets = batch(1, length=128)
    with torch.no_grad():
        logits, _ = forward(theirs, inputs, targets)
    assert difference(ours.logits(inputs), logits) <= TOLERANCE


def test_a_hundred_greedy_tokens_of_ten_prompts(ours, theirs, starts):
    """What transformers chooses after each of our tokens is the next of ours: by induction both
    write the same text, and transformers needs one pass for it."""
    for start in starts.tolist() if ALL else starts.tolist()[:3]:
        text = ours.generate(start, tokens=ADDED, temperature=0).tolist()
        with torch.no_grad():
            logits = theirs(torch.tensor([[*start, *text]])).logits[0, STARTS - 1:]
        chosen = logits.argmax(-1).tolist()
        assert text == chosen[:len(text)]
        assert len(text) == ADDED or chosen[len(text)] in ours.end_tokens


def test_ten_steps_of_training(smollm2, tmp_path):
    theirs = transformers.AutoModelForCausalLM.from_pretrained(smollm2).train()
    trainer, optimizer = same_training(smollm2, tmp_path, theirs, VOCABULARY, 2, 64, rate=1e-4,
                                       first=17)
    first = None
    for i in range(10 if ALL else 4):
        loss, _ = step(theirs, optimizer, 1.0, *batch(i % 2))
        assert trainer.step(*batch(i % 2)).loss == pytest.approx(loss, rel=TOLERANCE), i
        first = first or loss
    assert loss < first - (1 if ALL else 0.3), "the steps were not negligible"


def log_likelihood(model, context, continuation):
    """As lm-evaluation-harness asks for it: the sum over the continuation, and whether it is what
    greedy decoding gives."""
    ids = torch.tensor([context + continuation])
    with torch.no_grad():
        logits = torch.log_softmax(model(ids[:, :-1]).logits[0, len(context) - 1:], -1)
    chosen = torch.tensor(continuation)
    picked = logits.gather(1, chosen[:, None])
    return float(picked.sum()), bool((logits.argmax(-1) == chosen).all())


def test_a_folder_saved_here_answers_as_the_original(smollm2, ours, theirs, starts, tmp_path):
    ours.save(tmp_path / "exact")
    ours.save(tmp_path / "rounded", dtype="bf16")
    for name in ("tokenizer.json", "tokenizer_config.json", "generation_config.json",
                 "chat_template.jinja"):
        assert (tmp_path / "exact" / name).read_bytes() == (smollm2 / name).read_bytes()
    exact, rounded = (transformers.AutoModelForCausalLM.from_pretrained(tmp_path / name,
                                                                        dtype="float32").eval()
                      for name in ("exact", "rounded"))
    for ids in starts.tolist()[:4]:
        expected = log_likelihood(theirs, ids[:4], ids[4:])
        assert log_likelihood(exact, ids[:4], ids[4:]) == expected
        assert log_likelihood(rounded, ids[:4], ids[4:])[0] == pytest.approx(expected[0], abs=0.3)
