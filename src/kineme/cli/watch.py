"""How ``kineme predict`` watches a camera or live stream."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Self

from kineme.cli.output import PEOPLE_COLUMNS, best, people_rows, print_json, print_table, print_text, tell, warn
from kineme.cli.triggers import line_of
from kineme.errors import KinemeError
from kineme.text import percent, printable

if TYPE_CHECKING:
    from kineme.model import Model
    from kineme.prediction.result import Prediction
    from kineme.prediction.watch import Event
    from kineme.triggers.alarm import AlarmOptions

_SHOWN = 3
_BAR = 12
_LINE_EVERY_S = 0.1
_SILENCE_S = 1.0


def watch(
    model: Model,
    source: str,
    *,
    mode: str,
    engine: str,
    people: bool,
    max_seconds: float | None,
    retry_seconds: float,
    formats: tuple[str, ...],
    out: Path | None,
    top: int,
    json: bool,
    show: bool,
    alarm: AlarmOptions | None = None,
) -> None:
    """Watch until the source is gone for good, the time is over, or the user stops it; then everything is complete."""
    from kineme.report.recording import Painter, Recording

    stop, failure = threading.Event(), None
    output = _Output(stop)
    with ExitStack() as stack:
        window = None
        if show:
            from kineme.report.preview import PreviewWindow

            window = stack.enter_context(PreviewWindow(f"kineme: {model.name}"))
        write = output.write if out is None else None
        recording = Recording(model, source, formats, out or Path(), people=people, write=write)
        stack.enter_context(recording)
        told = stack.enter_context(_Events(model, source, alarm)) if alarm else _Labels()
        events = model.watch(
            source,
            mode=mode,
            engine=engine,
            people=people,
            max_seconds=max_seconds,
            retry_s=retry_seconds,
            stop=stop,
            on_packet=told.on_packet,
        )
        stack.enter_context(closing(events))
        stack.enter_context(_stopped_by_signals(stop))
        line = stack.enter_context(_LiveLine()) if sys.stderr.isatty() and not alarm else None
        tells_changes = not json and out is not None and not (line and sys.stdout.isatty())
        paint = Painter(model) if window or "video" in formats else None
        try:
            for event in events:
                picture = paint(event) if paint else None
                recording.add(event, picture)
                warn(event.notices)
                if line:
                    line.update(event)
                if window:
                    window.show(picture)
                    if not window.is_open:
                        stop.set()
                lines = told.see(event)
                output.write(lines if tells_changes else "")
        except KinemeError as error:
            failure = error
        lines = told.end()
        output.write(lines if tells_changes else "")
    tell(*(f"wrote {path}" for path in recording.written))
    if output.is_broken:
        raise BrokenPipeError
    if failure is None or recording.has_answer:
        _print_result(recording.result(), out, top, json=json)
    if failure:
        raise failure


def _print_result(result: Prediction, out: Path | None, top: int, *, json: bool) -> None:
    if json:
        print_json(result.to_json(top))
    elif out is not None:
        print_table(
            ["source", "watched", "action", "frames", "dropped", "longest delay"],
            [
                [
                    result.source,
                    f"{result.duration_s:.1f} s",
                    best(result, top),
                    result.timing["frames"],
                    result.timing["dropped"],
                    f"{result.timing['longest_delay_s']:.2f} s",
                ]
            ],
        )
        if result.people:
            print_table(PEOPLE_COLUMNS, people_rows(result), "Actions of each person")


class _Labels:
    """The output without ``--on``: each label when it begins."""

    on_packet = None

    def __init__(self) -> None:
        self._label: str | None = None

    def see(self, event: Event) -> str:
        """A line where another label begins."""
        before, self._label = self._label, event.label
        if event.current_segment is None or event.label == before:
            return ""
        return f"{event.current_segment.start_s:.1f} s  {printable(event.label)}\n"

    def end(self) -> str:
        """Nothing."""
        return ""


class _Events:
    """Follows the rules of ``--on``; notices of receivers come at the next event, in the thread that prints."""

    def __init__(self, model: Model, source: str, options: AlarmOptions) -> None:
        from kineme.triggers.alarm import Alarm

        self._notices: deque[str] = deque()
        self._alarm = Alarm(options, {model.name: model.labels}, source, self._notices.append)
        self._follower = self._alarm.follow(model.name)
        self._last_s = 0.0
        self.on_packet = self._alarm.packets.add if self._alarm.packets else None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.end()
        self._alarm.close()
        self._warn()

    def see(self, event: Event) -> str:
        """Actions that have begun or ended, a line each."""
        self._warn()
        self._last_s = event.time_s
        return "".join(f"{line_of(document)}\n" for document in self._follower.see(event))

    def end(self) -> str:
        """What ends since nobody watches any more, a line each."""
        return "".join(f"{line_of(document)}\n" for document in self._follower.interrupt(self._last_s))

    def _warn(self) -> None:
        while self._notices:
            warn([self._notices.popleft()])


class _Output:
    """Standard output, line by line; when nobody reads it any more, the watching is to stop."""

    def __init__(self, stop: threading.Event) -> None:
        self.is_broken = False
        self._stop = stop

    def write(self, text: str) -> None:
        if self.is_broken or not text:
            return
        try:
            print_text(text)
        except BrokenPipeError:
            self.is_broken = True
            self._stop.set()


class _LiveLine:
    """One line on the terminal that always shows the current state."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.live import Live

        self._live = Live(console=Console(stderr=True), transient=True, auto_refresh=False)
        self._drawn_s = 0.0

    def __enter__(self) -> Self:
        self._live.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._live.__exit__(None, None, None)

    def update(self, event: Event) -> None:
        from rich.text import Text

        if time.monotonic() - self._drawn_s < _LINE_EVERY_S:
            return
        self._drawn_s = time.monotonic()
        line = Text(no_wrap=True, overflow="ellipsis")
        is_silent = event.frame is None and event.latency_s > _SILENCE_S
        line.append(f"{'no picture' if is_silent else printable(event.label or '…')}  ", style="bold")
        line.append(
            f"{event.time_s:.0f} s, {event.fps:.0f} fps, delay {event.latency_s:.2f} s, {event.dropped} dropped "
        )
        for name, share in [] if is_silent else event.top[:_SHOWN]:
            full = round(share * _BAR)
            line.append(f" {printable(name)} ").append("━" * full, style="blue").append(
                "─" * (_BAR - full), style="dim"
            )
            line.append(f" {percent(share, 0)}")
        self._live.update(line, refresh=True)


@contextmanager
def _stopped_by_signals(stop: threading.Event) -> Iterator[None]:
    """Ctrl-C, or a signal to end, lets current work be completed; Ctrl-C again does not."""

    def on_signal(number: int, frame: object) -> None:
        stop.set()
        signal.signal(signal.SIGINT, signal.default_int_handler)

    before = {number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
