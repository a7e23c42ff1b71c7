"""Makes the synthetic data set: a folder of videos by action, its table, and untrimmed videos with true segments.

Each video is drawn from random numbers seeded by the set's seed, the person, the action and the take alone, so the
same seed gives the same videos whatever the number of processes, and a subset of the actions gives a subset of the
videos. Frame rate, codec, length, camera and light are drawn without regard to the action: they tell nothing of it.
"""

from __future__ import annotations

import json
import math
import multiprocessing
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from drawn_people.actions import BY_NAME
from kineme.errors import KinemeError, UsageError
from kineme.files import cannot_write, sole_writer, write_csv, write_json
from kineme.progress import progress

if TYPE_CHECKING:
    from drawn_people.script import Script

ACTIONS: tuple[str, ...] = tuple(BY_NAME)

_VERSION = 1  # of the drawing: a change of any pixel raises it
_PARAMETERS = "synthetic.json"
_RATES = (Fraction(15), Fraction(24), Fraction(25), Fraction(30_000, 1001), Fraction(30), Fraction(60))
_RATE_SHARES = (0.12, 0.16, 0.24, 0.20, 0.22, 0.06)
_FORMATS = ((".mp4", "libx264"), (".mkv", "libx264"), (".avi", "mpeg4"), (".webm", "libvpx"))
_FORMAT_SHARES = (0.68, 0.10, 0.12, 0.10)


@dataclass(frozen=True)
class _Job:
    """One video to draw; ``action`` is None, and ``names`` says which actions to choose from, for an untrimmed one."""

    path: Path
    seed: int
    person: int
    action: str | None
    take: int
    names: tuple[str, ...]
    width: int
    height: int

    @property
    def group(self) -> str:
        return f"person{self.person:02d}"

    def generator(self, purpose: int) -> np.random.Generator:
        """Random numbers for one purpose in this video alone."""
        action = ACTIONS.index(self.action) if self.action else len(ACTIONS)
        return np.random.default_rng([self.seed, purpose, self.person, action, self.take])


def make_dataset(
    folder: str | os.PathLike[str],
    *,
    clips: int = 240,
    people: int = 20,
    actions: Sequence[str] | None = None,
    untrimmed: int = 4,
    seed: int = 0,
    width: int = 320,
    height: int = 240,
    strong_scenes: bool = False,
    scenes: int = 0,
    people_per_scene: int = 3,
    workers: int | None = None,
) -> Path:
    """Draw a data set of people doing named actions.

    Writes ``folder/<action>/person07_<action>_03.mp4`` and the like (2.4 to 3.6 s each), ``folder/clips.csv``
    (path, label, group), and ``folder/untrimmed/person03_01.mp4`` with ``folder/untrimmed/segments.csv`` (path,
    start_s, end_s, label, labelled_throughout). Paths in a table are relative to the table's folder. Classes differ by
    at most one clip; with ``clips`` at least ``people`` times the number of actions, everyone does everything.

    A folder that holds the set with the same parameters already is used as it is; what is missing of it, after an
    interruption, is drawn.

    Args:
        folder: a new or empty folder.
        clips: number of clips.
        people: number of people; a person is a group.
        actions: some of :data:`ACTIONS`, by default all.
        untrimmed: number of untrimmed videos.
        seed: another seed gives other people, places and movements.
        width: of the videos, in pixels.
        height: of the videos, in pixels.
        strong_scenes: each person does one action only, over and over, so that whoever knows the person or the place
            knows the action: as in sets cut from a few long videos of each action.
        scenes: number of videos of several people at once, with what is true of each of them: ``folder/scenes/*.mp4``,
            ``folder/scenes/segments.csv`` (who does what when, with the person's box at its start) and
            ``folder/scenes/boxes.csv`` (where everybody is in each frame). Half of them show the cast of another one.
        people_per_scene: how many people a scene shows, 2 to 4.
        workers: processes that draw; by default one for each processor.

    Returns:
        The path of ``clips.csv``.

    Raises:
        UsageError: an argument is out of its range, or an action is not known.
        KinemeError: the folder holds something else, or cannot be written.
    """
    from drawn_people.crowd import write_scenes

    names = _checked(actions, clips=clips, people=people, untrimmed=untrimmed, seed=seed, width=width, height=height)
    root = Path(folder)
    parameters = {
        "version": _VERSION,
        "clips": clips,
        "people": people,
        "actions": list(names),
        "untrimmed": untrimmed,
        "seed": seed,
        "width": width,
        "height": height,
    } | ({"strong_scenes": True} if strong_scenes else {})
    if scenes:
        parameters |= {"scenes": scenes, "people_per_scene": people_per_scene}
    if scenes < 0 or not 2 <= people_per_scene <= 4:
        raise UsageError(f"scenes must be 0 or more, of 2 to 4 people each, not {scenes} of {people_per_scene}")
    if strong_scenes and people < 2 * len(names):
        raise UsageError(f"strong scenes need two people for each action: {2 * len(names)}, not {people}")
    with sole_writer(root):
        _claim(root, parameters)
        clip_jobs = list(_clip_jobs(root, clips, people, names, seed, width, height, strong_scenes))
        long_jobs = list(_untrimmed_jobs(root, untrimmed, people, names, seed, width, height))
        segments = root / "untrimmed" / "segments.csv"
        jobs = [job for job in long_jobs + clip_jobs if not job.path.exists()]
        if jobs:
            _render_all(jobs, workers or os.cpu_count() or 1)
        if long_jobs and not segments.exists():
            rows = [
                (job.path.name, f"{start:.3f}", f"{end:.3f}", label, "yes")
                for job in long_jobs
                for start, end, label in _script(job).segments
            ]
            write_csv(segments, ("path", "start_s", "end_s", "label", "labelled_throughout"), rows)
        if scenes:
            write_scenes(root / "scenes", scenes, people_per_scene, names, seed, (height, width))
        table = root / "clips.csv"
        if not table.exists():
            listed = [(job.path.relative_to(root).as_posix(), str(job.action), job.group) for job in clip_jobs]
            write_csv(table, ("path", "label", "group"), sorted(listed))
        return table


def _checked(actions: Sequence[str] | None, **numbers: int) -> tuple[str, ...]:
    """The actions in their usual order, all arguments being in range."""
    names = ACTIONS if actions is None else tuple(actions)
    for name in names:
        if name not in BY_NAME:
            raise UsageError(f"unknown action {name!r}; the synthetic set knows {', '.join(ACTIONS)}")
    if not names or len(set(names)) != len(names):
        raise UsageError("actions: name at least one action, and each only once")
    limits = {"clips": (1, 100_000), "people": (1, 1000), "untrimmed": (0, 10_000), "seed": (0, 2**31)}
    limits |= {"width": (64, 1920), "height": (64, 1080)}
    for name, number in numbers.items():
        low, high = limits[name]
        if not low <= number <= high:
            raise UsageError(f"{name} must be from {low} to {high}, not {number}")
    for name in ("width", "height"):
        if numbers[name] % 2:
            raise UsageError(f"{name} must be even, not {numbers[name]}")
    return tuple(name for name in ACTIONS if name in names)


def _claim(root: Path, parameters: dict[str, Any]) -> None:
    """Mark the folder as holding this set, or make sure that it does already."""
    if root.exists() and not root.is_dir():
        raise KinemeError(f"{root}: is a file; name a new or empty folder")
    marker = root / _PARAMETERS
    if root.is_dir() and any(root.iterdir()):
        try:
            found = json.loads(marker.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            found = None
        if found is None:
            raise KinemeError(f"{root}: the folder is not empty; name a new or empty one")
        if found != parameters:
            raise KinemeError(
                f"{root}: holds a synthetic set made otherwise (see {_PARAMETERS}); name a new or empty folder"
            )
        for unfinished in root.glob("*/.person*"):  # left by a process that was killed
            unfinished.unlink(missing_ok=True)
        return
    try:
        root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(root, error) from error
    write_json(marker, parameters)


def _clip_jobs(
    root: Path,
    clips: int,
    people: int,
    names: tuple[str, ...],
    seed: int,
    width: int,
    height: int,
    strong_scenes: bool = False,
) -> Iterator[_Job]:
    """Deal the clips out: round by round one of each action, each round by other people."""
    order = np.random.default_rng([seed, 0]).permutation(people)
    for number in range(clips):
        turn, action = divmod(number, len(names))
        able = order[action :: len(names)] if strong_scenes else np.roll(order, -(action * people // len(names)))
        person = int(able[turn % len(able)]) + 1
        take = turn // len(able) + 1
        job = _Job(root, seed, person, names[action], take, names, width, height)
        suffix, _ = _format(job)
        yield _at(job, root / names[action] / f"{job.group}_{names[action]}_{take:02d}{suffix}")


def _untrimmed_jobs(
    root: Path, untrimmed: int, people: int, names: tuple[str, ...], seed: int, width: int, height: int
) -> Iterator[_Job]:
    order = np.random.default_rng([seed, 0]).permutation(people)
    for number in range(untrimmed):
        take, turn = divmod(number, people)
        person = int(order[turn]) + 1
        path = root / "untrimmed" / f"person{person:02d}_{take + 1:02d}.mp4"
        yield _Job(path, seed, person, None, take + 1, names, width, height)


def _at(job: _Job, path: Path) -> _Job:
    return _Job(path, job.seed, job.person, job.action, job.take, job.names, job.width, job.height)


def _render_all(jobs: list[_Job], workers: int) -> None:
    """Draw the videos, in as many processes as are worth their start."""
    workers = min(workers, math.ceil(len(jobs) / 4))
    with progress("drawing videos", len(jobs)) as advance:
        if workers <= 1:
            for job in jobs:
                _render(job)
                advance()
            return
        spawn = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(workers, mp_context=spawn, initializer=_one_thread) as pool:
            waiting = [pool.submit(_render, job) for job in jobs]
            try:
                for done in as_completed(waiting):
                    done.result()
                    advance()
            except BrokenProcessPool as error:
                raise KinemeError(
                    "a process that drew videos ended early: too little memory, or a script without "
                    "`if __name__ == '__main__':`; workers=1 needs neither"
                ) from error
            finally:
                pool.shutdown(cancel_futures=True)


def _one_thread() -> None:
    import cv2

    cv2.setNumThreads(1)  # the processes share the processors already


def _format(job: _Job) -> tuple[str, str]:
    """Suffix and encoder of a clip."""
    return _FORMATS[int(job.generator(10).choice(len(_FORMATS), p=_FORMAT_SHARES))]


def _rate(job: _Job) -> Fraction:
    """Frames per second; untrimmed videos keep to the usual rates."""
    rng = job.generator(15)
    if job.action is None:
        return _RATES[int(rng.integers(1, 5))]
    return _RATES[int(rng.choice(len(_RATES), p=_RATE_SHARES))]


def _length_s(job: _Job) -> float:
    return float(job.generator(11).uniform(2.4, 3.6))


def _script(job: _Job) -> Script:
    """What happens in the video: the same at each call."""
    from drawn_people.render import Person
    from drawn_people.script import clip_script, untrimmed_script

    style = Person.draw(job.seed, job.person).style
    if job.action is None:
        return untrimmed_script(job.names, style, job.generator(12))
    return clip_script(BY_NAME[job.action], style, _length_s(job), job.generator(12))


def _render(job: _Job) -> None:
    """Draw one video and write it."""
    from drawn_people.render import Person, Shot, frames
    from kineme.video.write import VideoWriter

    rng = job.generator(13)
    fps = _rate(job)
    codec = "libx264" if job.action is None else _format(job)[1]
    shot = Shot.draw(rng, job.height, job.width)
    with VideoWriter(
        job.path, width=job.width, height=job.height, fps=fps, codec=codec, options=_options(codec, rng)
    ) as writer:
        for image in frames(Person.draw(job.seed, job.person), _script(job), shot, float(fps), job.generator(14)):
            writer.write(image)


def _options(codec: str, rng: np.random.Generator) -> dict[str, str]:
    """Settings of an encoder: fast, on one thread so that the bytes are always the same, of varying quality."""
    worse = float(rng.uniform(0, 1))
    if codec == "libx264":
        preset = str(rng.choice(["ultrafast", "superfast"], p=[0.6, 0.4]))
        return {"preset": preset, "crf": f"{19 + 8 * worse:.1f}", "threads": "1"}
    if codec == "mpeg4":
        return {"qscale": str(3 + round(4 * worse)), "threads": "1"}
    rate = str(round(900_000 - 400_000 * worse))
    # A negative speed is kept to; a positive one follows the load of the machine, and the pixels with it.
    return {"b": rate, "deadline": "realtime", "cpu-used": "-8", "threads": "1"}
