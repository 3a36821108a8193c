"""finetune.json in a run folder says what made the run, so that the same command goes on."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import cllm
from cllm._cllm import InputError
from cllm._run_folder import models_of
from cllm._words import flag, option, shown
from cllm.finetune.data import Asked
from cllm.finetune.samples import Prompt
from cllm.prepare.tokenizers import read_json

FILE = "finetune.json"
FORMAT = "cllm fine-tuning"


@dataclass(frozen=True)
class Record:
    asked: Asked
    options: dict[str, str]  # of the option table, chosen ones too
    prompts: list[Prompt]
    data_set: str  # the folder of the prepared examples; "": not known
    samples: int | None = None  # questions of examples that were wanted; None: not known
    moved: bool = False  # the model is not where it was when the run began

    def content(self) -> dict[str, Any]:
        """What the file holds."""
        return {"format": FORMAT, "cllm": cllm.__version__, "asked": asdict(self.asked),
                "options": self.options, "prompts": [prompt.asked for prompt in self.prompts],
                "data_set": self.data_set, "samples": self.samples,
                "moved": self.moved}

    @property
    def has_model(self) -> bool:
        """Whether the model is where the run says."""
        model = Path(self.asked.model)
        return any((place / "config.json").is_file() for place in (model, *models_of(model)))

    def with_model(self, run: Path, model: Path) -> Record:
        """The same run with its model elsewhere, where it is gone from its place and the run has
        something to go on from: then the engine sees whether it is the same."""
        path = str(model.absolute())
        if path == self.asked.model or self.has_model or not has_checkpoint(run):
            return self
        return replace(self, asked=replace(self.asked, model=path), moved=True)

    def check_same(self, run: Path, now: Asked) -> None:
        """Raises InputError where a command asks for something else."""
        before = asdict(self.asked)
        length = self.options.get("seq", "")
        if before["length"] is None and length.isdecimal():  # what was chosen may be given
            before["length"] = int(length)
            if now.length is None:
                now = replace(now, length=before["length"])
        for name, value in asdict(now).items():
            if before[name] != value:
                raise InputError(
                    f"{run}: holds another fine-tuning: got {_as_typed(name, value)}, expected "
                    f"{_as_typed(name, before[name])} to go on with it; or {flag('overwrite')}, or "
                    f"another {option('out', 'RUN')}")

    def check_same_questions(self, run: Path, questions: list[str], samples: int | None) -> None:
        """Raises InputError where a command asks for other questions. `questions` are those of the
        user, which are asked in place of `samples`; None: as before."""
        own = [] if self.samples else [prompt.question for prompt in self.prompts]
        if questions:
            same = questions == own
        else:
            same = samples is None or self.samples is None or samples == self.samples
        if not same:
            raise InputError(f"{run}: the run asks the same questions to its end: got "
                             f"{_asked_for(questions, samples)}, expected "
                             f"{_asked_for(own, self.samples)}, or neither option")


def _as_typed(name: str, value: object) -> str:
    """Something asked, as the command takes it."""
    word = {"model": "MODEL", "length": option("seq")}.get(name) or option(name.replace("_", "-"))
    if value is None or value is False:
        return f"no {word}"
    return word if value is True else f"{word} {shown(value)}"


def _asked_for(questions: list[str], samples: int | None) -> str:
    if not questions:
        return option("samples", str(samples or 0))
    return " ".join(option("sample-prompt", shown(question)) for question in questions)


def read(run: Path) -> Record | None:
    """What a run folder says; None where it is no fine-tuning."""
    file = run / FILE
    try:
        if not file.is_file():
            return None
        content = read_json(file)
    except OSError as error:  # such as a name that is too long
        raise InputError(f"{file}: cannot be read: {error.strerror}") from None
    try:
        if content["format"] != FORMAT:
            raise ValueError(content["format"])
        options = {str(name): str(text) for name, text in content["options"].items()}
        prompts = [Prompt(one) for one in content["prompts"]]
        if not all(isinstance(one.asked, str | list) for one in prompts):
            raise ValueError("prompts")
        samples = content.get("samples")  # missing in runs of older versions
        if not isinstance(samples, int | None):
            raise ValueError("samples")
        return Record(Asked(**content["asked"]), options, prompts,
                      str(content.get("data_set", "")), samples,
                      content.get("moved") is True)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"{file}: no record of a fine-tuning: {error}: expected the file as it "
                         "was written") from None


def has_checkpoint(run: Path) -> bool:
    """Whether there is something to go on from. Damaged ones count too: the engine says what is
    wrong with them, and nothing is written over."""
    return any(place.exists() for place in models_of(run))
