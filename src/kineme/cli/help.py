"""Help in sections: commands grouped by purpose, and the most used options first."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, TypeVar

from typer.core import TyperCommand, TyperGroup

T = TypeVar("T")
_KINDS = {"str": "TEXT", "list[str]": "TEXT", "path": "PATH"}  # the rest are numbers


def placeholder(argument: Any) -> str:
    """An argument in the usage line: DATA, SOURCE..., in square brackets if it is optional."""
    text = re.sub(r"[^A-Za-z_]", "", argument.metavar or argument.name).upper().replace("_", "-")
    text += "..." if argument.nargs == -1 else ""
    return text if argument.required else f"[{text}]"


def option_names(text: str) -> str:
    """``--top <int range>`` as ``--top NUMBER``."""
    return re.sub(r"<([^>]+)>", lambda found: _KINDS.get(found[1], "NUMBER"), text)


def _by_section(items: Sequence[tuple[Any, T]], default: str) -> dict[str, list[T]]:
    """Entries by the section that each item names, in the order in which sections first appear."""
    sections: dict[str, list[T]] = {default: []}
    for item, entry in items:
        sections.setdefault(getattr(item, "rich_help_panel", None) or default, []).append(entry)
    return {name: entries for name, entries in sections.items() if entries}


def _write(formatter: Any, sections: dict[str, list[tuple[str, str]]]) -> None:
    for name, entries in sections.items():
        with formatter.section(name):
            formatter.write_dl(entries)


class SectionedCommand(TyperCommand):
    """A verb whose options are listed under the section that each of them names (``rich_help_panel``)."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """The arguments, which most verbs need, before the options."""
        arguments = [one for one in self.get_params(ctx) if one.param_type_name == "argument"]
        return [*map(placeholder, arguments), "[OPTIONS]"]

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write arguments, then options by section."""
        arguments: list[tuple[str, str]] = []
        options: list[tuple[Any, tuple[str, str]]] = []
        for one in self.get_params(ctx):
            if (record := one.get_help_record(ctx)) is None:
                continue
            names, says = record
            if one.param_type_name == "argument":
                arguments.append((placeholder(one).strip("[]"), says))
            else:
                options.append((one, (option_names(names), says)))
        _write(formatter, {"Arguments": arguments} if arguments else {})
        _write(formatter, _by_section(options, "Options"))


class SectionedGroup(TyperGroup):
    """Verbs under the section that each of them names, with the whole first line of their help."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the verbs by section."""
        commands = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        width = formatter.width - 6 - max(len(name) for name, _ in commands)
        entries = [(one, (name, one.get_short_help_str(width))) for name, one in commands if one and not one.hidden]
        _write(formatter, _by_section(entries, "Commands"))
