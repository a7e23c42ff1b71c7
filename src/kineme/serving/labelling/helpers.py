"""Long work in the background: one process for each kind of task, which takes one task after the other."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from kineme.errors import KinemeError
from kineme.subprocesses import WorkerProcess

Kind = Literal["copy", "propose", "people", "places", "train", "clip"]


@dataclass
class Task:
    """A piece of work.

    Attributes:
        state: how far it is.
        progress: the share done, or the work's own report.
        result: the return value.
        message: why it failed, one line.
    """

    state: Literal["waiting", "running", "done", "failed"] = "waiting"
    progress: Any = 0.0
    result: Any = None
    message: str = ""

    def document(self) -> dict[str, Any]:
        """As JSON, without the result."""
        return {"state": self.state, "progress": self.progress, "message": self.message}


class Helpers:
    """All tasks of a server, by kind and key; may be used by several threads."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._tasks: dict[tuple[Kind, str], Task] = {}
        self._waiting: dict[Kind, list[tuple[str, tuple[Any, ...]]]] = {}
        self._processes: dict[Kind, WorkerProcess] = {}
        self._stopped = False

    def ask(self, kind: Kind, key: str, *arguments: Any, first: bool = False) -> Task:
        """Have something done, unless it was asked for already.

        Args:
            kind: of work.
            key: what tells it from other tasks of its kind.
            arguments: of the function in :mod:`kineme.serving.labelling.work`.
            first: before all others that wait.
        """
        with self._changed:
            task = self._tasks.get((kind, key))
            if task is not None and task.state != "failed":
                self._move_first(kind, key, first)
                return task
            task = self._tasks[kind, key] = Task()
            line = self._waiting.setdefault(kind, [])
            line.insert(0 if first else len(line), (key, arguments))
            if kind not in self._processes:
                self._processes[kind] = WorkerProcess(_FUNCTIONS[kind])
                threading.Thread(target=self._work, args=(kind,), name=f"kineme-label-{kind}", daemon=True).start()
            self._changed.notify_all()
            return task

    def get(self, kind: Kind, key: str) -> Task | None:
        """A task, or None."""
        with self._changed:
            return self._tasks.get((kind, key))

    def keys(self, kind: Kind) -> list[str]:
        """The keys of all tasks of a kind."""
        with self._changed:
            return [key for of, key in self._tasks if of == kind]

    def count(self, kind: Kind) -> dict[str, int]:
        """How many tasks of a kind there are in each state."""
        with self._changed:
            states = [task.state for (of, _), task in self._tasks.items() if of == kind]
        return {state: states.count(state) for state in sorted(set(states))}

    def cancel(self, kind: Kind) -> None:
        """Give up all tasks of a kind that are not done; unfinished work is started anew on request."""
        with self._changed:
            self._waiting[kind] = []
            self._tasks = {key: task for key, task in self._tasks.items() if key[0] != kind or task.state == "done"}
            process = self._processes.get(kind)
        if process is not None:
            process.stop()

    def wait(self, task: Task, *, timeout_s: float) -> None:
        """Wait until a task is over."""
        with self._changed:
            self._changed.wait_for(lambda: task.state in ("done", "failed") or self._stopped, timeout_s)

    def stop(self) -> None:
        """End all processes."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
            processes = list(self._processes.values())
        for process in processes:
            process.stop()

    def _move_first(self, kind: Kind, key: str, first: bool) -> None:
        line = self._waiting.get(kind, [])
        wanted = [one for one in line if one[0] == key]
        if first and wanted:
            self._waiting[kind] = [*wanted, *(one for one in line if one[0] != key)]

    def _work(self, kind: Kind) -> None:
        process = self._processes[kind]
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting.get(kind) or self._stopped)
                if self._stopped:
                    return
                key, arguments = self._waiting[kind].pop(0)
                task = self._tasks[kind, key]
                task.state = "running"
            state: Literal["done", "failed"] = "failed"
            result, message = None, ""
            try:
                result = process.call(*arguments, on_progress=_teller(task))
                state = "done"
            except KinemeError as error:
                message = str(error)
            with self._changed:
                task.state, task.result, task.message = state, result, message
                self._changed.notify_all()


def _teller(task: Task) -> Callable[[Any], None]:
    def tell(progress: Any) -> None:
        task.progress = progress

    return tell


_FUNCTIONS: dict[Kind, str] = {
    "copy": "kineme.serving.labelling.work:copy_for_browsers",
    "propose": "kineme.serving.labelling.work:propose",
    "people": "kineme.serving.labelling.work:people",
    "places": "kineme.serving.labelling.work:places",
    "train": "kineme.serving.labelling.work:train",
    "clip": "kineme.serving.labelling.work:clip_of",
}
