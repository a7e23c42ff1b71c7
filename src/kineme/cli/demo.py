"""``kineme demo``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def demo(
    out: Annotated[Path, typer.Option(help="Folder for everything the demo makes.")] = Path("kineme-demo"),
    seed: Annotated[int, typer.Option(min=0, help="Of all that is drawn.")] = 0,
    json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """See it work: make a set of drawn people, train, measure on unseen people, mark up a video."""
    from kineme.cli.output import percent, print_json, print_verdict
    from kineme.demo import run_demo

    result = run_demo(out, seed)
    figures = result.run.metrics["test"]
    if json:
        print_json(
            {
                "test": figures,
                "shuffled": figures["orders"]["shuffled"]["top1"],
                "prediction": result.prediction.to_json(),
                "labelled_right": round(result.right, 4),
                "folder": str(out),
            }
        )
        return
    print_verdict(result.run.metrics)
    print(f"In a long video of a stranger it labels {percent(result.right)} of the time of the actions right.")
    print(f"\nReport           {result.run.folder / 'report.html'}")
    print(f"Annotated video  {result.annotated}")
    print(f"Videos           {result.videos}")
    print("\nFor your own videos, put them into one folder for each action, then:")
    print("  kineme train MYVIDEOS")
    print("  kineme predict VIDEO --model runs/MYVIDEOS-lrcn --save video")
