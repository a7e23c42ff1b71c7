"""How long Kineme takes from the start of a process: to be imported, to show its help, to recognise one short video.

The video is 5 s of 320 x 240; the model is a small LRCN, once as it was trained, with its parts compiled for LiteRT
before and kept in the cache, and once exported. Every time is that of a whole process, Python's own start included,
with the files in the system's cache. The processes take turns.

    python benchmarks/startup.py --out benchmarks/results/startup.json
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from pairs import draw_video, in_turn, mark, record, shown, spread, table

from kineme.exporters.litert import export_litert
from kineme.files import write_json
from kineme.model import Model
from kineme.models.backend import seed_everything
from kineme.models.model_file import ModelCard, config_of, save_model
from kineme.models.network import build_network
from kineme.models.registry import find_backbone, make_approach

MARKS = {"import kineme": 0.15, "predict, exported model": 1.5, "predict, model in the cache of compiled parts": 1.5}
MAIN = "from kineme.cli.main import main; main()"


def main() -> None:
    parser = argparse.ArgumentParser(description="Time from the start of a process to its answer.")
    parser.add_argument("--rounds", type=int, default=15, help="rounds of timing (default 15)")
    parser.add_argument("--out", type=Path, help="JSON file to write the result to")
    arguments = parser.parse_args()
    result = record("av", "numpy", "ai-edge-litert")
    with tempfile.TemporaryDirectory(prefix="kineme-startup-") as work:
        commands = prepare(Path(work))
        environment = {**os.environ, "KINEME_CACHE": str(Path(work) / "cache")}
        ways = {name: (lambda command=command: run(command, environment)) for name, command in commands.items()}
        taken = in_turn(ways, arguments.rounds)
        result["seconds"] = {name: spread(values, 3) for name, values in taken.items()}
        result["slowest_imports_ms"] = {
            name: imports(command, environment) for name, command in commands.items() if name in MARKS
        }
    result["marks"] = {name: mark(result["seconds"][name]["median"], most=most) for name, most in MARKS.items()}
    result["met"] = all(one["met"] for one in result["marks"].values())
    table(["from the start of a process", "s"], [[name, shown(one)] for name, one in result["seconds"].items()])
    for name, slowest in result["slowest_imports_ms"].items():
        print(f"{name}: {', '.join(f'{module} {ms}' for module, ms in slowest.items())} (ms, with what they import)")
    for name, one in result["marks"].items():
        print(f"{name}: {one['value']} s, at most {one['most']} s: {'met' if one['met'] else 'NOT met'}")
    if arguments.out:
        write_json(arguments.out, result)
    sys.exit(0 if result["met"] else 1)


def prepare(work: Path) -> dict[str, list[str]]:
    """Make video and models; the arguments of Python for each thing that is timed."""
    os.environ["KINEME_CACHE"] = str(work / "cache")
    video = draw_video(work / "clip.mp4", width=320, height=240, seconds=5)
    seed_everything(0)
    approach = make_approach("lrcn")
    spec, labels = find_backbone(approach.backbone).spec, ("one", "two", "three", "four")
    network = build_network(approach, spec, len(labels))
    trained, exported = work / "lrcn.safetensors", work / "lrcn.tflite"
    save_model(trained, network, ModelCard("lrcn", config_of(approach), spec, labels))
    model = Model.from_file(trained)
    export_litert(model, exported, check=video)
    model.predict(video, engine="litert")  # compiles what is kept
    predict = ["-c", MAIN, "predict", str(video), "--json", "--model"]
    return {
        "python alone": ["-c", "pass"],
        "import kineme": ["-c", "import kineme"],
        "kineme --help": ["-c", MAIN, "--help"],
        "predict, exported model": [*predict, str(exported)],
        "predict, model in the cache of compiled parts": [*predict, str(trained)],
    }


def run(command: list[str], environment: dict[str, str]) -> None:
    subprocess.run([sys.executable, *command], check=True, capture_output=True, env=environment)


def imports(command: list[str], environment: dict[str, str], most: int = 8) -> dict[str, float]:
    """The slowest imports of modules that are no part of Kineme, in milliseconds, with what each imports first."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", *command], check=True, capture_output=True, text=True, env=environment
    )
    found: dict[str, float] = {}
    for line in done.stderr.splitlines():
        parts = line.removeprefix("import time:").split("|")
        if line.startswith("import time:") and len(parts) == 3 and parts[1].strip().isdecimal():
            name = parts[2].strip()
            if "." not in name and not name.startswith(("kineme", "_")):
                found[name] = round(int(parts[1]) / 1e3, 1)
    return dict(sorted(found.items(), key=lambda item: -item[1])[:most])


if __name__ == "__main__":
    main()
