"""The contract of the command line: which verbs there are, with which options; and their help, without delay."""

from __future__ import annotations

import subprocess
import sys

import pytest

VERBS = {
    "batch": {
        *("--engine", "--features", "--json", "--model", "--out", "--ray-address", "--summary", "--workers"),
        *("--cookies", "--cookies-from-browser"),
    },
    "benchmark": {"--engine", "--json", "--video"},
    "cache": {"--clear", "--json"},
    "check": {
        "--approach",
        "--backbone",
        "--fix",
        "--fps",
        "--frames",
        "--group-column",
        "--json",
        "--out",
        "--short",
        "--size",
        "--strict",
        "--write-groups",
    },
    "compare": {
        "--allow-leaks",
        "--approach",
        "--augment",
        "--backbone",
        "--batch-size",
        "--brightness",
        "--epochs",
        "--finetune",
        "--fit",
        "--flip",
        "--fold-column",
        "--folds",
        "--fps",
        "--frames",
        "--group-column",
        "--json",
        "--labelled-throughout",
        "--learning-rate",
        "--leave-one-group-out",
        "--no-augment",
        "--no-flip",
        "--out",
        "--patience",
        "--region",
        "--seed",
        "--seeds",
        "--short",
        "--size",
        "--test",
        "--validation",
        "--views",
    },
    "demo": {"--json", "--out", "--seed"},
    "evaluate": {
        "--frames",
        "--group-column",
        "--json",
        "--labelled-throughout",
        "--labels",
        "--prompt",
        "--seed",
        "--split",
    },
    "explain": {
        *("--end", "--engine", "--json", "--label", "--max-size", "--out", "--save", "--start"),
        *("--cookies", "--cookies-from-browser"),
    },
    "export": {"--check", "--format", "--json", "--out"},
    "predict": {
        *("--end", "--engine", "--json", "--max-size", "--model", "--out", "--people", "--save", "--start", "--top"),
        *("--cookies", "--cookies-from-browser"),  # of links
        *("--labels", "--prompt"),  # classes by text
        *("--max-seconds", "--mode", "--retry-seconds", "--show"),  # of live sources
        *("--clip", "--cooldown", "--mqtt", "--on", "--run", "--webhook"),
    },
    "runs": {"--json"},
    "serve": {
        *("--cooldown", "--mqtt", "--on", "--run", "--webhook"),
        "--allow-links",
        "--cookies",
        "--host",
        "--json",
        "--keep",
        "--link-network",
        "--max-duration",
        "--max-pixels",
        "--max-size",
        "--port",
        "--public-name",
        "--queue",
        "--rate",
        "--state",
        "--streams",
        "--time-limit",
        "--token",
        "--workers",
    },
    "train": {
        "--allow-leaks",
        "--approach",
        "--augment",
        "--backbone",
        "--batch-size",
        "--brightness",
        "--budget",
        "--devices",
        "--epochs",
        "--fast",
        "--finetune",
        "--fit",
        "--flip",
        "--for",
        "--fps",
        "--frames",
        "--from-scratch",
        "--group-column",
        "--json",
        "--labelled-throughout",
        "--leaky-random-split",
        "--learning-rate",
        "--no-augment",
        "--no-flip",
        "--out",
        "--log",
        "--overwrite",
        "--patience",
        "--region",
        "--resume",
        "--seed",
        "--set",
        "--short",
        "--size",
        "--test",
        "--validation",
        "--views",
    },
    "label": {"--approach", "--browser", "--camera", "--json", "--model", "--no-browser", "--port"},
    "datasets get": {"--classes", "--from", "--json", "--per-class", "--yes"},
    "datasets list": {"--json"},
    "datasets preview": {"--columns", "--json", "--out", "--per-class"},
    "datasets split": {"--columns", "--json", "--out", "--tier"},
    "datasets convert": {"--columns", "--json", "--tier", "--to", "--video"},
    "datasets make": {
        "--actions",
        "--clips",
        "--json",
        "--people",
        "--people-per-scene",
        "--scenes",
        "--seed",
        "--strong-scenes",
        "--untrimmed",
    },
    "models list": {"--json"},
    "models pull": {"--accept-licence", "--all"},
}


def test_the_verbs_and_their_options_are_frozen():
    """Others rely on them: a change here is a change of the contract."""
    from typer.main import get_command

    from kineme.cli.main import app

    def walk(command, name=""):
        if hasattr(command, "commands"):
            for sub, child in command.commands.items():
                yield from walk(child, f"{name} {sub}".strip())
        else:
            options = (part for one in command.params for part in (*one.opts, *one.secondary_opts))
            yield name, {option for option in options if option.startswith("--")} - {"--help"}

    assert dict(walk(get_command(app))) == VERBS


@pytest.mark.parametrize("arguments", [[], *[verb.split() for verb in VERBS]])
def test_help_is_answered_without_importing_anything_slow(arguments):
    slow = {"keras", "tensorflow", "polars", "matplotlib", "sklearn", "scipy", "cv2", "av", "numpy"}
    code = "\n".join(
        [
            f"import sys; sys.argv = ['kineme', *{arguments!r}, '--help']",
            "from kineme.cli.main import main",
            "try: main()",
            "except SystemExit as end: assert not end.code",
            f"assert not {slow!r} & set(sys.modules)",
        ]
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "Usage: kineme" in done.stdout
