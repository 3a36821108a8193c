"""What a run keeps, and how another process goes on with it: nothing is lost or mixed."""

import json
import resource
import shutil
import signal
import threading
import time
from pathlib import Path

import cllm
import numpy as np
import pytest


def config_of(settings, **changes):
    return cllm.TrainConfig(**(settings | changes))


def stopped(settings, step, **changes):
    """A run that was stopped after a step."""
    trainer = cllm.Trainer(config_of(settings, **changes))

    def stop(report):
        if report.step == step:
            trainer.request_stop()

    assert trainer.run(on_step=stop) is cllm.RunOutcome.STOPPED
    return trainer


def whole_hash(settings, folder, **changes):
    trainer = cllm.Trainer(config_of(settings, out=folder, **changes))
    trainer.run()
    return trainer.weights_hash()


def resumed(folder, **changes):
    return cllm.Trainer(cllm.TrainConfig(resume=folder, **changes))


def lines(run, name="metrics.jsonl"):
    return [json.loads(line) for line in (run / name).read_text().splitlines()]


def checkpoints(run):
    return sorted(p.name for p in (run / "checkpoints").iterdir() if p.name.startswith("step-"))


# -- which settings a resumed run has -----------------------------------------------------------

def test_a_resumed_run_keeps_every_setting_of_its_own(settings, tmp_path):
    expected = whole_hash(settings, tmp_path / "whole", lr=2e-3, seed=5, batch=3)
    trainer = stopped(settings, 6, lr=2e-3, seed=5, batch=3)
    again = resumed(settings["out"], data=settings["data"])
    assert again.config.lr == 2e-3 and again.config.seed == 5 and again.config.batch == 3
    assert again.config.steps == settings["steps"] and again.config.out == str(settings["out"])
    assert again.weights_hash() == trainer.weights_hash()
    again.run()
    assert again.weights_hash() == expected


@pytest.mark.parametrize("change", [{"lr": 1e-3}, {"seed": 1337}, {"batch": 12}, {"layers": 4}])
def test_a_value_that_equals_the_default_is_not_dropped(settings, change):
    stopped(settings, 3, **({"seed": 5} if "seed" in change else {}))
    with pytest.raises(cllm.InputError, match="cannot change what its answer depends on"):
        resumed(settings["out"], **change)


def test_the_same_settings_given_again_are_no_change(settings):
    stopped(settings, 3)
    trainer = cllm.Trainer(config_of(settings, resume=settings["out"]))
    assert trainer.steps_done == 3


def test_a_run_is_not_resumed_into_another_one(settings, tmp_path):
    stopped(settings, 3)
    stopped(settings, 4, out=tmp_path / "other")
    before = {p: p.read_bytes() for p in (tmp_path / "other").rglob("*") if p.is_file()}
    with pytest.raises(cllm.InputError, match="stays in its folder"):
        resumed(settings["out"], out=tmp_path / "other")
    assert before == {p: p.read_bytes() for p in (tmp_path / "other").rglob("*") if p.is_file()}


@pytest.mark.parametrize("old, new", [("lr = 0.003", "lr = 0.004"), ("seed = 1337", "seed = 1"),
                                      ("heads = 2", "heads = 4")])
def test_an_edited_config_is_noticed(settings, old, new):
    stopped(settings, 3)
    file = settings["out"] / "config.toml"
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new))
    with pytest.raises(cllm.InputError, match="was changed after the run had started") as error:
        resumed(settings["out"])
    assert new in str(error.value) and "config.toml" in str(error.value)


def test_a_run_that_is_killed_soon_after_it_was_resumed_goes_on(settings, tmp_path):
    """Its folder says what the resumed run was, its checkpoint what the run before was."""
    stopped(settings, 3, steps="auto", epochs=0.5)
    checkpoints, kept = settings["out"] / "checkpoints", tmp_path / "kept"
    shutil.copytree(checkpoints, kept, symlinks=True)
    trainer = resumed(settings["out"])
    trainer.run(on_step=lambda report: trainer.request_stop())
    shutil.rmtree(checkpoints)
    kept.rename(checkpoints)
    again = resumed(settings["out"])
    assert again.steps_done == 3 and again.steps_total == trainer.steps_total


def test_an_edited_interval_is_taken(settings):
    stopped(settings, 3)
    file = settings["out"] / "config.toml"
    file.write_text(file.read_text().replace("eval_every = 10", "eval_every = 4"))
    assert resumed(settings["out"]).config.eval_every == 4
    file.unlink()
    assert resumed(settings["out"] / "checkpoints" / "latest", out="x").config.eval_every == 10


def test_longer_and_shorter_runs(settings):
    stopped(settings, 8)
    with pytest.raises(cllm.InputError, match="already made more steps"):
        resumed(settings["out"], steps=7)
    notes = []
    trainer = resumed(settings["out"], steps=200)
    trainer.request_stop()
    trainer.run(on_note=notes.append)
    assert any("learning rate goes from" in note and 'schedule="wsd"' in note for note in notes)
    # It says so once: the longer run is what is resumed from now on.
    notes.clear()
    trainer = resumed(settings["out"])
    assert trainer.steps_total == 200


def test_epochs_given_again_are_no_change(settings):
    changes = {"steps": "auto", "epochs": 0.5}
    total = stopped(settings, 3, **changes).steps_total
    again = resumed(settings["out"], epochs=0.5)
    assert again.steps_total == total > 3
    assert resumed(settings["out"], epochs="auto", steps="auto").steps_total == total
    with pytest.raises(cllm.InputError, match="cannot change"):
        resumed(settings["out"], epochs=2)


def test_validation_data_are_part_of_a_run(settings, tmp_path):
    other = tmp_path / "other.txt"
    other.write_text("quite another text to validate on, again and again\n" * 20)
    stopped(settings, 3)
    with pytest.raises(cllm.InputError, match="cannot change"):
        resumed(settings["out"], val=other)
    stopped(settings, 3, out=tmp_path / "with", val=settings["data"])
    with pytest.raises(cllm.InputError, match="cannot change"):
        resumed(tmp_path / "with", val="")
    with pytest.raises(cllm.InputError, match="validation data is not that of the run"):
        resumed(tmp_path / "with", val=other)


# -- where the data are -------------------------------------------------------------------------

def test_the_same_bytes_may_lie_elsewhere(settings, tmp_path):
    moved = tmp_path / "moved.txt"
    shutil.copy(settings["data"], moved)
    trainer = stopped(settings, 3, data=moved)
    moved.rename(tmp_path / "again.txt")
    with pytest.raises(cllm.InputError, match="no such file"):
        resumed(settings["out"])
    again = resumed(settings["out"], data=tmp_path / "again.txt")
    assert again.weights_hash() == trainer.weights_hash()
    text = (tmp_path / "again.txt").read_text()
    (tmp_path / "other.txt").write_text(text.replace("king", "gnik"))
    with pytest.raises(cllm.InputError, match="not what the run was trained on"):
        resumed(settings["out"], data=tmp_path / "other.txt")


def test_a_run_is_resumed_from_another_folder(settings, tmp_path, monkeypatch):
    shutil.copy(settings["data"], tmp_path / "text.txt")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    expected = stopped(settings, 3, data="text.txt", val="text.txt").weights_hash()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert resumed(settings["out"]).weights_hash() == expected


def test_a_run_with_init_does_not_need_the_first_model(settings, tmp_path):
    cllm.Trainer(config_of(settings)).save(tmp_path / "first")
    stopped(settings, 3, init=tmp_path / "first")
    shutil.rmtree(tmp_path / "first")
    assert resumed(settings["out"]).steps_done == 3


def test_a_saved_trainer_goes_on_in_a_run_of_its_own(settings, tmp_path):
    expected = whole_hash(settings, tmp_path / "whole")
    trainer = cllm.Trainer(config_of(settings))
    for _ in range(7):
        trainer.step()
    trainer.save(tmp_path / "mine")
    with pytest.raises(cllm.InputError, match="belongs to no run folder"):
        resumed(tmp_path / "mine")
    again = resumed(tmp_path / "mine", out=tmp_path / "new", workers=3)
    assert again.steps_done == 7
    again.run()
    assert again.weights_hash() == expected
    assert lines(tmp_path / "new")[0]["step"] == 8


# -- which checkpoint ---------------------------------------------------------------------------

def flip(file, at=-100):
    data = bytearray(file.read_bytes())
    data[at] ^= 1
    file.write_bytes(data)


@pytest.fixture
def run_with_checkpoints(settings):
    stopped(settings, 16, save_every=5, eval_every=0, keep=9)
    assert checkpoints(settings["out"]) == [f"step-{n:08}" for n in (5, 10, 15, 16)]
    return settings["out"]


@pytest.mark.parametrize("spoil", ["missing", "dangling", "old", "folder", "text"])
def test_the_newest_checkpoint_is_found_whatever_the_link_says(run_with_checkpoints, spoil):
    folder = run_with_checkpoints / "checkpoints"
    link = folder / "latest"
    link.unlink()
    if spoil in ("dangling", "old"):
        link.symlink_to("nowhere" if spoil == "dangling" else "step-00000005")
    if spoil == "folder":  # as cp -rL, scp and zip make it
        shutil.copytree(folder / "step-00000016", link)
    if spoil == "text":
        link.write_text("step-00000016")
    assert resumed(run_with_checkpoints).steps_done == 16
    assert cllm.Model.load(run_with_checkpoints).folder.endswith(("step-00000016", "latest"))


def test_a_run_that_was_copied_with_links_followed_trains_on(run_with_checkpoints, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(run_with_checkpoints, copy, symlinks=False)
    assert (copy / "checkpoints/latest").is_dir()
    again = resumed(copy, save_every=1)
    assert again.run() is cllm.RunOutcome.FINISHED
    assert lines(copy)[-1]["step"] == 20


def test_a_damaged_checkpoint_gives_way_to_the_one_before(run_with_checkpoints, settings, tmp_path):
    expected = whole_hash(settings, tmp_path / "whole", eval_every=0)
    flip(run_with_checkpoints / "checkpoints/step-00000016/optimizer.safetensors")
    trainer = resumed(run_with_checkpoints)
    assert trainer.steps_done == 15
    notes = []
    trainer.run(on_note=notes.append)
    assert any("step-00000016" in note and "going on from step 15" in note for note in notes)
    assert trainer.weights_hash() == expected
    assert [row["step"] for row in lines(run_with_checkpoints)] == list(range(1, 21))


def test_checkpoints_of_which_none_can_be_used_are_no_new_start(run_with_checkpoints):
    for folder in (run_with_checkpoints / "checkpoints").glob("step-*"):
        flip(folder / "model.safetensors")
    with pytest.raises(cllm.InputError, match="none of the checkpoints can be used"):
        resumed(run_with_checkpoints)
    for folder in (run_with_checkpoints / "checkpoints").glob("step-*"):
        (folder / "manifest.json").unlink()
    with pytest.raises(cllm.InputError, match="none is complete"):
        resumed(run_with_checkpoints)
    assert len(lines(run_with_checkpoints)) == 16


def test_an_earlier_checkpoint_can_be_named(run_with_checkpoints, settings, tmp_path):
    expected = whole_hash(settings, tmp_path / "whole", eval_every=0)
    early = run_with_checkpoints / "checkpoints" / "step-00000005"
    fork = resumed(early, out=tmp_path / "fork")
    assert fork.steps_done == 5 and fork.config.out == str(tmp_path / "fork")
    fork.run()
    assert fork.weights_hash() == expected
    assert checkpoints(run_with_checkpoints)[-1] == "step-00000016", "the run itself is as it was"
    here = resumed(early, keep=1)
    assert here.config.out == str(run_with_checkpoints)
    here.request_save()

    def stop(report):
        if report.step == 8:
            here.request_stop()

    here.run(on_step=stop)
    kept = sorted(p.name for p in (run_with_checkpoints / "checkpoints").iterdir())
    assert {"aside-step-00000010", "aside-step-00000015", "aside-step-00000016"} <= set(kept)
    assert resumed(run_with_checkpoints).steps_done == 8, "it goes on with the branch it took"


# -- one run, one holder ------------------------------------------------------------------------

def test_two_runs_in_one_folder_are_refused(settings):
    first = cllm.Trainer(config_of(settings, steps=10**6))
    second = cllm.Trainer(config_of(settings))
    begun = threading.Event()
    thread = threading.Thread(target=first.run, kwargs={"on_step": lambda report: begun.set()})
    thread.start()
    begun.wait()
    try:
        for attempt in (second.run, lambda: resumed(settings["out"]).run(),
                        lambda: cllm.Trainer(config_of(settings))):
            with pytest.raises(cllm.InputError, match=r"in use|already used"):
                attempt()
    finally:
        first.request_stop()
        thread.join()
    steps = [row["step"] for row in lines(settings["out"]) if "loss" in row]
    assert steps == list(range(1, len(steps) + 1))
    assert resumed(settings["out"]).steps_done == len(steps)


def test_a_run_that_another_process_went_on_with_is_not_taken_back(settings):
    first = stopped(settings, 4)
    second = resumed(settings["out"])
    second.run()
    with pytest.raises(cllm.InputError, match="another process has gone on with this run"):
        first.run()


def test_a_run_folder_that_is_renamed_is_followed(settings, tmp_path):
    trainer = cllm.Trainer(config_of(settings))
    notes = []

    def move(report):
        if report.step == 4:
            settings["out"].rename(tmp_path / "moved")

    assert trainer.run(on_step=move, on_note=notes.append) is cllm.RunOutcome.FINISHED
    assert not settings["out"].exists()
    assert any("renamed" in note for note in notes)
    assert trainer.config.out == str(tmp_path / "moved")
    assert (tmp_path / "moved/final/manifest.json").is_file()
    assert [row["step"] for row in lines(tmp_path / "moved") if "loss" in row] == list(range(1, 21))


def test_a_run_folder_that_is_removed_is_said(settings):
    trainer = cllm.Trainer(config_of(settings))

    def remove(report):
        if report.step == 4:
            shutil.rmtree(settings["out"])

    with pytest.raises(cllm.CllmError, match="was removed"):
        trainer.run(on_step=remove)
    # What had been computed is not lost with it.
    assert resumed(settings["out"]).steps_done == 10


# -- saving and evaluating ----------------------------------------------------------------------

def test_the_save_comes_before_the_evaluation_of_its_step(settings):
    trainer = cllm.Trainer(config_of(settings))
    seen = []
    trainer.run(on_evaluation=lambda r: seen.append(("evaluated", r.step)),
                on_checkpoint=lambda f: seen.append(("saved", Path(f).name)))
    assert seen.index(("saved", "final")) < seen.index(("evaluated", 20))


@pytest.mark.parametrize("steps", [10, 20])
def test_an_evaluation_that_a_stop_broke_off_is_made_up_for(settings, steps):
    elsewhere = settings["out"].parent / "whole"
    cllm.Trainer(config_of(settings, out=elsewhere)).run()
    whole = [row for row in lines(elsewhere) if "val_loss" in row]
    trainer = cllm.Trainer(config_of(settings))

    def stop(report):
        if report.step == steps:
            trainer.request_stop()

    assert trainer.run(on_step=stop) is cllm.RunOutcome.STOPPED
    assert steps not in [row["step"] for row in lines(settings["out"]) if "val_loss" in row]
    assert resumed(settings["out"]).run() is cllm.RunOutcome.FINISHED
    assert [row for row in lines(settings["out"]) if "val_loss" in row] == whole


def test_a_stop_in_the_last_step_does_not_stay(settings):
    trainer = cllm.Trainer(config_of(settings, eval_every=0))

    def stop(report):
        if report.step == 20:
            trainer.request_stop()

    assert trainer.run(on_step=stop) is cllm.RunOutcome.FINISHED
    assert np.isfinite(trainer.evaluate().val_loss)


def test_no_log_keeps_lines_from_beyond_the_resumed_step(settings):
    stopped(settings, 16, spheres_every=4, save_every=5, eval_every=0, keep=9)
    shutil.rmtree(settings["out"] / "checkpoints/step-00000016")
    shutil.rmtree(settings["out"] / "checkpoints/step-00000015")
    trainer = resumed(settings["out"])
    assert trainer.steps_done == 10
    trainer.request_stop()
    trainer.run()
    for name in ("metrics.jsonl", "spheres.jsonl", "groups.jsonl"):
        assert max(row["step"] for row in lines(settings["out"], name)) == 10, name


def test_the_best_checkpoint_stays(settings):
    # A rate that spoils the model again after a good beginning.
    trainer = cllm.Trainer(config_of(settings, steps=60, lr=2e-2, warmup=5, schedule="constant",
                                     eval_every=3, save_every=3, keep=1, keep_best=True, clip=0))
    evaluations = {}
    trainer.run(on_evaluation=lambda r: evaluations.update({r.step: r.val_loss}))
    best = min(evaluations, key=evaluations.get)
    link = settings["out"] / "checkpoints/best"
    assert link.resolve().name == f"step-{best:08}"
    assert (link / "manifest.json").is_file()
    assert len(checkpoints(settings["out"])) <= 3


def test_a_save_that_fails_leaves_the_run_alive(settings):
    trainer = cllm.Trainer(config_of(settings, save_every=5, eval_every=0))
    folder = settings["out"] / "checkpoints"
    notes = []

    def spoil(report):
        if report.step == 4:
            folder.rename(settings["out"] / "aside")
            folder.write_text("no folder")
        if report.step == 14:
            time.sleep(0.3)  # the save of step 10 is under way beside the steps
            folder.unlink()
            (settings["out"] / "aside").rename(folder)

    assert trainer.run(on_step=spoil, on_note=notes.append) is cllm.RunOutcome.FINISHED
    said = [note for note in notes if "could not be saved" in note]
    assert [note.split()[1] for note in said] == ["5", "10"]
    assert checkpoints(settings["out"]) == ["step-00000015"]


def test_a_log_that_cannot_be_written_does_not_end_the_run(settings):
    """What a full disk does to metrics.jsonl, by a limit on the size of files."""
    trainer = cllm.Trainer(config_of(settings, save_every=0, eval_every=0, steps=60))
    notes, before = [], resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

    def fill(report):
        if report.step == 5:
            size = (settings["out"] / "metrics.jsonl").stat().st_size
            resource.setrlimit(resource.RLIMIT_FSIZE, (size + 500, before[1]))
        if report.step == 40:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)

    try:
        assert trainer.run(on_step=fill, on_note=notes.append) is cllm.RunOutcome.FINISHED
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)
    assert len([note for note in notes if "metrics.jsonl: cannot" in note]) == 1
    steps = []
    for line in (settings["out"] / "metrics.jsonl").read_text().splitlines():
        if line.endswith("}"):  # one was torn where the disk was full
            steps.append(json.loads(line)["step"])
    assert steps == list(range(1, 61)), "no line is lost"


def test_a_last_save_that_fails_is_a_failure(settings):
    trainer = cllm.Trainer(config_of(settings, save_every=0, eval_every=0))

    def spoil(report):
        if report.step == 4:
            (settings["out"] / "final").write_text("no folder")

    with pytest.raises(cllm.CllmError, match="final"):
        trainer.run(on_step=spoil)
    assert checkpoints(settings["out"]) == ["step-00000020"], "and nothing is lost by it"


def test_a_checkpoint_can_be_asked_for(settings):
    trainer = cllm.Trainer(config_of(settings, save_every=0, eval_every=0))

    def ask(report):
        if report.step == 7:
            trainer.request_save()

    trainer.run(on_step=ask)
    assert checkpoints(settings["out"]) == ["step-00000007"]


# -- other threads ------------------------------------------------------------------------------

def test_what_another_thread_saves_is_a_state_of_some_step(settings, tmp_path):
    """Saved beside steps, a checkpoint once held weights of two steps at a time."""
    config = config_of(settings, steps=40, eval_every=0, save_every=0)
    states = {cllm.Trainer(config).weights_hash()}
    trainer = cllm.Trainer(config)
    for _ in trainer:
        states.add(trainer.weights_hash())
    trainer = cllm.Trainer(config)
    saved, refused = [], 0
    over = threading.Event()

    def save():
        nonlocal refused
        while not over.is_set():
            folder = tmp_path / f"saved-{len(saved)}"
            for use in (lambda to=folder: trainer.save(to), lambda: trainer.config,
                        lambda: trainer.workers, trainer.weights_hash):
                try:
                    use()
                except cllm.CllmError as error:
                    assert "another thread" in str(error)
                    refused += 1
            assert "Trainer" in repr(trainer)
            if folder.exists():
                saved.append(folder)

    thread = threading.Thread(target=save)
    thread.start()
    while trainer.steps_done < 40:
        try:
            trainer.step()
        except cllm.CllmError as error:
            assert "another thread" in str(error)
    over.set()
    thread.join()
    assert refused
    for folder in saved:
        assert resumed(folder, out=tmp_path / "x").weights_hash() in states


# -- numbers that are not -----------------------------------------------------------------------

def test_a_run_that_diverged_says_so_and_ends(settings):
    trainer = cllm.Trainer(config_of(settings, lr=1e4, clip=0, steps=60, warmup=0, skip_limit=8,
                                     save_every=1, eval_every=0))
    notes = []
    with pytest.raises(cllm.CllmError, match=r"training diverged.*8 updates in a row") as error:
        trainer.run(on_note=notes.append)
    assert "rollback" in str(error.value)
    assert any("update skipped" in note and "transformer." in note for note in notes)
    weights = cllm.Model.load(settings["out"]).parameters()
    assert all(np.isfinite(w).all() for w in weights.values())


def test_a_run_that_diverged_can_roll_back(settings):
    """A spoilt weight between two steps stands for whatever makes training diverge."""
    trainer = cllm.Trainer(config_of(settings, save_every=5, eval_every=0, skip_limit=3,
                                     on_divergence="rollback"))
    notes, rates, spoilt = [], {}, []

    def spoil(report):
        rates[report.step] = report.lr
        if report.step == 12 and not spoilt:
            spoilt.append(True)
            trainer.parameters()["transformer.wte.weight"][3, 3] = np.nan

    assert trainer.run(on_step=spoil, on_note=notes.append) is cllm.RunOutcome.FINISHED
    assert any("going back to step 10 at 0.5" in note for note in notes)
    whole = cllm.Trainer(config_of(settings, out=settings["out"] / "whole"))
    expected = {report.step: report.lr for report in whole}
    assert rates[20] == expected[20] / 2 and rates[5] == expected[5]
    steps = [row["step"] for row in lines(settings["out"])]
    assert steps == list(range(1, 21)) and not any(row["skipped"] for row in lines(settings["out"]))
    state = json.loads((settings["out"] / "final/trainer_state.json").read_text())
    assert state["rate_scale"] == 0.5


def test_a_rollback_to_the_start_takes_the_rates_of_the_schedule(settings):
    trainer = cllm.Trainer(config_of(settings, save_every=0, eval_every=0, skip_limit=3,
                                     on_divergence="rollback"))
    rates, spoilt = {}, []

    def spoil(report):
        rates[report.step] = report.lr
        if report.step == 4 and not spoilt:
            spoilt.append(True)
            trainer.learning_rate = 0.5
            trainer.parameters()["transformer.wte.weight"][3, 3] = np.nan

    assert trainer.run(on_step=spoil) is cllm.RunOutcome.FINISHED
    whole = cllm.Trainer(config_of(settings, out=settings["out"] / "whole"))
    assert rates == {report.step: report.lr / 2 for report in whole}


def test_a_rollback_passes_over_a_damaged_checkpoint(settings):
    trainer = cllm.Trainer(config_of(settings, save_every=5, eval_every=0, skip_limit=3, keep=9,
                                     on_divergence="rollback"))
    folder, notes, spoilt = settings["out"] / "checkpoints", [], []

    def spoil(report):
        if report.step == 13 and not spoilt:
            spoilt.append(True)
            while not (folder / "step-00000010").exists():
                time.sleep(0.001)  # it is written beside the steps
            flip(folder / "step-00000010/model.safetensors")
            trainer.parameters()["transformer.wte.weight"][3, 3] = np.nan

    assert trainer.run(on_step=spoil, on_note=notes.append) is cllm.RunOutcome.FINISHED
    assert any("going back to step 5 at 0.5" in note for note in notes)
    assert (folder / "aside-step-00000010").is_dir()


def test_a_weight_that_is_not_finite_is_not_saved(settings, tmp_path):
    trainer = cllm.Trainer(config_of(settings))
    trainer.step()
    trainer.parameters()["transformer.h.1.mlp.c_fc.weight"][3, 3] = np.inf
    with pytest.raises(cllm.CllmError, match=r"not finite.*h\.1\.mlp\.c_fc\.weight"):
        trainer.save(tmp_path / "bad")
    assert not (tmp_path / "bad").exists()
