"""Callbacks of a run: functions, objects, early stopping, and how they end it."""

import json
import os
import signal
import subprocess
import sys
import time

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
    stop = cllm.EarlyStopping(patience=2, min_delta=100.0)  # no loss falls by so much
    config = cllm.TrainConfig(**settings | {"eval_every": 3}, keep_best=True)
    trainer = cllm.Trainer(config, callbacks=[stop])
    assert trainer.run() is cllm.RunOutcome.STOPPED
    assert trainer.steps_done == 9 and stop.best_step == 3 and stop.waited == 2
    assert (settings["out"] / "checkpoints/best").exists()
    assert "patience=2" in repr(stop)
    better = cllm.EarlyStopping(patience=1)
    again = cllm.Trainer(cllm.TrainConfig(**settings, overwrite=True), callbacks=[better])
    assert again.run() is cllm.RunOutcome.FINISHED, "the loss falls"
    assert better.best_step == 20
    with pytest.raises(cllm.InputError, match="patience"):
        cllm.EarlyStopping(patience=0)


@pytest.mark.parametrize("wrong", [[3], [object()], [cllm.EarlyStopping], Recorder(), print])
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


def test_an_event_of_another_name_is_refused(settings):
    class OfTransformers:
        def on_evaluate(self, *args):
            pass

        def on_step(self, report):
            pass

    with pytest.raises(cllm.InputError, match=r"got on_evaluate of .*expected on_step"):
        cllm.Trainer(cllm.TrainConfig(**settings), callbacks=[OfTransformers()])


def test_a_stopped_run_says_how_it_continues(settings, capsys):
    trainer = cllm.Trainer(cllm.TrainConfig(**settings))
    trainer.run(callbacks=[lambda report: trainer.request_stop()], progress=True)
    said = capsys.readouterr().err
    assert "stopped after step 1 of" in said and "checkpoints/latest" in said
