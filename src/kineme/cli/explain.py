"""``kineme explain``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kineme.cli import options
from kineme.cli.output import print_json, print_table, say, tell, warn
from kineme.text import percent

if TYPE_CHECKING:
    from kineme.prediction.explain.explain import Explanation


def explain(
    model: Annotated[
        str, typer.Argument(help="Model file, its run folder, or i3d-kinetics400; an exported one only says when.")
    ],
    source: Annotated[str, typer.Argument(metavar="VIDEO", help="A video, as kineme predict takes it.")],
    label: Annotated[str | None, typer.Option(help="Label to explain; by default the most probable one.")] = None,
    save: Annotated[str, typer.Option(help="Formats to write: png, mp4, json, several as png,mp4, or none.")] = "png",
    out: Annotated[str, typer.Option("--out", "-o", help="Folder for saved files.")] = "explanations",
    engine: options.Engine = "auto",
    start: options.Start = None,
    end: options.End = None,
    max_size: options.MaxSize = "1G",
    cookies: options.Cookies = None,
    cookies_from_browser: options.CookiesFromBrowser = None,
    json: options.Json = False,
) -> None:
    """Show where and when a model looked.

    Where: heat maps of the frames (joints, for a model on poses). When: a timeline, by holding spans of frames
    still and by gradient. png shows the decisive frames above the timeline, mp4 the whole video; json has all values.
    """
    from kineme.cli.models import load
    from kineme.prediction.explain.explain import check_label, explain_file
    from kineme.prediction.predict import smallest_side
    from kineme.progress import progress
    from kineme.report.explain_save import FORMATS, document, save_explanation
    from kineme.report.save import parse_formats
    from kineme.sources.local import one_video
    from kineme.sources.local_video import FetchOptions

    formats = parse_formats("" if save == "none" else save, FORMATS)
    start_s, end_s = options.parse_part(start, end)
    max_bytes = options.parse_size("--max-size", max_size)
    loaded = load(model)
    if label is not None:
        check_label(label, loaded.labels)
    fetch = FetchOptions(
        min_side=smallest_side(loaded, people=False),
        with_sound="mp4" in formats,
        max_bytes=max_bytes,
        start_s=start_s,
        end_s=end_s,
        cookies=cookies,
        cookies_from_browser=cookies_from_browser,
    )
    notes: list[str] = []
    with one_video(source, fetch) as video:
        with progress(f"explaining {Path(video.name).name}, %", 100) as advance:
            done = 0

            def show(share: float) -> None:
                nonlocal done
                steps = int(100 * share) - done
                if steps > 0:
                    advance(steps)
                    done += steps

            found = explain_file(loaded, video.file, label=label, engine=engine, on_progress=show)
        written = save_explanation(found, formats, Path(out), loaded, notes.append, video=video.file, name=video.name)
    tell(*(f"wrote {path}" for path in written))
    warn(f"{found.source}: {line}" for line in dict.fromkeys([*found.prediction.warnings, *found.warnings, *notes]))
    if json:
        print_json(document(found))
    else:
        _print(found)


def _print(found: Explanation) -> None:
    """The explained label, and the spans that decided it."""
    top = found.prediction.label
    other = "" if found.label == top else f" (the most probable is {top}, {percent(found.prediction.top[0][1])})"
    say(f"{found.source}: {found.label} {percent(found.probability)}{other}")
    if not found.salient_spans:
        say("No frame supported the label.")
        return
    rows = [[f"{one.start_s:.1f} s", f"{one.end_s:.1f} s", percent(one.share)] for one in found.salient_spans]
    print_table(["decided from", "to", "share of the evidence"], rows)
