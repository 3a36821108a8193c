"""The Python package: configuration, plans, training on one's own arrays, views, text."""

import copy
import json
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
import tomllib
from pathlib import Path

import pytest
from conftest import needs

pytestmark = needs("cllm", "numpy")
np = pytest.importorskip("numpy")
cllm = pytest.importorskip("cllm")


# -- configuration and plans --------------------------------------------------------------------

def test_config_has_every_option_of_the_table():
    config = cllm.TrainConfig()
    defaults = config.to_dict()
    assert list(defaults) == [option.key for option in cllm.options()]
    for option in cllm.options():
        value = getattr(config, option.key)
        assert value == defaults[option.key]
        assert isinstance(value, {"text": str, "integer": int, "real": float, "flag": bool}[
            option.type]) or (value == "auto" and option.may_be_auto), option.key
        assert option.help in getattr(cllm.TrainConfig, option.key).__doc__
    with pytest.raises(AttributeError):
        config.bacth = 3


def test_config_survives_every_copy(settings):
    config = cllm.TrainConfig(**settings, min_lr=np.float32(0.125), grad_accum=np.int16(3),
                              epochs="auto", no_bias=True)
    assert config.data == os.fspath(settings["data"])
    assert config.min_lr == 0.125
    assert config.grad_accum == 3
    for same in (pickle.loads(pickle.dumps(config)), copy.deepcopy(config), config.replace(),
                 cllm.TrainConfig(**config.to_dict()), cllm.TrainConfig.from_toml(config.to_toml()),
                 eval(repr(config), {"TrainConfig": cllm.TrainConfig})):
        assert same == config
        assert same is not config
    assert config.replace(lr=0.5) != config
    assert config != "config"
    assert tomllib.loads(config.to_toml())["no_bias"] is True
    with pytest.raises(TypeError):
        hash(config)


@pytest.mark.parametrize("change, parts", [
    ({"bacth": 3}, ['"bacth"', 'did you mean "batch"']),
    ({"frobnicate": 3}, ['"frobnicate"', "(cllm.options() lists them)"]),
    ({"fp16": True}, ['"fp16"', 'precision="bf16"']),
    ({"learning_rate": "fast"}, ["learning_rate: ", '"fast"']),
    ({"bf16": "yes"}, ["bf16: ", "'yes'", "True or False"]),
    ({"device": "cpu", "bacth": 3}, ['unknown options: got "device" (', '"bacth" (did you mean']),
    ({"resume_from_checkpoint": True}, ["got True", 'resume_from_checkpoint="RUN"']),
    ({"resume_from_checkpoint": None}, ["got None", "leave it out"]),
    ({"max_steps": -1}, ["max_steps: ", "epochs=N"]),
    ({"init_from": "resume"}, ['resume="RUN"', 'init="FOLDER"']),
    ({"lr": 1, "learning_rate": 1}, ["lr and learning_rate: two names of one option"]),
    ({"max_steps": 1, "max_iters": 1}, ["max_steps and max_iters: two names of one option"]),
    ({"grad-accum": 3}, ['"grad-accum"', 'did you mean "grad_accum"']),
    ({"batch": 0}, ["batch: ", '"0"', "from 1"]),
    ({"batch": 1.0}, ["batch: ", '"1.0"', "integer", "write 1"]),
    ({"batch": True}, ["batch: ", '"True"']),
    ({"batch": 10**5000}, ["batch: ", "digits"]),
    ({"lr": float("nan")}, ["lr: ", '"nan"', "number"]),
    ({"lr": [1]}, ["lr: ", '"[1]"']),
    ({"data": 3}, ["data: ", "got 3", "text"]),
    ({"data": "a\0b"}, ["data: ", "zero"]),
    ({"no_bias": 1}, ["no_bias: ", "True or False"]),
    ({"schedule": "cosin"}, ["schedule: ", 'did you mean "cosine"']),
    ({"steps": None}, ["steps: ", '"None"', "auto"]),
])
def test_config_refuses_with_the_engines_text(change, parts):
    with pytest.raises(cllm.InputError) as caught:
        cllm.TrainConfig(**change)
    assert isinstance(caught.value, ValueError) and isinstance(caught.value, cllm.CllmError)
    for part in parts:
        assert part in str(caught.value)
    if len(change) == 1 and hasattr(cllm.TrainConfig, key := next(iter(change))):
        config = cllm.TrainConfig()
        with pytest.raises(cllm.InputError):
            setattr(config, key, change[key])
        assert config == cllm.TrainConfig()


def test_names_of_other_programs_are_names_of_options():
    config = cllm.TrainConfig(learning_rate=0.25, n_layer=3, per_device_train_batch_size=5,
                              output_dir=Path("run"), num_train_epochs=2.5, bf16=True)
    assert config == cllm.TrainConfig(lr=0.25, layers=3, batch=5, out="run", epochs=2.5,
                                      precision="bf16")
    assert config.learning_rate == config.lr == 0.25 and config.bf16 is True
    config.max_iters = 7
    config.bf16 = False
    assert config.steps == config.max_steps == 7 and config.precision == "fp32"
    assert config.replace(n_embd=64).dim == 64
    assert cllm.TrainConfig.from_toml("block_size = 32\nbf16 = true\n") == cllm.TrainConfig(
        seq=32, precision="bf16")
    assert set(config.to_dict()) == {option.key for option in cllm.options()}
    assert "learning_rate" not in config.to_toml() and "learning_rate" not in repr(config)
    assert pickle.loads(pickle.dumps(config)) == config
    aliases = {option.key: option.aliases for option in cllm.options()}
    assert "learning_rate" in aliases["lr"] and "bf16" in aliases["precision"]
    for key, names in aliases.items():
        for name in names:
            assert key in getattr(cllm.TrainConfig, name).__doc__


def test_errors_name_what_python_calls_it(settings, tmp_path):
    def error(call):
        with pytest.raises(cllm.InputError) as caught:
            call()
        assert "--" not in str(caught.value), caught.value
        return str(caught.value)

    config = cllm.TrainConfig(**settings)
    (tmp_path / "tokens.bin").write_bytes(bytes(200))
    (tmp_path / "used").mkdir()
    (tmp_path / "used/file").touch()
    for changes, text in [
        ({"data": ""}, 'data: nothing to train on'),
        ({"n_head": 5}, "n_head: heads do not divide the width"),
        ({"heads": 5}, "heads: heads do not divide the width"),
        ({"data": tmp_path / "tokens.bin"}, "vocab=N"),
        ({"seq": 10**6}, "got seq=1000000"),
        ({"out": tmp_path / "used"}, "out: the run folder is already used"),
        ({"positions": 9, "batch": 2}, "at most batch * grad_accum = 2"),
        ({"steps": 5, "epochs": 2}, "epochs: steps and epochs are both given"),
        ({"eval_every": -1}, "eval_every: "),
    ]:
        assert text in error(lambda c=changes: cllm.Trainer(config.replace(**c)))
    assert error(lambda: cllm.Trainer(cllm.TrainConfig(resume="nowhere"))).startswith("resume: ")


def test_trainer_says_what_is_missing(settings):
    with pytest.raises(cllm.InputError, match="nothing to train on"):
        cllm.Trainer(cllm.TrainConfig())
    with pytest.raises(cllm.InputError, match="no such file"):
        cllm.Trainer(cllm.TrainConfig(**settings).replace(data="nowhere.txt"))


def test_tree_of_64_threads():
    tree = cllm.plan_tree(64)
    roles = [sphere.role for sphere in tree.spheres]
    assert [roles.count(role) for role in ("root", "control", "worker")] == [1, 12, 51]
    assert len(tree) == 64 and tree.levels == 3 and len(tree.workers) == 51
    for sphere in tree.spheres:
        assert all(tree.spheres[child].parent == sphere.id for child in sphere.children)
        assert len(sphere.children) <= 12
    assert [cllm.plan_tree(n, symmetry_order=2).levels for n in (1, 3, 4)] == [1, 2, 3]
    assert cllm.threads_for_workers(51) == 64
    with pytest.raises(cllm.InputError):
        cllm.plan_tree(0)


def test_step_plan_needs_no_files():
    plan = cllm.plan_step(cllm.TrainConfig(batch=24, seq=128, workers=64))
    assert (plan.batch, plan.sequence, plan.workers) == (24, 128, 64)
    assert plan.model == cllm.ModelConfig(seq=128)
    assert 1 <= plan.positions <= plan.shards and plan.largest_shard * plan.shards >= 24
    assert plan.parameter_memory >= 4 * plan.parameters
    assert plan.memory == (plan.parameter_memory + plan.moment_memory + plan.activation_memory
                           + plan.worker_memory + plan.other_memory)


# -- training -----------------------------------------------------------------------------------

def test_run_reports_and_writes(settings):
    steps, evaluations, folders, notes = [], [], [], []
    trainer = cllm.Trainer(cllm.TrainConfig(**settings))
    outcome = trainer.run(on_step=steps.append, on_evaluation=evaluations.append,
                          on_checkpoint=folders.append, on_note=notes.append)
    assert outcome is cllm.RunOutcome.FINISHED
    assert [report.step for report in steps] == list(range(1, 21))
    assert steps[-1].loss < steps[0].loss and steps[0].grad_norm > 0
    assert [report.step for report in evaluations] == [10, 20]
    assert evaluations[-1].val_loss == trainer.evaluate().val_loss
    assert folders[-1] == os.fspath(settings["out"] / "final")
    assert any("parameters" in note and "spheres" not in note for note in notes)
    assert trainer.config.min_lr == pytest.approx(3e-4)
    model = cllm.Model.load(settings["out"])
    for name, values in trainer.parameters().items():
        np.testing.assert_array_equal(model.parameters()[name], values)


def test_steps_can_be_iterated(settings):
    by_run, by_hand = cllm.Trainer(cllm.TrainConfig(**settings)), []
    by_run.run()
    trainer = cllm.Trainer(cllm.TrainConfig(**settings).replace(out=settings["out"] / "other"))
    by_hand = [report.step for report in trainer]
    assert by_hand == list(range(1, 21)) and list(trainer) == []
    assert trainer.weights_hash() == by_run.weights_hash()


def test_own_arrays_in_every_form_give_the_same_step(settings):
    config = cllm.TrainConfig(**settings)
    tokens = np.random.default_rng(4).integers(0, 257, (5, 17))
    hashes = set()
    strange = np.empty((5, 34), np.int64)[:, ::2]
    strange[:] = tokens
    forms = [(tokens,), (tokens[:, :-1], tokens[:, 1:]), (tokens.tolist(),),
             (tokens.astype(np.uint16),), (np.asfortranarray(tokens.astype(">i4")),), (strange,),
             (tokens[::-1][::-1].astype(np.uint64),)]
    for form in forms:
        trainer = cllm.Trainer(config)
        trainer.step(*form)
        hashes.add(trainer.weights_hash())
    assert len(hashes) == 1
    trainer = cllm.Trainer(config)
    trainer.step()
    assert trainer.weights_hash() not in hashes, "the data's own batch is another one"


def test_own_arrays_learn(settings):
    trainer = cllm.Trainer(cllm.TrainConfig(**settings))
    tokens = np.random.default_rng(4).integers(0, 257, (5, 17))
    losses = [trainer.step(tokens).loss for _ in range(15)]
    assert losses[-1] < losses[0] - 0.05
    assert trainer.steps_done == 15


def test_views_share_memory_and_outlive_their_trainer(settings):
    trainer = cllm.Trainer(cllm.TrainConfig(**settings))
    with pytest.raises(cllm.CllmError, match="no gradient"):
        trainer.gradients()
    parameters = trainer.parameters()
    wte = parameters["transformer.wte.weight"]
    assert wte.shape == (257, 24) and wte.dtype == np.float32
    assert np.shares_memory(wte, trainer.parameters()["transformer.wte.weight"])
    before = wte.copy()
    trainer.step()
    assert (wte != before).any(), "the view shows what the step changed"
    hash_before = trainer.weights_hash()
    wte[3, 4] += 1
    assert trainer.weights_hash() != hash_before, "what is written there is in the model"

    gradients = trainer.gradients()
    assert gradients.keys() == parameters.keys()
    with pytest.raises(ValueError, match="read-only"):
        gradients["transformer.wpe.weight"][0, 0] = 1
    norm = np.sqrt(sum(np.square(g, dtype=np.float64).sum() for g in gradients.values()))
    kept = gradients["transformer.wpe.weight"].copy()
    report = trainer.step()
    fresh = trainer.gradients()
    assert report.grad_norm == pytest.approx(
        np.sqrt(sum(np.square(g, dtype=np.float64).sum() for g in fresh.values())), rel=1e-5)
    assert norm > 0
    last = fresh["transformer.wpe.weight"]
    copied, weights = last.copy(), wte.copy()
    trainer.resize(3)
    del trainer, parameters, gradients, fresh
    np.testing.assert_array_equal(last, copied)
    np.testing.assert_array_equal(wte, weights)
    assert (copied != kept).any()


def test_resize_keeps_every_bit(settings):
    steady = cllm.Trainer(cllm.TrainConfig(**settings))
    changing = cllm.Trainer(cllm.TrainConfig(**settings))
    for workers in (1, 13, 2, 5):
        changing.resize(workers)
        assert changing.workers == changing.config.workers == workers
        for _ in range(3):
            assert changing.step().loss == steady.step().loss
    assert changing.weights_hash() == steady.weights_hash()
    assert changing.evaluate().val_loss == steady.evaluate().val_loss
    for wrong in (0, -1, 2**40):
        with pytest.raises(cllm.InputError):
            changing.resize(wrong)
    assert changing.workers == 5


def test_spheres_tell_what_they_did(settings):
    trainer = cllm.Trainer(cllm.TrainConfig(**settings).replace(threads=14, workers="auto",
                                                               activate_all=True))
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:  # threads may start after the first few small steps are done
        trainer.step()
        if all(sphere.messages_in > 0 for sphere in trainer.spheres()):
            break
    spheres = trainer.spheres()
    assert [sphere.id for sphere in spheres] == list(range(14))
    for sphere in spheres:
        assert sphere.active
        assert sphere.messages_in > 0
        assert sphere.tiles == 0 or sphere.role == "worker"
    assert sum(sphere.tiles for sphere in spheres) > 0


def test_groups_tell_where_sequences_went(settings, tmp_path):
    data = tmp_path / "sorted.txt"
    data.write_bytes(b"".join(bytes([b]) * 40 for b in range(1, 200)))
    weights = {}
    for routing in ("symmetry", "round_robin"):
        config = cllm.TrainConfig(**settings | {"data": data, "routing": routing, "positions": 5})
        trainer = cllm.Trainer(config)
        late = sum(trainer.step().late for _ in range(4))
        assert late < 4  # a busy machine may run the root too late for steps of a millisecond
        weights[routing] = trainer.weights_hash()
        groups = trainer.groups()
        assert [g.group for g in groups] == list(range(12))
        assert [g.position for g in groups] == [g % 5 for g in range(12)]
        assert sum(g.sequences for g in groups) == 4 * 5
        assert sum(g.tokens for g in groups) == 4 * 5 * 16
        assert all(0 <= g.moved <= g.sequences for g in groups)
        assert str(groups[3].sequences) in repr(groups[3])
    assert weights["symmetry"] != weights["round_robin"]


def test_a_stopped_run_goes_on_and_a_resumed_one_too(settings):
    whole = cllm.Trainer(cllm.TrainConfig(**settings))
    whole.run()
    config = cllm.TrainConfig(**settings).replace(out=settings["out"] / "stopped")
    trainer = cllm.Trainer(config)
    stop_at = {"step": 4}

    def stop(report):
        if report.step == stop_at["step"]:
            trainer.request_stop()

    assert trainer.run(on_step=stop) is cllm.RunOutcome.STOPPED
    assert trainer.steps_done == 4
    stop_at["step"] = 7
    assert trainer.run(on_step=stop) is cllm.RunOutcome.STOPPED
    resumed = cllm.Trainer(cllm.TrainConfig(resume=config.out, workers=3))
    assert resumed.steps_done == 7 and resumed.workers == 3
    assert resumed.run() is cllm.RunOutcome.FINISHED
    assert resumed.weights_hash() == whole.weights_hash()
    with pytest.raises(cllm.InputError, match="cannot change"):
        cllm.Trainer(cllm.TrainConfig(resume=config.out, dim=64))


def test_precision_is_part_of_a_run(settings):
    fp32 = cllm.Trainer(cllm.TrainConfig(**settings))
    fp32.run()
    hashes = {}
    for workers in (1, 3):
        config = cllm.TrainConfig(**settings).replace(
            out=settings["out"] / f"bf16-{workers}", precision="bf16", workers=workers)
        trainer = cllm.Trainer(config)

        def stop(report, trainer=trainer):
            if report.step == 4:
                trainer.request_stop()

        assert trainer.run(on_step=stop) is cllm.RunOutcome.STOPPED
        resumed = cllm.Trainer(cllm.TrainConfig(resume=config.out, workers=4 - workers))
        assert resumed.steps_done == 4
        resumed.run()
        hashes[workers] = resumed.weights_hash()
    assert hashes[1] == hashes[3] != fp32.weights_hash()

    stored = settings["out"] / "bf16-3" / "config.toml"
    stored.write_text(stored.read_text().replace('precision = "bf16"', 'precision = "fp32"'))
    with pytest.raises(cllm.InputError, match="was changed after the run had started"):
        cllm.Trainer(cllm.TrainConfig(resume=config.out))


def test_errors_of_callbacks_come_out(settings):
    def fail(report):
        if report.step == 3:
            raise LookupError("mine")

    trainer = cllm.Trainer(cllm.TrainConfig(**settings))
    with pytest.raises(LookupError, match="mine"):
        trainer.run(on_step=fail)
    assert trainer.steps_done == 3
    assert cllm.Trainer(cllm.TrainConfig(resume=settings["out"])).steps_done == 3, "it was saved"
    assert trainer.run() is cllm.RunOutcome.FINISHED


def test_a_callback_may_look_but_not_step(settings, tmp_path):
    trainer = cllm.Trainer(cllm.TrainConfig(**settings))
    seen = []

    def look(report):
        if report.step == 2:
            seen.append((trainer.steps_done, trainer.weights_hash(), len(trainer.spheres())))
            trainer.save(tmp_path / "mine")
            for forbidden in (trainer.step, trainer.run, lambda: trainer.resize(1)):
                with pytest.raises(cllm.CllmError, match="callback"):
                    forbidden()

    trainer.run(on_step=look)
    assert seen[0][0] == 2
    assert (tmp_path / "mine" / "model.safetensors").is_file()


# -- signals, threads, processes ----------------------------------------------------------------

def test_interrupt_in_a_callback_saves_first(settings):
    def interrupt(report):
        if report.step == 4:
            signal.raise_signal(signal.SIGINT)

    trainer = cllm.Trainer(cllm.TrainConfig(**settings))
    with pytest.raises(KeyboardInterrupt, match=r"after step 4 of .*/latest, and TrainConfig\(res"):
        trainer.run(on_step=interrupt)
    assert trainer.steps_done == 4
    assert (settings["out"] / "checkpoints" / "latest" / "model.safetensors").is_file()
    steady = cllm.Trainer(cllm.TrainConfig(**settings).replace(out=settings["out"] / "steady"))
    steady.run()
    assert trainer.run() is cllm.RunOutcome.FINISHED
    assert trainer.weights_hash() == steady.weights_hash()


@pytest.mark.parametrize("what", ["steps", "evaluation"])
def test_interrupt_from_outside_saves_first(settings, what):
    longer = {"steps": 10**6, "save_every": 0, "eval_every": 0, "workers": 2}
    if what == "evaluation":
        longer |= {"eval_every": 1}
    trainer = cllm.Trainer(cllm.TrainConfig(**(settings | longer)))
    timer = threading.Timer(0.7, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        trainer.run()
    assert 0.3 < time.monotonic() - started < 60
    timer.join()
    assert 0 < trainer.steps_done < 10**6
    resumed = cllm.Trainer(cllm.TrainConfig(resume=settings["out"]))
    assert resumed.steps_done == trainer.steps_done
    assert resumed.weights_hash() == trainer.weights_hash()


def test_two_trainers_and_a_thread_do_not_disturb_each_other(settings):
    def trained(name):
        config = cllm.TrainConfig(**settings).replace(out=settings["out"] / name)
        trainer = cllm.Trainer(config)
        trainer.run(on_step=lambda report: None)
        return trainer.weights_hash()

    alone = trained("alone")
    results = {}
    threads = [threading.Thread(target=lambda i=i: results.update({i: trained(f"thread{i}")}))
               for i in range(3)]
    for thread in threads:
        thread.start()
    results["main"] = trained("main")
    for thread in threads:
        thread.join()
    assert set(results.values()) == {alone} and len(results) == 4


def test_the_gil_is_free_during_a_step_and_a_second_caller_is_refused(settings):
    config = cllm.TrainConfig(**(settings | {"batch": 64, "seq": 64, "dim": 96, "steps": 10**6}))
    trainer = cllm.Trainer(config)
    begun = threading.Event()
    thread = threading.Thread(target=trainer.run,
                              kwargs={"on_step": lambda report: begun.set()})
    thread.start()
    begun.wait()
    turns, until = 0, time.monotonic() + 0.5
    while time.monotonic() < until:
        turns += 1
        for call in (trainer.step, trainer.weights_hash, trainer.parameters):
            with pytest.raises(cllm.CllmError, match="another thread"):
                call()
    steps = trainer.steps_done
    trainer.request_stop()
    thread.join()
    assert turns > 10 * steps, "Python runs while the engine computes"
    assert trainer.step().step == trainer.steps_done


def test_a_dropped_trainer_ends_its_threads(settings):
    def threads():
        return len(os.listdir("/proc/self/task"))

    before = threads()
    trainer = cllm.Trainer(cllm.TrainConfig(**settings).replace(workers=13))
    for report in trainer:
        if report.step == 3:
            break
    assert threads() >= before + 13
    del trainer, report
    assert threads() <= before  # fewer when one of an earlier test was still ending


CHILD = """
import os, signal, sys, threading, time
import cllm
trainer = cllm.Trainer(cllm.TrainConfig(data=sys.argv[1], out=sys.argv[2], steps=10**6, workers=2,
                                        layers=1, heads=1, dim=16, seq=16, save_every=0))
started = threading.Event()
thread = threading.Thread(target=lambda: trainer.run(on_step=lambda r: started.set()), daemon=True)
thread.start()
started.wait()
time.sleep(0.2)
print("leaving", flush=True)
"""


def test_a_daemon_threads_run_is_saved_when_the_interpreter_ends(settings):
    process = subprocess.run([sys.executable, "-c", CHILD, settings["data"], settings["out"]],
                             capture_output=True, text=True, timeout=120, check=False)
    assert (process.returncode, process.stdout) == (0, "leaving\n"), process.stderr
    assert (settings["out"] / "checkpoints" / "latest" / "model.safetensors").is_file()


def in_a_fork(function):
    """Exit status of a child process that calls the function; a hang ends it with a signal."""
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(60)
        try:
            os._exit(function())
        except BaseException:
            os._exit(99)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_a_forked_child_is_told(settings):
    trainers = [cllm.Trainer(cllm.TrainConfig(**settings)) for _ in range(2)]
    model = cllm.Model.create(trainers[0].model_config, workers=2)
    for object_ in trainers:
        object_.step()
    model.logits([[1, 2, 3]])

    def child():
        told = 0
        for call in (trainers[0].step, trainers[0].evaluate, lambda: model.logits([[1, 2, 3]])):
            try:
                call()
            except cllm.CllmError as error:
                told += "forked" in str(error)
        del trainers[1:]  # destroying waits for nobody
        trainers[0].resize(2)
        trainers[0].step()
        return told

    assert in_a_fork(child) == 3
    assert trainers[0].step().step == 2, "the parent goes on"


def resources():
    """Threads, open files, and resident memory in MiB of this process."""
    with open("/proc/self/status") as status:
        fields = dict(line.split(":", 1) for line in status)
    return (int(fields["Threads"]), len(os.listdir("/proc/self/fd")),
            int(fields["VmRSS"].split()[0]) / 1024)


def test_a_thousand_trainers_leave_nothing_behind(settings):
    config = cllm.TrainConfig(**settings)
    tokens = np.zeros((5, 17), np.int32)

    def cycle(number):
        trainer = cllm.Trainer(config)
        if number % 4 == 0:
            trainer.step(tokens)
            views = trainer.gradients(), trainer.parameters()
            trainer.resize(1 + number % 3)
            del views

    for number in range(200):
        cycle(number)
    before = resources()
    for number in range(1000):
        cycle(number)
    after = resources()
    assert after[:2] == before[:2]
    assert after[2] < before[2] + 8


# -- model --------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def model():
    config = cllm.ModelConfig(layers=2, heads=3, dim=36, seq=20, vocab=300)
    return cllm.Model.create(config, seed=5, byte_tokens=True, workers=2)


def test_dropout_rates_are_kept_and_change_no_answer(tmp_path, model):
    rates = {"embd_pdrop": 0.125, "attn_pdrop": 0.25, "resid_pdrop": 0.5}
    config = cllm.ModelConfig(layers=2, heads=3, dim=36, seq=20, vocab=300, **rates)
    assert "attn_pdrop=0.25" in repr(config) and config != model.config
    assert "pdrop" not in repr(model.config)
    dropping = cllm.Model.create(config, seed=5, byte_tokens=True, workers=2)
    dropping.save(tmp_path / "model")
    written = json.loads((tmp_path / "model/config.json").read_text())
    assert {key: written[key] for key in rates} == rates
    again = cllm.Model.load(tmp_path / "model")
    assert again.config == config
    tokens = np.random.default_rng(4).integers(0, 300, (3, 13))
    np.testing.assert_array_equal(again.logits(tokens), model.logits(tokens))
    loss, _ = again.loss_and_gradients(tokens[:, :-1], tokens[:, 1:])
    assert loss == model.loss_and_gradients(tokens[:, :-1], tokens[:, 1:])[0]


def test_logits_agree_with_the_loss(model):
    tokens = np.random.default_rng(1).integers(0, 300, (4, 13))
    inputs, targets = tokens[:, :-1], tokens[:, 1:]
    logits = model.logits(inputs)
    assert logits.shape == (4, 12, 300) and logits.dtype == np.float32
    np.testing.assert_array_equal(model.logits(inputs[1:2, :5]), logits[1:2, :5])
    wide = logits.astype(np.float64)
    picked = np.take_along_axis(wide, targets[..., None], axis=-1)[..., 0]
    loss, gradients = model.loss_and_gradients(inputs, targets)
    assert loss == pytest.approx(float((np.log(np.exp(wide).sum(-1)) - picked).mean()), rel=1e-6)
    assert {name: g.shape for name, g in gradients.items()} == {
        name: p.shape for name, p in model.parameters().items()}


def test_workers_change_no_bit(model, tmp_path):
    model.save(tmp_path / "model")
    tokens = np.random.default_rng(2).integers(0, 300, (7, 20))
    expected = model.logits(tokens), *model.loss_and_gradients(tokens, tokens[::-1])
    for workers in (1, 5, None):
        other = cllm.Model.load(tmp_path / "model", workers=workers)
        np.testing.assert_array_equal(other.logits(tokens), expected[0])
        loss, gradients = other.loss_and_gradients(tokens, tokens[::-1])
        assert loss == expected[1]
        for name, gradient in gradients.items():
            np.testing.assert_array_equal(gradient, expected[2][name])


def test_generated_text_belongs_to_seed_and_prompt(model):
    text = model.generate("To be", tokens=30, seed=3)
    assert isinstance(text, str) and model.generate("To be", tokens=30, seed=3) == text
    assert model.generate("To be", tokens=30, seed=4) != text
    pieces = []
    raw = model.generate(b"To be", tokens=30, seed=3, on_token=pieces.append)
    assert b"".join(pieces) == raw and raw.decode("utf-8", "replace") == text
    tokens = model.generate(list(b"To be"), tokens=30, seed=3)
    assert tokens.dtype == np.int32 and bytes(tokens.tolist()) == raw
    np.testing.assert_array_equal(model.generate(np.frombuffer(b"To be", np.uint8), tokens=30,
                                                 seed=3), tokens)
    greedy = model.generate([7, 8], tokens=1, temperature=0)
    assert greedy[0] == model.logits([[7, 8]])[0, -1, :257].argmax()
    assert model.generate("x", tokens=0) == ""


def test_interrupt_ends_generation(model):
    def interrupt(token):
        signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        model.generate("x", tokens=10**9, on_token=interrupt)
    timer = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        model.generate(b"\x80", tokens=10**9, temperature=0)
    timer.join()


def test_model_refuses_with_the_engines_text(model, tmp_path):
    for call, part in [
        (lambda: model.logits([[1, 300]]), r"tokens\[0, 1\].*got 300.*0 to 299"),
        (lambda: model.logits([[1, 2**40]]), rf"tokens\[0, 1\].*got {2**40}"),
        (lambda: model.logits([[-1]]), r"got -1"),
        (lambda: model.logits(np.zeros((1, 21), int)), "at most 20 tokens"),
        (lambda: model.logits(np.zeros((0, 2), int)), r"\[0, 2\]"),
        (lambda: model.logits([1, 2]), "dimensions.*got 1"),
        (lambda: model.logits([[1.5]]), "float64"),
        (lambda: model.logits([[1], [1, 2]]), "not an array"),
        (lambda: model.logits(np.broadcast_to(np.int8(1), (10**12, 2))), "memory"),
        (lambda: model.loss_and_gradients([[1]], [[1, 2]]), r"targets.*\[1, 2\].*\[1, 1\]"),
        (lambda: model.generate([]), "no token"),
        (lambda: model.generate("\ud800"), "surrogates"),
        (lambda: model.generate("x", temperature=-1.0), "temperature"),
        (lambda: model.generate("x", tokens=-1), "tokens"),
        (lambda: cllm.Model.load(tmp_path), "no model here"),
        (lambda: cllm.Model.load(tmp_path, workers=0), "workers"),
        (lambda: cllm.ModelConfig(heads=5), "multiple of heads"),
        (lambda: cllm.ModelConfig(attn_pdrop=1.0), "attn_pdrop: not a part"),
    ]:
        with pytest.raises(cllm.InputError, match=part):
            call()
