"""Windows of I3D that meet beside windows that overlap by half: top-1 on UT-Interaction, and how many there are.

The protocol is that of ``region.py``: one sequence left out within each set, and each set tested on the other. The
features of both kinds are kept, so an interrupted run continues where it stopped.

    python benchmarks/overlap.py DATA --mirrored --out benchmarks/results/overlap.json
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from half_precision import SPEC, learner
from pairs import record
from region import measured, pooled

from kineme import api
from kineme.files import write_json
from kineme.models.half_precision import best_arithmetic

KINDS = {"half": 0.5, "none": 0.0}


def main() -> None:
    parser = argparse.ArgumentParser(description="Windows of I3D that meet beside windows that overlap by half.")
    parser.add_argument("data", type=Path, help="folder with clips.csv")
    parser.add_argument("--mirrored", action="store_true", help="learn from mirror images too, for twice the time")
    parser.add_argument("--out", type=Path, help="JSON file to write the result to")
    arguments = parser.parse_args()
    table = api.scan(arguments.data, fold_column="set")
    arithmetic = best_arithmetic()
    result = record("keras", "tensorflow", "openvino", "scikit-learn", mirrored=arguments.mirrored)
    learners = {
        kind: learner(len(table.labels), arithmetic, replace(SPEC, overlap=overlap)) for kind, overlap in KINDS.items()
    }
    seen = {kind: pooled(one, table, arguments.mirrored, kind) for kind, one in learners.items()}
    result["arithmetic"] = arithmetic
    result["windows"] = {kind: int(one.is_plain_W.sum()) for kind, one in seen.items()}
    print(f"windows of all videos: {result['windows']}")
    result["rows"] = measured("overlap", table, seen)
    if arguments.out:
        write_json(arguments.out, result)


if __name__ == "__main__":
    main()
