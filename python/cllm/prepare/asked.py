"""What was asked for is checked before anything is read or written."""

import json
import os
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from cllm._cllm import InputError
from cllm._words import option
from cllm.prepare import tokenizers
from cllm.prepare.decoding import check_encoding
from cllm.prepare.inputs import check_names
from cllm.prepare.readers import Reading

OWN, FREQUENCY = "own", "frequency"  # how ids are numbered


@dataclass(frozen=True)
class Asked:
    """What decides the bytes of a data set, beside the inputs' own."""

    inputs: tuple[str, ...]
    validation: tuple[str, ...]
    tokenizer: str
    fraction: float
    reading: Reading
    end_of_text: str | None
    order: str = OWN
    tokenizer_sha256: str = ""  # of one that is a file, which may change

    def state(self) -> dict[str, Any]:
        state: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        if self.order == OWN:  # as it was before ids could be ordered
            del state["order"]
        return state


def checked(asked: Asked, processes: int) -> Asked:
    """The same, with the hash of its tokenizer. Raises InputError for what cannot be done."""
    if asked.reading.encoding is not None:
        check_encoding(asked.reading.encoding)
    if asked.reading.errors not in ("strict", "replace"):
        raise InputError(f'{option("errors")}: got "{asked.reading.errors}", expected strict or '
                         "replace")
    if not 0 <= asked.fraction < 1:
        raise InputError(f"{option('val-fraction')}: got {asked.fraction}, expected 0 (none) to "
                         "below 1")
    if asked.order not in (OWN, FREQUENCY):
        raise InputError(f'{option("order")}: got "{asked.order}", expected {OWN} or {FREQUENCY}')
    if not 1 <= processes <= 1024:
        raise InputError(f"{option('processes')}: got {processes}, expected 1 to 1024")
    check_names((*asked.inputs, *asked.validation))
    both = {os.path.realpath(name) for name in asked.inputs} & {
        os.path.realpath(name) for name in asked.validation}
    if both:
        raise InputError(f"{min(both)}: is to train and to validate: expected it in one of them")
    if asked.tokenizer not in ("bytes", "chars") and tokenizers.bpe_size(asked.tokenizer) is None:
        if asked.order != OWN:
            raise InputError(f"{option('order')}: a tokenizer that is given keeps its ids: got "
                             f"{asked.order} with {asked.tokenizer}, expected bytes, chars or "
                             "bpe:N, which are made here")
        found = tokenizers.of_file(Path(asked.tokenizer), asked.end_of_text)
        return replace(asked, tokenizer_sha256=found.sha256.hex())
    return asked
