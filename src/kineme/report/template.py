"""Fills the pages of ``templates/``: all text is escaped, and figures have filters that print them."""

from __future__ import annotations

import json
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from kineme.report import verdict
from kineme.report.filmstrip import svg_data_uri
from kineme.version import __version__


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
        percent=percent,
        picture=_picture,
        points=_points,
        share=_share,
    )
    return environment.get_template(template).render(version=__version__, **values)


def percent(share: object) -> str:
    """A share as "93 %" with a space that does not break, or a dash without one."""
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
