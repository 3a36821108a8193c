"""CLLM trains small language models on CPUs with a tree of threads.

The same data, settings and seed give the same weights, bit for bit, on any number of threads::

    import cllm

    config = cllm.TrainConfig(data="text.txt", out="run", steps=200)
    cllm.Trainer(config).run(progress=True)

    model = cllm.Model.load("run")
    print(model.generate("To be", tokens=100))

Letters in shapes: B sequences, T tokens of each, V' words of the vocabulary. Wrong values, files
and arrays raise InputError (a ValueError), anything else that fails CllmError (a RuntimeError). A
CllmWarning says what a run would tell its user, where nobody else shows that.
"""

import importlib
from typing import TYPE_CHECKING

from cllm import _others, _signatures
from cllm._callbacks import EarlyStopping
from cllm._cllm import (
    CllmError,
    EvaluationReport,
    GroupReport,
    InputError,
    KernelTime,
    Machine,
    MachineRates,
    ModelConfig,
    Option,
    RingReport,
    RunOutcome,
    SpherePlan,
    SphereReport,
    StepForecast,
    StepPlan,
    StepReport,
    StepTimes,
    TrainConfig,
    TreePlan,
    __version__,
    configure,
    measure_step,
    options,
    plan_step,
    plan_tree,
    predict_step,
    threads_for_workers,
)
from cllm._model import Model
from cllm._notes import CllmWarning
from cllm._trainer import Trainer
from cllm._words import one_line

__all__ = [
    "CllmError",
    "CllmWarning",
    "EarlyStopping",
    "EvaluationReport",
    "GroupReport",
    "InputError",
    "KernelTime",
    "Machine",
    "MachineRates",
    "Model",
    "ModelConfig",
    "Option",
    "RingReport",
    "RunOutcome",
    "SpherePlan",
    "SphereReport",
    "StepForecast",
    "StepPlan",
    "StepReport",
    "StepTimes",
    "TrainConfig",
    "Trainer",
    "TreePlan",
    "__version__",
    "configure",
    "measure_step",
    "options",
    "plan_step",
    "plan_tree",
    "predict_step",
    "threads_for_workers",
]

if not TYPE_CHECKING:  # type checkers want `import cllm.prepare`

    def __getattr__(name):
        """Imports the parts that are not needed to train, such as cllm.prepare."""
        if name in ("chat", "lattice", "prepare", "token_files"):
            return importlib.import_module(f"cllm.{name}")
        raise AttributeError(f"module 'cllm' has no attribute {name!r}"
                             + _others.hint(name, _others.CLASSES), name=name)

# They are cllm's: that is where help(), pickle and tracebacks should point to.
for _name in __all__:
    if _name[0].isupper():
        globals()[_name].__module__ = "cllm"
del _name


def _said(self: CllmError) -> str:
    """Errors quote what files and callers hold, and are one line all the same."""
    return one_line(RuntimeError.__str__(self))


CllmError.__str__ = _said  # type: ignore[method-assign]
_signatures.show()
