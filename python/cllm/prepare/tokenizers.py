"""A tokenizer of a data set: bytes, characters, a BPE trained here, or any of Hugging Face's."""

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy
from numpy.typing import NDArray

from cllm._cllm import InputError
from cllm._run_folder import models_of
from cllm._words import one_line, option

END = "<|endoftext|>"
ENDS = (END, "<|end_of_text|>", "</s>", "<eos>", "<|eos|>", "[EOS]", "<|im_end|>")
LARGEST = 1 << 20  # tokens of a vocabulary trained here
# What a folder of Hugging Face may hold of a tokenizer.
FILES = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json",
         "vocab.json", "merges.txt", "tokenizer.model", "chat_template.jinja")


@dataclass
class Tokenizer:
    """What is kept of a tokenizer: its files, of which tokenizer.json says everything."""

    kind: str  # "bytes", "chars", "bpe" or "file"
    json: str
    end: int  # the end-of-text token
    vocabulary: int  # every id is below it
    files: dict[str, bytes] = field(default_factory=dict)  # others
    splits_special: bool = True  # names of special tokens in a text are text

    @property
    def sha256(self) -> bytes:
        return hashlib.sha256(self.json.encode()).digest()

    def special_tokens(self) -> dict[str, int]:
        return {token["content"]: token["id"]
                for token in json.loads(self.json).get("added_tokens", []) if token["special"]}


def library() -> Any:
    import tokenizers  # slow to import

    return tokenizers


def _config(end: str) -> dict[str, Any]:
    return {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": end, "eos_token": end,
            "split_special_tokens": True, "clean_up_tokenization_spaces": False}


def _finished(kind: str, tokenizer: Any, vocabulary: int) -> Tokenizer:
    """Adds the end-of-text token as the last."""
    tokenizer.add_special_tokens([END])
    config = json.dumps(_config(END), indent=2) + "\n"
    return Tokenizer(kind, tokenizer.to_str(pretty=True), vocabulary, vocabulary + 1,
                     {"tokenizer_config.json": config.encode()})


def byte_names() -> list[str]:
    """The characters that stand for bytes 0 to 255 in a byte-level tokenizer."""
    seen = [*range(33, 127), *range(161, 173), *range(174, 256)]
    hidden = iter(range(256, 512))
    return [chr(byte if byte in seen else next(hidden)) for byte in range(256)]


def _byte_level(model: Any, use_regex: bool, prefix_space: bool = False) -> Any:
    lib = library()
    tokenizer = lib.Tokenizer(model)
    tokenizer.pre_tokenizer = lib.pre_tokenizers.ByteLevel(add_prefix_space=prefix_space,
                                                           use_regex=use_regex)
    tokenizer.decoder = lib.decoders.ByteLevel()
    return tokenizer


def of_bytes() -> Tokenizer:
    vocabulary = {name: byte for byte, name in enumerate(byte_names())}
    return _finished("bytes", _byte_level(library().models.BPE(vocabulary, []), False), 256)


def of_characters(characters: Iterable[str]) -> Tokenizer:
    """Ids follow the code points."""
    lib = library()
    vocabulary = {character: i for i, character in enumerate(sorted(characters))}
    tokenizer = lib.Tokenizer(lib.models.BPE(vocabulary, []))
    tokenizer.decoder = lib.decoders.Fuse()
    return _finished("chars", tokenizer, len(vocabulary))


def train_bpe(texts: Iterator[str], size: int) -> Tokenizer:
    """A byte-level BPE of `size` tokens with the end of text, or fewer where the text is short.
    The same texts give the same file."""
    lib = library()
    tokenizer = _byte_level(lib.models.BPE(), True)
    trainer = lib.trainers.BpeTrainer(
        vocab_size=size - 1, show_progress=False, special_tokens=[],
        initial_alphabet=lib.pre_tokenizers.ByteLevel.alphabet())
    tokenizer.train_from_iterator(texts, trainer)
    return _finished("bpe", tokenizer, tokenizer.get_vocab_size())


def bpe_size(name: str) -> int | None:
    """N of "bpe:N"; None for another tokenizer."""
    match = re.fullmatch(r"bpe:([0-9]{1,9})", name)
    if not match:
        return None
    size = int(match[1])
    if not 257 <= size <= LARGEST:
        raise InputError(f"{option('tokenizer')}: impossible size: got {name}, expected 257 "
                         f"(every byte and the end of text) to {LARGEST} tokens")
    return size


def read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: no JSON: {error}") from None


def token_name(token: Any) -> str | None:
    name = token.get("content") if isinstance(token, dict) else token
    return name if isinstance(name, str) else None


def _of_lists(folder: Path, config: dict[str, Any]) -> Any:
    """GPT-2's tokenizer from its vocabulary and merges, as it was kept before tokenizer.json."""
    kind = config.get("tokenizer_class", "GPT2Tokenizer")
    if kind not in ("GPT2Tokenizer", "GPT2TokenizerFast"):
        raise InputError(f"{folder}: how this tokenizer splits words is not known: got {kind} "
                         "without tokenizer.json: expected one saved by transformers: "
                         "AutoTokenizer.from_pretrained(...).save_pretrained(...)")
    lib = library()
    tokenizer = _byte_level(lib.models.BPE.from_file(
        str(folder / "vocab.json"), str(folder / "merges.txt")), True,
        bool(config.get("add_prefix_space", False)))
    named = {}
    for file in ("special_tokens_map.json", "tokenizer_config.json"):
        if (folder / file).is_file():
            named.update(read_json(folder / file))
    special = [name for key in ("bos_token", "eos_token", "unk_token", "pad_token")
               if (name := token_name(named.get(key, END if key != "pad_token" else None)))]
    tokenizer.add_special_tokens(list(dict.fromkeys(special)))
    if (folder / "added_tokens.json").is_file():
        added = read_json(folder / "added_tokens.json")
        tokenizer.add_tokens([name for name in sorted(added, key=added.get) if name not in special])
    return tokenizer


def newest_model(path: Path) -> Path:
    """The folder itself or, of a run, that of its newest model."""
    return next((place for place in (path, *models_of(path))
                 if (place / "tokenizer.json").is_file()), path)


def of_file(path: Path, end: str | None) -> Tokenizer:
    """The tokenizer of a model's folder, of a run's newest model, or of a tokenizer.json."""
    path = newest_model(path)
    file = path / "tokenizer.json" if path.is_dir() else path
    by_lists = path.is_dir() and not file.is_file() and all(
        (path / name).is_file() for name in ("vocab.json", "merges.txt"))
    if not file.is_file() and not by_lists and str(path) in ("bpe", "BPE"):
        raise InputError(f"{option('tokenizer')}: no number of tokens: got {path}, expected "
                         f"{path}:N, such as bpe:4096")
    if not file.is_file() and not by_lists:
        raise InputError(f"{option('tokenizer')}: no such tokenizer: got {path}, expected bytes, "
                         "chars, bpe:N, or a folder with tokenizer.json, or with vocab.json and "
                         "merges.txt (one of the Hub comes with transformers: AutoTokenizer."
                         f'from_pretrained("{path}").save_pretrained(FOLDER))')
    others = {name: (path / name).read_bytes() for name in FILES[1:]
              if path.is_dir() and (path / name).is_file()}
    config = read_json(path / "tokenizer_config.json") if "tokenizer_config.json" in others else {}
    if not isinstance(config, dict):
        raise InputError(f"{path}/tokenizer_config.json: no object of settings")
    try:
        tokenizer = (_of_lists(path, config) if by_lists else
                     library().Tokenizer.from_file(str(file)))
        # Byte for byte, so that its hash is that of the file beside a model.
        text = (tokenizer.to_str(pretty=True) if by_lists else
                file.read_bytes().decode())
    except (KeyboardInterrupt, SystemExit, InputError):
        raise
    except BaseException as error:  # the library raises plain ones, and panics of its own
        reason = one_line(" ".join(str(error).split()), 200)
        raise InputError(f"{path if by_lists else file}: the tokenizer cannot be read: {reason}"
                         ) from None
    ids = tokenizer.get_vocab(with_added_tokens=True)
    names = [end] if end else [
        name for name in (token_name(config.get("eos_token")), *ENDS) if name]
    last = next((name for name in names if name in ids), None)
    if last is None:
        raise InputError(f"{file}: which token ends a text is not known: got none of "
                         f"{', '.join(names)}, expected {option('end-of-text', 'TOKEN')}")
    others.setdefault("tokenizer_config.json",
                      (json.dumps(_config(last), indent=2) + "\n").encode())
    splits = bool(config.get("split_special_tokens", not config))
    return Tokenizer("file", text, ids[last], max(ids.values()) + 1, others, splits)


class Encoder:
    """Texts to ids, as Hugging Face's tokenizer of the same file gives them."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._kind = tokenizer.kind
        self._table: NDArray[numpy.int32] | None = None
        self._tokenizer: Any = None
        if self._kind == "bytes":
            return
        vocabulary = json.loads(tokenizer.json)["model"]
        if self._kind == "chars":
            self._table = numpy.full(0x110000, -1, numpy.int32)
            for character, token in vocabulary["vocab"].items():
                self._table[ord(character)] = token
            return
        self._tokenizer = library().Tokenizer.from_str(tokenizer.json)
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        self._tokenizer.encode_special_tokens = tokenizer.splits_special

    def ids(self, texts: list[str]) -> list[NDArray[numpy.int32]]:
        if self._kind == "bytes":
            return byte_ids(texts)
        if self._table is not None:
            codes = [numpy.frombuffer(text.encode("utf-32-le"), numpy.uint32) for text in texts]
            return [self._table[code] for code in codes]
        return ids_of(self._tokenizer, texts)


def byte_ids(texts: list[str]) -> list[NDArray[numpy.int32]]:
    return [numpy.frombuffer(text.encode(), numpy.uint8).astype(numpy.int32) for text in texts]


def cannot_encode(error: Exception) -> InputError:
    """What is said where the library raises, as it does for a word that it does not have."""
    return InputError(f"the tokenizer does not take a text: got {one_line(str(error), 200)}, "
                      "expected one that has tokens for any text")


def ids_of(tokenizer: Any, texts: list[str]) -> list[NDArray[numpy.int32]]:
    """What a tokenizer of the library gives, without what it puts around a prompt."""
    try:
        encoded = tokenizer.encode_batch_fast(texts, add_special_tokens=False)
    except Exception as error:
        raise cannot_encode(error) from None
    return [numpy.array(one.ids, numpy.int32) for one in encoded]


def cuts_exactly(ids: Callable[[list[str]], list[NDArray[numpy.int32]]]) -> bool:
    """Whether a text that is cut between a letter and a space has the tokens of the whole."""
    samples = ["A word", " and\nlines\n\n after", " it's ÜBER", "  two\tspaces", " 12 things"]
    whole = ids(["".join(samples)])[0].tolist()
    return bool(whole == [token for found in ids(samples) for token in found])


def read_trained(text: str, kind: str = "bpe") -> Tokenizer:
    """A tokenizer that was made here, from its file."""
    tokenizer = library().Tokenizer.from_str(text)
    config = json.dumps(_config(END), indent=2) + "\n"
    size = tokenizer.get_vocab_size()
    return Tokenizer(kind, text, size - 1, size, {"tokenizer_config.json": config.encode()})


def by_frequency(tokenizer: Tokenizer, texts: Iterator[str]) -> Tokenizer:
    """The same tokenizer with other ids: what these texts, a sample, have most often comes first,
    tokens of one frequency as they were. The end of text stays the last."""
    counts = numpy.zeros(tokenizer.vocabulary, numpy.int64)
    encoder = Encoder(tokenizer)
    for some in _batches(texts):
        for ids in encoder.ids(some):
            counts += numpy.bincount(ids, minlength=tokenizer.vocabulary)
    order = numpy.argsort(-counts[:tokenizer.end], kind="stable")
    content = json.loads(tokenizer.json)
    names = {token: name for name, token in content["model"]["vocab"].items()}
    content["model"]["vocab"] = {names[int(old)]: new for new, old in enumerate(order)}
    # Ids of "bytes" are the bytes themselves, which these are not.
    kind = "bpe" if tokenizer.kind == "bytes" else tokenizer.kind
    written = library().Tokenizer.from_str(json.dumps(content)).to_str(pretty=True)
    return read_trained(written, kind)


def _batches(texts: Iterator[str], characters: int = 1 << 20) -> Iterator[list[str]]:
    """Texts together, about as many characters each time."""
    some: list[str] = []
    size = 0
    for text in texts:
        some.append(text)
        size += len(text)
        if size >= characters:
            yield some
            some, size = [], 0
    if some:
        yield some
