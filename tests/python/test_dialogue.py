"""cllm.chat.Dialogue: what a model reads of a conversation, where answers end, what is kept."""

import itertools
from types import SimpleNamespace

import pytest
from conftest import needs

pytestmark = needs("cllm", "jinja2", "tokenizers")
cllm = pytest.importorskip("cllm")
pytest.importorskip("jinja2")
from chat_models import END, SHAPES, make_model, model_of, parrot, template_of  # noqa: E402
from cllm._tokenizer import TextTokenizer  # noqa: E402
from cllm.chat import Dialogue  # noqa: E402


class Scripted:
    """A model that says what it is told, token by token, and keeps the prompts that it read."""

    def __init__(self, folder, *answers, context=200):
        self.folder, self.config = str(folder), SimpleNamespace(seq=context)
        self.end_tokens, self.read, self.seeds, self.told = [], [], [], 0
        self.answers = list(answers)
        self._tokenizer = TextTokenizer(self.folder)

    def _text_tokenizer(self):
        return self._tokenizer

    def generate(self, prompt, *, tokens, temperature, top_k, top_p):
        assert tokens == 0

    def _generate_on(self, prompt, *, tokens, known, seed, on_token, **sampling):
        self.read.append(self._tokenizer._tokenizer.decode(prompt.tolist(),
                                                           skip_special_tokens=False))
        self.seeds.append(seed)
        assert known == self._tokenizer.known and len(prompt) + tokens <= self.config.seq
        answer = self.answers.pop(0)
        if isinstance(answer, BaseException):
            raise answer
        self.told = 0
        for token in self._tokenizer.encode(answer)[:tokens]:
            self.told += 1
            if not on_token(token):
                break


def scripted(tmp_path, *answers, shape="smollm", context=200, **settings):
    return Dialogue(Scripted(model_of(tmp_path / "model", shape), *answers, context=context),
                    **settings)


def test_a_conversation_is_read_as_the_template_has_it(tmp_path):
    dialogue = scripted(tmp_path, "Paris é🎉<|im_end|>more", "12<|im_end|>", system="think")
    pieces = []
    assert dialogue.ask("capital?", pieces.append) == "Paris é🎉"
    assert b"".join(pieces).decode() == "Paris é🎉" and len(pieces) > 3
    assert dialogue.ask("hello") == "12" and not dialogue.cut
    first = ("<|im_start|>system\nthink<|im_end|>\n<|im_start|>user\ncapital?<|im_end|>\n"
             "<|im_start|>assistant\n")
    assert dialogue.model.read == [first, first + "Paris é🎉<|im_end|>\n<|im_start|>user\n"
                                   "hello<|im_end|>\n<|im_start|>assistant\n"]
    assert [message["content"] for message in dialogue.messages] == [
        "capital?", "Paris é🎉", "hello", "12"]
    assert dialogue.model.seeds == [1337, 1338], "the same question may be answered otherwise"
    dialogue.model.answers += ["a<|im_end|>"]
    dialogue.reset()
    dialogue.ask("capital?")
    assert dialogue.model.read[-1] == first


@pytest.mark.parametrize("shape", SHAPES)
def test_an_answer_ends_with_the_templates_token(shape, tmp_path):
    end = SHAPES[shape][1][-1]
    dialogue = scripted(tmp_path, f"Paris .{end}user", shape=shape)
    assert dialogue.ask("what") == "Paris ." and not dialogue.cut


def test_an_answer_ends_where_the_template_begins_the_next_turn(tmp_path):
    """Where no special token ends an answer, as in Alpaca's form."""
    model = make_model(tmp_path / "model", "{% for m in messages %}{% if m.role == 'user' %}"
                       "### user: {{ m.content }}\n{% else %}{{ m.content }}\n{% endif %}"
                       "{% endfor %}", special=(END,))
    dialogue = Dialogue(Scripted(model, "Paris . 12\n### user: and what?"))
    assert dialogue.ask("hello") == "Paris . 12\n" and not dialogue.cut


def test_an_answer_without_an_end_is_cut_and_said_to_be(tmp_path):
    dialogue = scripted(tmp_path, "what is the capital of France ?", "12<|im_end|>", tokens=3)
    dialogue.ask("hello")
    assert dialogue.model.told == 3 and dialogue.cut
    dialogue.ask("hello")
    assert not dialogue.cut


def test_an_interrupted_answer_is_kept_as_far_as_it_came(tmp_path):
    dialogue = scripted(tmp_path, "Paris and 12<|im_end|>", KeyboardInterrupt(), "a<|im_end|>")

    def interrupt(piece):
        if b"and" in piece:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        dialogue.ask("hello", interrupt)
    assert [m["content"] for m in dialogue.messages] == ["hello", "Paris and"]
    with pytest.raises(KeyboardInterrupt):
        dialogue.ask("nothing came")
    assert len(dialogue.messages) == 2, "what was not answered is not kept"
    dialogue.ask("user")
    assert "nothing came" not in dialogue.model.read[-1]


def test_the_oldest_turns_are_left_out_when_the_context_is_full(tmp_path):
    dialogue = scripted(tmp_path, *["12<|im_end|>"] * 12, context=160, tokens=20, system="think")
    dropped = []
    for number in range(12):
        dialogue.ask(f"hello {number} what is the capital")
        dropped.append(dialogue.dropped)
        read = dialogue.model.read[-1]
        assert read.startswith("<|im_start|>system\nthink<|im_end|>\n<|im_start|>user\n")
        assert f"hello {number} " in read
        assert len(dialogue.messages) == 2 * (number + 1) - dialogue.dropped
    assert dropped[0] == 0 and dropped[-1] > 2 and dropped[-1] % 2 == 0
    changes = sum(a != b for a, b in itertools.pairwise(dropped))
    assert changes < 7, "several turns at once, so that most prompts begin as the one before"
    dialogue.model.answers += ["12<|im_end|>"]
    long_one = "zq" * 100
    with pytest.raises(cllm.InputError, match=r"does not fit: got \d+ tokens .* fewer than 160"):
        dialogue.ask(long_one)
    assert dialogue.dropped == dropped[-1], "an error changes nothing"
    dialogue.ask("hello")


def test_what_is_kept_in_memory_changes_no_answer(tmp_path):
    folder = parrot(tmp_path / "model", None, context=400)
    dialogue = Dialogue(cllm.Model.load(folder), tokens=9, temperature=1)
    answers = [dialogue.ask(f"hello {i}") for i in range(4)]
    assert len(set(answers)) == 4 and dialogue.dropped == 0
    for i, answer in enumerate(answers):
        anew = Dialogue(cllm.Model.load(folder), tokens=9, temperature=1, seed=1337 + i)
        anew.messages = dialogue.messages[:2 * i]
        assert anew.ask(f"hello {i}") == answer


def error_of(folder, **settings):
    with pytest.raises(cllm.InputError) as error:
        Dialogue(cllm.Model.load(folder), **settings).ask(settings.pop("question", "hello"))
    assert "\n" not in str(error.value)
    return str(error.value)


def test_what_cannot_hold_a_conversation_is_refused(tmp_path):
    folder = parrot(tmp_path / "model", "12")
    assert "no such file: got none.jinja" in error_of(folder, chat_template="none.jinja")
    assert "tokens: out of range: got 0" in error_of(folder, tokens=0)
    assert "temperature" in error_of(folder, temperature=-1)
    assert "top_p" in error_of(folder, top_p=0)
    assert "not UTF-8" in error_of(folder, system="\udcff")
    (folder / "chat_template.jinja").write_text("{{ raise_exception('none of these') }}")
    assert "the template refuses: none of these" in error_of(folder)
    (folder / "chat_template.jinja").write_text("{% for %}")
    assert "no chat template: line 1" in error_of(folder)
    (folder / "chat_template.jinja").write_text(template_of("gemma").replace("bos_token", "''"))
    assert "System role not supported" in error_of(folder, system="think")
    (folder / "chat_template.jinja").unlink()
    assert Dialogue(cllm.Model.load(folder), tokens=1).ask("q"), "ChatML, by its tokens"
    dialogue = Dialogue(cllm.Model.load(folder))
    for nothing in ("", " \n"):
        with pytest.raises(cllm.InputError, match="nothing is asked"):
            dialogue.ask(nothing)


def test_a_model_without_a_template_or_a_tokenizer_is_refused(tmp_path, settings):
    folder = parrot(tmp_path / "model", "12", shape="llama3")
    (folder / "chat_template.jinja").unlink()
    assert "no chat template: got neither" in error_of(folder)
    cllm.Trainer(cllm.TrainConfig(**settings | {"steps": 1})).run()
    assert "final: no chat template" in error_of(settings["out"])
    (settings["out"] / "final/tokenizer.json").unlink()
    (settings["out"] / "final/manifest.json").unlink()
    assert "a model of bytes knows no tokens for who speaks" in error_of(settings["out"])
