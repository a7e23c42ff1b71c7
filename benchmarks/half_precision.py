"""I3D's features in bfloat16 beside float32: top-1 of a linear head on UT-Interaction, and processor time of a clip.

The protocol is that of ``region.py``: one sequence left out within each set, and each set tested on the other. The
features of both kinds are kept, so an interrupted run continues where it stopped. It needs a processor that computes in
bfloat16, and OpenVINO.

    python benchmarks/half_precision.py DATA --out benchmarks/results/half-precision.json
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from pairs import record
from region import measured, pooled

from kineme import api
from kineme.files import write_json
from kineme.models.half_precision import Arithmetic, has_bfloat16
from kineme.models.network import frozen_encoder
from kineme.models.registry import find_backbone, make_approach
from kineme.training.learner import Learner, make_learner
from kineme.video.spec import ClipSpec

KINDS: tuple[Arithmetic, ...] = ("float32", "bfloat16")
SPEC = replace(find_backbone("i3d").spec, brightness="auto")  # as by default


def main() -> None:
    parser = argparse.ArgumentParser(description="I3D's features in bfloat16 beside float32.")
    parser.add_argument("data", type=Path, help="folder with clips.csv")
    parser.add_argument("--mirrored", action="store_true", help="learn from mirror images too, for twice the time")
    parser.add_argument("--out", type=Path, help="JSON file to write the result to")
    arguments = parser.parse_args()
    if not has_bfloat16():
        sys.exit("this processor does not compute in bfloat16, or OpenVINO is missing")
    table = api.scan(arguments.data, fold_column="set")
    learners = {kind: learner(len(table.labels), kind) for kind in KINDS}
    result = record("keras", "tensorflow", "openvino", "scikit-learn", mirrored=arguments.mirrored)
    result["processor_s_a_clip"] = {kind: round(processor_s(one), 2) for kind, one in learners.items()}
    print(result["processor_s_a_clip"])
    seen = {kind: pooled(one, table, arguments.mirrored, kind) for kind, one in learners.items()}
    result["correlation"] = round(float(np.corrcoef(*(one.pooled_WF.ravel() for one in seen.values()))[0, 1]), 6)
    print(f"correlation of the pooled features: {result['correlation']}")
    result["rows"] = measured("arithmetic", table, dict(seen))
    if arguments.out:
        write_json(arguments.out, result)


def learner(classes: int, kind: Arithmetic, spec: ClipSpec = SPEC) -> Learner:
    """What makes the features of I3D in an arithmetic."""
    approach = make_approach("late-fusion", {"backbone": "i3d", "head": "linear"})
    one = make_learner(approach, spec, classes)
    return replace(one, encoder=frozen_encoder(one.network, approach, arithmetic=kind))


def processor_s(one: Learner) -> float:
    """Processor time of a clip: the least of three."""
    clip = np.random.default_rng(0).integers(0, 256, (SPEC.frames, SPEC.height, SPEC.width, 3), np.uint8)
    encoder: Any = one.encoder
    return min(seconds(lambda: encoder.window(clip)) for _ in range(4))


def seconds(call: Callable[[], object]) -> float:
    started = time.process_time()
    call()
    return time.process_time() - started


if __name__ == "__main__":
    main()
