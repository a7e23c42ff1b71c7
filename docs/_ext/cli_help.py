"""The help of every verb of ``kineme``, as a page, from the command line itself."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from typing import Any


def page() -> str:
    """Markdown: a section for each verb, with its arguments and options."""
    from typer.main import get_command

    from kineme.cli.main import app

    root = get_command(app)
    context = root.make_context("kineme", ["demo"])
    lines = ["## kineme", "", *_options(root)]
    for name in root.list_commands(context):
        lines += _verb(f"kineme {name}", root.get_command(context, name))
    return "\n".join(lines) + "\n"


def _verb(name: str, command: Any) -> Iterator[str]:
    yield from ("", f"(cli-{name.replace(' ', '-')})=", f"## {name}", "")
    if hasattr(command, "list_commands"):
        yield _words(command.help or "")
        for part in command.list_commands(None):
            yield from _verb(f"{name} {part}", command.get_command(None, part))
        return
    arguments = [one for one in command.params if one.param_type_name == "argument"]
    shape = " ".join([name, *(_metavar(one) for one in arguments), "[OPTIONS]"])
    yield from ("```text", shape, "```", "")
    for paragraph in inspect.cleandoc(command.help or "").split("\n\n"):
        if paragraph.startswith("\b"):  # a table, to be left as it is
            yield from ("```text", paragraph.lstrip("\b\n"), "```", "")
        else:
            yield from (_words(paragraph), "")
    for one in arguments:
        yield from (f"`{_metavar(one)}`", f": {_words(getattr(one, 'help', '') or '')}", "")
    yield from _options(command)


def _metavar(argument: Any) -> str:
    name = argument.metavar or argument.name.upper()
    name = name if argument.nargs != -1 or name.endswith("...") else f"{name}..."
    return name if argument.required else f"[{name}]"


def _options(command: Any) -> Iterator[str]:
    for one in command.params:
        if one.param_type_name != "option":
            continue
        names = ", ".join([*one.opts, *one.secondary_opts])
        if not one.is_flag:
            names += f" {one.metavar or one.type.name.upper()}"
        says, default = _words(one.help or ""), one.default
        shows = not one.is_flag and not one.required and default not in (None, ()) and "[default" not in says
        if one.secondary_opts and default is not None:
            shows, default = True, (one.opts if default else one.secondary_opts)[0]
        if shows and not callable(default):
            says += f" *Default:* `{default}`."
        if getattr(one, "multiple", False):
            says += " May be given several times."
        yield from (f"`{names}`", f": {says}", "")


def _words(text: str) -> str:
    """One line of Markdown: what looks like an option or a name in capitals is shown as code."""
    text = " ".join(text.split())
    text = re.sub(r"\[default: (.*?)\]", r"*Default:* \1.", text)
    text = re.sub(r"(?<![\w`-])(--[a-z][a-z-]+)", r"`\1`", text)
    return text.replace("<", "&lt;").replace("*.", "\\*.").replace("_", "\\_")
