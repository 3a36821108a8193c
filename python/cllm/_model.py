"""A Model as Python sees it: the engine's, with its tokenizer and with lists of prompts."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias, TypeGuard, overload

from cllm import _cllm, _others
from cllm._cllm import EvaluationReport, InputError, ModelConfig
from cllm._pieces import Pieces
from cllm._tokenizer import TextTokenizer

if TYPE_CHECKING:  # `import cllm` stays light
    from os import PathLike
    from typing import Self

    import numpy as np
    from numpy.typing import NDArray

    _Ids: TypeAlias = list[int] | tuple[int, ...] | NDArray[np.integer[Any]]


class Model(_cllm.Model):
    """A model in memory: B sequences of T tokens, V' words.

    ::

        model = cllm.Model.load("run")
        print(model.generate("To be", tokens=100))

    One thread at a time may call it; a second one gets a CllmError. Results do not depend on
    `workers`, the number of computing threads (None: the cores that this process may use).
    """

    @classmethod
    def load(cls, folder: str | PathLike[str], adapter: str | PathLike[str] | None = None, *,
             workers: int | None = None) -> Self:
        """Reads a model folder, or the newest model of a run folder.

        A LoRA adapter's folder, of PEFT or of a run, is the model that it names with the adapter
        added to its weights; `adapter` is added to the model in `folder` instead.
        """
        return cls(folder, adapter=adapter, workers=workers)

    @classmethod
    def create(cls, config: ModelConfig, *, seed: int = 1337, byte_tokens: bool = False,
               workers: int | None = None) -> Self:
        """Makes new weights, as training starts from. With `byte_tokens` a token is a byte."""
        return cls(config, seed=seed, byte_tokens=byte_tokens, workers=workers)

    if not TYPE_CHECKING:  # else type checkers would let every name pass

        def __getattr__(self, name):
            _others.refuse(self, name, _others.MODEL)

    def num_parameters(self) -> int:
        """Returns the number of weights."""
        return self.config.parameters

    def _text_tokenizer(self) -> TextTokenizer:
        """The tokenizer in the model's folder, which is read once."""
        if not hasattr(self, "_tokenizer"):
            self._tokenizer = TextTokenizer(self.folder)
        return self._tokenizer

    def evaluate(self, data: str | PathLike[str] | bytes | NDArray[np.integer[Any]]
                 | Iterable[str] | Iterable[bytes] | Iterable[int] | Iterable[Sequence[int]], *,
                 tokens: int = 0, text_bytes: int = 0) -> EvaluationReport:
        """Computes the mean loss over `data`, in windows of the model's context side by side.

        Args:
            data: a path, a text, texts, or ids of tokens, as TrainConfig(data=...) takes it; also
                every file that `cllm prepare` reads. Of a data set it is the validation part.
                Texts are encoded with the model's tokenizer, in memory.
            tokens: how many to predict, in windows spread evenly over the data, the same ones
                every time; 0: all.
            text_bytes: the bytes of text that ids stand for, if they are known: then the report
                has bits_per_byte.
        """
        if isinstance(data, Iterator):
            data = list(data)  # it can be read only once
        texts = None if self.byte_tokens else _texts(data)
        if texts is not None:
            from cllm import _text_data

            read = _text_data.of_texts(self, texts, ends=not isinstance(data, str | bytes))
            data, text_bytes = read.ids, len(data) if isinstance(data, bytes) else read.text_bytes
        elif _is_path(data):
            from cllm import _text_data

            found = _text_data.of_path(self, os.fspath(data))
            data, text_bytes = found or (data, text_bytes)
        return super().evaluate(data, tokens=tokens, text_bytes=text_bytes)

    @overload
    def generate(self, prompt: str, *, tokens: int = 200, temperature: float = 0.8, top_k: int = 0,
                 top_p: float = 1.0, seed: int = 1337, known: int = 0,
                 stop: str | Sequence[str] = (),
                 on_token: Callable[[bytes], object] | None = None) -> str: ...
    @overload
    def generate(self, prompt: bytes, *, tokens: int = 200, temperature: float = 0.8,
                 top_k: int = 0, top_p: float = 1.0, seed: int = 1337, known: int = 0,
                 stop: str | Sequence[str] = (),
                 on_token: Callable[[bytes], object] | None = None) -> bytes: ...
    @overload
    def generate(self, prompt: _Ids, *, tokens: int = 200, temperature: float = 0.8,
                 top_k: int = 0, top_p: float = 1.0, seed: int = 1337, known: int = 0,
                 on_token: Callable[[int], object] | None = None) -> NDArray[np.int32]: ...
    @overload
    def generate(self, prompt: list[str], *, tokens: int = 200, temperature: float = 0.8,
                 top_k: int = 0, top_p: float = 1.0, seed: int = 1337, known: int = 0,
                 stop: str | Sequence[str] = ()) -> list[str]: ...
    @overload
    def generate(self, prompt: list[_Ids], *, tokens: int = 200, temperature: float = 0.8,
                 top_k: int = 0, top_p: float = 1.0, seed: int = 1337,
                 known: int = 0) -> list[NDArray[np.int32]]: ...
    def generate(self, prompt: Any, *, tokens: int = 200, temperature: float = 0.8, top_k: int = 0,
                 top_p: float = 1.0, seed: int = 1337, known: int = 0,
                 stop: str | Sequence[str] = (),
                 on_token: Callable[[Any], object] | None = None, **others: Any) -> Any:
        """Continues the prompt by at most `tokens` tokens and returns what was added.

        It ends early at one of `end_tokens`, which is not part of the result.

        Args:
            prompt: a str, which gives a str; bytes, which give bytes; ids of tokens, which give
                int32[n]; a list of these, which gives a list, each as if it were alone. In a str,
                bytes that are not UTF-8 are U+FFFD: a byte model writes such early in training.
            tokens: the most tokens to add; max_new_tokens is another name for it.
            temperature: 0 takes the most likely token, higher is more varied.
            top_k: draws from the k most likely tokens; 0: from all.
            top_p: draws from the most likely tokens that reach this probability.
            seed: the same seed gives the same text.
            known: with ids, draws only tokens below it: what a tokenizer knows of a vocabulary
                that was rounded up.
            stop: a text before which the result ends, or several, where the prompt is text.
            on_token: is called with each piece as it comes: bytes of a text, or an id. Where it
                returns False, no more are drawn.
        """
        if on_token is not None and not callable(on_token):
            raise InputError(f"on_token: not a function: got {on_token!r}, expected one of bytes, "
                             "or of an id")
        settings: dict[str, Any] = {
            "tokens": tokens, "temperature": temperature, "top_k": top_k, "top_p": top_p,
            "seed": seed, "known": known}
        settings |= _by_other_names(others, settings)
        stops = _stops(stop)
        if _is_list_of_prompts(prompt):
            if on_token is not None:
                raise InputError("on_token: no listener for several prompts: got a list of "
                                 f"{len(prompt)}, expected one prompt")
            return [self.generate(each, stop=stop, **settings) for each in prompt]
        if stops and not isinstance(prompt, str | bytes):
            raise InputError(f"stop: ids of tokens have no text: got {stop!r}, expected a prompt "
                             "of text")
        if self.byte_tokens or not isinstance(prompt, str | bytes):
            return super().generate(prompt, stop=stops, on_token=on_token, **settings)
        tokenizer = self._text_tokenizer()
        text = _decoded(prompt) if isinstance(prompt, bytes) else prompt
        pieces = Pieces(tokenizer, on_token, stops)
        settings["known"] = known or tokenizer.known
        ids = super().generate(tokenizer.encode(text or "\n"), on_token=pieces.add, **settings)
        added = pieces.finish(ids.tolist())
        return added if isinstance(prompt, bytes) else added.decode()


def _stops(stop: object) -> list[bytes]:
    several = [stop] if isinstance(stop, str) else stop
    if not isinstance(several, list | tuple) or not all(isinstance(one, str) for one in several):
        raise InputError(f"stop: not a text: got {stop!r}, expected a text, or a list of texts")
    if "" in several:
        raise InputError("stop: nothing to stop at: got an empty text, expected text")
    return [one.encode("utf-8", "surrogateescape") for one in several]


def _by_other_names(given: dict[str, Any], settings: dict[str, Any]) -> dict[str, Any]:
    """Settings by the names that other programs give them, such as max_new_tokens."""
    rows = [row for row in _cllm.generate_options() if row[0] not in ("model", "prompt", "stop")]
    names = [row[0].replace("-", "_") for row in rows]
    other = {also.replace("-", "_"): row[0].replace("-", "_") for row in rows for also in row[1]}
    unknown = [name for name in given if name not in other]
    if unknown:
        near = (_cllm.near_name(name, names) for name in unknown)
        raise TypeError(f"Model.generate: no such argument: got {', '.join(unknown)}"
                        + "".join(f" (did you mean {name}?)" for name in near if name))
    found: dict[str, Any] = {}
    for name, value in given.items():
        setting = other[name]
        default = inspect.signature(Model.generate).parameters[setting].default
        if setting in found or settings[setting] != default:
            raise TypeError(f"Model.generate: {setting} is given under two names: got {name} too")
        found[setting] = value
    return found


def _is_list_of_prompts(prompt: object) -> bool:
    if hasattr(prompt, "ndim"):
        return bool(prompt.ndim == 2)
    return (isinstance(prompt, list | tuple) and len(prompt) > 0
            and (isinstance(prompt[0], Sequence) or getattr(prompt[0], "ndim", 0) == 1))


def _is_path(data: object) -> TypeGuard[str | PathLike[str]]:
    return hasattr(data, "__fspath__") or (isinstance(data, str) and not _cllm.is_text(data))


def _texts(data: object) -> list[str] | None:
    """The texts that data is; None for ids and paths."""
    if isinstance(data, str):
        return [data] if _cllm.is_text(data) else None
    if isinstance(data, bytes):
        return [_decoded(data)]
    if isinstance(data, list | tuple) and data and all(isinstance(d, str | bytes) for d in data):
        return [_decoded(item) if isinstance(item, bytes) else item for item in data]
    return None


def _decoded(text: bytes) -> str:
    """A tokenizer wants characters; what is no UTF-8 becomes the character that stands for that."""
    return text.decode(errors="replace")
