"""A run without a folder keeps nothing; a run in a place that is taken replaces what is there."""

import os
import subprocess

import pytest
from conftest import RUN_MODEL, TRAIN_MODEL, needs

pytestmark = needs("cllm", "numpy")
cllm = pytest.importorskip("cllm")


def nowhere(settings):
    return {key: value for key, value in settings.items() if key != "out"}


def everything_below(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


# -- no folder ----------------------------------------------------------------------------------

def test_a_run_without_a_folder_trains_and_writes_nothing(settings, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    kept = cllm.Trainer(cllm.TrainConfig(**settings))
    kept.run()
    before = everything_below(tmp_path)
    trainer = cllm.Trainer(cllm.TrainConfig(**nowhere(settings)))
    steps, evaluations, folders, notes = [], [], [], []
    assert trainer.run(on_step=steps.append, on_evaluation=evaluations.append,
                       on_checkpoint=folders.append, on_note=notes.append) is \
        cllm.RunOutcome.FINISHED
    assert trainer.weights_hash() == kept.weights_hash()
    assert len(steps) == 20 and len(evaluations) == 2 and folders == []
    assert len([note for note in notes if "nothing is saved" in note]) == 1
    assert everything_below(tmp_path) == before
    trainer.save(tmp_path / "mine")
    assert cllm.Model.load(tmp_path / "mine").config == trainer.model_config


def test_a_loop_of_ones_own_needs_no_folder(settings):
    trainer = cllm.Trainer(cllm.TrainConfig(**nowhere(settings)))
    losses = [report.loss for report in trainer]
    assert len(losses) == 20 and losses[-1] < losses[0]


def test_a_run_without_a_folder_stops_and_goes_on(settings):
    trainer = cllm.Trainer(cllm.TrainConfig(**nowhere(settings)))
    assert trainer.run(on_step=lambda report: report.step < 7 or trainer.request_stop()) is \
        cllm.RunOutcome.STOPPED
    assert trainer.steps_done == 7
    assert trainer.run() is cllm.RunOutcome.FINISHED


def test_what_needs_a_folder_says_so(settings):
    with pytest.raises(cllm.InputError, match="nothing to roll back to"):
        cllm.Trainer(cllm.TrainConfig(**nowhere(settings), on_divergence="rollback"))
    notes = []
    cllm.Trainer(cllm.TrainConfig(**nowhere(settings), keep=3)).run(on_note=notes.append)
    assert any("keep=3 is not used: there is no run folder" in note for note in notes)


def test_commands_want_a_folder(text_file, tmp_path):
    result = subprocess.run([TRAIN_MODEL, "--data", text_file], cwd=tmp_path, text=True,
                            capture_output=True, check=False)
    assert result.returncode == 2 and "--out: no place for the run" in result.stderr
    assert everything_below(tmp_path) == []


# -- a place that is taken ----------------------------------------------------------------------

def test_a_cell_can_be_run_again(settings):
    hashes = set()
    for _ in range(2):
        trainer = cllm.Trainer(cllm.TrainConfig(**settings, overwrite=True))
        trainer.run()
        hashes.add(trainer.weights_hash())
    assert len(hashes) == 1
    lines = (settings["out"] / "metrics.jsonl").read_text().splitlines()
    assert sum('"loss"' in line for line in lines) == 20


def test_what_the_user_put_beside_the_run_stays(settings):
    cllm.Trainer(cllm.TrainConfig(**settings)).run()
    (settings["out"] / "plot.svg").write_text("mine")
    (settings["out"] / "notes").mkdir()
    shorter = settings | {"steps": 5, "save_every": 0}
    cllm.Trainer(cllm.TrainConfig(**shorter, overwrite=True)).run()
    assert (settings["out"] / "plot.svg").read_text() == "mine"
    assert (settings["out"] / "notes").is_dir()
    assert os.listdir(settings["out"] / "checkpoints") == []
    assert cllm.Trainer(cllm.TrainConfig(resume=settings["out"])).steps_done == 5


def test_nothing_is_replaced_before_the_run_begins(settings):
    cllm.Trainer(cllm.TrainConfig(**settings)).run()
    before = everything_below(settings["out"])
    trainer = cllm.Trainer(cllm.TrainConfig(**settings, overwrite=True))
    trainer.step()
    assert everything_below(settings["out"]) == before


def test_only_a_run_is_replaced(settings):
    settings["out"].mkdir()
    (settings["out"] / "thesis.txt").write_text("mine")
    (settings["out"] / "config.toml").write_text("steps = 3\n")
    with pytest.raises(cllm.InputError, match="only a run can be overwritten"):
        cllm.Trainer(cllm.TrainConfig(**settings, overwrite=True))
    assert everything_below(settings["out"]) == ["config.toml", "thesis.txt"]


def test_a_run_in_use_is_not_replaced(settings):
    again = []

    def try_it(report):
        if report.step == 3:
            with pytest.raises(cllm.InputError, match="in use"):
                cllm.Trainer(cllm.TrainConfig(**settings, overwrite=True))
            again.append(report.step)

    assert cllm.Trainer(cllm.TrainConfig(**settings)).run(on_step=try_it) is \
        cllm.RunOutcome.FINISHED
    assert again == [3]


def test_a_run_does_not_replace_what_it_starts_from(settings):
    cllm.Trainer(cllm.TrainConfig(**settings)).run()
    with pytest.raises(cllm.InputError, match="holds what the new one starts from"):
        cllm.Trainer(cllm.TrainConfig(**settings, overwrite=True, init=settings["out"]))
    with pytest.raises(cllm.InputError, match="goes on in its folder"):
        cllm.Trainer(cllm.TrainConfig(resume=settings["out"], overwrite=True))


def test_the_option_is_not_part_of_a_run(settings):
    config = cllm.TrainConfig(**settings, overwrite=True)
    assert "overwrite" not in config.to_toml()
    trainer = cllm.Trainer(config)
    trainer.run(on_step=lambda report: report.step < 4 or trainer.request_stop())
    assert cllm.Trainer(cllm.TrainConfig(resume=settings["out"])).run() is \
        cllm.RunOutcome.FINISHED


def test_the_command_replaces_a_run_as_well(text_file, tmp_path):
    words = [TRAIN_MODEL, "--data", text_file, "--out", "run", "--steps", "2", "--layers", "1",
             "--dim", "16", "--heads", "1", "--seq", "8", "--batch", "2", "--quiet"]
    codes = [subprocess.run([*words, *more], cwd=tmp_path, capture_output=True,
                            check=False).returncode for more in ([], [], ["--overwrite"])]
    assert codes == [0, 2, 0]
    assert subprocess.run([RUN_MODEL, "--model", "run", "--prompt", "a", "--tokens", "2"],
                          cwd=tmp_path, capture_output=True, check=False).returncode == 0
