"""The help of every verb of ``kineme``, as a page, from the command line itself."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from typing import Any

from kineme.cli.help import option_names, placeholder


def page() -> str:
    """Markdown: a section for each verb, with its arguments and options."""
    from typer.main import get_command

    from kineme.cli.main import app

    root = get_command(app)
    context = root.make_context("kineme", ["demo"])
    lines = ["## kineme", "", *_options(root, context)]
    for name in root.list_commands(context):
        lines += _verb(f"kineme {name}", root.get_command(context, name), context)
    return "\n".join(lines) + "\n"


def _verb(name: str, command: Any, context: Any) -> Iterator[str]:
    yield from ("", f"(cli-{name.removeprefix('kineme ').replace(' ', '-')})=", f"## {name}", "")
    if hasattr(command, "list_commands"):
        yield from (_words(command.help or ""), "")
        for part in command.list_commands(context):
            yield from _verb(f"{name} {part}", command.get_command(context, part), context)
        return
    arguments = [one for one in command.params if one.param_type_name == "argument"]
    yield from ("```text", " ".join([name, *(placeholder(one) for one in arguments), "[OPTIONS]"]), "```", "")
    for paragraph in inspect.cleandoc(command.help or "").split("\n\n"):
        if paragraph.lstrip().startswith("\b"):  # a table, to be left as it is
            yield from ("```text", inspect.cleandoc(paragraph.replace("\b", "")), "```", "")
        else:
            yield from (_words(paragraph), "")
    for one in arguments:
        yield from (f"`{placeholder(one)}`", f": {_words(one.help or '')}", "")
    yield from _options(command, context)


def _options(command: Any, context: Any) -> Iterator[str]:
    for one in command.params:
        if one.param_type_name == "option" and (record := one.get_help_record(context)):
            names = option_names(record[0])
            says = re.sub(r"; ?\[?x>=(\d+(\.\d+)?)|\[x>=(\d+)\]", "", record[1])  # the line that refuses it says so
            says = re.sub(r"(\S+)<=x<=(\S+)\]", r"\1 to \2]", says)
            yield from (f"`{names}`", f": {_words(says)}", "")


def _words(text: str) -> str:
    """One line of Markdown: what looks like an option is shown as code."""
    text = " ".join(text.split())
    text = text.replace("<", "&lt;").replace("*", "\\*").replace("_", "\\_")
    text = re.sub(r"\[(default: .*?|required)\]", lambda found: f"*{found[1][0].upper()}{found[1][1:]}.*", text)
    return re.sub(r"(?<![\w`-])(--[a-z][a-z-]+)", r"`\1`", text)
