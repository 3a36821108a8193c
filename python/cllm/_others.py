"""What stands here for names of transformers and of other libraries' callbacks: who uses one is
told, and tools/dev/api_page.py makes a table of them."""

from collections.abc import Mapping
from typing import NoReturn

TRAINER = {  # of a trainer
    "train": "`run(progress=True)`",
    "predict": "`evaluate(data)`",
    "save_model": "`save(folder)`",
    "state": "`metrics.jsonl` in the run folder",
    "log_metrics": "`metrics.jsonl` in the run folder",
    "args": "`config`",
    "model": "`Model.load()` of what `save()` wrote, or `parameters()`, which are trained",
    "state_dict": "`parameters()`, or `Model.load()` of what `save()` wrote",
    "add_callback": "`Trainer(config, callbacks=[...])`",
}
MODEL = {  # of a model
    "from_pretrained": "`Model.load(folder)`",
    "save_pretrained": "`save(folder)`",
    "state_dict": "`parameters()`",
    "named_parameters": "`parameters()`",
    "forward": "`logits(tokens)`",
}
CLASSES = {  # of the package
    "TrainingArguments": "`TrainConfig`",
    "GPT2Config": "`ModelConfig`",
    "GPT2LMHeadModel": "`Model`",
    "AutoModelForCausalLM": "`Model`",
    "EarlyStoppingCallback": "`EarlyStopping`",
}
EVENTS = {  # of callbacks of transformers, Lightning and Keras
    "on_train_begin": "on_start", "on_train_start": "on_start", "on_fit_start": "on_start",
    "on_step_end": "on_step", "on_log": "on_step", "on_optimizer_step": "on_step",
    "on_batch_end": "on_step", "on_train_batch_end": "on_step",
    "on_evaluate": "on_evaluation", "on_validation_end": "on_evaluation",
    "on_test_end": "on_evaluation",
    "on_save": "on_checkpoint", "on_save_checkpoint": "on_checkpoint",
    "on_train_end": "on_end", "on_fit_end": "on_end",
}
CALLS = {  # whole lines of a script
    'TrainingArguments(output_dir="run", max_steps=500, learning_rate=1e-3)':
        '`TrainConfig(output_dir="run", max_steps=500, learning_rate=1e-3)`',
    "GPT2Config(n_layer=4, n_head=4, n_embd=128)": "`TrainConfig(n_layer=4, n_head=4, n_embd=128)`",
    "GPT2LMHeadModel.from_pretrained(folder)":
        "`Model.load(folder)` to use it, `TrainConfig(init=folder)` to train it further",
    "Trainer(model, args, train_dataset=..., eval_dataset=...)":
        "`Trainer(TrainConfig(data=..., val=...))`: files, texts or ids",
    "trainer.train(resume_from_checkpoint=True)": '`Trainer(TrainConfig(resume="run")).run()`',
    'trainer.evaluate()["eval_loss"]': "`trainer.evaluate().val_loss`",
    "EarlyStoppingCallback(3)": "`EarlyStopping(3)`",
    "TrainingArguments(load_best_model_at_end=True)":
        '`TrainConfig(keep_best=True)`, then `Model.load("run/checkpoints/best")`',
    "model.generate(..., max_new_tokens=100)":
        '`model.generate("To be", tokens=100)` (or `max_new_tokens`), text to text',
}


def hint(name: str, others: Mapping[str, str]) -> str:
    """" (here it is ...)", or nothing."""
    return f" (here it is {others[name].replace('`', '')})" if name in others else ""


def refuse(thing: object, name: str, others: Mapping[str, str]) -> NoReturn:
    """Raises the AttributeError that Python would raise, with what stands for the name."""
    what = (f"type object {thing.__name__!r}" if isinstance(thing, type) else
            f"{type(thing).__name__!r} object")
    raise AttributeError(f"{what} has no attribute {name!r}{hint(name, others)}",
                         name=name, obj=thing)
