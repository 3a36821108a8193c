"""The tokenizer beside a model that does not read bytes."""

from pathlib import Path
from typing import Any

import cllm


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
            reason = " ".join(str(error).split())[:200]
            raise cllm.InputError(f"{path}: the tokenizer cannot be read: got {reason}, expected a "
                                  "file of the tokenizers library") from None
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        ids = self._tokenizer.get_vocab(with_added_tokens=True).values()
        self.known = max(ids, default=-1) + 1  # every id of it is below

    def encode(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer.encode(text).ids
        return ids

    def decode(self, ids: list[int]) -> str:
        text: str = self._tokenizer.decode(ids)
        return text
