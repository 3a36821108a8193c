"""Coverage-guided fuzzers of what reads other people's files in Python, by atheris.

    pip install atheris
    python tests/fuzz/readers_fuzz.py jsonl -max_total_time=600 -rss_limit_mb=1024 -timeout=10
    python tests/fuzz/readers_fuzz.py --seeds FOLDER

Each fuzzer has a name: token_file, data_set, text, jsonl, csv, squad, chat (which needs jinja2). It
starts from the seeds that are made here, and stops at the first input that is answered by anything
but one short InputError; atheris leaves that input in a file, which the same command runs again
when it is named. --seeds writes the seeds, which the fuzzers in C++ can start from too.
"""

import csv
import gzip
import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy

try:
    import atheris
except ImportError:
    sys.exit("readers_fuzz.py: needs atheris: pip install atheris")

with atheris.instrument_imports(include=["cllm.token_files", "cllm.prepare", "cllm.chat", "json"]):
    import cllm
    from cllm.chat import open_chats
    from cllm.chat.formats import FORMS
    from cllm.prepare import decoding, prepare, readers
    from cllm.prepare.pieces import cut_documents
    from cllm.token_files import DataSet, TokenWriter, open_tokens

FOLDER = Path(tempfile.mkdtemp(prefix="cllm-fuzz-", dir="/dev/shm"))
ENCODINGS = (None, "latin-1", "utf-16-le", "shift_jis")
FIELDS = (None, "a", "a.b", "")


def refused(error: cllm.InputError) -> str:
    """What the error says; it must be one short line."""
    said = str(error)
    assert said and "\n" not in said and len(said) <= 1500, said
    return said


# -- readers of texts -----------------------------------------------------------------------------

def documents(path: Path, reading: readers.Reading, block: int) -> list[str] | str:
    """The texts of a file, or what is wrong with it."""
    decoding.BLOCK = block
    file = readers.InputFile(str(path), reading)
    found = [""]
    try:
        for text, ends in file.chunks():
            text.encode()
            found[-1] += text
            found += [""] if ends else []
    except cllm.InputError as error:
        return refused(error)
    assert found.pop() == "", "the last document has an end"
    return found


def read_texts(ending: str, data: bytes) -> None:
    """Any cut into blocks gives the same texts, and pieces of them hold each character once."""
    if not data:
        return
    choice = data[0]
    packed = ".gz" if choice & 64 else ""
    path = FOLDER / f"input{ending}{packed}"
    path.write_bytes(data[1:])
    reading = readers.Reading(FIELDS[choice & 3], ENCODINGS[choice >> 2 & 3],
                              "replace" if choice & 16 else "strict")
    found = documents(path, reading, 1 << 20)
    again = documents(path, reading, 5 + choice % 7)  # more than a mark
    assert type(found) is type(again), (found, again)
    if isinstance(found, list):
        assert found == again
        pieces = cut_documents(((text, True) for text in found), bool(choice & 32), path.name)
        assert "".join(piece.text for piece in pieces) == "".join(found)


def text_seeds(*contents: bytes) -> list[bytes]:
    return [bytes([choice]) + (gzip.compress(content) if choice & 64 else content)
            for content in contents for choice in (0, 16, 33, 64)]


ROWS = [{"text": "plain"}, {"a": {"b": "deep"}, "text": None}, {"a": "flat \ud83d\ude00 \ud800"}]
JSONL = "\n".join(map(json.dumps, [*ROWS, "bare"])).encode() + b"\n"
TEXT = "To be, or n\u00f6t \U0001f389\r\nto be\n"
CSV = b'id,text\r\n1,"a ""quote"",\n and more"\r\n2,b\r\n'
SQUAD = json.dumps({"version": "v2.0", "data": [{"title": "t", "paragraphs": [{
    "context": "Norman \u00e9 \ud83d\ude00", "qas": [
        {"question": "Who?", "id": "1", "is_impossible": False,
         "answers": [{"text": "Norman", "answer_start": 0}]},
        {"question": "When?", "id": "2", "is_impossible": True, "answers": []}]}]}]}).encode()


# -- examples of answers --------------------------------------------------------------------------

# The first has marks around answers, the second none and a message of its own.
TEMPLATES = (r"""{%- for m in messages %}
    {{- '<|im_start|>' + m.role + '\n' }}
    {%- if m.role == 'assistant' %}
        {%- generation %}
            {{- m.content or '' }}{{ m.tool_calls | tojson if m.tool_calls else '' }}
            {{- '<|im_end|>' }}
        {%- endgeneration %}
    {%- else %}{{ m.content + '<|im_end|>' }}{% endif %}
    {{- '\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}""",
             r"""{%- if messages[0].role != 'system' %}{{ '<|im_start|>Help\n' }}{% endif %}
{%- for m in messages %}
    {{- '<|im_start|>' + m.role + '\n' + m.content | trim + '<|im_end|>\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}""")


def make_chat_model(template: int) -> Path:
    place = FOLDER / f"chat-{template}"
    if not place.exists():
        import tokenizers

        tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE())
        tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = tokenizers.decoders.ByteLevel()
        tokenizer.train_from_iterator(["user assistant system tool What is it? A text."] * 9,
                                      tokenizers.trainers.BpeTrainer(
            vocab_size=300, initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(),
            special_tokens=["<|endoftext|>", "<|im_start|>", "<|im_end|>"], show_progress=False))
        place.mkdir()
        tokenizer.save(str(place / "tokenizer.json"))
        size = tokenizer.get_vocab_size()
        (place / "tokenizer_config.json").write_text('{"eos_token": "<|im_end|>"}')
        (place / "config.json").write_text(
            json.dumps({"vocab_size": size, "max_position_embeddings": 200}))
        (place / "chat_template.jinja").write_text(TEMPLATES[template])
    return place


def read_chats(data: bytes) -> None:
    """What is kept has tokens to train, and what is not is counted."""
    if not data:
        return
    choice = data[0]
    path = FOLDER / ("chat.jsonl" if choice & 1 else "chat.csv" if choice & 2 else "chat.json")
    path.write_bytes(data[1:])
    form = [*FORMS, None, None, None][choice >> 3 & 7]
    try:
        chats = open_chats(path, make_chat_model(choice >> 2 & 1), format=form, max_length=64,
                           errors="replace" if choice & 64 else "strict")
        kept = trained = 0
        for example in chats.train:
            assert 2 <= len(example.ids) == len(example.trained) <= 64
            assert example.trained[1:].any()
            kept, trained = kept + 1, trained + int(example.trained[1:].sum())
    except cllm.InputError as error:
        refused(error)
        return
    counts = chats.train.counts
    dropped = sum(found.number for found in counts.dropped.values())
    assert (counts.kept, counts.trained) == (kept, trained) and kept + dropped == counts.examples


SAID = [{"role": "user", "content": "What is it?"},
        {"role": "assistant", "content": [{"type": "text", "text": "A text."}]}]
CALLED = [{"role": "user", "content": "What?"}, {"role": "assistant", "tool_calls": [
    {"type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}]},
          {"role": "tool", "content": "12"}, {"role": "assistant", "content": "12", "weight": 1}]
TURNS = [{"from": "human", "value": "What?"},
         {"from": "function_call", "value": '{"name": "f", "arguments": {}}'},
         {"from": "observation", "value": "12"}, {"from": "gpt", "value": "12"}]
EXAMPLES = [
    {"messages": SAID, "system": "Help"}, {"messages": CALLED, "tools": [{"name": "f"}]},
    {"conversations": TURNS, "tools": "[]"}, {"prompt": "What?", "completion": " It."},
    {"prompt": SAID[:1], "completion": SAID[1:]}, {"text": "A text."},
    {"instruction": "What?", "input": "It", "output": "A text.", "history": [["a", "b"]]}]


def chat_seeds() -> list[bytes]:
    lines = [json.dumps(example).encode() for example in EXAMPLES]
    table = b'prompt,completion\nWhat?," It,\n and more"\n'
    return ([bytes([1 + 4 * (i & 1) + 40]) + line + b"\n" for i, line in enumerate(lines)]
            + [bytes([40]) + b"[" + b",".join(lines[:2]) + b"]", bytes([42]) + table])


# -- readers of tokens ----------------------------------------------------------------------------

def read_token_file(data: bytes) -> None:
    path = FOLDER / "tokens.bin"
    path.write_bytes(data[1:])
    try:
        tokens = open_tokens(path)
    except cllm.InputError as error:
        refused(error)
        return
    info = cllm._cllm.read_token_file(path, verify=False)
    assert len(tokens) == info.tokens <= len(data)
    assert not len(tokens) or int(tokens.max()) < info.vocabulary


def make_data_set() -> Path:
    place = FOLDER / "set"
    if not place.exists():
        source = FOLDER / "source.jsonl"
        source.write_text("".join(json.dumps(f"text {i} " * 9) + "\n" for i in range(9)))
        prepare([source], place, val_fraction=0.3)
        described = json.loads((place / "dataset.json").read_bytes())
        for part in ("train", "val"):  # the same as examples, for a description that says so
            tokens, starts = described[part]["tokens"], numpy.load(place / f"{part}-documents.npy")
            marks = numpy.ones(tokens, numpy.int32)
            marks[starts] = 2
            writer = TokenWriter(place / f"{part}-00000.marks", vocabulary=4, width=2,
                                 tokenizer=bytes.fromhex(described["tokenizer"]["sha256"]))
            writer.append(marks)
            writer.finish()
    return place


def read_data_set(data: bytes) -> None:
    """The description, and after a NUL the document starts of the training part."""
    place = make_data_set()
    description, _, starts = data.partition(b"\0")
    (place / "dataset.json").write_bytes(description)
    (place / "train-documents.npy").write_bytes(starts)
    try:
        found = DataSet(place, verify=True)
        for part in ("train", "val"):
            ids = [tokens for tokens in found.documents(part) if len(tokens) < 1000]
            assert all(int(tokens.max(initial=0)) < found.vocabulary for tokens in ids)
            found.decode(ids[0] if ids else [])
            found.bits_per_byte(1.0, part)
            for tokens, trained in found.examples(part) if found.has_examples else ():
                assert len(tokens) == len(trained) and trained.dtype == bool
        repr(found)
    except cllm.InputError as error:
        refused(error)


def token_seeds() -> list[bytes]:
    found = []
    for width, kind in ((2, "<u2"), (4, "<u4")):
        path = FOLDER / "seed.bin"
        writer = TokenWriter(path, vocabulary=300, width=width)
        writer.append([1, 299, 0, 7])
        writer.finish(text_bytes=9)
        llmc = numpy.zeros(256, "<i4")
        llmc[:3] = [20240520, 1, 4] if width == 2 else [20240801, 7, 4]
        numpy.save(FOLDER / "seed.npy", numpy.arange(4, dtype=kind))
        tokens = numpy.arange(4, dtype=kind).tobytes()
        contents = (path.read_bytes(), llmc.tobytes() + tokens, tokens,
                    (FOLDER / "seed.npy").read_bytes())
        found += [bytes([choice]) + content for content in contents for choice in (0, 64, 208)]
    return found


def data_set_seeds() -> list[bytes]:
    place = make_data_set()
    description = (place / "dataset.json").read_bytes()
    starts = b"\0" + (place / "train-documents.npy").read_bytes()
    examples = json.loads(description) | {"version": 2}
    for part in ("train", "val"):
        examples[part]["files"][0]["marks"] = f"{part}-00000.marks"
    return [description, description + starts, json.dumps(examples).encode() + starts]


# -- all of them ----------------------------------------------------------------------------------

FUZZERS: dict[str, tuple[Callable[[bytes], None], Callable[[], list[bytes]]]] = {
    "token_file": (read_token_file, token_seeds),
    "data_set": (read_data_set, data_set_seeds),
    "text": (lambda data: read_texts(".txt", data), lambda: text_seeds(
        *(TEXT.encode(name) for name in ("utf-8", "utf-8-sig", "utf-16", "utf-32")))),
    "jsonl": (lambda data: read_texts(".jsonl", data), lambda: text_seeds(JSONL)),
    "csv": (lambda data: read_texts(".csv", data), lambda: text_seeds(CSV)),
    "chat": (read_chats, chat_seeds),
    "squad": (lambda data: read_texts(".json", data), lambda: text_seeds(SQUAD)),
}


def write_seeds(folder: Path) -> None:
    """A folder for each fuzzer, and one with tokenizers for tokenizer_json_fuzz."""
    tokenizer = (make_data_set() / "tokenizer.json").read_bytes()
    prepare([FOLDER / "source.jsonl"], FOLDER / "bpe", tokenizer="bpe:280")
    made = {"tokenizer_json": [tokenizer, (FOLDER / "bpe/tokenizer.json").read_bytes()]}
    for name, seeds in {**made, **{name: make() for name, (_, make) in FUZZERS.items()}}.items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        for number, seed in enumerate(seeds):
            (folder / name / f"seed-{number}").write_bytes(seed)


def main() -> None:
    name, options = sys.argv[1] if len(sys.argv) > 1 else "", sys.argv[2:]
    if name == "--seeds" and options:
        write_seeds(Path(options[0]))
        return
    if name not in FUZZERS:
        sys.exit(f"readers_fuzz.py: expected --seeds FOLDER or a name: {', '.join(FUZZERS)}")
    csv.field_size_limit(1 << 20)
    if all(option.startswith("-") for option in options):
        corpus = FOLDER / "corpus"
        corpus.mkdir()
        for number, seed in enumerate(FUZZERS[name][1]()):
            (corpus / str(number)).write_bytes(seed)
        options = [*options, str(corpus)]
    atheris.Setup([sys.argv[0], *options], FUZZERS[name][0])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
