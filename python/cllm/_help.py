"""Help of the commands: in panels, or folded where the terminal is too narrow for them."""

import shutil
import textwrap
from typing import Any

from typer.core import TyperCommand, TyperGroup

from cllm import _typed

CONTEXT: dict[str, Any] = {
    "help_option_names": ["-h", "--help"],
    # An option's name may be written with underscores, as in Python.
    "token_normalize_func": lambda name: name.replace("_", "-"),
}
_PANELS = 80  # columns that panels need; below that they would cut names
_LEAST = 40


class _Folded:
    """Writes options by panel, as plain text, in a narrow terminal."""

    rich_markup_mode: Any

    def format_help(self, ctx: Any, formatter: Any) -> None:
        columns = shutil.get_terminal_size().columns
        if columns < _PANELS:
            formatter.width = max(columns, _LEAST)
            self.rich_markup_mode = None
        super().format_help(ctx, formatter)  # type: ignore[misc]

    def format_options(self, ctx: Any, formatter: Any) -> None:
        panels: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):  # type: ignore[attr-defined]
            record = parameter.get_help_record(ctx)
            if record is not None:
                usual = f"{parameter.param_type_name.capitalize()}s"
                name = getattr(parameter, "rich_help_panel", None) or usual
                panels.setdefault(name, []).append(record)
        for name, records in panels.items():
            _write_section(formatter, name, records)


def _write_section(formatter: Any, name: str, records: list[tuple[str, str]]) -> None:
    """Each name on a line of its own, because a second column would be too narrow; whole words."""
    formatter.write(f"\n{name}:\n")
    for left, right in records:
        formatter.write(f"  {left}\n")
        for line in textwrap.wrap(right, formatter.width - 6, break_long_words=False,
                                  break_on_hyphens=False):
            formatter.write(f"      {line}\n")


class Command(_Folded, TyperCommand):
    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        return _typed.parse(ctx, args, super().parse_args)


class Group(_Folded, TyperGroup):
    def format_options(self, ctx: Any, formatter: Any) -> None:
        super().format_options(ctx, formatter)
        commands = [(name, (command.help or "").split("\n\n")[0].replace("\n", " "))
                    for name in self.list_commands(ctx)
                    if (command := self.get_command(ctx, name)) and not command.hidden]
        _write_section(formatter, "Commands", commands)
