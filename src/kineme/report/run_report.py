"""A run to the page that explains it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kineme.dataset.table import SPLITS, ClipTable
from kineme.models.registry import APPROACHES, summary
from kineme.report.run_page import DataSummary, Mistake, RunReport, write_report
from kineme.training.metrics import reliability_bins
from kineme.training.run import Run

_MISTAKES = 12
_EXPLAINED = 4  # of them


def write_run_report(run: Run) -> Path:
    """Write ``report.html`` into the run folder.

    Returns:
        Where it is.

    Raises:
        KinemeError: it cannot be written.
    """
    metrics, card = run.metrics, run.card
    truth_N = np.array([item.label for item in run.test])
    page = RunReport(
        title=f"{card.approach} on {len(card.labels)} actions",
        approach=summary(APPROACHES[card.approach]),
        test=metrics["test"],
        data=_data_summary(run.table, metrics),
        config={"approach": card.approach, **card.config, **metrics["model"]["options"]},
        spec=card.spec.to_json(),
        history=run.history,
        best_epoch=int(metrics["train"]["best_epoch"]),
        reliability=reliability_bins(run.test_probabilities_NK, truth_N),
        unknown=metrics.get("unknown"),
        open_set_scores=(
            run.test_open_set_scores_N.tolist() if run.test_open_set_scores_N is not None else (),
            run.background_open_set_scores_N.tolist() if run.background_open_set_scores_N is not None else (),
        ),
        mistakes=_worst_mistakes(run),
        how_to_use=[
            "# recognise the action in a video of your own, and write it into the picture",
            f"kineme predict VIDEO --model {run.folder} --save video,json",
            "# measure it on other labelled videos",
            f"kineme evaluate {run.folder} OTHER_DATA --split all",
        ],
    )
    out = run.folder / "report.html"
    write_report(out, page)
    return out


def _data_summary(table: ClipTable, metrics: dict[str, Any]) -> DataSummary:
    counts: dict[str, dict[str, int]] = {label: dict.fromkeys(SPLITS, 0) for label in table.labels}
    for label, split in table.rows.select("label", "split").iter_rows():
        counts[label][split] += 1
    data = metrics["data"]
    return DataSummary(
        counts=counts,
        groups=data["groups"],
        group_source=table.group_source,
        group_noun=data["group_noun"],
        leaky=metrics["model"]["split"]["leaky"],
        fingerprint=metrics["model"]["data"],
        skipped=[(one.path, one.reason) for one in table.skipped],
        warnings=table.warnings,
    )


def _worst_mistakes(run: Run) -> list[Mistake]:
    """The wrong answers given with most confidence, with what the network saw."""
    answers_N = run.test_probabilities_NK.argmax(axis=1)
    wrong = [number for number, item in enumerate(run.test) if answers_N[number] != item.label]
    wrong.sort(key=lambda number: -run.test_probabilities_NK[number].max())
    labels = run.card.labels
    look = _looker(run) if wrong else None
    mistakes = []
    for place, number in enumerate(wrong[:_MISTAKES]):
        item, answer = run.test[number], int(answers_N[number])
        starts = run.frame_cache.evaluation_starts(item)
        frames_THWC = run.frame_cache.window(item, starts[len(starts) // 2])
        mistakes.append(
            Mistake(
                name=item.name,
                truth=labels[item.label],
                predicted=labels[answer],
                probability=float(run.test_probabilities_NK[number].max()),
                frames_THWC=frames_THWC,
                looked_THWC=look(frames_THWC, answer) if look and place < _EXPLAINED else None,
            )
        )
    return mistakes


def _looker(run: Run) -> Callable[[NDArray[np.uint8], int], NDArray[np.uint8]] | None:
    """Lays heat maps for a label over the frames of a clip; None behind large backbones, where that takes long."""
    from kineme.models.registry import FROZEN

    if run.card.config.get("backbone") in FROZEN:
        return None
    from kineme.models.model_file import load_model
    from kineme.prediction.explain.gradients import HeatMaps
    from kineme.prediction.loading import find_model_file
    from kineme.report.explain_drawing import as_shares, lay_heat

    heat_maps = HeatMaps(*load_model(find_model_file(run.folder)))

    def look(frames_THWC: NDArray[np.uint8], column: int) -> NDArray[np.uint8]:
        shares_THW = as_shares(heat_maps(frames_THWC[None], column)[0].astype(np.float32))
        pairs = zip(frames_THWC, shares_THW, strict=True)
        return np.stack([lay_heat(frame_HWC, shares_HW, run.card.spec) for frame_HWC, shares_HW in pairs])

    return look
