"""The tokenizer of a GGUF file becomes the files that Hugging Face's libraries read."""

import json
from typing import Any

import numpy

from cllm._words import shown
from cllm.convert.gguf_header import Header

_NORMAL, _UNKNOWN, _CONTROL, _OWN, _UNUSED, _BYTE = 1, 2, 3, 4, 5, 6  # types of tokens

_QWEN2_PATTERN = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+"
                  r"[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")


def _byte_level(use_regex: bool, trim: bool = True) -> dict[str, Any]:
    return {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": trim,
            "use_regex": use_regex}


def _sequence(*steps: dict[str, Any]) -> dict[str, Any]:
    return {"type": "Sequence", "pretokenizers": list(steps)}


# How a text is cut before its words are merged, by the name that GGUF has for it.
_CUTS: dict[str, dict[str, Any]] = {
    "gpt-2": _byte_level(True),
    "smollm": _sequence({"type": "Digits", "individual_digits": True}, _byte_level(True)),
    "qwen2": _sequence({"type": "Split", "pattern": {"Regex": _QWEN2_PATTERN},
                        "behavior": "Isolated", "invert": False}, _byte_level(False, trim=False)),
}
_COMPOSED = ("qwen2",)  # whose texts are brought to NFC first

_SPECIAL = {"bos": "bos_token", "eos": "eos_token", "unknown": "unk_token",
            "padding": "pad_token"}  # in GGUF, in tokenizer_config.json


class _Said(str):
    """Our own words, which need no quotes."""


class GgufTokenizer:
    """Raises InputError for a tokenizer of another kind, and for one that is damaged."""

    def __init__(self, header: Header, context: int, vocabulary: int) -> None:
        self._header = header
        kind = self._single("model")
        if kind != "gpt2":
            raise self._refuse("model", kind, "'gpt2', byte-level BPE")
        self._cut = str(self._single("pre"))
        if self._cut not in _CUTS:
            raise self._refuse("pre", self._get("pre"), f"one of {', '.join(_CUTS)}")
        self._tokens = self._texts("tokens")
        if not 1 <= len(self._tokens) <= vocabulary:
            raise self._refuse("tokens", _Said(f"{len(self._tokens):,} of them"),
                               f"at most {vocabulary:,}, the rows of the embedding")
        self._types = self._types_of_tokens()
        self._vocabulary = {token: i for i, token in enumerate(self._tokens)
                            if self._types[i] != _UNUSED}
        if len(self._vocabulary) != len(self._tokens) - self._types.count(_UNUSED):
            raise self._refuse("tokens", _Said("one of them twice"), "distinct ones")
        self._merges = self._checked_merges()
        self._ids = {name: self._id(name) for name in (*_SPECIAL, "eot")}
        self._context = context

    def files(self) -> dict[str, str]:
        """The contents of the files by their names."""
        files = {"tokenizer.json": _dump(self._tokenizer()),
                 "tokenizer_config.json": _dump(self._config()),
                 "generation_config.json": _dump({"_from_model_config": True, **self.ends()})}
        template = self._header.settings.get("tokenizer.chat_template")
        if isinstance(template, str):
            files["chat_template.jinja"] = template
        return files

    def ends(self) -> dict[str, Any]:
        """The tokens that begin, end and pad a text, as config.json names them."""
        ends = list(dict.fromkeys(i for i in (self._ids["eos"], self._ids["eot"]) if i is not None))
        return {"bos_token_id": self._ids["bos"],
                "eos_token_id": ends if len(ends) > 1 else ends[0] if ends else None,
                "pad_token_id": self._ids["padding"]}

    # -- what is read ---------------------------------------------------------------------------

    def _get(self, key: str) -> Any:
        return self._header.settings.get(f"tokenizer.ggml.{key}")

    def _single(self, key: str) -> Any:
        return self._header.single(f"tokenizer.ggml.{key}")

    def _refuse(self, key: str, seen: object, wanted: str) -> Exception:
        found = "nothing" if seen is None else seen if isinstance(seen, _Said) else shown(seen)
        return self._header.refuse(f"tokenizer.ggml.{key}: a tokenizer that cannot be read: got "
                                   f"{found}, expected {wanted}")

    def _texts(self, key: str) -> list[str]:
        value = self._get(key)
        if not isinstance(value, list):
            seen = None if value is None else _Said("no texts")
            raise self._refuse(key, seen, "a list of texts")
        return value

    def _types_of_tokens(self) -> list[int]:
        value = self._get("token_type")
        if value is None:
            return [_NORMAL] * len(self._tokens)
        if (not isinstance(value, numpy.ndarray) or value.dtype.kind not in "iu"
                or len(value) != len(self._tokens)):
            raise self._refuse("token_type", _Said("something else"),
                               f"{len(self._tokens)} numbers, one for each token")
        return [int(kind) for kind in value]

    def _checked_merges(self) -> list[list[str]]:
        pairs = [merge.split(" ") for merge in self._texts("merges")]
        for pair in pairs:
            known = len(pair) == 2 and all(part in self._vocabulary for part in pair)
            if not known or "".join(pair) not in self._vocabulary:
                raise self._refuse("merges", " ".join(pair), "two tokens that make a third")
        return pairs

    def _id(self, name: str) -> int | None:
        key = f"{name}_token_id"
        value = self._get(key)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int) or not (
                0 <= value < len(self._tokens)):
            raise self._refuse(key, value, "a token")
        return value

    # -- what is written ------------------------------------------------------------------------

    def _tokenizer(self) -> dict[str, Any]:
        added = [{"id": i, "content": token, "single_word": False, "lstrip": False,
                  "rstrip": False, "normalized": False, "special": self._types[i] != _OWN}
                 for i, token in enumerate(self._tokens)
                 if token and self._types[i] in (_UNKNOWN, _CONTROL, _OWN)]
        return {
            "version": "1.0", "truncation": None, "padding": None, "added_tokens": added,
            "normalizer": {"type": "NFC"} if self._cut in _COMPOSED else None,
            "pre_tokenizer": _CUTS[self._cut],
            "post_processor": self._before_texts(),
            "decoder": _byte_level(True),
            "model": {"type": "BPE", "dropout": None, "unk_token": None,
                      "continuing_subword_prefix": None, "end_of_word_suffix": None,
                      "fuse_unk": False, "byte_fallback": False, "ignore_merges": False,
                      "vocab": self._vocabulary, "merges": self._merges}}

    def _before_texts(self) -> dict[str, Any] | None:
        """Puts the first token before each text, where the file says so."""
        bos = self._ids["bos"]
        if not self._single("add_bos_token") or bos is None:
            return None
        name = self._tokens[bos]
        first, text = {"SpecialToken": {"id": name, "type_id": 0}}, {"Sequence": {"id": "A",
                                                                                  "type_id": 0}}
        return {"type": "TemplateProcessing", "single": [first, text],
                "pair": [first, text, {"Sequence": {"id": "B", "type_id": 0}}],
                "special_tokens": {name: {"id": name, "ids": [bos], "tokens": [name]}}}

    def _config(self) -> dict[str, Any]:
        names = {key: self._tokens[i] for name, key in _SPECIAL.items()
                 if (i := self._ids[name]) is not None}
        return {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": self._context,
                **names, "clean_up_tokenization_spaces": False}


def _dump(value: dict[str, Any]) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"
