"""What this machine can do at most: the limits that the figures of the other scripts are shares of.

    python benchmarks/machine.py --out benchmarks/results/machine.json

Peak rate of float32 matrix products on all cores, and of decoding two common kinds of video on one thread.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from pairs import limits, record, table

from kineme.files import write_json


def main() -> None:
    parser = argparse.ArgumentParser(description="Peak rates of this machine: matrix products and plain decoding.")
    parser.add_argument("--out", type=Path, help="JSON file to write the result to")
    arguments = parser.parse_args()
    result = record("av", "numpy", limits=limits())
    table(["limit", "rate"], list(result["limits"].items()))
    if arguments.out:
        write_json(arguments.out, result)


if __name__ == "__main__":
    main()
