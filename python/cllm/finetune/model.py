"""What cannot be fine-tuned is refused before examples are prepared for it."""

from pathlib import Path

from cllm._cllm import InputError
from cllm._merge_command import CONFIG
from cllm._run_folder import models_of
from cllm._training import quoted


def check_model(model: Path) -> None:
    """Raises InputError for an adapter, and for a tokenizer that the engine does not take along.
    What else is wrong with a model is said where its tokenizer is read."""
    folder = next((place for place in (model, *models_of(model))
                   if any((place / name).is_file() for name in (CONFIG, "config.json"))), model)
    names = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    if CONFIG in names and "config.json" not in names:
        name = quoted(model)
        raise InputError(f"MODEL: an adapter, not a model: got {model}, expected the model that it "
                         f"was trained beside, or both merged (cllm merge {name} --out FOLDER); to "
                         f"go on with the adapter: cllm finetune MODEL --lora-init {name}")
    if "vocab.json" in names and "tokenizer.json" not in names:
        raise InputError(f"MODEL: a tokenizer in its old form: got {folder} with vocab.json, "
                         "expected tokenizer.json, which transformers writes: AutoTokenizer."
                         f'from_pretrained("{folder}").save_pretrained("{folder}")')
