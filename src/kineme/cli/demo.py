"""``kineme demo``."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from kineme.cli import options
from kineme.cli.output import print_json, print_verdict, say
from kineme.text import percent


def demo(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for everything the demo makes.")] = Path(
        "kineme-demo"
    ),
    seed: Annotated[int, typer.Option(min=0, help="Random seed of the drawn videos.")] = 0,
    json: options.Json = False,
) -> None:
    """See it work on drawn people, offline, in a few minutes.

    Makes a set of drawn people, trains, measures on unseen people and marks up a video.
    """
    from kineme.demo import run_demo

    result = run_demo(out, seed)
    figures, score = result.run.metrics["test"], result.score
    if json:
        print_json(
            {
                "test": figures,
                "shuffled": figures["orders"]["shuffled"]["top1"],
                "prediction": result.prediction.to_json(),
                "segments": {
                    "videos": len(result.predictions),
                    "f1": round(score.f1, 4),
                    "labelled_right": round(score.right_share, 4),
                    "pauses_called_background": round(score.pause_share, 4),
                    **{name: round(value, 2) for name, value in asdict(score).items()},
                },
                "folder": str(out),
            }
        )
        return
    print_verdict(result.run.metrics)
    actions, videos = score.true_positives + score.false_negatives, len(result.predictions)
    say(
        f"In long videos of {videos} strangers it finds {score.true_positives} of {actions} actions and reports "
        f"{score.false_positives} false ones (segment F1 {percent(score.f1)}).",
        f"Of {score.pause_s:.0f} s of pauses it calls {percent(score.pause_share)} background.",
    )
    say("", f"Report           {result.run.folder / 'report.html'}")
    say(f"Annotated video  {result.annotated}")
    say(f"Videos           {result.videos}")
    say("", "For your own videos, put them into one folder for each action, then:")
    say("  kineme train MYVIDEOS")
    say("  kineme predict VIDEO --model runs/MYVIDEOS-auto --save video")
