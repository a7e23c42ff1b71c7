"""``kineme batch``."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from kineme.cli import options
from kineme.cli.interrupt import continues_by
from kineme.cli.output import print_json, print_table, say, warn
from kineme.models.registry import DEFAULT_MODEL
from kineme.text import percent


def batch(
    sources: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="SOURCE...",
            help="Files, folders, patterns, addresses (s3://...), or a CSV or Parquet with a column path or url.",
        ),
    ] = None,
    out: Annotated[str, typer.Option("--out", "-o", help="Folder of the results, or an address.")] = "batch",
    model: Annotated[str, typer.Option("--model", "-m", help="Model, as kineme predict takes it.")] = DEFAULT_MODEL,
    engine: Annotated[str, typer.Option(help="Inference engine: keras, litert, openvino, or auto.")] = "auto",
    features: Annotated[
        str | None,
        typer.Option(
            metavar="BACKBONE", help="Do not predict; instead, fill the feature cache of kineme train SOURCE."
        ),
    ] = None,
    workers: Annotated[int | None, typer.Option(help="Number of worker processes.  [default: one per core]")] = None,
    ray_address: Annotated[
        str | None, typer.Option(help="A Ray cluster, such as auto.  [default: this machine]")
    ] = None,
    summary: Annotated[bool, typer.Option("--summary", help="Summarise the results in --out, with plots.")] = False,
    cookies: options.Cookies = None,
    cookies_from_browser: options.CookiesFromBrowser = None,
    json: options.Json = False,
) -> None:
    """Label a whole corpus into Parquet files, on Ray.

    Rerun the command to resume, however it ended.

    videos.parquet has a row for each video, also for those that cannot be used, and segments.parquet one for each
    segment.
    """
    from dataclasses import asdict

    from kineme.errors import UsageError

    if summary:
        from kineme.scale.summary import summarise
        from kineme.sources.local_video import FetchOptions

        found = summarise(
            out,
            fetch=FetchOptions(cookies=cookies, cookies_from_browser=cookies_from_browser),
            on_note=lambda line: warn([line]),
        )
        print_json(found) if json else _print_summary(found)
        return
    if not sources:
        raise UsageError("give sources: a folder, a pattern, a table; or give --summary")
    from kineme.scale.cluster import check_ray

    check_ray()
    with continues_by(lambda: "finished videos are kept; rerun the command to resume"):
        if features:
            from kineme.scale.features import run as run_features

            if len(sources) > 1:
                raise UsageError("--features takes one SOURCE, the folder or CSV that kineme train takes")
            filled = run_features(sources[0], features, workers=workers, address=ray_address)
            print_json(asdict(filled)) if json else say(
                f"{filled.videos} videos have their {features} features in {filled.folder}{_failed(filled.errors)}"
            )
            return
        from kineme.cli.models import load
        from kineme.scale.batch import run

        done = run(
            sources,
            out,
            model=load(model),
            engine=engine,
            workers=workers,
            address=ray_address,
            cookies=cookies,
            cookies_from_browser=cookies_from_browser,
            on_note=lambda line: warn([line]),
        )
    if json:
        print_json(asdict(done))
        return
    say(f"{done.videos} videos ({done.kept} from before), {done.segments} segments{_failed(done.errors)}")
    for file in done.files:
        say(f"wrote {file}")
    say("", f"Next: kineme batch --summary --out {out}")


def _failed(errors: dict[str, int]) -> str:
    """The most frequent reason for which videos could not be used."""
    if not errors:
        return ""
    reason, _ = next(iter(errors.items()))
    return f"; {sum(errors.values())} could not be used, most often: {reason}"


def _print_summary(found: dict[str, Any]) -> None:

    say(f"{found['videos']} videos, {found['hours']:.2f} hours")
    rows = []
    for one in found["labels"]:
        first = one["examples"][0]
        surest = f"{percent(first['confidence'])} at {first['start_s']:.1f} s of {first['path']}"
        rows.append([one["label"], one["videos"], one["segments"], f"{one['seconds']:.1f} s", surest])
    print_table(["label", "videos", "segments", "in all", "surest"], rows)
    if found["errors"]:
        print_table(["could not be used", "videos"], [[one["error"], one["videos"]] for one in found["errors"]])
    for one in found["labels"]:
        if one["picture"]:
            say(f"wrote {one['picture']}")
