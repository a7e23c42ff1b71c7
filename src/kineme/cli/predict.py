"""``kineme predict``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kineme.cli import options, triggers
from kineme.models.registry import DEFAULT_MODEL
from kineme.sources.kinds import is_live, refuse_live, table_of_kinds

LIVE = "Cameras and live streams"


def predict(
    source: Annotated[list[str], typer.Argument(help="Sources; see the table above.", metavar="SOURCE...")],
    model: Annotated[
        str,
        typer.Option(
            "--model",
            "-m",
            help="Model file, exported or not, its run folder, or a pretrained model of 400 actions.",
        ),
    ] = DEFAULT_MODEL,
    labels: options.Labels = None,
    prompt: options.Prompt = None,
    engine: options.Engine = "auto",
    save: Annotated[
        str | None,
        typer.Option(help="Formats to write: video, json, csv, srt, vtt, html, parquet, or several as video,json."),
    ] = None,
    out: Annotated[
        str,
        typer.Option("--out", "-o", help="Folder for saved files; - writes json, csv, srt or vtt to standard output."),
    ] = "predictions",
    people: Annotated[
        bool, typer.Option("--people", help="A timeline for each person: everybody is found and followed.")
    ] = False,
    start: options.Start = None,
    end: options.End = None,
    max_size: options.MaxSize = "1G",
    cookies: options.Cookies = None,
    cookies_from_browser: options.CookiesFromBrowser = None,
    mode: Annotated[
        str | None, typer.Option(help="exact (by default) or carried, as in model.stream().", rich_help_panel=LIVE)
    ] = None,
    max_seconds: Annotated[
        str | None, typer.Option(help="Maximum duration; by default until Ctrl-C.", rich_help_panel=LIVE)
    ] = None,
    retry_seconds: Annotated[
        str | None,
        typer.Option(help="How long to retry a stream that disconnected; 60 s by default.", rich_help_panel=LIVE),
    ] = None,
    show: Annotated[
        bool, typer.Option("--show", help="Show the video in a window; q or Esc ends.", rich_help_panel=LIVE)
    ] = False,
    on: triggers.On = None,
    cooldown: triggers.Cooldown = None,
    webhook: triggers.WebhookUrl = None,
    mqtt: triggers.MqttUrl = None,
    run: triggers.Run = None,
    clip: triggers.Clip = None,
    top: Annotated[int, typer.Option(min=1, help="How many labels to show.")] = 3,
    json: Annotated[bool, typer.Option("--json", help="Print as JSON: an object, or a list for several.")] = False,
) -> None:
    """Recognise actions in files, links, cameras and streams."""
    from kineme.cli.models import load
    from kineme.cli.videos import predict_videos
    from kineme.cli.watch import watch
    from kineme.errors import UsageError
    from kineme.prediction.predict import smallest_side
    from kineme.report.save import WITH_SOUND, check_pipe, parse_formats
    from kineme.sources.local import check_exists
    from kineme.sources.local_video import FetchOptions

    formats = parse_formats(save)
    pipe = out == "-"
    if pipe:
        check_pipe(formats)
        if json:
            raise UsageError("--json and --out - both print on standard output; choose one")
    start_s, end_s = options.parse_part(start, end)
    max_bytes = options.parse_size("--max-size", max_size)
    end_after_s = options.parse_seconds("--max-seconds", max_seconds) if max_seconds else None
    retry_s = options.parse_seconds("--retry-seconds", retry_seconds or "60")
    alarm = triggers.alarm_options(
        on, cooldown=cooldown, webhook=webhook, mqtt=mqtt, run=run, clip=clip, clips=None if pipe else Path(out)
    )
    for_live = {
        "--mode": mode,
        "--max-seconds": max_seconds,
        "--retry-seconds": retry_seconds,
        "--show": show,
        "--on": on,
    }
    live = len(source) == 1 and is_live(source[0])
    if live and (start or end):
        raise UsageError("--start and --end are for videos; --max-seconds ends a live source")
    if given := [] if live else [option for option, value in for_live.items() if value]:
        raise UsageError(f"{given[0]} is for a camera or live stream, but {source[0]} is neither")
    if len(source) == 1 and not live:
        check_exists(source[0])
    loaded = load(model, labels, prompt)
    if live:
        watch(
            loaded,
            source[0],
            mode=mode or "exact",
            engine=engine,
            people=people,
            max_seconds=end_after_s,
            retry_seconds=retry_s,
            formats=formats,
            out=None if pipe else Path(out),
            top=top,
            json=json,
            show=show,
            alarm=alarm,
        )
        return
    for one in source:
        refuse_live(one)  # before anything is done for the others
    fetch = FetchOptions(
        min_side=smallest_side(loaded, people),
        with_sound=bool(WITH_SOUND & set(formats)),
        max_bytes=max_bytes,
        start_s=start_s,
        end_s=end_s,
        cookies=cookies,
        cookies_from_browser=cookies_from_browser,
    )
    predict_videos(
        loaded,
        source,
        fetch,
        engine=engine,
        people=people,
        formats=formats,
        out=None if pipe else Path(out),
        top=top,
        json=json,
    )


predict.__doc__ = f"""Recognise actions in files, links, cameras and streams.

\b
{table_of_kinds()}

If one source fails, it is reported and the others are still processed. Give a camera or live stream alone; it is
watched until Ctrl-C, and saved files are complete then. A stream that disconnects is opened again.
"""
