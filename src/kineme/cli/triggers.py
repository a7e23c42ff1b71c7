"""Options for telling somebody when an action begins or ends, which ``predict`` and ``serve`` share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kineme.cli.options import parse_seconds
from kineme.errors import UsageError
from kineme.text import clock, percent, printable

if TYPE_CHECKING:
    from kineme.triggers.alarm import AlarmOptions

TRIGGERS = "Triggers"
_MOST_CLIP_S = 60.0

On = Annotated[
    list[str] | None,
    typer.Option(
        metavar="RULE",
        help="Report when this begins and ends: 'fall > 0.8 for 2s', 'not walk for 1m', 'any', '*'; repeatable.",
        rich_help_panel=TRIGGERS,
    ),
]
Cooldown = Annotated[
    str | None,
    typer.Option(help="Minimum time between two events of a rule; 5 s by default.", rich_help_panel=TRIGGERS),
]
WebhookUrl = Annotated[
    list[str] | None,
    typer.Option(
        "--webhook",
        metavar="URL",
        help="POST each event as JSON, signed if KINEME_WEBHOOK_SECRET is set; repeatable.",
        rich_help_panel=TRIGGERS,
    ),
]
MqttUrl = Annotated[
    str | None,
    typer.Option(
        "--mqtt",
        metavar="mqtt://HOST/TOPIC",
        help="Publish events and states; Home Assistant finds them by itself.",
        rich_help_panel=TRIGGERS,
    ),
]
Run = Annotated[
    list[str] | None,
    typer.Option(
        metavar="COMMAND",
        help="Run a program for each event, which comes as JSON on its standard input; repeatable.",
        rich_help_panel=TRIGGERS,
    ),
]
Clip = Annotated[
    str | None,
    typer.Option(
        metavar="BEFORE,AFTER",
        help="Save an mp4 of so many seconds before and after each beginning; webhooks get it too.",
        rich_help_panel=TRIGGERS,
    ),
]


def alarm_options(
    on: list[str] | None,
    *,
    cooldown: str | None,
    webhook: list[str] | None,
    mqtt: str | None,
    run: list[str] | None,
    clip: str | None = None,
    clips: Path | None = None,
    state: Path | None = None,
) -> AlarmOptions | None:
    """What the options ask for; None where they ask for nothing.

    Args:
        on: rules.
        cooldown: of each rule, as a time.
        webhook: addresses.
        mqtt: address of a broker.
        run: commands.
        clip: seconds before and after.
        clips: the folder of clips.
        state: the folder where events wait; by default in the user's data folder.

    Raises:
        UsageError: an action without a rule, or an option that cannot be read.
    """
    actions = {"--cooldown": cooldown, "--webhook": webhook, "--mqtt": mqtt, "--run": run, "--clip": clip}
    if not on:
        if given := next((name for name, value in actions.items() if value), None):
            raise UsageError(f"{given} is for --on, which says when; give a rule such as --on 'wave > 0.8 for 2s'")
        return None
    from kineme.triggers.alarm import AlarmOptions

    return AlarmOptions(
        rules=tuple(on),
        cooldown_s=parse_seconds("--cooldown", cooldown or "5"),
        webhooks=tuple(webhook or ()),
        mqtt=mqtt,
        commands=tuple(run or ()),
        clip_s=_parse_clip(clip) if clip else None,
        clips=clips or Path(),
        state=state or _state_folder(),
    )


def line_of(document: dict[str, Any]) -> str:
    """An event in a line, for people."""
    begins = document["type"] == "enter"
    at = clock(document["start_s"] if begins else document["end_s"], 1)
    sure = f" ({percent(document['confidence'], 0)})" if begins else ""
    what = document["sensor"] if document["label"] in (None, document["sensor"]) else document["label"]
    return f"{at}  {printable(what)} {'begins' if begins else 'ends'}{sure}"


def _parse_clip(clip: str) -> tuple[float, float]:
    before, comma, after = clip.partition(",")
    if not comma:
        raise UsageError(f"--clip {clip}: give seconds before and after, such as 5,5")
    seconds = parse_seconds("--clip", before), parse_seconds("--clip", after)
    if max(seconds) > _MOST_CLIP_S:
        raise UsageError(f"--clip {clip}: at most {_MOST_CLIP_S:g} seconds before and as many after")
    return seconds


def _state_folder() -> Path:
    import platformdirs

    return Path(platformdirs.user_data_dir("kineme", appauthor=False)) / "triggers"
