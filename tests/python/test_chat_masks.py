"""Which tokens of a conversation are trained: against transformers where a template marks answers,
and against the same template with marks where it does not; TRL's rules for prompts and texts.
"""

import importlib.util
import random
import string

import numpy
import pytest
from conftest import needs

pytestmark = needs("cllm", "jinja2", "tokenizers")
cllm = pytest.importorskip("cllm")
pytest.importorskip("jinja2")
from chat_models import (  # noqa: E402
    END,
    MARKS,
    SHAPES,
    SMOLLM,
    make_model,
    model_of,
    said,
    template_of,
    trained_text,
    write_lines,
)
from cllm.chat import encode, masks, open_chats  # noqa: E402

transformers = pytest.mark.skipif(not importlib.util.find_spec("transformers"),
                                  reason="transformers")
MARKED = sorted(set(SHAPES) - {"qwen3"})


def theirs(folder):
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(folder)


def read(path, model, **settings):
    """All examples of a file, and what was counted."""
    chats = open_chats(path, model, **settings)
    return list(chats.train), chats.train.counts, chats.encoder.tokenizer


def conversations(seed, number=12, system=False):
    """Conversations of words, spaces, line feeds and characters of several tokens."""
    pick = random.Random(seed)
    parts = ["hello", " Paris", "é🎉", "\n", "  ", " 12", "的", "\n\n", ".", "<b>", "a",
             "assistant"]

    def text():
        return "x" + "".join(pick.choice(parts) for _ in range(pick.randrange(9))) + "y"

    return [said(*(text() for _ in range(2 * pick.randrange(1, 4))),
                 system=text() if system else None) for _ in range(number)]


def lines_of(path, talks):
    return write_lines(path, *({"messages": talk} for talk in talks))


# -- conversations ------------------------------------------------------------------------------

@transformers
@pytest.mark.parametrize("shape", MARKED)
def test_marked_answers_are_those_of_transformers(shape, tmp_path):
    model = model_of(tmp_path / "model", shape, marked=True)
    talks = conversations(1, system=shape not in ("gemma", "mistral"))
    found, counts, _ = read(lines_of(tmp_path / "a.jsonl", talks), model)
    tokenizer = theirs(model)
    assert len(found) == len(talks) and not counts.notes and not counts.dropped
    for example, talk in zip(found, talks, strict=True):
        wanted = tokenizer.apply_chat_template(talk, tokenize=True, return_dict=True,
                                               return_assistant_tokens_mask=True)
        assert example.ids.tolist() == wanted["input_ids"]
        assert example.trained.astype(int).tolist() == wanted["assistant_masks"]
        assert example.ids.dtype == numpy.uint32 and example.trained.dtype == numpy.bool_


@transformers
@pytest.mark.parametrize("shape", SHAPES)
def test_ids_are_those_of_transformers(shape, tmp_path):
    model = model_of(tmp_path / "model", shape)
    talks = conversations(2, system=shape not in ("gemma", "mistral"))
    found, _, _ = read(lines_of(tmp_path / "a.jsonl", talks), model)
    tokenizer = theirs(model)
    assert [example.ids.tolist() for example in found] == [
        tokenizer.apply_chat_template(talk, tokenize=True, return_dict=True)["input_ids"]
        for talk in talks]


@pytest.mark.parametrize("shape", MARKED)
def test_the_difference_of_renderings_is_what_marks_would_say(shape, tmp_path):
    plain, marked = model_of(tmp_path / "plain", shape), model_of(tmp_path / "marked", shape,
                                                                  marked=True)
    file = lines_of(tmp_path / "a.jsonl",
                    conversations(3, 30, system=shape not in ("gemma", "mistral")))
    by_difference, counts, _ = read(file, plain)
    by_marks, _, _ = read(file, marked)
    assert len(by_marks) == 30 and set(counts.notes) <= {encode.JOINED}
    for one, other in zip(by_difference, by_marks, strict=True):
        assert one.ids.tolist() == other.ids.tolist()
        assert one.trained.tolist() == other.trained.tolist()


@pytest.mark.parametrize("shape, answers", [
    ("smollm", ["Paris.<|im_end|>\n", "12<|im_end|>\n"]),
    ("qwen2", ["Paris.<|im_end|>\n", "12<|im_end|>\n"]),
    ("qwen3", ["Paris.<|im_end|>\n", "<think>\n\n</think>\n\n12<|im_end|>\n"]),
    ("llama3", ["Paris.<|eot_id|>", "12<|eot_id|>"]),
    ("gemma", ["Paris.<end_of_turn>\n", "12<end_of_turn>\n"]),
    ("mistral", [" Paris.</s>", " 12</s>"])])
def test_answers_and_the_token_that_ends_them_are_trained(shape, answers, tmp_path):
    model = model_of(tmp_path / "model", shape)
    file = lines_of(tmp_path / "a.jsonl", [said("capital?", "Paris.", "and 7+5", "12")])
    (example,), counts, tokenizer = read(file, model)
    assert trained_text(example, tokenizer) == answers
    assert [tokenizer.name(token) for token in counts.ends] == [SHAPES[shape][1][-1]]
    assert counts.trained == example.trained.sum() and counts.tokens == len(example.ids)
    assert set(counts.notes) == ({encode.MOVED} if shape == "qwen3" else set())


THOUGHT = "<think>\nit is in France\n</think>\n\nParis."


@pytest.mark.parametrize("talk, answers", [
    (said("q", THOUGHT), [THOUGHT + "<|im_end|>\n"]),
    (said("q", THOUGHT, "more", "end"),
     ["Paris.<|im_end|>\n", "<think>\n\n</think>\n\nend<|im_end|>\n"]),
    (said("q", "im_end", "more", "think"),
     ["im_end<|im_end|>\n", "<think>\n\n</think>\n\nthink<|im_end|>\n"]),
    (said("q", "a", "a", "a", "a", "a"),
     ["a<|im_end|>\n"] * 2 + ["<think>\n\n</think>\n\na<|im_end|>\n"])])
def test_answers_whose_thoughts_are_left_out_later_are_found(talk, answers, tmp_path):
    model = model_of(tmp_path / "model", "qwen3")
    (example,), counts, tokenizer = read(lines_of(tmp_path / "a.jsonl", [talk]), model)
    assert trained_text(example, tokenizer) == answers
    assert (encode.MOVED in counts.notes) == (len(answers) > 1)


def test_an_answer_that_is_asked_for_otherwise_is_found(tmp_path):
    """The prompt of models that think ends with what opens a thought."""
    template = template_of("smollm").replace("assistant\n' }}", "assistant\n<think>\n' }}")
    talks = [said("q", answer) for answer in ("a", "<b>", "assistant", "<think>\nno\n</think>\nx")]
    model = make_model(tmp_path / "model", template)
    found, counts, tokenizer = read(lines_of(tmp_path / "a.jsonl", talks), model)
    assert [trained_text(example, tokenizer) for example in found] == [
        ["a<|im_end|>\n"], ["<b><|im_end|>\n"], ["assistant<|im_end|>\n"],
        ["no\n</think>\nx<|im_end|>\n"]]
    assert counts.notes[encode.MOVED].number == 3


def test_an_example_whose_answers_are_lost_is_dropped_and_counted(tmp_path):
    """This template says how many messages there are, before all of them."""
    template = "{{ messages | length }}" + template_of("smollm").replace(
        "message['content']", "(message['content'] | upper)")
    model = make_model(tmp_path / "model", template)
    file = lines_of(tmp_path / "a.jsonl", [said("q", "no"), said("Q", "NO"), said("q", "N", "q")])
    with pytest.raises(cllm.InputError) as caught:
        read(file, model)
    assert f"3 {masks.LOST} (first: {file}: line 1, message 2: no)" in str(caught.value)


def like_llama_2(content):
    """A tokenizer that puts a space before each text between special tokens, and has a line feed as
    a byte."""
    pieces = ["<unk>", *(f"<0x{byte:02X}>" for byte in range(256)), "▁",
              *string.ascii_letters, *string.punctuation]
    content["model"] = {"type": "BPE", "unk_token": "<unk>", "fuse_unk": True,
                        "byte_fallback": True, "merges": [],
                        "vocab": {piece: i for i, piece in enumerate(pieces)}}
    content["normalizer"] = {"type": "Sequence", "normalizers": [
        {"type": "Prepend", "prepend": "▁"},
        {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}]}
    content["decoder"] = {"type": "Sequence", "decoders": [
        {"type": "Replace", "pattern": {"String": "▁"}, "content": " "}, {"type": "ByteFallback"},
        {"type": "Fuse"}]}
    content.update(added_tokens=[], pre_tokenizer=None, post_processor=None)


def test_the_end_of_an_answer_is_found_before_several_tokens_of_space(tmp_path):
    """TinyLlama and Zephyr write </s> and a line feed, which is two tokens there."""
    template = ("{% for m in messages %}{{ '<|' + m.role + '|>\n' + m.content + eos_token + '\n' }}"
                "{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% endif %}")
    model = make_model(tmp_path / "model", template, ("<s>", "</s>"), change=like_llama_2)
    (example,), counts, tokenizer = read(lines_of(tmp_path / "a.jsonl", [said("q", "ab")]), model)
    assert [tokenizer.name(token) for token in example.ids[-3:].tolist()] == ["</s>", "▁", "<0x0A>"]
    assert [tokenizer.name(token) for token in counts.ends] == ["</s>"] and not counts.notes
    assert example.trained[-5:].all()


def test_marks_without_the_end_of_a_turn_still_train_it(tmp_path):
    body = "{{ message['content'] }}"
    template = SMOLLM.replace("BEGIN{{ message['content'] + '<|im_end|>' + '\n' }}END", (
        "{% if message['role'] == 'assistant' %}" + MARKS[0] + body + MARKS[1] + "{% else %}"
        + body + "{% endif %}{{ '<|im_end|>\n' }}"))
    model = make_model(tmp_path / "model", template)
    (example,), counts, tokenizer = read(lines_of(tmp_path / "a.jsonl", [said("q", "a")]), model)
    assert trained_text(example, tokenizer) == ["a<|im_end|>"]
    assert encode.UNMARKED_END in counts.notes


def test_answers_that_nothing_ends_are_counted(tmp_path):
    template = "{% for m in messages %}{{ m.role + ': ' + m.content + '\n' }}{% endfor %}"
    model = make_model(tmp_path / "model", template)
    file = lines_of(tmp_path / "a.jsonl", [said("q" * 99, "a"), said("q", "a", "q", "b")])
    (example,), counts, tokenizer = read(file, model, max_length=90)
    assert trained_text(example, tokenizer) == ["assistant: a\n", "assistant: b\n"]
    found = counts.notes[encode.ENDLESS]
    assert (found.number, found.where) == (1, f"{file}: line 2"), "examples that are kept, once"


@pytest.mark.parametrize("marked", [False, True])
def test_a_weight_of_0_takes_an_answer_out(marked, tmp_path):
    talk = said("q", "one", "q", "two")
    talk[1]["weight"], talk[3]["weight"] = 0, 1
    model = model_of(tmp_path / "model", "smollm", marked=marked)
    (example,), _, tokenizer = read(lines_of(tmp_path / "a.jsonl", [talk]), model)
    assert trained_text(example, tokenizer) == ["two<|im_end|>\n"]


@pytest.mark.parametrize("arguments", [{"a": 7}, '{"a":7}'])
def test_tools_are_shown_called_and_answer(arguments, tmp_path):
    calls = [{"type": "function", "function": {"name": "add", "arguments": arguments}}]
    talk = [{"role": "user", "content": "7+5"},
            {"role": "assistant", "content": None, "tool_calls": calls},
            {"role": "tool", "content": "12"}, {"role": "assistant", "content": "It is 12"}]
    tools = [{"type": "function", "function": {"name": "add", "parameters": {}}}]
    model = model_of(tmp_path / "model", "qwen2")
    file = write_lines(tmp_path / "a.jsonl", {"messages": talk, "tools": tools})
    (example,), counts, tokenizer = read(file, model)
    assert trained_text(example, tokenizer) == [
        '\n<tool_call>\n{"name": "add", "arguments": {"a": 7}}\n</tool_call><|im_end|>\n',
        "It is 12<|im_end|>\n"]
    assert '{"type": "function", "function": {"name": "add"' in example.tokens.text
    assert "\n12\n</tool_response>" in example.tokens.text and not counts.notes


# -- prompts and texts, as TRL reads them -------------------------------------------------------

PROMPTS = [("Q: 12?\nA:", " Paris"), ("hello", " there\n"), ("", "alone"), ("x\n\n", "é🎉"),
           ("a ", "of"), ("trailing  ", "  leading"), ("cap", "ital")]


@transformers
@pytest.mark.parametrize("around", [False, True])
def test_completions_are_trained_as_in_trl(around, tmp_path):
    """TRL encodes the prompt, and prompt with completion and end of text; the first so many tokens
    are not trained. Where the one does not begin the other, that would leave out part of the
    answer: here the token that joins them is trained."""
    model = make_model(tmp_path / "model", around=around, special=("<s>", END))
    file = write_lines(tmp_path / "a.jsonl", *(
        {"prompt": prompt, "completion": completion} for prompt, completion in PROMPTS))
    found, counts, _ = read(file, model)
    tokenizer = theirs(model)
    joined = 0
    for example, (prompt, completion) in zip(found, PROMPTS, strict=True):
        whole = tokenizer(prompt + completion + END)["input_ids"]
        before = tokenizer(prompt)["input_ids"]
        assert example.ids.tolist() == whole
        if whole[:len(before)] == before:
            assert example.trained.tolist() == [i >= len(before) for i in range(len(whole))]
        else:
            joined += 1
            kept = example.tokens.ends[example.trained == 0]
            assert kept.max(initial=0) < len(prompt) <= example.tokens.ends[example.trained][0]
    assert 0 < joined == counts.notes[encode.JOINED].number < len(PROMPTS)


@transformers
@pytest.mark.parametrize("shape", SHAPES)
def test_prompts_of_messages_are_trained_as_in_trl(shape, tmp_path):
    model = model_of(tmp_path / "model", shape)
    talks = conversations(4)
    file = write_lines(tmp_path / "a.jsonl", *(
        {"prompt": talk[:-1], "completion": talk[-1:]} for talk in talks))
    found, counts, _ = read(file, model)
    tokenizer = theirs(model)
    for example, talk in zip(found, talks, strict=True):
        before = tokenizer.apply_chat_template(talk[:-1], add_generation_prompt=True,
                                               return_dict=True)["input_ids"]
        whole = tokenizer.apply_chat_template(talk, return_dict=True)["input_ids"]
        assert example.ids.tolist() == whole
        if whole[:len(before)] == before:
            assert example.trained.tolist() == [i >= len(before) for i in range(len(whole))]
    assert counts.kept == len(talks) and set(counts.notes) <= {encode.JOINED}


def test_all_that_follows_a_prompt_is_trained(tmp_path):
    model = model_of(tmp_path / "model", "smollm", marked=True)
    talk = said("a", "b", "c", "d")
    file = write_lines(tmp_path / "a.jsonl", {"prompt": talk[:1], "completion": talk[1:],
                                              "system": "be brief"})
    (example,), _, tokenizer = read(file, model)
    assert trained_text(example, tokenizer) == [
        "b<|im_end|>\n<|im_start|>user\nc<|im_end|>\n<|im_start|>assistant\nd<|im_end|>\n"]
    assert "system\nbe brief" in example.tokens.text


@transformers
@pytest.mark.parametrize("around", [False, True])
@pytest.mark.parametrize("splits", [False, True])
def test_texts_are_trained_whole_and_end(around, splits, tmp_path):
    model = make_model(tmp_path / "model", around=around, special=("<s>", END),
                       split_special_tokens=splits)
    texts = ["hello there", "ends itself" + END, "naïve 🎉\n"]
    found, counts, tokenizer = read(write_lines(tmp_path / "a.jsonl", *(
        {"text": text} for text in texts)), model)
    library = theirs(model)
    for example, text in zip(found, texts, strict=True):
        whole = library(text)["input_ids"]
        if whole[-1] != tokenizer.end:  # END in a text is text where the tokenizer says so
            whole.append(tokenizer.end)
        assert example.ids.tolist() == whole
        assert example.trained.all()
    assert counts.trained == counts.tokens - len(texts), "the first token is predicted from nothing"


# -- lengths ------------------------------------------------------------------------------------

def test_long_examples_are_cut_at_the_end_and_counted(tmp_path):
    model = model_of(tmp_path / "model", "llama3")
    talks = [said("q", "x" * 50), said("q" * 60, "x"), said("q", "short")]
    file = lines_of(tmp_path / "a.jsonl", talks)
    whole, before, _ = read(file, model)
    assert before.longest == max(len(example.ids) for example in whole)
    found, counts, _ = read(file, model, max_length=40)
    assert [example.where for example in found] == [f"{file}: line 1", f"{file}: line 3"]
    for example, uncut in zip(found, (whole[0], whole[2]), strict=True):
        assert example.ids.tolist() == uncut.ids[:40].tolist()
        assert example.trained.tolist() == uncut.trained[:40].tolist()
    assert counts.notes[encode.CUT].number == 1
    assert counts.cut_tokens == len(whole[0].ids) - 40
    assert counts.dropped[encode.TOO_LONG].number == 1
    assert (counts.examples, counts.kept, counts.tokens) == (3, 2, sum(
        len(example.ids) for example in found))


@pytest.mark.parametrize("context, asked, length", [
    (None, None, 1024), (64, None, 64), (4096, None, 1024), (4096, 2048, 2048), (64, 64, 64)])
def test_the_length_is_what_the_model_can_read(context, asked, length, tmp_path):
    model = model_of(tmp_path / "model", "smollm", context=context)
    file = lines_of(tmp_path / "a.jsonl", [said("q", "a")])
    assert open_chats(file, model, max_length=asked).encoder.length == length


# -- tokenizers ---------------------------------------------------------------------------------

def test_what_a_file_says_of_padding_and_truncation_changes_nothing(tmp_path):
    def pads(content):
        content["padding"] = {"strategy": {"Fixed": 64}, "direction": "Left", "pad_id": 0,
                              "pad_to_multiple_of": None, "pad_type_id": 0, "pad_token": "!"}
        content["truncation"] = {"direction": "Right", "max_length": 4, "strategy": "LongestFirst",
                                 "stride": 0}

    file = lines_of(tmp_path / "a.jsonl", [said("hello there", "Paris")])
    (plain,), _, _ = read(file, model_of(tmp_path / "plain", "smollm"))
    (padded,), _, _ = read(file, model_of(tmp_path / "pads", "smollm", change=pads))
    assert padded.ids.tolist() == plain.ids.tolist()
    assert padded.trained.tolist() == plain.trained.tolist()


@transformers
@pytest.mark.parametrize("settings", [
    {"pre_tokenizer": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first"},
     "decoder": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first"}},
    {"normalizer": {"type": "NFC"}},
    {"normalizer": {"type": "Sequence", "normalizers": [{"type": "Lowercase"},
                                                        {"type": "NFD"}]}},
    {"post_processor": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True,
                        "use_regex": True}}])
def test_tokenizers_of_other_kinds(settings, tmp_path):
    """The masks hold where a text is changed before it is cut, and where places leave out spaces.
    """
    if "pre_tokenizer" in settings:
        def change(content):
            content.update(settings)
            letters = {*"▁ abcdefghijklmnopqrstuvwxyzSTY.xAI<>|_"} | {"\n"}
            content["model"].update({"vocab": {c: i for i, c in enumerate(sorted(letters))},
                                     "merges": [], "unk_token": "▁"})
    else:
        def change(content):
            content.update(settings)
    # Composed and not; an answer that begins with spaces, which Metaspace would not tell apart.
    talks = [said("e\u0301te\u0301", "  E\u0301te\u0301 a", "b", "c  d")]
    model = model_of(tmp_path / "model", "smollm", marked=True, change=change)
    (example,), _, tokenizer = read(lines_of(tmp_path / "a.jsonl", talks), model)
    wanted = theirs(model).apply_chat_template(talks[0], return_dict=True,
                                               return_assistant_tokens_mask=True)
    assert example.ids.tolist() == wanted["input_ids"]
    assert [piece.strip() for piece in trained_text(example, tokenizer)] == [
        "E\u0301te\u0301 a<|im_end|>", "c  d<|im_end|>"]


@transformers
@needs("gguf")
def test_smollm2_as_transformers_reads_it(smollm2, tmp_path):
    """A real tokenizer and a real template, which marks nothing."""
    talks = conversations(5, 20) + conversations(6, 20, system=True)
    found, counts, tokenizer = read(lines_of(tmp_path / "a.jsonl", talks), smollm2)
    library = theirs(smollm2)
    end = library.convert_tokens_to_ids("<|im_end|>")
    assert counts.kept == 40 and list(counts.ends) == [end]
    for example, talk in zip(found, talks, strict=True):
        wanted = library.apply_chat_template(talk, return_dict=True)["input_ids"]
        assert example.ids.tolist() == wanted
        answers = [message["content"] + "<|im_end|>\n" for message in talk
                   if message["role"] == "assistant"]
        assert trained_text(example, tokenizer) == answers
