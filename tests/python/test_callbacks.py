"""Callbacks of a run: functions, objects, early stopping, and how they end it."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from conftest import needs

pytestmark = needs("cllm", "numpy")
cllm = pytest.importorskip("cllm")


class Recorder:
    def __init__(self):
        self.steps, self.evaluations, self.checkpoints = [], [], []

    def on_step(self, report):
        self.steps.append(report.step)

    def on_evaluation(self, report):
        self.evaluations.append(report.step)

    def on_checkpoint(self, folder):
        self.checkpoints.append(os.path.basename(folder))


def test_objects_and_functions_hear_of_a_run(settings):
    every, later, losses, folders = Recorder(), Recorder(), [], []
    trainer = cllm.Trainer(cllm.TrainConfig(**settings), callbacks=[every])
    trainer.run(callbacks=[later, lambda report: losses.append(report.loss)],
                on_checkpoint=folders.append)
    assert every.steps == later.steps == list(range(1, 21)) and len(losses) == 20
    assert every.evaluations == [10, 20]
    assert every.checkpoints == [os.path.basename(folder) for folder in folders]
    assert every.checkpoints[-1] == "final"


def test_a_callback_meets_its_trainer_and_may_stop_it(settings):
    class Stops(Recorder):
        def on_start(self, trainer):
            self.trainer = trainer

        def on_step(self, report):
            super().on_step(report)
            if report.step == 5:
                self.trainer.request_stop()
            return False  # what a callback returns means nothing

    stops, later = Stops(), Recorder()
    trainer = cllm.Trainer(cllm.TrainConfig(**settings), callbacks=[stops, later])
    assert trainer.run() is cllm.RunOutcome.STOPPED
    assert stops.trainer is trainer
    assert stops.steps == later.steps == [1, 2, 3, 4, 5]
    assert cllm.Trainer(cllm.TrainConfig(resume=settings["out"])).steps_done == 5


def test_early_stopping_waits_for_its_patience(settings):
    stop, losses = cllm.EarlyStopping(patience=2, min_delta=100.0), {}  # no loss falls by so much
    config = cllm.TrainConfig(**settings | {"eval_every": 3}, keep_best=True)
    trainer = cllm.Trainer(config, callbacks=[stop])
    outcome = trainer.run(on_evaluation=lambda r: losses.update({r.val_loss: r.step}))
    assert outcome is cllm.RunOutcome.STOPPED
    assert trainer.steps_done == 9 and stop.waited == 2
    assert stop.best_loss == min(losses) and stop.best_step == losses[min(losses)]
    assert (settings["out"] / "checkpoints/best").exists()
    assert "patience=2" in repr(stop)
    better = cllm.EarlyStopping(patience=1)
    again = cllm.Trainer(cllm.TrainConfig(**settings, overwrite=True), callbacks=[better])
    assert again.run() is cllm.RunOutcome.FINISHED, "the loss falls"
    assert better.best_step == 20
    assert cllm.EarlyStopping(np.int64(2), np.float32(0.1)).patience == 2
    for wrong in ({"patience": 0}, {"patience": "3"}, {"min_delta": -1}, {"min_delta": "a"}):
        with pytest.raises(cllm.InputError, match=next(iter(wrong))):
            cllm.EarlyStopping(**wrong)


@pytest.mark.parametrize("wrong", [[3], 3, [object()], [cllm.EarlyStopping], Recorder(), print])
def test_what_is_no_list_of_callbacks_is_refused(settings, wrong):
    with pytest.raises(cllm.InputError, match="callbacks: "):
        cllm.Trainer(cllm.TrainConfig(**settings), callbacks=wrong)
    with pytest.raises(cllm.InputError, match="callbacks: "):
        cllm.Trainer(cllm.TrainConfig(**settings)).run(callbacks=wrong)


@pytest.mark.parametrize("event", ["on_step", "on_evaluation", "on_checkpoint"])
def test_an_error_saves_and_comes_out(settings, event):
    class Fails:
        heard = 0

        def fail(self, report):
            self.heard += 1
            raise LookupError("mine")

    setattr(Fails, event, Fails.fail)
    fails = Fails()
    trainer = cllm.Trainer(cllm.TrainConfig(**settings), callbacks=[fails])
    with pytest.raises(LookupError, match="mine"):
        trainer.run()
    assert fails.heard == 1, "what has failed is not asked again"
    assert cllm.Trainer(cllm.TrainConfig(resume=settings["out"])).steps_done == trainer.steps_done
    del Fails.fail
    delattr(Fails, event)
    Fails.on_step = lambda self, report: None
    assert trainer.run() is cllm.RunOutcome.FINISHED


# -- the learning rate --------------------------------------------------------------------------

def test_the_learning_rate_is_ones_own_until_it_is_given_back(settings):
    trainer = cllm.Trainer(cllm.TrainConfig(**settings | {"warmup": 0}))
    plan = cllm.Trainer(cllm.TrainConfig(**settings | {"warmup": 0}))
    assert trainer.learning_rate == plan.learning_rate == settings["lr"]
    trainer.step()
    trainer.learning_rate = 0.125
    assert [trainer.step().lr for _ in range(3)] == [0.125] * 3 and trainer.learning_rate == 0.125
    planned = [plan.step().lr for _ in range(6)]
    trainer.learning_rate = None
    assert [trainer.step().lr for _ in range(2)] == planned[4:6]
    for wrong in (-1.0, float("nan"), float("inf")):
        with pytest.raises(cllm.InputError, match="learning_rate"):
            trainer.learning_rate = wrong
    with pytest.raises(TypeError):
        trainer.learning_rate = "fast"


def test_a_rate_that_was_set_is_in_the_files_and_resumed_exactly(settings):
    def halve(trainer):
        def on_step(report):
            if report.step % 3 == 0:
                trainer.learning_rate = trainer.learning_rate / 2

        return on_step

    whole = cllm.Trainer(cllm.TrainConfig(**settings))
    whole.run(on_step=halve(whole))
    lines = [json.loads(line) for line in (settings["out"] / "metrics.jsonl").read_text().split()]
    rates = [line["lr"] for line in lines if "loss" in line]
    assert rates[9] == rates[10] == rates[8] / 2

    out = settings["out"].with_name("resumed")
    config = cllm.TrainConfig(**settings).replace(out=out)
    first = cllm.Trainer(config)
    on_step = halve(first)
    first.run(on_step=lambda report: on_step(report) if report.step < 11 else first.request_stop())
    resumed = cllm.Trainer(cllm.TrainConfig(resume=out))
    assert resumed.learning_rate == rates[11]
    resumed.run(on_step=halve(resumed))
    assert resumed.weights_hash() == whole.weights_hash()


# -- signals ------------------------------------------------------------------------------------

SCRIPT = """
import signal, sys
import cllm

if sys.argv[2] == "own":
    signal.signal(signal.SIGTERM, lambda number, frame: print("mine", flush=True))
config = cllm.TrainConfig(data=sys.argv[1], out="run", layers=2, heads=2, dim=32, seq=32, batch=4,
                          steps=3000, eval_every=0, save_every=0, workers=2)
trainer = cllm.Trainer(config)
print(trainer.run(on_step=lambda r: r.step == 20 and print("steps", flush=True)).name)
print(trainer.steps_done < 3000, signal.getsignal(signal.SIGTERM) == signal.SIG_DFL, flush=True)
signal.raise_signal(signal.SIGTERM)  # the handler from before is back
print("alive", flush=True)
"""


@pytest.mark.parametrize("handler, said, code", [
    ("default", "STOPPED\nTrue True\n", -signal.SIGTERM),
    ("own", "mine\nFINISHED\nFalse False\nmine\nalive\n", 0)])
def test_sigterm_saves_in_a_script_too(tmp_path, text_file, handler, said, code):
    process = subprocess.Popen([sys.executable, "-c", SCRIPT, text_file, handler], cwd=tmp_path,
                               stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "steps\n"
    process.send_signal(signal.SIGTERM)
    asked = time.monotonic()
    out, _ = process.communicate(timeout=300)
    assert (out, process.returncode) == (said, code)
    if handler == "default":
        assert time.monotonic() - asked < 60
        assert (tmp_path / "run/checkpoints/latest/model.safetensors").is_file()


def test_early_stopping_wants_evaluations(settings):
    trainer = cllm.Trainer(cllm.TrainConfig(**settings | {"eval_every": 0}),
                           callbacks=[cllm.EarlyStopping()])
    with pytest.raises(cllm.InputError, match="nothing is evaluated: got eval_every=0"):
        trainer.run()


@pytest.mark.parametrize("name, near", [
    ("on_evaluate", "on_evaluation"), ("on_train_begin", "on_start"), ("on_train_end", "on_end"),
    ("on_step_end", "on_step"), ("on_save", "on_checkpoint"), ("on_evalution", "on_evaluation")])
def test_an_event_of_another_name_is_refused(settings, name, near):
    other = type("Other", (), {name: print, "on_step": print})()
    with pytest.raises(cllm.InputError, match=rf"got {name} of .*\(did you mean {near}\?\)"):
        cllm.Trainer(cllm.TrainConfig(**settings), callbacks=[other])


def test_a_callback_of_another_library_is_told_what_to_change(settings):
    class Base:
        on_epoch_begin = on_step_end = print

    class Mine(Base):
        def on_step_end(self, *args):
            pass

    class Renamed(Base):
        def on_step(self, report):
            pass

    for callback, said in ((Mine(), "on_step_end .*did you mean on_step"),
                           (Renamed(), "on_epoch_begin .*Base has it: a callback needs no base")):
        with pytest.raises(cllm.InputError, match=said):
            cllm.Trainer(cllm.TrainConfig(**settings), callbacks=[callback])


def test_an_attribute_is_no_event(settings):
    heard = []
    mine = type("Mine", (), {"on_disk": True, "on_step": lambda self, report: heard.append(1)})()
    cllm.Trainer(cllm.TrainConfig(**settings), callbacks=[mine]).run()
    assert len(heard) == 20


@pytest.mark.parametrize("event", ["on_start", "on_end", "on_note"])
def test_one_method_makes_a_callback(settings, event):
    heard = []
    one = type("One", (), {event: lambda self, what: heard.append(what)})()
    trainer = cllm.Trainer(cllm.TrainConfig(**settings), callbacks=[one])
    trainer.run()
    assert heard == [trainer] if event != "on_note" else "20 steps" in heard[0]


def test_the_end_is_heard_however_the_run_ends(settings):
    heard = []

    class Ends:
        def on_end(self, trainer):
            heard.append(trainer.steps_done)

    trainer = cllm.Trainer(cllm.TrainConfig(**settings), callbacks=[Ends()])
    trainer.run(on_step=lambda report: report.step < 3 or trainer.request_stop())

    def fail(report):
        raise LookupError("mine")

    with pytest.raises(LookupError):
        trainer.run(on_step=fail)
    assert heard == [3, 4]


def test_every_end_is_heard_although_one_fails(settings):
    heard = []

    class Ends:
        def __init__(self, name):
            self.name = name

        def on_end(self, trainer):
            heard.append(self.name)
            if self.name == "first":
                raise LookupError("mine")

    trainer = cllm.Trainer(cllm.TrainConfig(**settings), callbacks=[Ends("first"), Ends("last")])
    with pytest.raises(LookupError, match="mine"):
        trainer.run()
    assert heard == ["first", "last"]


def test_a_callback_may_evaluate_and_no_bit_changes(settings):
    plain = cllm.Trainer(cllm.TrainConfig(**settings))
    plain.run()
    trainer = cllm.Trainer(cllm.TrainConfig(**settings | {"out": settings["out"].with_name("b")}))
    found, saved = [], []

    class Looks:
        def on_step(self, report):
            found.append(trainer.evaluate())
            assert trainer.evaluate("a king sleeps\n").step == report.step
            assert trainer.gradients()

        def on_evaluation(self, report):
            assert trainer.evaluate() == report

        def on_checkpoint(self, folder):
            saved.append(trainer.evaluate().step)
            cllm.Model.load(folder).generate("a", tokens=2)

        def on_note(self, note):
            trainer.evaluate()

    trainer.run(callbacks=[Looks()])
    assert [report.step for report in found] == list(range(1, 21)) and saved[-1] == 20
    assert trainer.weights_hash() == plain.weights_hash()


@pytest.mark.parametrize("call", ["step", "run"])
def test_what_a_callback_may_not_do_says_what_it_may(settings, call):
    trainer = cllm.Trainer(cllm.TrainConfig(**settings))
    with pytest.raises(cllm.CllmError, match=r"in use: got a callback .*\(a callback may evaluate"):
        trainer.run(on_step=lambda report: getattr(trainer, call)())
    trainer.run(on_step=lambda report: None)


def test_a_signal_does_not_evaluate_inside_an_evaluation(settings):
    """Python's handlers run in the middle of one, and where they are refused nothing changes."""
    settings |= {"seq": 8, "layers": 6}
    alone = cllm.Trainer(cllm.TrainConfig(**settings | {"out": settings["out"].with_name("alone")}))
    alone.run()
    loss = alone.evaluate().val_loss
    trainer, said = cllm.Trainer(cllm.TrainConfig(**settings)), []

    def handle(number, frame):
        try:
            said.append(trainer.evaluate())
        except cllm.CllmError as error:
            said.append(str(error))

    before = signal.signal(signal.SIGALRM, handle)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.03, 0.03)
        trainer.run(on_step=lambda report: trainer.evaluate())
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert trainer.steps_done == 20 and said
    assert all("in use" in each for each in said if isinstance(each, str))
    assert trainer.weights_hash() == alone.weights_hash()
    assert trainer.evaluate().val_loss == loss


def test_a_stopped_run_says_how_it_continues(settings, capsys):
    trainer = cllm.Trainer(cllm.TrainConfig(**settings))
    trainer.run(callbacks=[lambda report: trainer.request_stop()], progress=True)
    said = capsys.readouterr().err
    assert "stopped after step 1 of" in said and "checkpoints/latest" in said
