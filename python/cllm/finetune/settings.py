"""Settings of a fine-tuning that nobody gave, by the size of the model and of the examples."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from cllm._words import count

SMALL = 50_000_000  # parameters: below, all weights are trained
RANK = 16
STEP_TOKENS = 4096  # of a step at most, so that memory stays small
STEPS = 12  # in an epoch at least, where the examples are enough
WIDE, MOST_RATE = 4096, 5.0  # a width, and how many times its rate narrower models get
# Passes over so many examples: few ones are learned in many passes.
EPOCHS = ((500, 10), (2_000, 5), (20_000, 3), (100_000, 2))


@dataclass(frozen=True)
class Facts:
    """What the choices depend on."""

    parameters: int  # of the model
    width: int
    examples: int  # to train on
    tokens: int  # of these
    longest: int  # tokens of one, where it is cut
    room: int  # tokens of a row at most
    validates: bool


@dataclass(frozen=True)
class Choice:
    name: str  # of the option
    text: str  # its value
    why: str


# Options with a value that choose() chooses, or looks at. Where one is "auto" it was not given.
CHOSEN = ("lora-rank", "seq", "batch", "steps", "epochs", "lr", "weight-decay")
AUTO = "auto"


def choose(facts: Facts, given: Mapping[str, str], *, full: bool) -> list[Choice]:
    """The options that were not given. `given` are those that were, by name."""
    found = [*_adapter(facts, given, full=full)]
    lora = given.get("lora") == "true" or any(one.name == "lora" for one in found)
    length = _length(facts)
    found.append(Choice("seq", str(length), f"the longest example has {facts.longest:,}; short "
                                            "ones share a row"))
    length = int(given.get("seq", length))
    batch = _batch(facts, length)
    found.append(Choice("batch", str(batch), f"{count(-(-facts.tokens // length), 'row')} of "
                                             f"{count(length, 'token')} are an epoch"))
    if "steps" not in given:
        found.append(Choice("epochs", str(_epochs(facts.examples)),
                            count(facts.examples, "example")))
    found.append(Choice("lr", _rate(facts.width, lora=lora),
                        f"for {'adapters' if lora else 'all weights'} of a model "
                        f"{facts.width:,} wide"))
    found.append(Choice("weight-decay", "0", "the model is not to forget"))
    if facts.validates:
        found.append(Choice("keep-best", "true", "more passes are not always better"))
    return [one for one in found if one.name not in given]


def _adapter(facts: Facts, given: Mapping[str, str], *, full: bool) -> list[Choice]:
    size = f"the model has {count(facts.parameters, 'parameter')}"
    wanted = given.get("lora")
    if full or wanted == "false" or (wanted is None and facts.parameters < SMALL):
        return []
    rank = str(min(RANK, facts.width))
    return [Choice("lora", "true", size), Choice("lora-rank", rank, "on all linear maps")]


def _rate(width: int, *, lora: bool) -> str:
    """The usual rates are those of models 4,096 wide. Narrower ones take higher ones (Schulman et
    al., LoRA Without Regret, 2025), and need them: in one epoch on SQuAD, SmolLM2 came to an exact
    match of 51 % at 0.0009 and of 40 % at 0.0002."""
    more = (WIDE / width) ** 0.775
    return f"{(2e-4 if lora else 2e-5) * min(MOST_RATE, max(1.0, more)):.1g}"


def _length(facts: Facts) -> int:
    """Room for several examples in a row, as long as an epoch keeps its steps."""
    return max(facts.longest, min(facts.room, facts.tokens // STEPS))


def _batch(facts: Facts, length: int) -> int:
    rows = -(-facts.tokens // length)
    return max(1, min(rows // STEPS, STEP_TOKENS // length))


def _epochs(examples: int) -> int:
    return next((epochs for most, epochs in EPOCHS if examples < most), 1)
