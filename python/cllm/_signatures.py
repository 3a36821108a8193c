"""What help(), `TrainConfig?` and completion show of classes whose options are a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cllm._cllm import ModelConfig, TrainConfig, options

# These follow from other fields unless they are given.
_FOLLOWING = frozenset({"kv_heads", "head_dim", "hidden", "activation", "norm_epsilon"})

if TYPE_CHECKING:  # slow to import, and wanted only by who looks
    from inspect import Signature


class _WhenAsked:
    """The __signature__ of a class, made when somebody asks for it."""

    def __init__(self, cls: Any) -> None:
        self._cls = cls

    def __get__(self, instance: object, owner: type) -> Signature:
        if instance is not None:
            raise AttributeError("__signature__")
        from inspect import Parameter, Signature

        follows = _FOLLOWING if self._cls is ModelConfig else frozenset()
        return Signature([Parameter(key, Parameter.KEYWORD_ONLY,
                                    default=None if key in follows else value)
                          for key, value in self._cls().to_dict().items()])


def _train_options() -> str:
    lines = []
    for option in options():
        also = f" Also {', '.join(option.aliases)}." if option.aliases else ""
        default = option.default or "none"
        lines.append(f"    {option.key}: {option.help}; {default} by default.{also}")
    return "\n".join(lines)


def _model_options() -> str:
    return "\n".join(f"    {key}: {getattr(ModelConfig, key).__doc__}"
                     for key in ModelConfig().to_dict())


def show() -> None:
    """Gives the classes their signatures and the list of their options."""
    for cls, listed in ((TrainConfig, _train_options()), (ModelConfig, _model_options())):
        made: Any = cls
        made.__signature__ = _WhenAsked(cls)
        made.__doc__ = f"{cls.__doc__}\n\nOptions:\n{listed}\n"
