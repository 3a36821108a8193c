"""The tokenizer beside a model that does not read bytes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cllm
from cllm._words import one_line

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def _splits_special(folder: Path) -> bool:
    """Whether the names of special tokens in a text are text, as tokenizer_config.json says."""
    try:
        config = json.loads((folder / "tokenizer_config.json").read_bytes())
    except FileNotFoundError:
        return False
    except (ValueError, RecursionError) as error:
        raise cllm.InputError(f"{folder}/tokenizer_config.json: no JSON: {error}") from None
    return isinstance(config, dict) and config.get("split_special_tokens") is True


class TextTokenizer:
    """Texts to ids and back. What the file says of batches, padding and truncation, is no business
    of a prompt and is switched off."""

    def __init__(self, folder: str) -> None:
        from tokenizers import Tokenizer  # slow to import and rarely needed

        path = Path(folder) / "tokenizer.json"
        if not path.exists():
            raise cllm.InputError(f"{path}: no tokenizer: got a model of token ids, expected "
                                  "tokenizer.json beside it (or call Model.generate with ids)")
        try:
            self._tokenizer: Any = Tokenizer.from_file(str(path))
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # the library raises plain ones, and panics of its own
            reason = one_line(" ".join(str(error).split()), 200)
            raise cllm.InputError(f"{path}: the tokenizer cannot be read: got {reason}, expected a "
                                  "file of the tokenizers library") from None
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        self._tokenizer.encode_special_tokens = _splits_special(path.parent)
        ids = self._tokenizer.get_vocab(with_added_tokens=True).values()
        self.known = max(ids, default=-1) + 1  # every id of it is below

    def encode(self, text: str) -> list[int]:
        from cllm.prepare.tokenizers import cannot_encode

        try:
            ids: list[int] = self._tokenizer.encode(text).ids
        except Exception as error:
            raise cannot_encode(error) from None
        return ids

    def ids_of(self, texts: list[str]) -> list[NDArray[np.int32]]:
        """The ids of each text, without what a tokenizer puts around a prompt."""
        from cllm.prepare.tokenizers import ids_of

        return ids_of(self._tokenizer, texts)

    def cuts_exactly(self) -> bool:
        """Whether a text that is cut between a letter and a space has the tokens of the whole."""
        from cllm.prepare.tokenizers import cuts_exactly

        return cuts_exactly(self.ids_of)

    def decode(self, ids: list[int]) -> str:
        text: str = self._tokenizer.decode(ids)
        return text
