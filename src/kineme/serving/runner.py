"""Hands waiting jobs to worker processes and keeps their results; removes old jobs.

Links are fetched in processes of their own, so that a slow server keeps nobody's video waiting.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from kineme.errors import KinemeError
from kineme.serving.changes import Changes
from kineme.serving.checks import FAILURES
from kineme.serving.settings import Settings
from kineme.serving.store import JobRecord, JobStore
from kineme.subprocesses import ProcessError, WorkerProcess

log = logging.getLogger("kineme.serving")

_LOAD_S = 300.0
_FETCH_S = 300.0
_FETCHERS = 2
_SWEEP_S = 60.0


@dataclass(frozen=True)
class Progress:
    """How far a running job has come.

    Args:
        phase: ``"starting"``, ``"fetching"``, ``"loading"``, ``"recognising"``, ``"explaining"`` or
            ``"drawing"``.
        share: of all work, 0 to 1.
        left_s: how long it may still take; None where that is not known.
    """

    phase: str = "starting"
    share: float = 0.0
    left_s: float | None = None


class Runner:
    """The threads that work off the queue.

    Args:
        settings: of the server.
        store: where the jobs are.
        models: for each model's name, where it is.
        changes: called with every change of a job.

    Attributes:
        is_ready: whether the models are loaded and jobs are taken.
        finished: how many jobs ended, by their state or the code of their error.
        restarts: how often a process had to be replaced.
    """

    def __init__(self, settings: Settings, store: JobStore, models: dict[str, str], changes: Changes) -> None:
        self._settings, self._store, self._models, self._changes = settings, store, models, changes
        self._work = threading.Condition()
        self._over = threading.Event()
        self._progress: dict[str, Progress] = {}
        self._running: dict[str, WorkerProcess] = {}
        self._loading: set[WorkerProcess] = set()
        self._cancelled: set[str] = set()
        fetches = [False] * settings.workers + [True] * (_FETCHERS if settings.allow_links else 0)
        self._threads = [
            threading.Thread(target=self._loop, args=[one], name="kineme-jobs", daemon=True) for one in fetches
        ]
        self._threads.append(threading.Thread(target=self._sweep, name="kineme-sweep", daemon=True))
        self._loaded = 0
        self.finished: dict[str, int] = {}
        self.restarts = 0

    @property
    def is_ready(self) -> bool:
        """Whether the models are loaded and jobs are taken."""
        return self._loaded > 0 and all(one.is_alive() for one in self._threads) and not self._over.is_set()

    @property
    def running(self) -> int:
        """How many jobs are being worked on."""
        return len(self._running)

    def start(self) -> None:
        """Start the threads that work off the queue and remove old jobs."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Stop the threads and processes; a job that is running waits for the next start of the server."""
        self._over.set()
        with self._work:
            self._work.notify_all()
            for process in (*self._running.values(), *self._loading):
                process.stop()
        for thread in self._threads:
            thread.join(10)

    def wake(self) -> None:
        """Wake the threads, since a job waits."""
        with self._work:
            self._work.notify_all()

    def progress(self, job_id: str) -> Progress:
        """How far a running job has come."""
        return self._progress.get(job_id, Progress())

    def remove(self, job_id: str) -> bool:
        """Forget a job and what explains it; if it is running, that is ended. Says whether there was one."""
        is_there = self._store.get(job_id) is not None
        for explanation in self._store.explanations(job_id):
            self.remove(explanation)
        with self._work:
            process = self._running.get(job_id)
            if process:
                self._cancelled.add(job_id)
                process.stop()
        self._store.remove(job_id)
        self._changes.notify()
        return is_there

    def _loop(self, fetches: bool) -> None:
        """Work off the queue until the server stops."""
        # yt-dlp would go through a proxy, which connects to whatever it is told.
        environment = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
        process = WorkerProcess(f"kineme.serving.worker:{'fetch' if fetches else 'work'}", environment)
        try:
            while not self._over.is_set():
                if not fetches and not process.is_running:  # models take long to load, which is no job's fault
                    self._load(process)
                job = self._store.take(to_fetch=fetches)
                if job is None:
                    with self._work:
                        self._work.wait(1.0)
                    continue
                self._changes.notify()
                try:
                    self._run(job, process, fetches)
                except (OSError, sqlite3.Error):  # such as a full disk
                    log.exception("job %s cannot be kept", job.id)
                    with suppress(OSError, sqlite3.Error):
                        self._fail(job, "internal", "the result could not be kept; the server's log says why")
                    self._over.wait(1.0)
                self._changes.notify()
        except KinemeError as error:
            if not self._over.is_set():
                log.error("the models cannot be loaded: %s", error)
        finally:
            process.stop()

    def _load(self, process: WorkerProcess) -> None:
        with self._work:
            self._loading.add(process)
        request = {"models": list(self._models.values()), "networks": list(self._settings.link_networks)}
        process.call(request, timeout_s=_LOAD_S, on_progress=lambda _: None)
        with self._work:
            self._loading.discard(process)
        self._loaded += 1

    def _run(self, job: JobRecord, process: WorkerProcess, fetches: bool) -> None:
        if job.model not in self._models:  # it was waiting when the server was started with others
            self._fail(job, "no_model", f"{job.model}: this model is not served any more")
            return
        with self._work:
            self._running[job.id] = process
        limit_s = self._settings.time_limit_s
        request = {
            "explain": job.of is not None,
            "folder": str(self._store.folder_of(job.id)),
            "name": job.name,
            "url": job.url,
            "source": job.url or job.name,
            "model": self._models[job.model],
            "label": job.label,
            "limits": self._settings.limits,
            "networks": list(self._settings.link_networks),
            "cookies": str(self._settings.cookies) if self._settings.cookies else None,
        }
        try:
            reply = process.call(
                request,
                timeout_s=min(limit_s, _FETCH_S) if fetches else limit_s,
                on_progress=lambda document: self._note(job.id, document),
            )
            self._keep(job, reply, fetches)
        except ProcessError as error:
            if self._over.is_set():
                self._store.put_back(job.id)
            elif job.id in self._cancelled:
                self._count("cancelled")
            else:
                self.restarts += 1
                log.warning("job %s: %s", job.id, error)
                self._fail(job, error.kind, f"{job.name}: {FAILURES[error.kind]}")
        finally:
            with self._work:
                self._running.pop(job.id, None)
                self._progress.pop(job.id, None)
                if job.id in self._cancelled:
                    self._cancelled.discard(job.id)
                    self._store.remove(job.id)  # files may have come since

    def _keep(self, job: JobRecord, reply: dict[str, Any], fetches: bool) -> None:
        if "error" in reply:
            log.warning("job %s: %s", job.id, reply.get("trace", ""))
            self._fail(job, reply["error"]["code"], reply["error"]["message"])
        elif fetches:
            self._store.note_fetched(job.id)
            self.wake()
        else:
            self._store.finish(job.id, reply["result"])
            self._count("done")

    def _note(self, job_id: str, document: dict[str, Any]) -> None:
        self._progress[job_id] = Progress(**document)
        self._changes.notify(job_id)

    def _fail(self, job: JobRecord, code: str, message: str) -> None:
        log.warning("job %s failed: %s (%s)", job.id, message, code)
        self._store.fail(job.id, code, message)
        self._count(code)

    def _count(self, outcome: str) -> None:
        self.finished[outcome] = self.finished.get(outcome, 0) + 1

    def _sweep(self) -> None:
        while not self._over.wait(min(_SWEEP_S, self._settings.keep_s / 4)):
            try:
                if self._store.remove_older(self._settings.keep_s):
                    self._changes.notify()
            except (OSError, sqlite3.Error) as error:
                log.error("old jobs cannot be removed: %s", error)


def seconds_to_wait(store: JobStore, workers: int) -> float:
    """When a place in the queue may be free."""
    return min(600.0, max(1.0, store.mean_seconds() / workers))
