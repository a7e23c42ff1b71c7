"""What 8-bit arithmetic does to EfficientNet's features: size, speed, and what a classifier on them still gets right.

The backbone is compiled for LiteRT in float32, with 8-bit weights ("dynamic": activations are rounded as they come),
and in 8 bits throughout ("static": ranges found on frames of the training data). A logistic regression reads the mean
of a video's features and of their change, leaving one sequence out, on set 1 of UT-Interaction, which is not part of
this repository. The ranges are found on sequences of set 2, so that no test frame has been seen.

    python benchmarks/int8.py FOLDER_OF_UT_INTERACTION --out benchmarks/results/int8.json
"""

from __future__ import annotations

import argparse
import csv
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from pairs import in_turn, ratio, record, spread, table

from kineme.files import write_json
from kineme.video.clips import read_clips
from kineme.video.spec import ClipSpec

SPEC = ClipSpec(frames=16, fps=None, height=224, width=224)
CALIBRATION = 12  # videos of the other set, whose frames tell the ranges


def main() -> None:
    parser = argparse.ArgumentParser(description="EfficientNet-Lite0 in 8 bits: size, speed, accuracy.")
    parser.add_argument("data", type=Path, help="folder of UT-Interaction with its clips.csv")
    parser.add_argument("--rounds", type=int, default=9, help="rounds of timing (default 9)")
    parser.add_argument("--out", type=Path, help="JSON file to write the result to")
    arguments = parser.parse_args()
    with (arguments.data / "clips.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    one, two = ([row for row in rows if row["set"].endswith(which)] for which in "12")
    clips = {row["path"]: clip_of(arguments.data / row["path"]) for row in [*one, *two[:: len(two) // CALIBRATION]]}
    seen = [frame for row in two if row["path"] in clips for frame in clips[row["path"]]]
    contents = compiled(seen)
    result = record("keras", "tensorflow", "ai-edge-litert", "scikit-learn", videos=len(one), variants={})
    functions = {name: {threads: opened(content, threads) for threads in (1, 2)} for name, content in contents.items()}
    features = {
        name: np.stack([[function[2](frame) for frame in clips[row["path"]]] for row in one])
        for name, function in functions.items()
    }
    ways = {
        f"{name}, {threads}": lambda run=run: look(run, seen[:16])
        for name, by_threads in functions.items()
        for threads, run in by_threads.items()
    }
    taken = in_turn(ways, arguments.rounds)
    for name, content in contents.items():
        result["variants"][name] = {
            "megabytes": round(len(content) / 1e6, 2),
            **{
                f"ms_a_frame_{threads}_threads": spread([1000 * s / 16 for s in taken[f"{name}, {threads}"]])
                for threads in (1, 2)
            },
            "times_faster_1_thread": ratio(taken["float32, 1"], taken[f"{name}, 1"]),
            "cosine_to_float32": round(float(np.mean(cosines(features[name], features["float32"]))), 4),
            "top1": round(accuracy(features[name], one), 4),
        }
    show(result)
    if arguments.out:
        write_json(arguments.out, result)


def look(run: Callable[[np.ndarray], np.ndarray], frames: list[np.ndarray]) -> None:
    for frame in frames:
        run(frame)


def clip_of(path: Path) -> np.ndarray:
    return next(read_clips(path, SPEC)).frames_THWC


def compiled(seen: list[np.ndarray]) -> dict[str, bytes]:
    """The backbone as three ``.tflite`` files."""
    import tensorflow as tf

    from kineme.models.backbones import efficientnet_lite0
    from kineme.models.tracing import saved_model, traced
    from kineme.models.weights import require

    network = efficientnet_lite0.build()
    efficientnet_lite0.load_weights(network, require("efficientnet-lite0"))
    contents = {}
    with saved_model({"frame": traced(network, 1)}, [network]) as folder, tempfile.TemporaryDirectory():
        for name in ("float32", "dynamic", "static"):
            converter = tf.lite.TFLiteConverter.from_saved_model(str(folder), ["frame"])
            if name != "float32":
                converter.optimizations = [tf.lite.Optimize.DEFAULT]
            if name == "static":
                converter.representative_dataset = lambda: (("frame", {"input0": one[None]}) for one in seen[::3])
            contents[name] = converter.convert()
    return contents


def opened(content: bytes, threads: int) -> Callable[[np.ndarray], np.ndarray]:
    from kineme.models.litert import LiteRTFunction

    function = LiteRTFunction(content, "frame", threads)
    return lambda frame: function(frame[None])[0][0]


def cosines(some: np.ndarray, others: np.ndarray) -> np.ndarray:
    return (some * others).sum(-1) / (np.linalg.norm(some, axis=-1) * np.linalg.norm(others, axis=-1))


def accuracy(features_NTD: np.ndarray, rows: list[dict[str, str]]) -> float:
    """Top-1 of a logistic regression on mean and mean change, each sequence left out in turn."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import LeaveOneGroupOut, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    changes = np.abs(np.diff(features_NTD, axis=1)).mean(axis=1)
    inputs = np.concatenate([features_NTD.mean(axis=1), changes], axis=1)
    labels, groups = [row["label"] for row in rows], [row["group"] for row in rows]
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=2000))
    return float(np.mean(cross_val_predict(model, inputs, labels, groups=groups, cv=LeaveOneGroupOut()) == labels))


def show(result: dict[str, Any]) -> None:
    table(
        ["EfficientNet-Lite0", "MB", "ms, 1 thread", "ms, 2 threads", "times", "cosine", "top-1"],
        [
            [
                name,
                row["megabytes"],
                row["ms_a_frame_1_threads"]["median"],
                row["ms_a_frame_2_threads"]["median"],
                row["times_faster_1_thread"]["median"],
                row["cosine_to_float32"],
                row["top1"],
            ]
            for name, row in result["variants"].items()
        ],
    )


if __name__ == "__main__":
    main()
