"""Hands waiting jobs to worker processes and keeps their results; checks uploads; removes old jobs."""

from __future__ import annotations

import logging
import sqlite3
import threading
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from kineme.serving.problem import ServiceError
from kineme.serving.settings import Settings
from kineme.serving.store import JobRecord, JobStore
from kineme.serving.worker_process import WorkerError, WorkerProcess

log = logging.getLogger("kineme.serving")

_CHECK_S = 15.0
_LOAD_S = 300.0
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

    Attributes:
        is_ready: whether the models are loaded and jobs are taken.
        finished: how many jobs ended, by their state or the code of their error.
        restarts: how often a process had to be replaced.
    """

    def __init__(self, settings: Settings, store: JobStore, models: dict[str, str]) -> None:
        self._settings, self._store, self._models = settings, store, models
        self._work = threading.Condition()
        self._over = threading.Event()
        self._progress: dict[str, Progress] = {}
        self._running: dict[str, WorkerProcess] = {}
        self._loading: set[WorkerProcess] = set()
        self._cancelled: set[str] = set()
        self._checker, self._checking = WorkerProcess(), threading.Lock()
        self._threads = [
            threading.Thread(target=self._loop, name="kineme-jobs", daemon=True) for _ in range(settings.workers)
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
        self._checker.stop()

    def wake(self) -> None:
        """Wake a thread, since a job waits."""
        with self._work:
            self._work.notify()

    def progress(self, job_id: str) -> Progress:
        """How far a running job has come."""
        return self._progress.get(job_id, Progress())

    def remove(self, job_id: str) -> bool:
        """Forget a job and what explains it; if it is running, that is ended. Says whether there was one."""
        for explanation in self._store.explanations(job_id):
            self.remove(explanation)
        with self._work:
            process = self._running.get(job_id)
            if process:
                self._cancelled.add(job_id)
                process.stop()
        return self._store.remove(job_id)

    def check(self, job_id: str, name: str) -> dict[str, Any]:
        """Look at an upload before it is taken, in a process of its own.

        Raises:
            ServiceError: it is no video that is taken.
        """
        folder = self._store.folder_of(job_id)
        with self._checking:
            try:
                reply = self._checker.call(self._request("check", folder=str(folder), name=name), timeout_s=_CHECK_S)
            except WorkerError as error:
                self.restarts += 1
                raise ServiceError(422, "bad_video", f"{name}: {error}") from error
        if "error" in reply:
            self._log_trace(reply)
            raise ServiceError(422, reply["error"]["code"], reply["error"]["message"])
        result: dict[str, Any] = reply["result"]
        return result

    def _request(self, do: str, **more: Any) -> dict[str, Any]:
        one = self._settings
        limits = {"max_bytes": one.max_bytes, "max_duration_s": one.max_duration_s, "max_pixels": one.max_pixels}
        return {"do": do, "limits": limits, "networks": list(one.link_networks), **more}

    def _loop(self) -> None:
        process = WorkerProcess()
        try:
            while not self._over.is_set():
                if not process.is_running:  # models take long to load, which is no job's fault
                    self._load(process)
                job = self._store.take()
                if job is None:
                    with self._work:
                        self._work.wait(1.0)
                    continue
                try:
                    self._run(job, process)
                except (OSError, sqlite3.Error):  # such as a full disk
                    log.exception("job %s cannot be kept", job.id)
                    with suppress(OSError, sqlite3.Error):
                        self._fail(job, "internal", "the result could not be kept; the server's log says why")
                    self._over.wait(1.0)
        except WorkerError as error:
            if not self._over.is_set():
                log.error("the models cannot be loaded: %s", error)
        finally:
            process.stop()

    def _load(self, process: WorkerProcess) -> None:
        with self._work:
            self._loading.add(process)
        reply = process.call(self._request("load", models=list(self._models.values())), timeout_s=_LOAD_S)
        with self._work:
            self._loading.discard(process)
        if "error" in reply:
            raise WorkerError("failed", reply.get("trace", reply["error"]["message"]))
        self._loaded += 1

    def _run(self, job: JobRecord, process: WorkerProcess) -> None:
        if job.model not in self._models:  # it was waiting when the server was started with others
            self._fail(job, "no_model", f"{job.model}: this model is not served any more")
            return
        with self._work:
            self._running[job.id] = process
        try:
            reply = process.call(
                self._request(
                    "explain" if job.of else "predict",
                    folder=str(self._store.folder_of(job.id)),
                    name=job.name,
                    url=job.url,
                    model=self._models[job.model],
                    label=job.label,
                ),
                timeout_s=self._settings.time_limit_s,
                on_progress=lambda document: self._progress.update({job.id: Progress(**document)}),
            )
            if "error" in reply:
                self._log_trace(reply)
                self._fail(job, reply["error"]["code"], reply["error"]["message"])
            else:
                self._store.finish(job.id, reply["result"])
                self._count("done")
        except WorkerError as error:
            if self._over.is_set():
                self._store.put_back(job.id)
            elif job.id in self._cancelled:
                self._count("cancelled")
            else:
                self.restarts += 1
                self._fail(job, error.code, f"{job.name}: {error}")
        finally:
            with self._work:
                self._running.pop(job.id, None)
                self._progress.pop(job.id, None)
                if job.id in self._cancelled:
                    self._cancelled.discard(job.id)
                    self._store.remove(job.id)  # files may have come since

    def _fail(self, job: JobRecord, code: str, message: str) -> None:
        log.warning("job %s failed: %s (%s)", job.id, message, code)
        self._store.fail(job.id, code, message)
        self._count(code)

    def _count(self, outcome: str) -> None:
        self.finished[outcome] = self.finished.get(outcome, 0) + 1

    def _log_trace(self, reply: dict[str, Any]) -> None:
        if "trace" in reply:
            log.error("a job failed:\n%s", reply["trace"])

    def _sweep(self) -> None:
        while not self._over.wait(min(_SWEEP_S, self._settings.keep_s / 4)):
            try:
                self._store.remove_older(self._settings.keep_s)
            except (OSError, sqlite3.Error) as error:
                log.error("old jobs cannot be removed: %s", error)


def seconds_to_wait(store: JobStore, workers: int) -> float:
    """When a place in the queue may be free."""
    return min(600.0, max(1.0, store.mean_seconds() / workers))
