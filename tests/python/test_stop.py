"""Generation ends before a stop string, in Python and in both programs, for bytes and tokens."""

import subprocess
import sys

import cllm
import pytest
from cllm.prepare import prepare
from conftest import RUN_MODEL, needs

pytestmark = needs("tokenizers")


@pytest.fixture(scope="module", params=["bytes", "bpe:300"])
def run(request, text_file, tmp_path_factory):
    """A model that has learned words and spaces a little."""
    folder = tmp_path_factory.mktemp("stop")
    prepare([text_file], folder / "set", tokenizer=request.param, processes=1)
    cllm.Trainer(cllm.TrainConfig(data=folder / "set", out=folder / "run", steps=30, layers=1,
                                  heads=2, dim=32, seq=32, lr=1e-2, workers=1)).run()
    return folder / "run"


def test_text_ends_before_the_first_of_the_stops(run):
    model = cllm.Model.load(run)
    whole = model.generate("the king", tokens=60, seed=5)
    for stops in (" ", [whole[7:9], whole[20:23]], whole[-3:], "not in it"):
        places = [whole.find(stop) for stop in ([stops] if isinstance(stops, str) else stops)]
        end = min((place for place in places if place >= 0), default=len(whole))
        pieces = []
        found = model.generate("the king", tokens=60, seed=5, stop=stops, on_token=pieces.append)
        assert found == whole[:end], stops
        assert b"".join(pieces).decode(errors="replace") == found
    assert model.generate(b"the king", tokens=60, seed=5, stop=" ") == whole.split(" ")[0].encode()
    assert model.generate(["the king", "a"], tokens=20, seed=5, stop=" ")[0] == whole.split(" ")[0]


def test_a_listener_ends_it(run):
    model = cllm.Model.load(run)
    heard = []
    model.generate("the", tokens=50, seed=5, on_token=lambda piece: heard.append(piece) or False)
    assert len(heard) == 1
    ids = []
    found = model.generate([40, 41], tokens=50, on_token=lambda t: ids.append(t) or len(ids) < 3)
    assert found.tolist() == ids and len(ids) <= 3


def test_what_is_no_stop_is_refused(run):
    model = cllm.Model.load(run)
    for stop in ("", ["a", ""], 3, [3], b"a"):
        with pytest.raises(cllm.InputError, match="stop"):
            model.generate("the", stop=stop)
    with pytest.raises(cllm.InputError, match="prompt of text"):
        model.generate([1, 2], stop="a")


def test_both_programs_stop(run):
    whole = cllm.Model.load(run).generate("the king", tokens=60, seed=5)
    common = ["--model", run, "--prompt", "the king", "--tokens", "60", "--seed", "5"]
    stops = ["--stop", whole[9:11], "--stop", whole[30:32]]
    end = min(whole.find(whole[9:11]), whole.find(whole[30:32]))
    for program in ([RUN_MODEL], [sys.executable, "-m", "cllm", "generate"]):
        done = subprocess.run([*program, *common, *stops], capture_output=True, timeout=300,
                              check=False)
        assert done.returncode == 0, done.stderr
        assert done.stdout.decode(errors="replace") == "the king" + whole[:end] + "\n"
        refused = subprocess.run([*program, *common, "--stop", ""], capture_output=True,
                                 timeout=300, check=False)
        assert refused.returncode == 2 and b"stop" in refused.stderr, refused.stderr
