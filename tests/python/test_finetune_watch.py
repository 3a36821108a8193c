"""What a fine-tuning asks while it learns, what it keeps of that, and how it is interrupted."""

import json
from types import SimpleNamespace

import pytest
from conftest import needs

pytestmark = needs("cllm", "jinja2", "tokenizers", "typer", "rich")
cllm = pytest.importorskip("cllm")
pytest.importorskip("jinja2")
from chat_models import END, make_model, model_of, said  # noqa: E402
from cllm.chat.example import Completion, Conversation  # noqa: E402
from cllm.finetune.data import _asked  # noqa: E402
from cllm.finetune.samples import Prompt  # noqa: E402
from cllm.finetune.watch import Watch, forget_from  # noqa: E402


class Scripted:
    """A trainer whose model says one token again and again; it may be asked to stop at one."""

    def __init__(self, *, steps=0, loss=2.0, stop_at=None):
        self.model_config, self.steps_done = SimpleNamespace(seq=60), steps
        self.has_validation, self.loss, self.stop_at = True, loss, stop_at
        self.told, self.asked, self._stop_requested = 0, 0, False

    def evaluate(self):
        return report(0, self.loss)

    def _generate(self, prompt, *, tokens, on_token, **sampling):
        assert len(prompt)
        self.asked += 1
        for _ in range(tokens):
            self.told += 1
            self._stop_requested = self.told == self.stop_at
            if on_token(3) is False:
                return


def report(step, loss, tokens=9):
    return SimpleNamespace(step=step, val_loss=loss, val_tokens=tokens)


@pytest.fixture
def run(tmp_path):
    (tmp_path / "run").mkdir()
    return tmp_path / "run"


def watch(run, *prompts, shape="smollm"):
    model = run.parent / "model"
    if not model.exists():
        model_of(model, shape)
    return Watch([*prompts] or [Prompt(said("q"))] * 2, model, None,
                 (run / "finetune.json", {"prompts": "all"}), quiet=False)


def steps_of(run):
    return [json.loads(line)["step"]
            for line in (run / "samples.jsonl").read_bytes().split(b"\n") if line]


# -- questions ----------------------------------------------------------------------------------

def test_an_empty_question_is_not_asked():
    for nothing in ("", " \n"):
        assert _asked(Conversation(said(nothing, "a"))) is None
        assert _asked(Completion(nothing, "a")) is None
    assert _asked(Conversation(said("q", "a"))) == said("q")
    assert _asked(Completion("q", "a")) == "q"


def test_a_sampled_question_that_cannot_be_asked_is_left_out_and_said_once(run, capfd):
    some = watch(run, Prompt(said("what " * 99), sampled=True), Prompt("", sampled=True),
                 Prompt(said("q"), sampled=True))
    trainer = Scripted()
    some.on_start(trainer)
    some.on_note("begun")
    assert trainer.asked == 1 and steps_of(run) == [0]
    assert capfd.readouterr().err.count("note    2 sampled questions cannot be asked: ") == 1
    assert json.loads((run / "finetune.json").read_text())["prompts"] == [said("q")]


def test_a_question_of_the_user_that_cannot_be_asked_is_an_error(run):
    make_model(run.parent / "model", "", (END,))
    for asked, wanted in (("", "nothing is asked"), (said("what " * 99), "template")):
        with pytest.raises(cllm.InputError, match=wanted):
            watch(run, Prompt(asked)).on_start(Scripted())
    assert not list(run.iterdir())


# -- an interrupt -------------------------------------------------------------------------------

def test_an_interrupt_ends_an_answer_and_the_questions(run):
    trainer, asking = Scripted(stop_at=3), watch(run)
    asking.on_start(trainer)
    asking.on_note("begun")
    assert (trainer.told, trainer.asked) == (3, 1)
    assert not (run / "samples.jsonl").exists(), "an answer that was cut is none"
    trainer.stop_at = None
    asking.on_evaluation(report(4, 1.0))
    assert steps_of(run) == [4, 4]


def test_a_run_that_is_asked_to_stop_says_so_while_it_answers(settings):
    """Ctrl-C comes to it by the same flag."""
    trainer, seen = cllm.Trainer(cllm.TrainConfig(**settings)), []

    def stop(report):
        seen.append(trainer._stop_requested)
        trainer.request_stop()
        seen.append(trainer._stop_requested)

    trainer.run(on_evaluation=stop)
    assert seen[:2] == [False, True] and not trainer._stop_requested


def test_an_interrupted_evaluation_says_nothing_and_nothing_is_asked(run, capfd):
    trainer, asking = Scripted(loss=float("nan")), watch(run)
    asking.on_start(trainer)
    asking.on_note("begun")
    assert asking.loss_before is None and trainer.asked == 0
    assert capfd.readouterr().err == ""


# -- what is kept -------------------------------------------------------------------------------

def best_of(run, *reports, steps=8):
    resumed = watch(run)
    resumed.on_start(Scripted(steps=steps))
    resumed.on_note("begun")
    for one in reports:
        resumed.on_evaluation(one)
    return resumed.best


def test_the_best_loss_of_a_resumed_run_may_be_an_earlier_one(run):
    rows = [{"step": 4, "loss": 0.1}, {"step": 4, "val_loss": 1.5, "val_tokens": 9},
            {"step": 8, "val_loss": None, "val_tokens": 9},
            {"step": 12, "val_loss": 1.0, "val_tokens": 9}]
    (run / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows) + '{"st')
    assert best_of(run) == best_of(run, report(12, 1.7)) == (1.5, 4)
    assert best_of(run, report(12, 1.5), report(16, 1.2)) == (1.2, 16)
    assert best_of(run, report(12, 1.7, tokens=10)) == (1.7, 12), "other tokens"
    assert best_of(run, steps=12) == (1.0, 12)
    (run / "metrics.jsonl").unlink()
    assert best_of(run, report(12, float("nan")), report(16, 2.0)) == (2.0, 16)


def test_rows_stay_whatever_their_answers_hold(run):
    file = run / "samples.jsonl"
    rows = [json.dumps({"step": step, "answer": answer}, ensure_ascii=False) + "\n"
            for step, answer in ((0, "a\u2028b"), (4, "c\u2029d\x85"), (8, "e"))]
    file.write_text("".join(rows))
    before = file.stat()
    forget_from(file, 12)
    assert file.stat().st_ino == before.st_ino and file.stat().st_mtime_ns == before.st_mtime_ns
    forget_from(file, 8)
    assert file.read_text() == "".join(rows[:2])
    assert file.stat().st_ino != before.st_ino, "a new file took its place, whole"
    file.write_bytes("".join(rows).encode() + '{"step": 8, "answer": "é'.encode()[:-1])
    forget_from(file, 12)
    assert file.read_text() == "".join(rows)
    assert list(run.iterdir()) == [file]
