"""The entry point of ``kineme``: its verbs, and how errors become one line and an exit code."""

from __future__ import annotations

import errno
import os
import signal
import sys
from contextlib import suppress
from itertools import takewhile
from pathlib import Path

import typer

from kineme import progress
from kineme.cli import (
    batch,
    benchmark,
    cache,
    check,
    compare,
    datasets,
    demo,
    evaluate,
    explain,
    export,
    interrupt,
    label,
    models,
    predict,
    runs,
    serve,
    train,
)
from kineme.cli.help import SectionedCommand, SectionedGroup
from kineme.cli.output import tell
from kineme.errors import KinemeError, UsageError
from kineme.files import setting_of
from kineme.memory import share_arenas
from kineme.text import printable
from kineme.version import __version__

_TOOLS = ("PIL", "cv2", "jinja2", "matplotlib", "polars", "rarfile", "scipy", "sklearn", "threadpoolctl")

_INTERRUPTED = 130
_QUIET = {"-q", "--quiet"}

app = typer.Typer(
    name="kineme",
    help="Recognise human actions in videos: train on your own folder, know how good it is, run it anywhere.",
    cls=SectionedGroup,
    context_settings={"help_option_names": ["-h", "--help"]},
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
for _section, _verbs in {
    "Start": (demo.demo, predict.predict),
    "Train": (label.label, check.check, train.train, evaluate.evaluate, compare.compare, runs.runs),
    "Use": (explain.explain, export.export, serve.serve, batch.batch, benchmark.benchmark),
}.items():
    for _verb in _verbs:
        app.command(_verb.__name__, cls=SectionedCommand, rich_help_panel=_section)(_verb)
app.add_typer(datasets.app, name="datasets", rich_help_panel="Data and models")
app.add_typer(models.app, name="models", rich_help_panel="Data and models")
app.command("cache", cls=SectionedCommand, rich_help_panel="Data and models")(cache.cache)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"kineme {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Print the version."),
    debug: bool = typer.Option(False, "--debug", help="With any verb: show a traceback when something goes wrong."),
    quiet: bool = typer.Option(False, "--quiet", "-q", help="With any verb: show no progress."),
) -> None:
    """Recognise human actions in videos."""


def main() -> None:
    """Run the command line; exit codes are 0 done, 1 could not, 2 wrong usage, 130 interrupted."""
    _prepare_streams()
    share_arenas()
    interrupt.listen()
    own = sys.argv[1 : sys.argv.index("--")] if "--" in sys.argv else sys.argv[1:]
    debug = "--debug" in own
    if _QUIET & set(own):
        progress.hide()
    arguments = [argument for argument in own if argument not in {"--debug", *_QUIET}] + sys.argv[1 + len(own) :]
    try:
        _run(arguments)
    except KeyboardInterrupt:
        _fail("interrupted", _INTERRUPTED, debug)
    except UsageError as error:
        _fail(str(error), 2, debug)
    except KinemeError as error:
        _fail(str(error), 1, debug)
    except BrokenPipeError:
        _drop_output()
        sys.exit(1)
    except MemoryError:
        _fail("out of memory; choose a smaller --size, --frames or --batch-size", 1, debug)
    except OSError as error:
        where = error.filename
        if where is None and error.errno == errno.ENOSPC:  # files are named
            _drop_output()
            where = "standard output"
        _fail(f"{where}: {error.strerror}{setting_of(error.filename)}" if where else str(error), 1, debug)
    except ModuleNotFoundError as error:
        _fail(_missing(error), 1, debug)
    except Exception as error:
        _fail(f"{type(error).__name__}: {' '.join(str(error).split())[:300]} (--debug shows where)", 1, debug)


def _run(arguments: list[str]) -> None:
    # Typer would print them as they are, and a pattern may have named a file.
    for argument in takewhile(lambda one: one != "--", arguments):
        option = argument.partition("=")[0]
        if option != printable(option) and (option.startswith("-") or argument is arguments[0]):
            raise UsageError(f"{option}: there is no such verb or option; write ./ before the name of a file")
    try:
        app(arguments)
    except SystemExit as end:
        if end.code == _INTERRUPTED:
            raise KeyboardInterrupt from None
        sys.stdout.flush()
        raise


def _drop_output() -> None:
    """Discard the rest of standard output, which Python would try to write again at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _prepare_streams() -> None:
    """Standard streams that take any text, on consoles of any encoding; nowhere where there is no console at all."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        stream = getattr(sys, name)
        if stream is None:  # no other file may get the number of a closed stream, to which libraries print
            with suppress(OSError):
                os.dup2(os.open(os.devnull, os.O_RDWR), number)
            setattr(sys, name, Path(os.devnull).open("w" if number else "r", encoding="utf-8"))  # noqa: SIM115
        elif number and hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def _missing(error: ModuleNotFoundError) -> str:
    """What to install: the base install only predicts, and all else it brings with a backend."""
    if str(error.name).split(".")[0] not in _TOOLS:
        return f"{error} (--debug shows where)"
    return (
        f"this needs {error.name}, which comes with a backend: pip install 'kineme[tensorflow]' (or [jax], [torch]; or "
        "[tools], with none)"
    )


def _fail(line: str, code: int, debug: bool) -> None:
    if interrupt.has_come():  # whatever a library made of it
        line, code = "interrupted", _INTERRUPTED
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # again: end at once
    if debug:
        import traceback

        traceback.print_exc()
    tell(f"kineme: {line}")
    sys.exit(code)
