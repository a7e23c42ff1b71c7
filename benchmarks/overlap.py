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
from region import measured, parts, predicted

from kineme import api
from kineme.cli.output import print_table
from kineme.files import write_json
from kineme.models.half_precision import best_arithmetic
from kineme.training.linear import PooledWindows, pool_windows

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
    result |= {"arithmetic": arithmetic, "windows": {}}
    seen: dict[str, PooledWindows] = {}
    for kind, overlap in KINDS.items():
        one = learner(len(table.labels), arithmetic, replace(SPEC, overlap=overlap))
        cache = one.cache()
        _, items = cache.prepare(table, table.labels)
        seen[kind] = pool_windows(one, items, cache, mirrored=arguments.mirrored, label=kind)
        result["windows"][kind] = sum(len(cache.evaluation_starts(item)) for item in items)
    result["rows"] = [
        {"overlap": row.pop("region"), **row}
        for part, of_part, tests in parts(table.rows["fold"].to_numpy(), seen["half"].groups_N)
        for row in measured(part, {kind: predicted(one, of_part, tests) for kind, one in seen.items()}, seen, tests)
        if row["region"] != "averaged"
    ]
    columns = ("part", "overlap", "top1", "top1_interval", "n")
    print(f"windows of all videos: {result['windows']}")
    print_table(list(columns), [[str(row[name]) for name in columns] for row in result["rows"]])
    if arguments.out:
        write_json(arguments.out, result)


if __name__ == "__main__":
    main()
