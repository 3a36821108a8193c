"""Configurations, reports and plans are values: they compare, copy, pickle and become dicts."""

import copy
import json
import math
import pickle

import pytest
from conftest import needs

pytestmark = needs("cllm", "numpy")
np = pytest.importorskip("numpy")
cllm = pytest.importorskip("cllm")


@pytest.fixture(scope="module")
def values(text_file, tmp_path_factory):
    """One value of each class, from a short run."""
    run = tmp_path_factory.mktemp("values") / "run"
    trainer = cllm.Trainer(cllm.TrainConfig(
        data=text_file, out=run, layers=1, heads=2, dim=24, seq=16, batch=4, steps=4, eval_every=2,
        workers=2, activate_all=True, lattice=True))
    steps, evaluations = [], []
    trainer.run(on_step=steps.append, on_evaluation=evaluations.append)
    tree = cllm.plan_tree(14)
    found = [steps[-1], evaluations[-1], trainer.spheres()[0], trainer.groups()[0],
             trainer.rings()[0],
             trainer.model_config, cllm.plan_step(trainer.config), tree, tree.spheres[1],
             cllm.options()[3]]
    return run, {type(value).__name__: value for value in found}


NAMES = ["StepReport", "EvaluationReport", "SphereReport", "GroupReport", "RingReport",
         "ModelConfig", "StepPlan", "TreePlan", "SpherePlan", "Option"]


@pytest.mark.parametrize("name", NAMES)
def test_a_copy_is_equal_and_another_one_is_not(values, name):
    value = values[1][name]
    for same in (copy.copy(value), copy.deepcopy(value), pickle.loads(pickle.dumps(value))):
        assert same == value
        assert same is not value and type(same) is type(value)
        assert hash(same) == hash(value) and repr(same) == repr(value)
        assert same.to_dict() == value.to_dict()
    assert value != name
    with pytest.raises(AttributeError):
        setattr(value, next(iter(value.to_dict())), 3)


def test_reports_differ_where_a_field_does(values):
    report = values[1]["StepReport"]
    state = report.__getstate__()
    for field, other in (("loss", report.loss + 1), ("step", 9), ("skipped", True)):
        another = type(report).__new__(type(report))
        another.__setstate__(state | {field: other})
        assert another != report
    nan = type(report).__new__(type(report))
    nan.__setstate__(state | {"loss": math.nan})
    assert nan == copy.copy(nan), "a report of a step that was skipped equals its copy"


def test_reports_have_the_names_and_values_of_the_files(values):
    run, found = values
    metrics = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert found["StepReport"].to_dict() == [m for m in metrics if "loss" in m][-1]
    evaluation = found["EvaluationReport"]
    line = [m for m in metrics if "val_loss" in m][-1]
    assert evaluation.to_dict() == line | {"perplexity": evaluation.perplexity}
    assert evaluation.perplexity == pytest.approx(math.exp(evaluation.val_loss))
    for name, file in (("SphereReport", "spheres"), ("GroupReport", "groups"),
                       ("RingReport", "rings")):
        line = json.loads((run / f"{file}.jsonl").read_text().splitlines()[0])
        assert {"step", *found[name].to_dict()} == set(line)


def test_a_report_is_written_out_in_full(values):
    text = repr(values[1]["StepReport"])
    assert text.startswith("StepReport(step=4, epoch=") and "grad_norm=" in text
    assert repr(values[1]["GroupReport"]).startswith("GroupReport(group=0, ")


def test_a_model_config_says_how_large_the_model_is(values):
    model = values[1]["ModelConfig"]
    assert model.parameters == values[1]["StepPlan"].parameters
    assert model.to_dict()["dim"] == 24 and "parameters" not in model.to_dict()
    assert {model: 1}[copy.copy(model)] == 1


def test_a_model_config_is_made_again_from_its_fields_and_its_text():
    for given in ({}, {"layers": 2, "dim": 48, "bias": False, "resid_pdrop": 0.25},
                  {"rope_theta": 5e5, "initializer_range": 0.04, "rope_scaling": {
                      "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0,
                      "high_freq_factor": 4.0, "original_max_position_embeddings": 256}}):
        model = cllm.ModelConfig(**given)
        assert cllm.ModelConfig(**model.to_dict()) == model
        assert eval(repr(model), {"ModelConfig": cllm.ModelConfig}) == model
        assert hash(pickle.loads(pickle.dumps(model))) == hash(model)
        assert given.items() <= model.to_dict().items()
        assert all(key in repr(model) for key in given)
    assert "hidden" not in repr(model)


@pytest.mark.parametrize("given, wanted", [
    ({"family": "mamba"}, "no such family of models: got mamba, expected gpt2, llama"),
    ({"activation": "swish"}, "no such activation: got swish"),
])
def test_a_model_config_refuses_by_name(given, wanted):
    with pytest.raises(cllm.InputError, match=wanted):
        cllm.ModelConfig(**given)


SCALING = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
           "original_max_position_embeddings": 256}
NUMBERS = tuple(SCALING)[1:]


@pytest.mark.parametrize("scaling, key, what", [
    ("llama3", "", "not a dict: got 'llama3'"), ([8.0], "", "not a dict"),
    ({}, "rope_type", "missing"),
    *((SCALING | {"rope_type": type}, "rope_type", "no such scaling")
      for type in ("yarn", "", None, 3, "\udcff", "x" * 10**6)),
    ({"type": "linear", "factor": 2.0}, "type", "no such scaling"),
    *(({k: v for k, v in SCALING.items() if k != key}, key, "missing") for key in NUMBERS),
    *((SCALING | {key: value}, key, what) for key in NUMBERS for value, what in (
        (math.inf, "not finite"), (-math.inf, "not finite"), (math.nan, "not finite"),
        ("8", "not a number: got '8'"), (None, "not a number"), (True, "not a number"),
        ([8.0], "not a number"), (10**400, "not a number"), (10**5000, "not a number: got a int"),
        (1e300, ""), (0, ""), (-1, ""))),
    (SCALING | {NUMBERS[-1]: 256.5}, NUMBERS[-1], "not a number of tokens: got 256.5"),
])
def test_a_scaling_that_cannot_be_is_refused_by_its_key(scaling, key, what):
    with pytest.raises(cllm.InputError) as caught:
        cllm.ModelConfig(family="llama", rope_scaling=scaling)
    said = str(caught.value)
    assert said.startswith(f"rope_scaling: {key}: {what}" if key else f"rope_scaling: {what}")
    assert "\n" not in said and len(said) < 500


def test_numbers_of_numpy_and_the_older_name_are_a_scaling_too():
    given = {key: np.float32(value) for key, value in SCALING.items() if key != "rope_type"}
    made = cllm.ModelConfig(family="llama", rope_scaling={"type": "llama3", **given})
    assert made == cllm.ModelConfig(family="llama", rope_scaling=SCALING)


def test_the_configuration_of_a_trainer_cannot_be_changed(settings):
    trainer = cllm.Trainer(cllm.TrainConfig(**settings))
    config = trainer.config
    assert isinstance(config, cllm.TrainConfig) and config.warmup == 10
    with pytest.raises(AttributeError, match=r"cannot be changed.*replace\(lr=0.5\)"):
        config.lr = 0.5
    with pytest.raises(AttributeError, match="cannot be changed"):
        config.bacth = 3
    assert trainer.config.lr == settings["lr"]
    for other in (copy.copy(config), copy.deepcopy(config), pickle.loads(pickle.dumps(config)),
                  config.replace()):
        assert other == config
        other.lr = 0.5
        assert other != config


def test_a_configuration_with_data_in_memory_is_a_value_too():
    ids = np.arange(40, dtype=np.int16)
    for data in ("to be\nor not\n", ["to be", "or not"], ids, b"\xff\n"):
        config = cllm.TrainConfig(data=data, steps=3)
        for same in (copy.copy(config), pickle.loads(pickle.dumps(config)), config.replace(),
                     cllm.TrainConfig(**config.to_dict())):
            assert same == config
            np.testing.assert_array_equal(same.data, data)
        assert config.replace(data="other\n") != config
        assert "in memory" in repr(config) and "in memory" in config.to_toml()


def test_an_error_is_one_line_whoever_raises_it():
    error = cllm.InputError("a\nb \x1b[31m \u2028 \udcff" + "x" * 10**6 + " the end")
    assert str(error).startswith("a\\nb \\x1b[31m \\u2028 \udcffxxx")
    assert str(error).endswith("xxx the end") and len(str(error)) < 2000
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
    for c, escape in ("\U000e0001", "\\U000e0001"), ("\u2028", "\\u2028"), ("\n", "\\n"):
        for count in (1500, 10**6):
            said = str(cllm.InputError(c * count))
            begin, end = said.split("...")
            assert 1480 < len(said) <= 1500 and {*begin.split(escape), *end.split(escape)} == {""}
    assert str(cllm.InputError("\n" * 750)) == "\\n" * 750
    assert (str(cllm.CllmError()), str(cllm.CllmError("a", 2))) == ("", "('a', 2)")
