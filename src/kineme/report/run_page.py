"""Write the report of a training run or an evaluation: one HTML file that needs no network and no other file."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape
from numpy.typing import NDArray

from kineme.files import write_text
from kineme.report import plots, verdict
from kineme.report.filmstrip import filmstrip, jpeg_data_uri, svg_data_uri
from kineme.version import __version__

_SPLITS = ("train", "validation", "test")


@dataclass(frozen=True, kw_only=True)
class DataSummary:
    """What the model was trained and tested on.

    Args:
        counts: videos for each label and split: ``{"wave": {"train": 12, "validation": 3, "test": 3}}``.
        groups: number of groups in each split.
        group_source: where the groups come from, such as ``"the column group of clips.csv"``.
        group_noun: what a group is, in the plural: ``"people"``, ``"scenes"``.
        leaky: whether groups may straddle the splits.
        fingerprint: of the data.
        skipped: path and reason of each video left out.
        warnings: what was odd about the data, one sentence each.
    """

    counts: Mapping[str, Mapping[str, int]]
    groups: Mapping[str, int]
    group_source: str
    group_noun: str = "groups"
    leaky: bool = False
    fingerprint: str = ""
    skipped: Sequence[tuple[str, str]] = ()
    warnings: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class Mistake:
    """A test video named wrongly.

    Args:
        name: of the video, as the user knows it.
        truth: its label.
        predicted: the label it was given.
        probability: of the label it was given, 0 to 1.
        frames_THWC: RGB uint8 (T, H, W, 3), what the model saw.
        looked_THWC: the same with heat maps of where it looked, if there are any.
    """

    name: str
    truth: str
    predicted: str
    probability: float
    frames_THWC: NDArray[np.uint8]
    looked_THWC: NDArray[np.uint8] | None = None


@dataclass(frozen=True, kw_only=True)
class Section:
    """A part of the page beyond the usual ones; everything in it is plain text, escaped by the page.

    Args:
        heading: its title.
        text: a paragraph.
        columns: headings of a table.
        rows: its rows, each as long as ``columns``; the first cell names the row.
    """

    heading: str
    text: str = ""
    columns: Sequence[str] = ()
    rows: Sequence[Sequence[object]] = ()


@dataclass(frozen=True, kw_only=True)
class RunReport:
    """Everything the page shows. Parts left empty are left out.

    Args:
        title: of the page.
        approach: one sentence on what the model is.
        test: the ``test`` object of ``metrics.json``; its ``per_class`` gives the labels in order.
        data: what it was trained and tested on.
        config: settings of the approach and of training, shown as they are.
        spec: the clip spec, shown as it is.
        history: rows of ``history.csv``, one for each epoch.
        best_epoch: the epoch whose weights were kept.
        reliability: bins of the reliability diagram: ``n``, ``confidence``, ``accuracy`` each.
        unknown: the ``unknown`` object of ``metrics.json``, where there is one.
        open_set_scores: of the test videos, and of background made of them.
        mistakes: the worst first.
        sections: what else there is to say.
        how_to_use: commands to type next; a line that starts with ``#`` is shown as a remark.
    """

    title: str
    approach: str
    test: Mapping[str, Any]
    data: DataSummary
    config: Mapping[str, Any] = field(default_factory=dict)
    spec: Mapping[str, Any] = field(default_factory=dict)
    history: Sequence[Mapping[str, Any]] = ()
    best_epoch: int | None = None
    reliability: Sequence[Mapping[str, Any]] = ()
    unknown: Mapping[str, Any] | None = None
    open_set_scores: tuple[Sequence[float], Sequence[float]] = ((), ())
    mistakes: Sequence[Mistake] = ()
    sections: Sequence[Section] = ()
    how_to_use: Sequence[str] = ()


def write_report(path: str | os.PathLike[str], run: RunReport) -> None:
    """Write ``run`` as one self-contained page.

    Raises:
        KinemeError: the file cannot be written.
    """
    data, test = run.data, run.test
    labels = list(test["per_class"])
    splits = [split for split in _SPLITS if any(split in row for row in data.counts.values())]
    page = render(
        "report.html.j2",
        title=run.title,
        subtitle=run.approach,
        answer=verdict.answer(test, group_noun=data.group_noun, leaky=data.leaky),
        cautions=[*verdict.cautions(test, group_noun=data.group_noun, leaky=data.leaky), *data.warnings],
        interval_method=test.get("interval_method"),
        run=run,
        tiles=_tiles(run),
        labels=labels,
        pairs=verdict.confused_pairs(test["confusion"], labels),
        strips=[_strip(mistake) for mistake in run.mistakes],
        curves=plots.learning_curves(run.history, best_epoch=run.best_epoch) if run.history else (),
        comparison=plots.comparison(test),
        per_class=plots.per_class(test["per_class"]),
        per_class_most=plots.MOST_BARS,
        confusion=plots.confusion_matrix(test["confusion"], labels),
        orders=plots.orders(test) if verdict.time_use(test) else None,
        time_use=verdict.time_use(test),
        reliance=_reliance(test),
        all_lost=verdict.lost_when_shuffled(test),
        single_frame=verdict.baseline_top1(test, "single_frame"),
        reliability=plots.reliability(run.reliability) if run.reliability else None,
        refusal=verdict.refusal(run.unknown) if run.unknown else None,
        open_set_scores=plots.open_set_scores(*run.open_set_scores) if run.unknown else None,
        numbered=len(labels) > plots.MOST_NAMES,
        splits=splits,
        totals={split: sum(row.get(split, 0) for row in data.counts.values()) for split in splits},
        skipped_words=verdict.counted(len(data.skipped), "videos"),
    )
    write_text(path, page)


def render(template: str, **values: Any) -> str:
    """Fill a page of ``templates/``; all text in ``values`` is escaped, and figures have filters to print them."""
    environment = Environment(
        loader=PackageLoader("kineme.report"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters.update(
        amount=_amount,
        breakable=_breakable,
        duration=_duration,
        nice=_nice,
        percent=_percent,
        picture=_picture,
        points=_points,
        share=_share,
    )
    return environment.get_template(template).render(version=__version__, **values)


def _reliance(test: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    """Label, recall and motion reliance of each class that was tested, those that live on motion first."""
    reliance = test.get("motion_reliance") or {}
    rows = [(label, row["recall"], reliance.get(label)) for label, row in test["per_class"].items()]
    known = [row for row in rows if verdict.is_number(row[2])]
    return sorted(known, key=lambda row: -row[2])


def _tiles(run: RunReport) -> list[tuple[str, str, str]]:
    """Name, figure and what it means, for the row of figures under the answer."""
    test = run.test
    within = "95 % interval {}"
    tiles = [("Top-1", _percent(test["top1"]), _interval(test.get("top1_interval"), within) or "of videos named right")]
    if verdict.is_number(test.get("top5")):
        tiles.append(("Top-5", _percent(test["top5"]), "the right name is among its five likeliest"))
    tiles.append(
        (
            "Macro-F1",
            _percent(test["macro_f1"]),
            _interval(test.get("macro_f1_interval"), within) or "every class counts the same",
        )
    )
    if verdict.is_number(test.get("calibration_error")):
        tiles.append(("Calibration error", _percent(test["calibration_error"]), "how far its probabilities are off"))
    groups = verdict.counted(test["groups"], run.data.group_noun)
    tiles.append(("Test videos", f"{test['n']:,}", f"of {groups}"))
    return [(name, figure, meaning.replace(" %", "\u00a0%")) for name, figure, meaning in tiles]


def _strip(mistake: Mistake) -> tuple[Mistake, str, str | None]:
    looked = None if mistake.looked_THWC is None else jpeg_data_uri(filmstrip(mistake.looked_THWC))
    return mistake, jpeg_data_uri(filmstrip(mistake.frames_THWC)), looked


def _interval(interval: object, sentence: str) -> str:
    return sentence.format(verdict.between(interval)) if verdict.is_interval(interval) else ""


def _percent(share: object) -> str:
    """A share as "93 %" with a space that does not break, or a dash where there is none."""
    return verdict.percent(share).replace(" ", "\u00a0") if verdict.is_number(share) else "–"


def _points(difference: object) -> str:
    """A difference of shares in points of a hundred: 0.41 as "41", -0.02 as "−2"."""
    return f"{round(difference * 100)}".replace("-", "\u2212") if verdict.is_number(difference) else "–"


def _breakable(name: str) -> Markup:
    """A candidate's name that may be broken where its parts meet."""
    return escape(name).replace(":", Markup(":<wbr>")).replace(",", Markup(",<wbr>"))


def _share(value: object) -> str:
    """A number kept within 0 and 1 as CSS takes it; 0 for none."""
    return f"{min(max(value, 0.0), 1.0):.2f}" if verdict.is_number(value) else "0"


def _amount(value: object, unit: str = "") -> str:
    """A count in thousands, or a measure with three digits that count, and its unit."""
    if not verdict.is_number(value):
        return "–"
    digits = 0 if value == int(value) or value >= 100 else 1 if value >= 10 else 2
    return f"{value:,.{digits}f}\u00a0{unit}".rstrip("\u00a0")


def _duration(seconds: object) -> str:
    """``75.2`` as "1 min 15 s"."""
    if not verdict.is_number(seconds):
        return "–"
    if seconds < 60:
        return _amount(round(seconds, 1), "s")
    minutes, rest = divmod(round(seconds), 60)
    text = f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
    return text.replace(" ", "\u00a0")


def _nice(value: object) -> str:
    """A setting as a short text."""
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, default=str)


def _picture(svg: str, alt: str) -> Markup:
    """An ``img`` element that holds the drawing itself."""
    return Markup('<img src="{}" alt="{}">').format(svg_data_uri(svg), alt)
