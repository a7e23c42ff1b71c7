"""Makes everything that the guide shows: videos, models, transcripts, pictures, numbers and notebooks.

    python docs/figures/make.py [MODULE...]

What is up to date is left as it is; a module named is run in any case. About ten minutes on two cores the first time.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(Path(__file__).parent))

import guide_notebooks
import train
from guide_paths import DOCS, GENERATED, NUMBERS, PICTURES, REPOSITORY, hash_of, sources

MODULES = (
    "schematics",
    "videos",
    "inside_cnn",
    "approaches",
    "two_people",
    "inside_lstm",
    "training_it",
    "any_good",
    "uses_time",
    "live",
    "comparison",
    "million_hours",
    "growth",
)
_SHARED = ("style.py", "guide_paths.py", "network_diagram.py")


def key_of(module: str) -> str:
    """Changes whenever what a module draws may."""
    files = [DOCS / "figures" / name for name in (f"{module}.py", *_SHARED)]
    files += sorted((REPOSITORY / "benchmarks" / "results").glob("*.json"))
    models = [step.key.encode() for step in train.STEPS]
    return hash_of([sources().encode(), *models, *(file.read_bytes() for file in files)])


def draw(module: str) -> None:
    """Run a module and keep its numbers."""
    started = time.perf_counter()
    PICTURES.mkdir(parents=True, exist_ok=True)
    NUMBERS.mkdir(parents=True, exist_ok=True)
    key = key_of(module)
    numbers = importlib.import_module(module).main(PICTURES)
    document = {"key": key, "numbers": numbers}
    (NUMBERS / f"{module}.json").write_text(json.dumps(document, indent=1, ensure_ascii=False), encoding="utf-8")
    print(f"{module}: {time.perf_counter() - started:.0f} s", flush=True)


def is_drawn(module: str) -> bool:
    """Whether its pictures are up to date."""
    file = NUMBERS / f"{module}.json"
    return file.is_file() and json.loads(file.read_text(encoding="utf-8"))["key"] == key_of(module)


def main(names: list[str]) -> None:
    """Make what is named, or all."""
    train.main([])
    for module in MODULES:
        if module in names or (not names and not is_drawn(module)):
            draw(module)
    collect()
    guide_notebooks.write_all()


def collect() -> None:
    """Put the numbers of all modules into one file, which is touched only where one changes."""
    found: dict[str, list[str]] = {}
    for module in MODULES:
        file = NUMBERS / f"{module}.json"
        if file.is_file():
            found |= json.loads(file.read_text(encoding="utf-8"))["numbers"]
    text = json.dumps(found, indent=1, ensure_ascii=False, sort_keys=True)
    target = GENERATED / "numbers.json"
    if not target.is_file() or target.read_text(encoding="utf-8") != text:
        target.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
