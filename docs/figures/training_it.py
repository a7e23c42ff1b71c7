"""The pictures of chapter 11: augmented clips, and the training of the LRCN epoch by epoch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from guide_paths import WORK, Numbers, clip, metrics, right_video, show, strip
from matplotlib.figure import Figure
from style import WIDTH, Theme, save


def augmentation(theme: Theme) -> Figure:
    """A clip and four views of it."""
    from kineme.training.augment import Augmentation

    film = clip(right_video("pick-up"), height=120, width=160)
    change = Augmentation()
    rows = [film, *(change(film, np.random.default_rng(seed)) for seed in (0, 2, 5, 7))]
    figure, axes = theme.subplots(WIDTH, 4.0, len(rows), 1)
    for number, (one, frames) in enumerate(zip(axes, rows, strict=True)):
        show(one, strip(frames))
        one.set_ylabel("as filmed" if not number else f"view {number}", rotation=0, ha="right", va="center", fontsize=9)
    return figure


def history(theme: Theme) -> Figure:
    """Loss and accuracy over the epochs."""
    import polars as pl

    rows = pl.read_csv(WORK / "runs" / "lrcn" / "history.csv")
    best = metrics("lrcn")["train"]["best_epoch"]
    figure, axes = theme.subplots(WIDTH, 2.8, 1, 2)
    for one, name, scale in ((axes[0], "loss", 1), (axes[1], "accuracy", 100)):
        one.plot(rows["epoch"], scale * rows[f"val_{name}"], color=theme.orange, label="validation", linewidth=1.4)
        one.plot(rows["epoch"], scale * rows[name], color=theme.blue, label="training")
        one.axvline(best, color=theme.faint, linestyle="--", linewidth=1)
        one.set(xlabel="epoch", title=name if scale == 1 else "accuracy, %")
        one.grid(axis="y")
    axes[0].set_ylim(bottom=0)
    axes[1].set_ylim(0, 103)
    axes[1].legend(loc="lower right")
    return figure


def main(folder: Path) -> Numbers:
    """Draw them all."""
    save(augmentation, "augmentation", folder)
    save(history, "history", folder)
    found = metrics("lrcn")
    command = "kineme train pairs --approach lrcn"
    return {
        "lrcn_epochs": (str(found["train"]["epochs"]), command),
        "lrcn_best_epoch": (str(found["train"]["best_epoch"]), command),
        "lrcn_validation": (str(found["validation"]["n"]), command),
        "lrcn_validation_groups": (str(found["validation"]["groups"]), command),
    }
