"""Checks the commands of a piece of shell against the command line of ``kineme``, without running anything."""

from __future__ import annotations

import contextlib
import functools
import io
import re
import shlex
from typing import Any


def shell_problems(code: str) -> list[str]:
    """The commands of a piece of shell that the command line of ``kineme`` refuses, with the reason."""
    problems = []
    for words in commands(code):
        if words[0] == "kineme" and (problem := _refused(words[1:])):
            problems.append(f"{shlex.join(words)}: {problem}")
    return problems


def commands(code: str) -> list[list[str]]:
    """The words of each simple command; redirections are left out."""
    found: list[list[str]] = []
    for line in code.replace("\\\n", " ").splitlines():
        lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        words: list[str] = []
        skip = False
        for word in [*lexer, ";"]:
            if skip:
                skip = False
            elif re.fullmatch(r"[|&;()]+", word):
                while words and re.fullmatch(r"\w+=.*", words[0]):  # variables for the command
                    words.pop(0)
                if words:
                    found.append(words)
                words = []
            elif re.fullmatch(r"[<>]+", word):
                skip = True
            else:
                words.append(word)
    return found


def _refused(arguments: list[str]) -> str:
    """The reason for which the command line refuses the arguments; empty if it accepts them."""
    with contextlib.redirect_stdout(io.StringIO()):
        command, context, name = _command_line(), None, "kineme"
        rest = [argument for argument in arguments if argument != "--debug"]  # the entry point takes it anywhere
        try:
            while True:
                context = command.make_context(name, list(rest), parent=context)
                if not hasattr(command, "resolve_command"):
                    return ""
                name, command, rest = command.resolve_command(context, [*context._protected_args, *context.args])
        except Exception as error:
            if type(error).__name__ in ("Exit", "NoArgsIsHelpError"):  # --help, --version
                return ""
            return error.format_message() if hasattr(error, "format_message") else str(error)


@functools.cache
def _command_line() -> Any:
    from typer.main import get_command

    from kineme.cli.main import app

    return get_command(app)
