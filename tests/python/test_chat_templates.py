"""Chat templates: found where transformers finds them, rendered as it renders them."""

import importlib.util
import json
import subprocess
import sys
from datetime import datetime

import pytest
from conftest import needs

pytestmark = needs("cllm", "jinja2", "tokenizers")
cllm = pytest.importorskip("cllm")
pytest.importorskip("jinja2")
from chat_models import (  # noqa: E402
    CHATML,
    END,
    SHAPES,
    make_model,
    said,
    template_of,
    trained_text,
    write_lines,
)
from cllm.chat import ChatTemplate, find_templates, open_chats  # noqa: E402
from cllm.chat.example import Dropped  # noqa: E402

transformers = pytest.mark.skipif(not importlib.util.find_spec("transformers"),
                                  reason="transformers")
TALK = said("What's 7 < 12?", "“Yes” & é🎉", "a\n  b", " ok ")


def theirs(folder):
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(folder)


def ours(source, messages=TALK, tools=None, *, prompt=False, **special):
    return ChatTemplate(source, "here", special).render(messages, tools, prompt=prompt)[0]


# -- contents in parts --------------------------------------------------------------------------

BEGIN = "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' }}"
CLOSE = ("{{ '<|im_end|>\n' }}{% endfor %}"
         "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}")


@transformers
@pytest.mark.parametrize("shown", [
    "{% for part in m['content'] | selectattr('type', 'equalto', 'text') %}{{ part['text'] }}"
    "{% endfor %}",
    "{% for part in m.content %}{% if part.type == 'text' %}{{ part.text }}{% endif %}{% endfor %}",
    "{{ m['content'][0]['text'] }}",
    "{% if m.content is string %}{{ m.content }}{% else %}{{ m.content[0].text }}{% endif %}"])
def test_templates_that_read_parts_get_them(shown, tmp_path):
    """Models that see have such templates; of a text they would show nothing."""
    source = BEGIN + shown + CLOSE
    parts = [m | {"content": [{"type": "text", "text": m["content"]}]} for m in TALK]
    wanted = theirs(make_model(tmp_path / "model", source)).apply_chat_template(
        parts, tokenize=False)
    assert ours(source) == wanted and "“Yes” & é🎉<|im_end|>" in wanted


def test_what_a_model_says_in_parts_is_trained(tmp_path):
    source = BEGIN + "{% for part in m.content %}{{ part.text }}{% endfor %}" + CLOSE
    model = make_model(tmp_path / "model", source)
    talks = [said("q", "Paris"), [{"role": "user", "content": "q"}, {"role": "assistant", "content":
             [{"type": "text", "text": "Par"}, {"type": "text", "text": "is"}]}]]
    chats = open_chats(write_lines(tmp_path / "a.jsonl", *({"messages": t} for t in talks)), model)
    assert [trained_text(example, chats.encoder.tokenizer) for example in chats.train] == [
        ["Paris<|im_end|>\n"]] * 2


# -- rendering ----------------------------------------------------------------------------------

SOURCES = {
    "lines that Jinja strips": "{% for m in messages %}\n    {% if m.role == 'user' %}\n  "
                               "{{ m.content }}\n    {% endif %}\n{% endfor %}\n\n",
    "loop controls": "{% for m in messages %}{% if loop.index == 2 %}{% continue %}{% endif %}"
                     "{% if loop.index == 4 %}{% break %}{% endif %}{{ m.content }}{% endfor %}",
    "json": "{{ messages | tojson }}{{ messages[0] | tojson(indent=2) }}"
            "{{ messages[0] | tojson(separators=(',', ':'), sort_keys=true) }}"
            "{{ messages[1] | tojson(ensure_ascii=true) }}",
    "special tokens": "{{ bos_token }}{{ eos_token }}{{ pad_token }}|{{ unk_token }}|",
    "namespace": "{% set ns = namespace(n=0) %}{% for m in messages %}{% set ns.n = ns.n + 1 %}"
                 "{% endfor %}{{ ns.n }}",
    "dictionaries": "{{ dict(a=1, **dict.fromkeys(['b'], 2)) }}",
    "macros": "{% macro turn(m) %}<{{ m.role }}>{{ m.content | trim }}{% endmacro %}"
              "{% for m in messages %}{{ turn(m) }}{% endfor %}",
    "what is not given": "{{ tools is none }}{{ documents is none }}{{ date is defined }}"
                         "{{ messages[0].name }}{{ add_generation_prompt }}",
    "day": "{{ strftime_now('%Y-%m-%d') }}",
    "thoughts": "{% for m in messages %}{{ m.reasoning_content }}{{ m.thinking }}{% endfor %}",
    "marks in macros": "{% macro x(m) %}{% generation %}{{ m.content }}{% endgeneration %}"
                       "{% endmacro %}{% for m in messages %}{{ x(m) }}{% endfor %}",
    "undefined attributes": "{{ messages[0].tool_calls }}{% for c in messages[0].tool_calls %}x"
                            "{% endfor %}",
}
TALKS = [TALK, [{"role": "user", "content": "q", "name": "me"},
                {"role": "assistant", "content": "a", "thinking": "hm", "tool_calls": None}],
         [{"role": "user", "content": "q"},
          {"role": "assistant", "content": "a", "reasoning": "hm"}]]


@transformers
@pytest.mark.parametrize("name", SOURCES)
def test_every_construct_renders_as_in_transformers(name, tmp_path):
    source = SOURCES[name]
    library = theirs(make_model(tmp_path, source, pad_token=END))
    special = {"bos_token": END, "eos_token": CHATML[1], "pad_token": END}
    for talk in TALKS:
        kept = [{key: value for key, value in message.items() if value is not None}
                for message in talk]
        for prompt in (False, True):
            assert ours(source, kept, prompt=prompt, **special) == library.apply_chat_template(
                talk, tokenize=False, add_generation_prompt=prompt)


@transformers
@pytest.mark.parametrize("shape, marked", [
    (shape, marked) for shape in SHAPES for marked in (False, True)
    if not (marked and shape == "qwen3")])
def test_every_shape_renders_as_in_transformers(shape, marked, tmp_path):
    source = template_of(shape, marked=marked)
    library = theirs(make_model(tmp_path, source, SHAPES[shape][1]))
    made = find_templates(tmp_path).of(None)
    for prompt in (False, True):
        for talk in (TALK, TALK[:1], TALK[:3]):
            assert made.render(talk, prompt=prompt)[0] == library.apply_chat_template(
                talk, tokenize=False, add_generation_prompt=prompt)


@transformers
def test_tools_render_as_in_transformers(tmp_path):
    library = theirs(make_model(tmp_path, template_of("qwen2")))
    tools = [{"type": "function", "function": {"name": "add", "description": "<a> & “b”"}}]
    assert find_templates(tmp_path).of(tools).render(TALK, tools)[0] == (
        library.apply_chat_template(TALK, tools=tools, tokenize=False))


def test_the_day_is_today():
    assert ours("{{ strftime_now('%Y') }}") == str(datetime.now().year)


@pytest.mark.parametrize("source, why", [
    ("{{ raise_exception('no system message') }}", "no system message"),
    ("{{ messages[9].content }}", "no element 9"),
    ("{{ messages[0].content + 1 }}", "can only concatenate str"),
    ("{{ 1 // 0 }}", "division"),
    ("{{ messages.append(1) }}", "unsafe|not safely callable"),
    ("{{ ''.__class__.__mro__ }}", "unsafe"),
    ("{{ dict.__class__.mro }}", "unsafe"),
    ("{% set ns = namespace() %}{% set ns.__x = 1 %}", "begins with _"),
    ("{% set ns = namespace(_x=1) %}", "begins with _"),
    ("{{ messages | nothing }}", None),
    ("{{ range(10**9) | list }}", "too big"),
    ("{% macro f(n) %}{{ f(n) }}{% endmacro %}{{ f(1) }}", "recursion"),
])
def test_what_a_template_may_not_do_drops_the_example(source, why):
    with pytest.raises(cllm.InputError if why is None else Dropped, match=why) as caught:
        ours(source)
    if why is None:
        assert str(caught.value).startswith("here: no chat template: line 1: No filter named")


def test_a_rendering_that_failed_leaves_nothing_behind():
    made = ChatTemplate("{% for m in messages %}{% generation %}{{ m.content + '' }}"
                        "{% endgeneration %}{% endfor %}", "here")
    wanted = made.render(TALK)
    with pytest.raises(Dropped):
        made.render([*TALK, {"role": "user", "content": 1}])
    assert made.render(TALK) == wanted
    text, spans = wanted
    assert [text[begin:end] for begin, end in spans] == [m["content"] for m in TALK]


# -- where they are -----------------------------------------------------------------------------

A, B, C = ("{{ " + repr(name) + " }}" for name in "ABC")


def folder(tmp_path, *, file=None, more=(), **config):
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    if file is not None:
        (tmp_path / "chat_template.jinja").write_text(file)
    for name in more:
        (tmp_path / "additional_chat_templates").mkdir(exist_ok=True)
        (tmp_path / f"additional_chat_templates/{name}.jinja").write_text(C)
    return tmp_path


NAMED = [{"name": "default", "template": A}, {"name": "tool_use", "template": B}]


@pytest.mark.parametrize("settings, chosen, tools, wanted", [
    ({"file": A, "chat_template": B}, None, None, "A"),
    ({"chat_template": B}, None, None, "B"),
    ({"chat_template": NAMED}, None, None, "A"),
    ({"chat_template": NAMED}, None, [{}], "B"),
    ({"chat_template": {"default": B}}, None, [{}], "B"),
    ({"chat_template": NAMED}, "tool_use", None, "B"),
    ({"file": A, "more": ["rag", "tool_use"]}, None, None, "A"),
    ({"file": A, "more": ["rag", "tool_use"]}, None, [{}], "C"),
    ({"file": A, "more": ["rag"]}, "rag", [{}], "C"),
    ({"file": A + "\r\n"}, None, None, "A"),
    ({"file": "\ufeff" + A}, None, None, "A"),
])
def test_the_template_is_the_one_of_transformers(settings, chosen, tools, wanted, tmp_path):
    found = find_templates(folder(tmp_path, **settings), chosen)
    assert found.of(tools).render(TALK)[0] == wanted


def test_a_file_is_taken_before_those_of_the_model(tmp_path):
    mine = tmp_path / "mine.jinja"
    mine.write_text("{{ eos_token }}")
    found = find_templates(folder(tmp_path, file=A, eos_token="<e>"), str(mine))
    assert found.of(None).render(TALK)[0] == "<e>" and found.of([{}]).place == str(mine)


@transformers
@pytest.mark.parametrize("decoder", [False, True])
def test_special_tokens_are_those_of_transformers(decoder, tmp_path):
    names = "{{ bos_token }}|{{ eos_token }}|{{ pad_token }}|{{ sep_token }}"
    more = {"added_tokens_decoder": {"0": {"content": "!", "special": False}}} if decoder else {}
    model = make_model(tmp_path, names, **more,
                       sep_token={"__type": "AddedToken", "content": "<s>"})
    (model / "special_tokens_map.json").write_text(json.dumps(
        {"eos_token": {"content": "hello", "lstrip": False}, "pad_token": END}))
    assert find_templates(model).of(None).render(TALK)[0] == theirs(model).apply_chat_template(
        TALK, tokenize=False)


def test_a_model_that_knows_its_tokens_gets_chatml(tmp_path):
    found = find_templates(folder(tmp_path), vocabulary={*CHATML, "a"}).of(None)
    assert found.render(said("q", "a"), prompt=True)[0] == (
        "<|im_start|>user\nq<|im_end|>\n<|im_start|>assistant\na<|im_end|>\n"
        "<|im_start|>assistant\n")
    assert "ChatML" in found.place and not found.marks


@pytest.mark.parametrize("settings, chosen, parts", [
    ({}, None, ["no chat template", "made for conversations", "chat_template="]),
    ({"file": " \n"}, None, ["chat_template.jinja: no chat template", "got 2 bytes"]),
    ({"file": A + "\n{% for %}"}, None, ["chat_template.jinja: no chat template: line 2: "]),
    ({"file": "{% generation %}"}, None, ["chat_template.jinja: no chat template: line 1: "]),
    ({"chat_template": 7}, None, ["tokenizer_config.json: chat_template is none: got 7"]),
    ({"chat_template": [{"name": "x"}]}, None, ["chat_template is none"]),
    ({"chat_template": []}, None, ["chat_template is none: got []"]),
    ({"chat_template": {"rag": A, "b": B}}, None, ["several chat templates: got b, rag"]),
    ({"file": A}, "nowhere", ["chat_template: no such file: got nowhere"]),
    ({"chat_template": NAMED}, "rag", ["no such file: got rag", "one of default, tool_use"]),
    ({"file": A}, "/dev", ["no such file: got /dev"]),
])
def test_what_is_no_template_is_said(settings, chosen, parts, tmp_path):
    with pytest.raises(cllm.InputError) as caught:
        find_templates(folder(tmp_path, **settings), chosen, vocabulary={CHATML[0]})
    for part in parts:
        assert part in str(caught.value)


@pytest.mark.parametrize("name, content, part", [
    ("chat_template.jinja", b"\xff\xfe{", "not utf-8 at byte 0"),
    ("tokenizer_config.json", b"[1]", "no object of settings: got list"),
    ("tokenizer_config.json", b"{", "no JSON"),
    ("special_tokens_map.json", b"3", "no object of settings: got int")])
def test_damaged_files_of_a_model_are_named(name, content, part, tmp_path):
    folder(tmp_path, file=A)
    (tmp_path / name).write_bytes(content)
    with pytest.raises(cllm.InputError, match=part) as caught:
        find_templates(tmp_path)
    assert name in str(caught.value)


def test_an_old_jinja2_is_refused_and_a_missing_one_named(monkeypatch, tmp_path):
    jinja2 = importlib.import_module("jinja2")
    monkeypatch.setattr(jinja2, "__version__", "3.1.5")
    with pytest.raises(cllm.InputError, match=r"got 3\.1\.5, expected pip install -U jinja2"):
        find_templates(folder(tmp_path, file=A))
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(cllm.InputError, match="pip install jinja2"):
        find_templates(tmp_path)


def test_jinja2_is_imported_where_a_template_is():
    """Nor is it a cost of those who read texts."""
    program = ("import sys, cllm, cllm.cli, cllm.prepare\n"
               "assert 'cllm.chat' not in sys.modules\n"
               "import cllm.chat\n"
               "assert not {'jinja2', 'tokenizers', 'transformers'} & set(sys.modules)\n")
    subprocess.run([sys.executable, "-c", program], check=True, timeout=300)


