"""Calls that make no sense: typed errors, no crash, no hang, no leak.

Environment: CLLM_MALFORMED_CALLS, how many calls in all (default 1000; the long tier makes 10000).
"""

import math
import os

import pytest
from conftest import needs

pytestmark = needs("cllm", "numpy", "hypothesis")
np = pytest.importorskip("numpy")
cllm = pytest.importorskip("cllm")
pytest.importorskip("hypothesis")

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

CALLS = int(os.environ.get("CLLM_MALFORMED_CALLS", "1000"))
TYPED = (cllm.CllmError, TypeError)  # InputError is a CllmError
V, T, B = 11, 6, 3

many = settings(max_examples=math.ceil(CALLS / 6), deadline=None, database=None, derandomize=True,
                suppress_health_check=list(HealthCheck))


@pytest.fixture(scope="module")
def model():
    return cllm.Model.create(cllm.ModelConfig(layers=1, heads=2, dim=8, seq=T, vocab=V), workers=2)


@pytest.fixture(scope="module")
def trainer(tmp_path_factory):
    folder = tmp_path_factory.mktemp("malformed")
    np.arange(400, dtype="<u2").__mod__(V).astype("<u2").tofile(folder / "tokens.bin")
    return cllm.Trainer(cllm.TrainConfig(data=folder / "tokens.bin", vocab=V, out=folder / "run",
                                         layers=1, heads=2, dim=8, seq=T, batch=B, workers=2,
                                         steps=10**6))


# -- what is handed over ------------------------------------------------------------------------

def disturbed(array, how):
    """The same array read-only, backwards, in another order or with gaps."""
    if how == "read-only":
        array = array.copy()
        array.setflags(write=False)
    elif how == "backwards" and array.ndim:
        array = array[::-1]
    elif how == "transposed":
        array = array.T
    elif how == "gaps" and array.ndim:
        array = np.repeat(array, 2, axis=-1)[..., ::2]
    elif how == "swapped":
        array = array.astype(array.dtype.newbyteorder())
    elif how == "broadcast":
        array = np.broadcast_to(array, (2, *array.shape))
    return array


integers = st.one_of(hnp.integer_dtypes(), hnp.unsigned_integer_dtypes())
dtypes = st.one_of(integers, hnp.floating_dtypes(), hnp.complex_number_dtypes(),
                   hnp.boolean_dtypes(), hnp.byte_string_dtypes(max_len=4),
                   hnp.unicode_string_dtypes(max_len=4), hnp.datetime64_dtypes())
shapes = st.one_of(hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=T + 2),
                   st.sampled_from([(B, T), (B, T + 1), (1, T), (B, T - 1), (0, T), (B, 0)]))
arrays = st.builds(disturbed, hnp.arrays(dtypes, shapes),
                   st.sampled_from(["", "read-only", "backwards", "transposed", "gaps", "swapped",
                                    "broadcast"]))
# Mostly right, so that what is wrong lies deeper.
tokens = st.builds(disturbed, hnp.arrays(integers, st.sampled_from([(B, T), (B, T + 1), (2, 3)]),
                                         elements=st.integers(0, V)),
                   st.sampled_from(["", "read-only", "backwards", "gaps", "swapped"]))
huge = st.sampled_from([
    np.broadcast_to(np.int8(1), (2**40, T)), np.broadcast_to(np.int64(1), (1, 2**40)),
    np.zeros((B, T), object), np.full((B, T), None), np.zeros((B, T), [("a", "i4")]),
    np.full((B, T), 2**63, np.uint64), np.full((B, T), -(2**63)), np.full((B, T), np.nan),
    np.ma.masked_array(np.zeros((B, T), int), mask=True), np.zeros((B, T), "m8[s]")])
leaves = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5),
                   st.binary(max_size=5), st.complex_numbers())
objects = st.recursive(leaves, lambda inner: st.one_of(
    st.lists(inner, max_size=4), st.tuples(inner, inner),
    st.dictionaries(leaves, inner, max_size=2)), max_leaves=8)
anything = st.one_of(arrays, tokens, tokens, huge, objects, objects)


def attempt(call, *args, **kwargs):
    """The result, or None after a typed error that says something."""
    try:
        return call(*args, **kwargs)
    except TYPED as error:
        assert str(error)
        return None


# -- calls --------------------------------------------------------------------------------------

@many
@given(anything)
def test_logits(model, value):
    found = attempt(model.logits, value)
    if found is not None:
        assert found.shape == (*np.shape(value), V) and np.isfinite(found).all()


@many
@given(anything, anything)
def test_loss_and_gradients(model, inputs, targets):
    found = attempt(model.loss_and_gradients, inputs, targets)
    if found is not None:
        assert np.shape(inputs) == np.shape(targets) and math.isfinite(found[0])


@many
@given(anything, st.one_of(st.none(), anything))
def test_steps(trainer, inputs, targets):
    before = trainer.steps_done
    found = attempt(trainer.step, inputs, targets)
    assert trainer.steps_done == before + (found is not None)
    if found is not None:
        assert math.isfinite(found.loss) and not found.skipped


numbers = st.one_of(st.integers(-3, 3), st.integers(), st.floats(), st.text(max_size=3), st.none())


@many
@given(st.one_of(anything, st.lists(st.integers(0, V), max_size=9)), st.integers(-2, 9), numbers,
       numbers, numbers, numbers)
def test_generation(model, prompt, count, temperature, top_k, top_p, seed):
    assume(not (isinstance(prompt, np.ndarray) and len(prompt.shape) == 2 and len(prompt) > 99))
    found = attempt(model.generate, prompt, tokens=count, temperature=temperature, top_k=top_k,
                    top_p=top_p, seed=seed)
    wanted = len(prompt) if isinstance(found, list) else count  # several prompts give a list
    assert found is None or len(found) == wanted


@many
@given(st.dictionaries(st.one_of(st.sampled_from([o.key for o in cllm.options()]),
                                 st.text(max_size=8)), st.one_of(objects, numbers), max_size=3))
def test_configurations(changes):
    config = attempt(cllm.TrainConfig, **changes)
    if config is not None:
        assert cllm.TrainConfig(**config.to_dict()) == config
        attempt(cllm.plan_step, config.replace(workers=2, threads="auto"))
        attempt(cllm.TrainConfig.from_toml, config.to_toml())
    config = cllm.TrainConfig()
    for key, value in changes.items():
        if key in config.to_dict():
            attempt(setattr, config, key, value)
    attempt(cllm.configure, list(changes.items()))


@many
@given(objects, objects, st.one_of(objects, numbers))
def test_everything_else(model, trainer, one, other, number):
    attempt(cllm.plan_tree, number if not isinstance(number, int) else min(number, 3000), one)
    attempt(cllm.threads_for_workers, one, number)
    attempt(cllm.TrainConfig.from_toml, one)
    attempt(cllm.Trainer, one)
    attempt(cllm.plan_step, one)
    attempt(cllm.ModelConfig, layers=one, heads=number, dim=other)
    attempt(cllm.Model.load, one, workers=number)
    attempt(cllm.Model.create, one, seed=number)
    if not isinstance(number, int) or not 0 < number < 2**20:
        attempt(trainer.resize, number)
    attempt(trainer.run, on_step=3, progress=one, nonsense=number)
    if not isinstance(one, str | bytes):
        attempt(model.save, one)
        attempt(trainer.save, one)


def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def test_errors_leak_nothing(model, trainer):
    wrong = [np.zeros((B, T + 2), int), np.full((B, T), V), np.zeros((B, T)), np.zeros(T, int),
             [[1], [2, 3]], None, "text", np.full((B, T), 2**40), np.zeros((B, 0), int)]

    def round_of_errors():
        for value in wrong:
            for call in (model.logits, trainer.step, model.generate,
                         lambda v: model.loss_and_gradients(v, v)):
                if value is not None:
                    attempt(call, value)
            attempt(cllm.TrainConfig, batch=value)
            attempt(cllm.TrainConfig, nonsense=value)

    for _ in range(100):
        round_of_errors()
    before = resident()
    for _ in range(1000):
        round_of_errors()
    assert resident() < before + 4
