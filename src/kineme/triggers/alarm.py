"""From a stream's windows to events, and from there to everybody who asked to hear of them."""

from __future__ import annotations

import heapq
import math
import re
import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kineme.errors import KinemeError, UsageError
from kineme.text import file_stem
from kineme.triggers.clip import PacketBuffer
from kineme.triggers.command import Command
from kineme.triggers.delivery import Delivery, Sender
from kineme.triggers.mqtt import Mqtt
from kineme.triggers.outbox import Outbox
from kineme.triggers.rule import Rule, parse_rules
from kineme.triggers.trigger import Change, Trigger
from kineme.triggers.webhook import Webhook, secret_from_environment
from kineme.video.live import file_name, without_password

if TYPE_CHECKING:
    from kineme.prediction.watch import Event

_SLACK_S = 30.0  # that packets are kept beyond what a clip shows: a rule may be fulfilled long after its start

Notice = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class AlarmOptions:
    """What to tell, and whom.

    Args:
        rules: as :func:`kineme.triggers.rule.parse_rules` takes them.
        cooldown_s: of each rule, from one beginning to the next, at least.
        webhooks: addresses that get a POST of each event.
        mqtt: address of a broker.
        commands: programs with arguments, run for each event.
        clip_s: seconds before the start and after it that a clip shows; None makes none.
        clips: the folder of clips.
        state: the folder where events wait that could not be delivered.
    """

    rules: tuple[str, ...]
    cooldown_s: float = 5.0
    webhooks: tuple[str, ...] = ()
    mqtt: str | None = None
    commands: tuple[str, ...] = ()
    clip_s: tuple[float, float] | None = None
    clips: Path = Path()
    state: Path = Path()


class Alarm:
    """Follows sources and reports events; use it in a ``with`` statement, whose end delivers as many as possible.

    Args:
        options: what to tell, and whom.
        models: labels of each model, by its name.
        source: the watched source, with its password if it has one; outboxes and clips are named after it.
        notice: called from other threads with one line about a problem of a receiver.

    Attributes:
        packets: where the reader of the source puts its packets; None where no clips are asked for.

    Raises:
        UsageError: a rule, an address or a program is invalid, or no model has a label.
        KinemeError: a package is missing, or another command tells the same receiver of the same source.
    """

    def __init__(self, options: AlarmOptions, models: Mapping[str, Sequence[str]], source: str, notice: Notice) -> None:
        self._options, self._source, self._notice = options, without_password(source), notice
        self._rules = _rules_of_all(options.rules, models)
        self._models = models
        self.packets = PacketBuffer(sum(options.clip_s) + _SLACK_S) if options.clip_s else None
        self._clips = _Clips(self) if options.clip_s else None
        self._deliveries: list[Delivery] = []
        senders: list[Sender] = [Webhook(url, secret_from_environment()) for url in options.webhooks]
        senders += [Command(text) for text in options.commands]
        if options.mqtt:
            sensors = list(dict.fromkeys(rule.name for rules in self._rules.values() for rule in rules))
            senders.append(Mqtt(options.mqtt, self._source, next(iter(models)), sensors))
        try:
            for sender in senders:
                outbox = Outbox(options.state, sender.destination, self._source)
                self._deliveries.append(Delivery(outbox, sender, notice))
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Alarm:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Finish clips with what there is, and deliver what can be delivered within seconds."""
        if self._clips:
            self._clips.close()
        for one in self._deliveries:
            one.close()
        self._deliveries = []

    def follow(self, model: str, source: str | None = None) -> Follower:
        """The rules, for one stream of windows; several may be followed at once.

        Args:
            model: its name.
            source: what events call it; by default the alarm's.
        """
        rules, labels = self._rules[model], self._models[model]
        triggers = [Trigger(rule, labels, self._options.cooldown_s) for rule in rules]
        return Follower(self, triggers, model, source or self._source)

    def tell(self, document: dict[str, Any], started_s: float | None = None) -> None:
        """Bring an event on its way.

        Args:
            document: the event.
            started_s: when it began, by ``time.monotonic()``; of its beginning, a clip is made.
        """
        for one in self._deliveries:
            one.put(document)
        if self._clips and started_s is not None and document["type"] == "enter":
            self._clips.plan(document, started_s)

    def save_clip(self, document: dict[str, Any], started_s: float) -> None:
        """Cut the clip of an event that has begun, and report it."""
        assert self.packets is not None
        assert self._options.clip_s is not None
        before_s, after_s = self._options.clip_s
        stamp = re.sub(r"[-:]|\.\d+", "", document["start"]).rstrip("Z").replace("T", "-")
        name = f"{file_name(self._source)}-{stamp}-{file_stem(document['sensor'])}-{document['id'][:6]}.mp4"
        path = (self._options.clips / name).absolute()
        try:
            found = self.packets.save(path, started_s - before_s, started_s + after_s)
        except Exception as error:  # a clip that cannot be cut must not end the watching
            self._notice(str(error) if isinstance(error, KinemeError) else f"{path}: cannot be cut ({error})")
            return
        if not found:
            self._notice(f"{name}: no clip is saved: the frames of that time are no longer kept")
        else:
            self.tell({**document, "id": new_id(), "type": "clip", "of": document["id"], "clip": str(path)})


class Follower:
    """The rules of an alarm, followed on one stream; made by :meth:`Alarm.follow`."""

    def __init__(self, alarm: Alarm, triggers: list[Trigger], model: str, source: str) -> None:
        self._alarm, self._triggers, self._model, self._source = alarm, triggers, model, source
        self._last_s = -math.inf
        self._clock_s = time.monotonic()
        self._entered: dict[int, dict[str, Any]] = {}  # what goes on, by the number of its trigger

    def see(self, event: Event) -> list[dict[str, Any]]:
        """Take in what :meth:`kineme.model.Model.watch` gives; arguments and result as of :meth:`push`."""
        if event.frame:
            self._clock_s = event.frame.received_s - event.frame.time_s
        if event.window_middle_s is None or event.probabilities_K is None:
            return self.interrupt(event.time_s)
        return self.push(event.window_middle_s, event.probabilities_K, event.open_set_score, self._clock_s)

    def push(
        self, time_s: float, probabilities_K: NDArray[np.float64], score: float | None, clock_s: float
    ) -> list[dict[str, Any]]:
        """Take in a window, and report events that begin or end.

        Args:
            time_s: its middle, on the source's clock.
            probabilities_K: calibrated.
            score: its open-set score; below 0 it shows none of the labels.
            clock_s: what ``time.monotonic()`` was when the source's clock was 0.

        Returns:
            The events, as reported.
        """
        if time_s <= self._last_s:
            return []
        self._last_s = time_s
        is_known = score is None or score >= 0
        self._clock_s = clock_s
        return self._tell([one.push(time_s, probabilities_K, is_known) for one in self._triggers])

    def interrupt(self, time_s: float) -> list[dict[str, Any]]:
        """Say that the source disconnected or ended at ``time_s``, on its clock: current actions have ended."""
        self._last_s = -math.inf
        return self._tell([one.interrupt(time_s) for one in self._triggers])

    def _tell(self, changes: Sequence[Change | None]) -> list[dict[str, Any]]:
        found = []
        for number, change in enumerate(changes):
            if change:
                document = self._document(change, self._entered.pop(number, None))
                if change.kind == "enter":
                    self._entered[number] = document
                self._alarm.tell(document, self._clock_s + change.start_s)
                found.append(document)
        return found

    def _document(self, change: Change, entered: dict[str, Any] | None) -> dict[str, Any]:
        """The event of a change; ``entered`` is that of its beginning, where this is its end."""
        since_s = self._clock_s - time.monotonic()  # of the source's clock, from now
        return {
            "id": new_id(),
            "type": change.kind,
            "sensor": change.rule.name,
            "label": change.label,
            "confidence": round(change.confidence, 4),
            "rule": str(change.rule),
            "source": self._source,
            "model": self._model,
            "start": entered["start"] if entered else _wall_clock(since_s + change.start_s),
            "start_s": round(change.start_s, 3),
            "end": None if change.end_s is None else _wall_clock(since_s + change.end_s),
            "end_s": None if change.end_s is None else round(change.end_s, 3),
            "of": entered and entered["id"],
        }


class _Clips:
    """Cuts clips when the last of their seconds has come, in a thread of its own."""

    def __init__(self, alarm: Alarm) -> None:
        assert alarm._options.clip_s is not None
        self._alarm, self._after_s = alarm, alarm._options.clip_s[1]
        self._changed = threading.Condition()
        self._planned: list[tuple[float, int, dict[str, Any]]] = []
        self._count = 0
        self._over = False
        self._thread = threading.Thread(target=self._run, name="cuts clips", daemon=True)
        self._thread.start()

    def plan(self, document: dict[str, Any], started_s: float) -> None:
        with self._changed:
            self._count += 1
            heapq.heappush(self._planned, (started_s, self._count, document))
            self._changed.notify()

    def close(self) -> None:
        with self._changed:
            self._over = True
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._is_due():
                    if self._over and not self._planned:
                        return
                    left_s = self._planned[0][0] + self._after_s - time.monotonic() if self._planned else None
                    self._changed.wait(left_s)
                started_s, _, document = heapq.heappop(self._planned)
            self._alarm.save_clip(document, started_s)

    def _is_due(self) -> bool:
        return bool(self._planned) and (self._over or self._planned[0][0] + self._after_s <= time.monotonic())


def new_id() -> str:
    """An id that no other event has."""
    return uuid.uuid4().hex


def _wall_clock(from_now_s: float) -> str:
    when = datetime.fromtimestamp(time.time() + from_now_s, UTC)
    return when.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _rules_of_all(texts: Sequence[str], models: Mapping[str, Sequence[str]]) -> dict[str, tuple[Rule, ...]]:
    """The rules for each model; of several, one has only those whose label it has.

    Raises:
        UsageError: no model has a label.
    """
    found: dict[str, list[str]] = {name: [] for name in models}
    for text in texts:
        failure: UsageError | None = None
        for name, labels in models.items():
            try:
                parse_rules([text], labels)
                found[name].append(text)
            except UsageError as error:
                failure = failure or error
        if failure and not any(text in those for those in found.values()):
            raise failure
    return {name: parse_rules(those, models[name]) for name, those in found.items()}
