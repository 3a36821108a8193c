"""Calls that do not fit: one line in the words of cllm, wherever they are made."""

import inspect
import os
import warnings

import pytest
from conftest import needs

pytestmark = needs("cllm", "numpy")
cllm = pytest.importorskip("cllm")

TEXT = "the king speaks\n" * 60


@pytest.fixture(scope="module")
def things():
    config = cllm.TrainConfig(data=TEXT, layers=1, heads=1, dim=8, seq=8, batch=2, steps=4,
                              workers=1)
    trainer = cllm.Trainer(config)
    shape = cllm.ModelConfig(layers=1, heads=1, dim=8, seq=8)
    model = cllm.Model.create(shape, byte_tokens=True)
    tree = cllm.plan_tree(4)
    found = [config, trainer, trainer.config, shape, model, tree, tree.spheres[0], trainer.step(),
             trainer.evaluate(), trainer.spheres()[0], trainer.groups()[0], cllm.plan_step(config),
             cllm.options()[0], cllm.EarlyStopping()]
    return {type(thing).__name__: thing for thing in found}


def callables(things):
    """Everything public that can be called, by its name."""
    found = {name: getattr(cllm, name) for name in cllm.__all__
             if callable(getattr(cllm, name)) and name not in ("RunOutcome", "CllmError",
                                                               "InputError", "CllmWarning")}
    owners = things | {name: thing for name, thing in found.items() if isinstance(thing, type)
                       and name not in things}
    for name, owner in owners.items():
        for member in dir(owner):
            if not member.startswith(("_", "on_")) and callable(getattr(owner, member)):
                found[f"{name}.{member}"] = getattr(owner, member)
    return found


class Strange:
    """Is no argument of anything."""

    def __repr__(self):
        return "strange"


def test_no_call_gives_the_text_of_pybind11(things):
    functions = callables(things)
    assert len(functions) > 60
    one_line = 0
    for name, function in functions.items():
        for given, keywords in (((Strange(),) * 12, {}), ((), {"nonsense": 3}), ((Strange(),), {}),
                                ((None,), {}), (("a", "b", "c", "d"), {})):
            if (name.partition(".")[2] in ("run", "step", "request_stop", "request_save", "save")
                    and not keywords and len(given) == 1):
                continue  # they may do something
            try:
                function(*given, **keywords)
            except Exception as error:
                text = str(error)
                assert isinstance(error, TypeError | ValueError), (name, error)
                assert "incompatible" not in text and "Invoked with" not in text, (name, text)
                assert "_cllm" not in text and "\n" not in text and len(text) < 600, (name, text)
                one_line += 1
    assert one_line > 150


class TwoArguments:
    def on_evaluation(self, state, control):
        """As a callback of transformers has it."""


def test_names_of_other_packages_lead_to_ours():
    for thing, name, said in ((cllm, "TrainingArguments", r"\(here it is TrainConfig\)"),
                              (cllm, "nothing", "no attribute 'nothing'$")):
        with pytest.raises(AttributeError, match=said):
            getattr(thing, name)
    assert cllm.prepare.prepare and cllm.token_files.DataSet


def test_other_names_of_a_setting_mean_the_same(things):
    model = things["Model"]
    assert model.generate("a", max_new_tokens=5) == model.generate("a", tokens=5)


@pytest.mark.parametrize("call, said", [
    (lambda t: cllm.TrainConfig("a.txt"), "TrainConfig: an argument without a name: got 'a.txt', "
                                          "expected options, as in layers=4"),
    (lambda t: cllm.ModelConfig(4, 4), "ModelConfig: an argument without a name: got 4, expected "
                                       "one of layers=, heads="),
    (lambda t: cllm.ModelConfig(n_layer=4), r"got n_layer, .* \(did you mean layers\?\)"),
    (lambda t: cllm.ModelConfig(layer=4), r"got layer, .* \(did you mean layers\?\)"),
    (lambda t: cllm.ModelConfig(layers="4"), "layers does not fit: got '4', expected an integer"),
    (lambda t: cllm.ModelConfig(layers=2**70), "layers does not fit: got 1180591620717411303424, "),
    (lambda t: cllm.Trainer({"data": "a"}), "Trainer: config does not fit: got {'data': 'a'}, "
                                            "expected a cllm.TrainConfig"),
    (lambda t: t["Trainer"].resize(), "Trainer.resize: an argument is missing: expected workers"),
    (lambda t: t["Trainer"].resize(2, workers=2), "given twice: got workers"),
    (lambda t: t["Trainer"].save(3), "folder: not a path: got 3, expected a str or an os.PathLike"),
    (lambda t: t["Trainer"].evaluate("a\n", 3), "Trainer.evaluate: too many arguments: got 2, "),
    (lambda t: setattr(t["Trainer"], "learning_rate", "x"), "learning_rate: not a number: got 'x'"),
    (lambda t: cllm.Model(), "the first argument does not fit: got nothing, expected config, a "
                             "cllm.ModelConfig or folder, a path"),
    (lambda t: cllm.Model.create(3), "Model: the first argument does not fit: got 3"),
    (lambda t: t["Model"].generate("a", tokens="3"), "generate: tokens does not fit: got '3'"),
    (lambda t: t["Model"].generate("a", max_new_token=3), "no such argument: got max_new_token"),
    (lambda t: t["Model"].generate("a", tokens=3, length=4), "tokens is given under two names"),
    (lambda t: t["Model"].generate("a", max_new_tokens=3, length=4), "under two names"),
    (lambda t: t["Model"].generate("a", temprature=3), r"\(did you mean temperature\?\)"),
    (lambda t: cllm.plan_tree(2.5), "plan_tree: threads does not fit: got 2.5, expected an int"),
    (lambda t: cllm.configure([("a",)]), r"configure: given does not fit: got .*pairs"),
    (lambda t: cllm.Machine.measure([1, "a"]), "workers does not fit: .*a list of integers"),
    (lambda t: cllm.StepReport(), "StepReport: cannot be made by hand"),
])
def test_what_is_said(things, call, said):
    with pytest.raises(TypeError, match=said):
        call(things)


@pytest.mark.parametrize("call, said", [
    (lambda t: t["Trainer"].run(on_step=3), "on_step: not a function: got 3"),
    (lambda t: t["Trainer"].run(callbacks=[TwoArguments()]),
     r"TwoArguments.on_evaluation is called with one argument: got .*, expected .*\(report\)"),
    (lambda t: t["Trainer"].run(callbacks=[lambda: 3]), "called with one argument"),
    (lambda t: t["Model"].generate(3), "prompt: not tokens: got 3"),
    (lambda t: t["Model"].generate("a", on_token=3), "on_token: not a function: got 3"),
])
def test_a_wrong_value_is_bad_input(things, call, said):
    with pytest.raises(cllm.InputError, match=said):
        call(things)


def test_an_error_of_a_callback_stays_its_own(things):
    text = ("f(): incompatible function arguments. The following argument types are supported:\n"
            "    1. (x: int) -> int\n\nInvoked with: 'mine'")

    def fail(token):
        raise TypeError(text)  # as another package made with pybind11 does

    with pytest.raises(TypeError) as caught:
        things["Model"].generate("a", on_token=fail)
    assert str(caught.value) == text and caught.traceback[-1].name == "fail"


@pytest.mark.parametrize("name, hint", [
    ("config", "make another trainer"), ("steps_done", "the trainer says"),
    ("lr", "did you mean learning_rate"), ("learnin_rate", "did you mean learning_rate")])
def test_what_a_trainer_does_not_let_set_is_said(things, name, hint):
    with pytest.raises(AttributeError, match=rf"trainer.{name} cannot be set.*{hint}"):
        setattr(things["Trainer"], name, 3)

    class Mine(cllm.Trainer):
        pass

    mine = Mine(things["TrainConfig"])
    mine.own = 3
    assert mine.own == 3


@pytest.mark.parametrize("thing, name, hint", [
    ("Trainer", "train", r"run\(progress=True\)"), ("Trainer", "save_model", "save"),
    ("Model", "forward", "logits"), ("Model", "save_pretrained", "save")])
def test_names_of_transformers_lead_to_ours(things, thing, name, hint):
    said = rf"'{thing}' object has no attribute '{name}'.*{hint}"
    with pytest.raises(AttributeError, match=said):
        getattr(things[thing], name)
    assert not hasattr(things[thing], "nothing_of_this_kind")


@pytest.mark.parametrize("name, hint", [
    ("layer", 'did you mean "layers"'), ("weight_deacy", 'did you mean "weight_decay"'),
    ("optim", "the optimizer is AdamW"), ("frobnicate", r"cllm.options\(\) lists them")])
def test_a_name_that_is_no_option_cannot_be_set(name, hint):
    config = cllm.TrainConfig()
    with pytest.raises(AttributeError, match=rf'unknown option: got "{name}" \({hint}'):
        setattr(config, name, 3)
    config.n_layer = 3
    assert config.layers == 3
    with pytest.raises(cllm.InputError, match="layers"):
        config.layers = "x"


# -- what an editor shows -----------------------------------------------------------------------

@pytest.mark.parametrize("cls", [cllm.TrainConfig, cllm.ModelConfig])
def test_every_option_stands_in_the_signature_and_in_the_words(cls):
    parameters = inspect.signature(cls).parameters
    shown = {name: p.default for name, p in parameters.items()}
    follows = {name for name, value in shown.items() if value is None and cls is cllm.ModelConfig}
    assert shown | {name: getattr(cls(), name) for name in follows} == cls().to_dict()
    assert {p.kind for p in parameters.values()} == {inspect.Parameter.KEYWORD_ONLY}
    options = cls.__doc__.partition("\nOptions:\n")[2]
    for name in parameters:
        assert f"    {name}: " in options
    assert "\n" not in repr(cls()) and not hasattr(cls(), "__signature__")


# -- notes --------------------------------------------------------------------------------------

def caught(run):
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("default")
        run()
    return [each for each in found if each.category is cllm.CllmWarning]


def notable(**more):
    return cllm.Trainer(cllm.TrainConfig(
        data=TEXT, val=TEXT, layers=1, heads=1, dim=8, seq=8, batch=2, steps=4, **more))


def test_a_note_is_a_warning_where_nobody_shows_it(capfd):
    found = caught(lambda: notable().run())
    texts = [str(each.message) for each in found]
    assert sum("training data itself" in text for text in texts) == 1
    assert found[0].filename == __file__, "it points to who called run()"
    assert not any(text.startswith("warning:") for text in texts)
    heard = []
    listening = type("Listens", (), {"on_note": lambda self, text: heard.append(text)})()
    assert not caught(lambda: notable().run(on_note=heard.append))
    assert not caught(lambda: notable().run(callbacks=[listening]))
    assert not caught(lambda: notable().run(progress=True))
    assert not caught(lambda: notable(quiet=True).run())
    assert sum("training data itself" in text for text in heard) == 2
    assert "training data itself" in capfd.readouterr().err


def test_a_loop_of_steps_warns_once_where_it_stands():
    def loop():
        trainer = notable()
        for _ in trainer:
            pass

    def steps():
        trainer = notable()
        trainer.step()
        trainer.step()
        trainer.run()

    for call in (loop, steps):
        found = caught(call)
        assert sum("training data itself" in str(each.message) for each in found) >= 1
        assert {each.filename for each in found} == {__file__}
    assert len({each.lineno for each in caught(loop)}) == 1
    assert not caught(lambda: notable(quiet=True).step())


def test_a_run_with_nothing_to_note_warns_of_nothing(tmp_path):
    for out in ("", tmp_path / "run"):
        config = cllm.TrainConfig(data=TEXT * 9, out=out, layers=1, heads=1, dim=8, seq=8, batch=2,
                                  steps=40)
        assert not caught(cllm.Trainer(config).run)


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="one core")
def test_fewer_workers_than_cores_is_news_and_no_warning():
    config = cllm.TrainConfig(data=TEXT * 9, layers=1, heads=1, dim=8, seq=8, batch=2, steps=4,
                              workers=1)
    heard = []
    assert not caught(cllm.Trainer(config).run)
    assert not caught(cllm.Trainer(config).step)
    cllm.Trainer(config).run(on_note=heard.append)
    assert sum("computes; " in text and "uses them all" in text for text in heard) == 1


def test_a_warning_that_is_an_error_ends_the_run_and_comes_out():
    with warnings.catch_warnings():
        warnings.simplefilter("error", cllm.CllmWarning)
        with pytest.raises(cllm.CllmWarning, match="training data itself"):
            notable().run()
