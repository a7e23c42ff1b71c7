"""Made-up results for tests of the report."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from kineme.report.html import DataSummary, Mistake, RunReport, Section


def figures(confusion: np.ndarray, labels: list[str], *, groups: int = 6) -> dict[str, Any]:
    """The "test" object of metrics.json for a confusion matrix."""
    n = int(confusion.sum())
    per_class = {}
    for index, label in enumerate(labels):
        truth, said, right = confusion[index].sum(), confusion[:, index].sum(), confusion[index, index]
        recall = float(right / truth) if truth else None
        precision = float(right / said) if said else 0.0
        per_class[label] = {
            "n": int(truth),
            "precision": precision,
            "recall": recall,
            "f1": 2 * precision * recall / (precision + recall) if recall and precision else 0.0,
            "recall_interval": [max(0.0, recall - 0.12), min(1.0, recall + 0.1)] if recall is not None else None,
        }
    top1 = float(np.trace(confusion) / n)
    return {
        "n": n,
        "groups": groups,
        "top1": top1,
        "top1_interval": [max(0.0, top1 - 0.05), min(1.0, top1 + 0.04)],
        "macro_f1": float(np.mean([row["f1"] for row in per_class.values()])),
        "macro_f1_interval": [0.85, 0.97],
        "per_class": per_class,
        "confusion": confusion.tolist(),
        "calibration_error": 0.041,
        "interval_method": "percentiles of 2,000 resamples of groups",
        "baselines": {
            "chance": {"top1": 1 / len(labels)},
            "majority": {"top1": 1.2 / len(labels), "top1_interval": [1 / len(labels), 1.4 / len(labels)]},
            "background_only": {"top1": 0.21, "top1_interval": [0.12, 0.31]},
        },
    }


def report(labels: list[str], *, seed: int = 0, each: int = 10, **changes: Any) -> RunReport:
    """A full report for these labels."""
    rng = np.random.default_rng(seed)
    confusion = np.diag(rng.integers(each - 2, each + 1, len(labels)))
    for row in range(len(labels)):
        confusion[row, rng.integers(len(labels))] += 1
    frames = rng.integers(0, 255, (20, 1, 1, 3), dtype=np.uint8) * np.ones((1, 64, 64, 1), np.uint8)
    history = [
        {
            "epoch": epoch,
            "loss": 2.2 * 0.9**epoch,
            "accuracy": 1 - 0.85 * 0.9**epoch,
            "val_loss": 2.2 * 0.92**epoch + 0.004 * epoch,
            "val_accuracy": 0.95 - 0.8 * 0.92**epoch,
            "seconds": 2.5,
        }
        for epoch in range(1, 31)
    ]
    run = RunReport(
        title="lrcn on clips",
        approach="A small convolutional network looks at each frame, an LSTM at their order.",
        test=figures(confusion, labels),
        data=DataSummary(
            counts={label: {"train": 24, "validation": 6, "test": each} for label in labels},
            groups={"train": 12, "validation": 3, "test": 6},
            group_source="the column group of clips.csv",
            group_noun="people",
            fingerprint="sha256:4f1d0c9b7a3e5d21",
            skipped=[("wave/broken.mp4", "ends before its first frame; copy it again")],
        ),
        config={"backbone": "small-cnn", "epochs": 70, "dropout": 0.25, "filters": [16, 32, 64, 64]},
        spec={"frames": 20, "fps": 8.0, "height": 64, "width": 64, "fit": "stretch", "short": "hold"},
        history=history,
        best_epoch=24,
        reliability=[
            {"n": n, "confidence": c, "accuracy": a}
            for n, c, a in [(0, None, None), (4, 0.45, 0.5), (9, 0.62, 0.55), (14, 0.8, 0.86), (40, 0.96, 0.93)]
        ],
        mistakes=[
            Mistake(
                name=f"{labels[0]}/p07.mp4", truth=labels[0], predicted=labels[-1], probability=0.91, frames_THWC=frames
            )
        ],
        sections=[
            Section(heading="Order of frames", text="What is left when the frames are shuffled."),
            Section(
                heading="Pairs", columns=("pair", "in order", "shuffled"), rows=[("sit down, stand up", "92 %", "51 %")]
            ),
        ],
        how_to_use=[
            "# name the actions in a video of your own",
            "kineme predict my.mp4 --model run",
            "kineme predict --help",
        ],
    )
    return replace(run, **changes)
