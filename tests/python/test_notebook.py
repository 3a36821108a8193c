"""Training in a real Jupyter kernel: the bar, an interrupt, a cell that is run again, an error."""

import contextlib
import json
import os
import re
import signal
import threading
import time

import pytest
from conftest import needs

pytestmark = needs("cllm", "numpy", "nbclient", "ipykernel")
cllm = pytest.importorskip("cllm")
nbclient = pytest.importorskip("nbclient")
run_sync = pytest.importorskip("jupyter_core.utils").run_sync
nbformat = pytest.importorskip("nbformat")

SETUP = """
import cllm
config = cllm.TrainConfig(data="{data}", out="run", layers=1, heads=1, dim=16, seq=16, batch=4,
                          steps={steps}, eval_every=100, save_every=0, workers=2, overwrite=True)
"""


class Notebook:
    """Cells that are run one after another in a kernel of their own."""

    def __init__(self, folder):
        self.book = nbformat.v4.new_notebook()
        self.client = nbclient.NotebookClient(self.book, timeout=120, kernel_name="python3",
                                              resources={"metadata": {"path": str(folder)}})

    def __enter__(self):
        self.setup = self.client.setup_kernel()
        self.setup.__enter__()
        return self

    def __exit__(self, *args):
        self.setup.__exit__(*args)

    def run(self, source):
        """The outputs of a new cell; of one that fails, too."""
        cell = nbformat.v4.new_code_cell(source)
        self.book.cells.append(cell)
        with contextlib.suppress(nbclient.exceptions.CellExecutionError):
            self.client.execute_cell(cell, len(self.book.cells) - 1)
        return cell.outputs


@pytest.fixture
def notebook(tmp_path):
    with Notebook(tmp_path) as running:
        yield running


def error_of(outputs):
    return next((output for output in outputs if output.output_type == "error"), None)


def text_of(outputs):
    return "".join(output.get("text", "") for output in outputs if output.output_type == "stream")


def wait_for_steps(folder):
    metrics = folder / "run/metrics.jsonl"
    deadline = time.monotonic() + 100
    while time.monotonic() < deadline and not (metrics.exists() and metrics.stat().st_size):
        time.sleep(0.05)


def test_progress_is_one_bar_and_a_cell_runs_again(notebook, text_file, tmp_path):
    assert error_of(notebook.run(SETUP.format(data=text_file, steps=300))) is None
    for _ in range(2):
        outputs = notebook.run("trainer = cllm.Trainer(config)\n"
                               "assert trainer.run(progress=True).name == 'FINISHED'")
        assert [output.output_type for output in outputs] == ["display_data"], outputs
        shown = outputs[0].data
        assert 'value="300" max="300"' in shown["text/html"]
        assert shown["text/plain"].startswith("step 300/300: loss ")
        assert "validation loss" in shown["text/plain"]
    assert (tmp_path / "run/final/model.safetensors").is_file()
    lines = [json.loads(line) for line in (tmp_path / "run/metrics.jsonl").open()]
    assert sum("loss" in line for line in lines) == 300


def test_shift_tab_shows_names_and_defaults(notebook):
    outputs = notebook.run("""
import cllm
for name in ("TrainConfig", "ModelConfig"):
    print(get_ipython().object_inspect_text(f"cllm.{name}"))""")
    text = re.sub(r"\x1b\[\d*m", "", text_of(outputs))
    assert "lr='auto'," in text and text.count("layers=4,") == 2
    assert "highest learning rate" in text and "weight_decay: " in text


def test_an_interrupt_saves_and_the_next_cell_goes_on(notebook, text_file, tmp_path):
    notebook.run(SETUP.format(data=text_file, steps=10**6))
    notebook.run("trainer = cllm.Trainer(config)")

    def interrupt():
        wait_for_steps(tmp_path)
        os.kill(int((tmp_path / "pid").read_text()), signal.SIGINT)

    notebook.run("import os, pathlib; pathlib.Path('pid').write_text(str(os.getpid()))")
    thread = threading.Thread(target=interrupt)
    thread.start()
    outputs = notebook.run("trainer.run(progress=True)")
    thread.join()
    assert error_of(outputs).ename == "KeyboardInterrupt"
    assert (tmp_path / "run/checkpoints/latest/model.safetensors").is_file()
    bar = next(output for output in outputs if output.output_type == "display_data")
    assert "stopped" in bar.data["text/plain"]
    steps = notebook.run("""
done = trainer.steps_done
trainer.run(on_step=lambda r: r.step < done + 5 or trainer.request_stop())
print(trainer.steps_done - done)""")
    assert text_of(steps) == "5\n"


def test_an_error_in_a_callback_is_the_cells_and_the_kernel_goes_on(notebook, text_file, tmp_path):
    notebook.run(SETUP.format(data=text_file, steps=300))
    outputs = notebook.run("""
def fail(report):
    if report.step == 5:
        raise LookupError("mine")
trainer = cllm.Trainer(config, callbacks=[fail])
trainer.run(progress=True)""")
    assert error_of(outputs).ename == "LookupError"
    again = notebook.run("print(cllm.Trainer(cllm.TrainConfig(resume='run')).steps_done)")
    assert text_of(again) == "5\n"


def test_a_kernel_that_is_shut_down_in_a_cell_saves_first(text_file, tmp_path):
    """The front end asks, waits, and ends the process with SIGTERM."""
    with Notebook(tmp_path) as notebook:
        notebook.run(SETUP.format(data=text_file, steps=10**6))
        notebook.client.kc.execute("cllm.Trainer(config).run(progress=True)")
        wait_for_steps(tmp_path)
        notebook.client.km.shutdown_wait_time = 8
        run_sync(notebook.client.km.shutdown_kernel)()
    assert (tmp_path / "run/checkpoints/latest/model.safetensors").is_file()
    assert cllm.Trainer(cllm.TrainConfig(resume=tmp_path / "run")).steps_done > 0


def test_a_kernel_that_is_shut_down_leaves_a_run_that_goes_on(text_file, tmp_path):
    with Notebook(tmp_path) as notebook:
        notebook.run(SETUP.format(data=text_file, steps=10**6))
        notebook.run("import threading\n"
                     "trainer = cllm.Trainer(config)\n"
                     "begun = threading.Event()\n"
                     "threading.Thread(target=trainer.run, daemon=True,\n"
                     "                 kwargs={'on_step': lambda r: begun.set()}).start()\n"
                     "begun.wait()")
        run_sync(notebook.client.km.shutdown_kernel)()
    resumed = cllm.Trainer(cllm.TrainConfig(resume=tmp_path / "run"))
    assert resumed.steps_done >= 0
    cllm.Trainer(cllm.TrainConfig(resume=tmp_path / "run", steps=resumed.steps_done + 3)).run()
