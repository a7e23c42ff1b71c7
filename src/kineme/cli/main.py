"""The entry point of ``kineme``: its verbs, and how errors become one line and an exit code."""

from __future__ import annotations

import os
import sys

import typer

from kineme.cli import (
    batch,
    benchmark,
    check,
    compare,
    datasets,
    demo,
    evaluate,
    explain,
    export,
    models,
    predict,
    serve,
    train,
)
from kineme.errors import KinemeError, UsageError
from kineme.version import __version__

_TOOLS = ("PIL", "cv2", "jinja2", "matplotlib", "polars", "rarfile", "scipy", "sklearn", "threadpoolctl")

app = typer.Typer(
    name="kineme",
    help="Recognise human actions in videos: train on your own folder, know how good it is, run it anywhere.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.command("demo")(demo.demo)
app.command("predict")(predict.predict)
app.command("train")(train.train)
app.command("evaluate")(evaluate.evaluate)
app.command("compare")(compare.compare)
app.command("check")(check.check)
app.command("explain")(explain.explain)
app.command("export")(export.export)
app.command("batch")(batch.batch)
app.command("benchmark")(benchmark.benchmark)
app.command("serve")(serve.serve)
app.add_typer(datasets.app, name="datasets")
app.add_typer(models.app, name="models")


def _version(wanted: bool) -> None:
    if wanted:
        print(f"kineme {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Print the version."),
    debug: bool = typer.Option(False, "--debug", help="Show a traceback when something goes wrong (with any verb)."),
) -> None:
    """Recognise human actions in videos."""


def main() -> None:
    """Run the command line; exit codes are 0 done, 1 could not, 2 wrong usage, 130 interrupted."""
    debug = "--debug" in sys.argv
    arguments = [argument for argument in sys.argv[1:] if argument != "--debug"]
    try:
        app(arguments)
    except KeyboardInterrupt:
        _fail("interrupted", 130, debug)
    except UsageError as error:
        _fail(str(error), 2, debug)
    except KinemeError as error:
        _fail(str(error), 1, debug)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except MemoryError:
        _fail("out of memory; choose a smaller --size, --frames or --batch-size", 1, debug)
    except OSError as error:
        _fail(f"{error.filename}: {error.strerror}" if error.filename else str(error), 1, debug)
    except ModuleNotFoundError as error:
        _fail(_missing(error), 1, debug)
    except Exception as error:
        _fail(f"{type(error).__name__}: {' '.join(str(error).split())[:300]} (--debug shows where)", 1, debug)


def _missing(error: ModuleNotFoundError) -> str:
    """What to install: the base install only predicts, and all else it brings with a backend."""
    if str(error.name).split(".")[0] not in _TOOLS:
        return f"{error} (--debug shows where)"
    return (
        f"this needs {error.name}, which comes with a backend: pip install 'kineme[tensorflow]' (or [jax], [torch]; or "
        "[tools], with none)"
    )


def _fail(line: str, code: int, debug: bool) -> None:
    if debug:
        import traceback

        traceback.print_exc()
    print(f"kineme: {line}", file=sys.stderr)
    sys.exit(code)
