"""What a person does in one video: key poses over time, with personal style, and the true segments."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from drawn_people.actions import BY_NAME, CROUCH, REST, STAND, Action, State, mirrored, pose
from drawn_people.body import CHANNELS, INDEX, Floats

_POCKET = pose(r_arm=(-26, 6, -20, 62))  # the hand behind the body, where a cup or a ball may come and go unseen
_RIGID = [INDEX[name] for name in ("pitch", "yaw", "plant")]
_ARMS = np.array(["arm" in name or "elbow" in name for name in CHANNELS])
_LEGS = np.array(["leg" in name or "knee" in name for name in CHANNELS])
_SWAY = {
    "bend": 1.2,
    "lean": 1.2,
    "twist": 1.6,
    "nod": 2.5,
    "turn": 4.0,
    "l_arm": 2.0,
    "r_arm": 2.0,
    "l_elbow": 2.5,
    "r_elbow": 2.5,
}


# Half a frame, and half of what a reader at 8 frames/s leaves at the end: the middle of what is seen of a clip lies
# this much before its middle. A movement about the wrong middle would show more of one hold than of the other.
_SEEN_EARLY_S = 0.05


@dataclass(frozen=True)
class Style:
    """How one person moves: ``gain`` scales excursions, ``tempo`` speeds; ``pose_offset_C`` is added to every pose."""

    gain: float
    tempo: float
    pose_offset_C: Floats
    left_handed: bool

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Style:
        """Choose at random."""
        offset_C = rng.normal(0, 1, len(CHANNELS)) * np.where(_ARMS, 4.0, np.where(_LEGS, 1.0, 2.5))
        offset_C[[*_RIGID, INDEX["lift"]]] = 0
        return cls(float(rng.uniform(0.88, 1.12)), float(rng.uniform(0.9, 1.12)), offset_C, bool(rng.random() < 0.3))


@dataclass
class Script:
    """Key poses over time, and what goes with them.

    Args:
        facing: angle between the person's front and the camera, in degrees.
        keys: (seconds, pose), in order; the last one is the end of the video or after it.
        segments: (start, end, label) of each movement, in seconds.
        props: kinds of thing that are there.
        held: (start, end, prop) of the time a box, cup or ball is in the hands.
        seated_s: a time at which the person sits still, where there is one: the chair stands there.
    """

    facing: float
    duration_s: float
    keys: list[tuple[float, Floats]] = field(default_factory=list)
    segments: list[tuple[float, float, str]] = field(default_factory=list)
    props: set[str] = field(default_factory=set)
    held: list[tuple[float, float, str]] = field(default_factory=list)
    seated_s: float | None = None

    def angles(self, times_T: Floats, sway: Floats) -> Floats:
        """Joint angles ``(T, channels)`` at ``times_T``; ``sway`` is what :func:`draw_sway` gave."""
        from scipy.interpolate import PchipInterpolator

        angles = PchipInterpolator([time for time, _ in self.keys], np.stack([angles for _, angles in self.keys]))(
            times_T
        )
        for number, (name, degrees) in enumerate(_SWAY.items()):
            for speed, phase, share in sway[number]:
                angles[:, INDEX[name]] += degrees * share * np.sin(speed * times_T + phase)
        angles[:, INDEX["yaw"]] += self.facing
        return np.asarray(angles, dtype=np.float64)


def draw_sway(rng: np.random.Generator) -> Floats:
    """The slow sway of a body that stands still: two waves for each joint that takes part."""
    waves = np.empty((len(_SWAY), 2, 3))
    waves[..., 0] = 2 * np.pi * rng.uniform(0.12, 0.5, waves.shape[:2])
    waves[..., 1] = rng.uniform(0, 2 * np.pi, waves.shape[:2])
    waves[..., 2] = rng.uniform(0.3, 1.0, waves.shape[:2])
    return waves


class _Actor:
    """Turns key poses into this person's, this time: the same key pose stays the same within one video."""

    def __init__(self, style: Style, rng: np.random.Generator) -> None:
        self._style = style
        self._rng = rng
        self._gain = style.gain * float(rng.uniform(0.95, 1.05))
        self._noise: dict[bytes, Floats] = {}

    def seconds(self, action: Action) -> float:
        """How long this movement (or one cycle of it) takes."""
        low, high = action.seconds
        if not action.cycle:
            return float(self._rng.uniform(low, high))
        return float(np.clip(self._rng.uniform(low, high) / self._style.tempo, 0.9 * low, 1.1 * high))

    def take(self, key: Floats, *, jitter: float = 0.0) -> Floats:
        """The pose as this person strikes it; ``jitter`` adds degrees of noise that differ at each call."""
        label = key.tobytes()
        if label not in self._noise:
            self._noise[label] = self._rng.normal(0, 1, len(key)) * np.where(_ARMS, 3.5, np.where(_LEGS, 0.8, 2.0))
        change = key - STAND
        gain = np.where(_LEGS, self._gain**0.4, self._gain)
        taken = STAND + change * gain + self._style.pose_offset_C + self._noise[label]
        taken += self._rng.normal(0, 1, len(key)) * jitter * np.where(_LEGS, 0.4, 1.0)
        if key[INDEX["pitch"]] or key[INDEX["bend"]]:  # a hinge moves pitch and legs alike: leave both
            taken[_LEGS] = (key + self._noise[label])[_LEGS]
        taken[[*_RIGID, INDEX["lift"]]] = key[[*_RIGID, INDEX["lift"]]]
        return mirrored(taken) if self._style.left_handed else taken


def clip_script(action: Action, style: Style, duration_s: float, rng: np.random.Generator) -> Script:
    """One action filling a clip: a cycle from any phase, or a single movement between two holds.

    The holds before and after a single movement are alike in distribution, so that an action and its reverse show
    the same frames in opposite order and nothing else.
    """
    actor = _Actor(style, rng)
    script = Script(float(rng.uniform(*action.facing)), duration_s, props={action.prop} - {""})
    period = actor.seconds(action)
    if action.cycle:
        start = -period * float(rng.uniform(0.05, 1))
        while start < duration_s:
            for share, key in action.keys[:-1]:
                script.keys.append((start + share * period, actor.take(key, jitter=1.5)))
            start += period
        script.keys.append((start, actor.take(action.keys[0][1])))
        script.segments.append((0.0, duration_s, action.name))
        return script
    room = (duration_s - period) / 2 - _SEEN_EARLY_S
    start = room + float(rng.uniform(-1, 1)) * min(0.35, room - 0.1)
    script.keys.append((min(-0.5, start - 0.5), actor.take(action.keys[0][1])))
    _perform(script, actor, action, start, period)
    script.keys.append((max(duration_s, start + period) + 0.5, actor.take(action.keys[-1][1])))
    if action.begin == "seated":
        script.seated_s = 0.0
    elif action.end == "seated":
        script.seated_s = duration_s
    script.segments.append((start, start + period, action.name))
    return script


def _perform(script: Script, actor: _Actor, action: Action, start: float, period: float) -> None:
    """Add the keys of one single movement, and when its prop is in the hands."""
    for share, key in action.keys:
        script.keys.append((start + share * period, actor.take(key)))
    event = start + action.event * period
    if action.prop == "box":
        script.held.append((event, np.inf, "box") if action.end == "holding" else (-np.inf, event, "box"))
    elif action.prop == "ball":
        script.held.append((-np.inf, event, "ball"))
    elif action.prop == "cup":
        script.held.append((-np.inf, np.inf, "cup"))


def untrimmed_script(names: Sequence[str], style: Style, rng: np.random.Generator) -> Script:
    """Four to seven actions in a row, with pauses of 1.5 to 4 s between them, 20 to 40 s in all.

    What has been sat down on or picked up is left or put down again, labelled or not.
    """
    actor = _Actor(style, rng)
    script = Script(float(rng.uniform(38, 55)), 0.0)
    wanted, done, now = int(rng.integers(4, 7)), 0, 0.0  # a pair may add one
    state: State = "standing"
    left: list[str] = []
    script.keys.append((-0.5, actor.take(STAND)))
    while done < wanted and (done < 4 or now < 29):
        if not left:
            left = [str(name) for name in rng.permutation(list(names))]
        deeds = _with_its_reverse(BY_NAME[left.pop()], left)
        longest = 4.0 if all(action.name in names for action in deeds) else 2.0
        for action in deeds:
            now = _pause(script, actor, state, now, float(rng.uniform(1.5, longest)))
            first, now = _do(script, actor, action, now, rng)
            state = action.end
            if action.name in names:
                script.segments.append((first, now, action.name))
                done += 1
    now = _pause(script, actor, state, now, float(rng.uniform(1.5, 4.0)))
    script.duration_s = max(now, 20.0)
    script.keys.append((script.duration_s + 0.5, actor.take(STAND)))
    return script


def _with_its_reverse(action: Action, left: list[str]) -> list[Action]:
    """The action, and with it the one that leads to it or back from it."""
    if action.begin == action.end:
        return [action]
    other = next(a for a in BY_NAME.values() if a.begin == action.end and a.end == action.begin)
    if other.name in left:
        left.remove(other.name)
    return [action, other] if action.begin == "standing" else [other, action]


def _pause(script: Script, actor: _Actor, state: State, start: float, seconds: float) -> float:
    """Stand (or sit, or hold) still: 0.35 s to get there and 0.35 s to leave are part of the pause."""
    for time in (start + 0.35, start + seconds - 0.35):
        script.keys.append((time, actor.take(REST[state])))
    if state == "seated":
        script.seated_s = start + seconds / 2
    return start + seconds


def _do(script: Script, actor: _Actor, action: Action, start: float, rng: np.random.Generator) -> tuple[float, float]:
    """Add one action from ``start`` on; returns when its movement starts and ends."""
    script.props |= {action.prop} - {""}
    period = actor.seconds(action)
    if action.name in ("walk", "run"):
        return _walk_and_return(script, actor, action, start, period)
    if action.cycle:
        floor = action.keys[0][1][INDEX["plant"]] > 0
        if floor:
            script.keys += [(start + 0.3, actor.take(CROUCH)), (start + 0.8, actor.take(action.keys[0][1]))]
            start += 1.0
        cycles = max(1, round(float(rng.uniform(2.2, 3.8)) / period))
        for number in range(cycles):
            for share, key in action.keys[:-1]:
                script.keys.append((start + (number + share) * period, actor.take(key, jitter=1.5)))
        end = start + cycles * period
        script.keys.append((end, actor.take(action.keys[-1][1])))
        if floor:
            script.keys.append((end + 0.6, actor.take(CROUCH)))
            return start, end + 0.6
        return start, end
    if action.prop in ("cup", "ball"):
        script.keys.append((start + 0.25, actor.take(_POCKET)))
        first, last = start + 0.75, start + 0.75 + period
        for share, key in action.keys:
            script.keys.append((first + share * period, actor.take(key)))
        gone = first + action.event * period if action.prop == "ball" else last + 0.5
        script.held.append((start + 0.25, gone, action.prop))
        if action.prop == "cup":
            script.keys.append((gone, actor.take(_POCKET)))
            return first, gone
        return first, last
    _perform(script, actor, action, start, period)
    if action.prop == "box" and action.begin == "holding":  # it was picked up before: one span of time
        picked = script.held[-2][0]
        script.held[-2:] = [(picked, script.held[-1][1], "box")]
    return start, start + period


def _walk_and_return(script: Script, actor: _Actor, action: Action, start: float, period: float) -> tuple[float, float]:
    """Turn aside, walk away, turn about, and walk back."""
    now = start + 0.4
    for yaw in (-90.0, 90.0):
        cycles = 2 if period < 0.9 else 1
        for number in range(cycles):
            for share, key in action.keys[:-1]:
                turned = actor.take(key, jitter=1.5)
                turned[INDEX["yaw"]] = yaw
                script.keys.append((now + (number + share) * period, turned))
        now += cycles * period
        last = actor.take(action.keys[0][1])
        last[INDEX["yaw"]] = yaw
        script.keys.append((now, last))
        now += 0.6
    return start, now - 0.6
