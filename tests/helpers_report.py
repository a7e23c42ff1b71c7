"""Made-up results for tests of the report."""

from __future__ import annotations

import re
from dataclasses import replace
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np

from kineme.report.run_page import DataSummary, Mistake, RunReport

HOSTILE = ["<script>alert(1)</script>", '"onload="alert(2)', "a & b $x^{$", "太极拳", "</style><b>", "{{ 7 * 7 }}"]
VOID = {"meta", "link", "img", "br", "hr", "wbr"}


class Page(HTMLParser):
    """What a browser would find, and every tag that is not closed in order."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.text, self.tags, self.open, self.faults = "", [], [], []
        self.source = path.read_text(encoding="utf-8")
        self.feed(self.source)
        self.close()
        self.faults += [f"{tag} stays open" for tag in self.open]

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.faults.append(f"</{tag}> at {self.getpos()}")

    def handle_data(self, data: str) -> None:
        if not {"style", "script"} & set(self.open):
            self.text += data

    def rows(self, label: str) -> list[list[str]]:
        """The cells of the table in the region of this label."""
        within = self.source.replace("<wbr>", "").split(f'aria-label="{label}"', 1)[1].split("</table>", 1)[0]
        cells = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.DOTALL) for row in within.split("<tr")[1:]]
        return [
            [unescape(re.sub(r"<[^>]+>", " ", cell)).replace("\u00a0", " ").strip() for cell in row] for row in cells
        ]

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


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
        how_to_use=[
            "# name the actions in a video of your own",
            "kineme predict my.mp4 --model run",
            "kineme predict --help",
        ],
    )
    return replace(run, **changes)


SIX = ["sit-down", "stand-up", "pick-up", "put-down", "wave", "drink"]
SEVEN = {  # skill on what single frames show, skill on order, milliseconds per frame
    "lrcn:efficientnet-lite0": (0.96, 0.97, 6.1),
    "convlstm": (0.9, 0.93, 2.4),
    "slow-fusion": (0.9, 0.96, 1.3),
    "early-fusion": (0.82, 0.92, 0.31),
    "late-fusion:small-cnn,merge=mean": (0.86, 0.5, 0.42),
    "single-frame": (0.8, 0.5, 0.4),
    "pose-lstm": (0.6, 0.8, 14.0),
}


def time_figures(test: dict[str, Any], lost: float) -> dict[str, Any]:
    """ "orders" and "motion_reliance" of a test whose recalls fall by this share of themselves when shuffled."""
    rest = test["top1"] * (1 - lost)
    return {
        "orders": {
            name: {
                "top1": share,
                "top1_interval": [max(0.0, share - 0.09), min(1.0, share + 0.08)],
                "top1_ordered": test["top1"],
                "p_value": 2e-4 if lost > 0.15 else 0.4,
            }
            for name, share in (("shuffled", rest), ("reversed", rest * 0.8), ("frozen", rest * 0.7))
        },
        "motion_reliance": {
            label: None if row["recall"] is None else row["recall"] * min(1.0, lost * (0.6 + 0.15 * (number % 6)))
            for number, (label, row) in enumerate(test["per_class"].items())
        },
    }


def comparison(
    labels: list[str] | None = None,
    skills: dict[str, tuple[float, float, float]] | None = None,
    *,
    each: int = 10,
    seeds: int = 3,
    groups: int = 12,
    pairs: int = 2,
    **changes: Any,
) -> dict[str, Any]:
    """A document of comparison.json; the first ``pairs`` twos of labels differ in the order of frames only."""
    rng = np.random.default_rng(0)
    labels, skills = labels or SIX, skills or SEVEN
    candidates = []
    for name, (seen, ordered, ms) in skills.items():
        probabilities = np.full((len(labels), len(labels)), (1 - seen) / max(len(labels) - 1, 1))
        np.fill_diagonal(probabilities, seen)
        for first in range(0, 2 * pairs, 2):
            for one, other in ((first, first + 1), (first + 1, first)):
                known = probabilities[one, one] + probabilities[one, other]
                probabilities[one, [one, other]] = known * ordered, known * (1 - ordered)
        confusion = np.array([rng.multinomial(each * seeds, row) for row in probabilities])
        test = figures(confusion, labels, groups=groups)
        del test["baselines"]
        test["n"] = each * len(labels)
        approach, _, backbone = name.partition(":")
        candidates.append(
            {
                "name": name,
                "approach": approach,
                "backbone": backbone.split(",")[0] or "small-cnn",
                "config": {"merge": "mean"} if "merge=mean" in name else {},
                "spec": {"frames": 20, "fps": 8.0, "height": 64, "width": 64, "fit": "stretch", "short": "hold"},
                "pretrained": "efficientnet" in name,
                "error": None,
                "test": test,
                "seed_top1": [test["top1"] + step for step in (-0.02, 0.0, 0.01)][:seeds],
                **time_figures(test, 0.0 if ordered == 0.5 else 0.45),
                "cost": {
                    "training_seconds": 40 + 31 * ms,
                    "ms_per_frame": ms,
                    "parameters": int(30_000 + 40_000 * ms),
                    "memory_mb": 700 + 30 * ms,
                    "model_mb": 0.4,
                },
            }
        )
    best = max(candidates, key=lambda one: one["test"]["top1"])
    for one in candidates:
        if one is not best:
            difference = best["test"]["top1"] - one["test"]["top1"]
            p = max(0.0004, 0.6 - 5 * difference)
            one["against_best"] = {"difference": difference, "p": p, "distinguishable": p < 0.05}
    document = {
        "kineme": "0.1.0",
        "data": {
            "name": "six",
            "fingerprint": "sha256:4f1d0c9b7a3e5d21",
            "videos": 300,
            "groups": 50,
            "group_source": "the column group of clips.csv",
            "group_noun": "people",
            "labels": labels,
            "skipped": [],
            "warnings": [],
        },
        "protocol": {"kind": "split", "folds": 1, "seeds": list(range(seeds)), "column": None},
        "candidates": candidates,
        "baselines": {
            "chance": {"top1": 1 / len(labels), "top1_interval": [1 / len(labels)] * 2},
            "majority": {"top1": 1 / len(labels), "top1_interval": [0.8 / len(labels), 1.2 / len(labels)]},
            "background_only": {"top1": 0.21, "top1_interval": [0.12, 0.31]},
            "single_frame": {"top1": 0.48, "top1_interval": [0.4, 0.57]},
        },
        "best": best["name"],
        "leaky": {
            "candidate": best["name"],
            "top1": 0.99,
            "top1_interval": [0.96, 1.0],
            "n": each * len(labels),
            "reason": None,
        },
        "winner": "winner/model.safetensors",
        "seconds": 812.0,
        "versions": {"kineme": "0.1.0", "python": "3.11.9", "keras": "3.10.0", "tensorflow": "2.19.0"},
        "machine": "2 cores, x86_64, Linux",
    }
    return {**document, **changes}
