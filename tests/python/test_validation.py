"""Validation on a bounded sample: the same tokens in every evaluation, said in metrics.jsonl."""

import json
import random
import re
import subprocess

import pytest
from conftest import TRAIN_MODEL

cllm = pytest.importorskip("cllm")


@pytest.fixture
def long_text(tmp_path):
    """A text of which a whole tenth is more than a short run can afford to validate on."""
    pick = random.Random(5)
    path = tmp_path / "long.txt"
    path.write_text("".join(pick.choice("abcdefgh ") for _ in range(60_000)))
    return path


def evaluations(folder):
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    return [row for row in map(json.loads, lines) if "val_loss" in row]


def config_of(settings, **others):
    return cllm.TrainConfig(**{**settings, **others})


def test_a_short_run_validates_on_a_sample(settings, long_text):
    trainer = cllm.Trainer(config_of(settings, data=long_text))
    reports = []
    trainer.run(on_evaluation=reports.append)
    assert trainer.config.eval_tokens == 1024, "so many say something, and 20 steps are few"
    assert [(r.val_tokens, r.val_tokens_total) for r in reports] == [(1024, 5999)] * 2
    rows = evaluations(settings["out"])
    assert [(row["val_tokens"], row["val_tokens_total"]) for row in rows] == [(1024, 5999)] * 2
    assert trainer.evaluate().val_loss == reports[-1].val_loss == rows[-1]["val_loss"]


def test_every_run_validates_on_the_same_tokens(settings, long_text):
    losses = []
    for workers in (1, 2, 3):
        out = settings["out"].parent / f"run-{workers}"
        trainer = cllm.Trainer(config_of(settings, data=long_text, out=out, workers=workers,
                                         eval_every=4, activate_all=True))
        trainer.run()
        losses.append([row["val_loss"] for row in evaluations(out)])
    assert losses[0] == losses[1] == losses[2] and len(losses[0]) == 5


def test_a_sample_of_the_whole_part_is_the_whole_part(settings):
    losses = {}
    for tokens in (0, 10**6, "auto"):
        trainer = cllm.Trainer(config_of(settings, eval_tokens=tokens,
                                         out=settings["out"].parent / f"run-{tokens}"))
        report = trainer.evaluate()
        losses[tokens] = report.val_loss
        if tokens != "auto":
            assert report.val_tokens == report.val_tokens_total
    assert losses[0] == losses[10**6]
    assert losses["auto"] == pytest.approx(losses[0], rel=0.05)


def test_the_loss_is_that_of_windows_spread_over_the_part(settings, long_text):
    trainer = cllm.Trainer(config_of(settings, data=long_text, eval_tokens=2 * 16))
    trainer.save(settings["out"].parent / "model")
    model = cllm.Model.load(settings["out"].parent / "model")
    text = long_text.read_bytes()[54_000:]
    windows = (len(text) - 1) // 16
    assert windows == 374
    middles = [16 * (windows // 4), 16 * (windows // 2 + windows // 4)]
    pieces = [list(text[start:start + 17]) for start in middles]
    loss, _ = model.loss_and_gradients([piece[:-1] for piece in pieces],
                                       [piece[1:] for piece in pieces])
    report = trainer.evaluate()
    assert report.val_tokens == 32
    assert report.val_loss == pytest.approx(loss, rel=1e-6)


def test_a_resumed_run_goes_on_with_the_same_tokens(settings, long_text):
    whole = settings["out"].parent / "whole"
    changed = {"data": long_text, "eval_every": 4, "eval_tokens": 500}
    cllm.Trainer(config_of(settings, out=whole, **changed)).run()
    trainer = cllm.Trainer(config_of(settings, **changed))

    def stop(report):
        if report.step == 10:
            trainer.request_stop()

    trainer.run(on_step=stop)
    cllm.Trainer(cllm.TrainConfig(resume=settings["out"])).run()
    assert evaluations(settings["out"]) == evaluations(whole)
    assert {row["val_tokens"] for row in evaluations(whole)} == {512}


def test_a_longer_run_keeps_its_tokens(settings, long_text):
    cllm.Trainer(config_of(settings, data=long_text)).run()
    trainer = cllm.Trainer(cllm.TrainConfig(resume=settings["out"], steps=40))
    assert trainer.config.eval_tokens == 1024


def test_the_best_is_of_losses_on_the_same_tokens(settings, long_text):
    trainer = cllm.Trainer(config_of(settings, data=long_text, keep_best=True, save_every=0))
    trainer.run()
    best = settings["out"] / "checkpoints/best"
    first = evaluations(settings["out"])
    assert best.resolve().name == f"step-{min(first, key=lambda row: row['val_loss'])['step']:08}"
    more = cllm.Trainer(cllm.TrainConfig(resume=settings["out"], steps=24, eval_every=2,
                                         eval_tokens=16))
    more.run()
    rows = [row for row in evaluations(settings["out"]) if row["val_tokens"] == 16]
    assert [row["step"] for row in rows] == [22, 24]
    assert best.resolve().name == f"step-{min(rows, key=lambda row: row['val_loss'])['step']:08}"
    assert (best / "manifest.json").is_file()


def test_a_long_text_is_not_validated_for_longer_than_it_is_trained_on(tmp_path):
    """By the whole tenth of this text it would take nine times as long as training."""
    text = tmp_path / "long.txt"
    text.write_bytes(random.Random(7).randbytes(100_000).hex().encode() * 25)
    said = subprocess.run([TRAIN_MODEL, "--data", text, "--out", tmp_path / "run", "--steps", "200",
                           "--layers", "2", "--heads", "2", "--dim", "32"],
                          capture_output=True, text=True, timeout=300, check=True).stderr
    times = re.search(r"time    training ([\d.]+) s \(\d+ %\), validation ([\d.]+) s, "
                      r"saving [\d.]+ s, starting [\d.]+ s\n", said)
    training, validation = map(float, times.groups())
    assert validation <= 0.1 + 0.3 * training, "by counting it is a twentieth"
    assert said.count("(2.88k of 500k tokens)") == 8
