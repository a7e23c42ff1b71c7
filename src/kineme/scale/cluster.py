"""Ray, quiet in a process of its own: started on this machine, on loopback alone, or joined where it runs."""

from __future__ import annotations

import importlib
import importlib.util
import logging
import os
import shutil
import socket
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from kineme.errors import KinemeError, UsageError
from kineme.subprocesses import ProcessError, call_in_process

_STORE_BYTES_A_WORKER = 128 << 20
_STORE_BYTES_AT_LEAST = 256 << 20
_STORE_SHARE = 0.2  # of the memory, at most
_BLOCK_BYTES = 16 << 20  # what a stage gives to the next at a time
# What a stage asks of a core. Both are always at work, and the system shares the cores between them; so little that
# what is left of a cluster which loses most of its machines still has room for both.
_FIRST_CPUS, _POOL_CPUS = 0.5, 0.1
_FOLDER = "kineme-ray-"
_SHORT = "/tmp"  # noqa: S108 (for Ray's folder: sockets need short paths)
_GRACE_S = 15.0  # for Ray to end its processes and remove its files


def check_ray() -> None:
    """Raise KinemeError where Ray is not installed."""
    if not importlib.util.find_spec("ray"):
        raise KinemeError('kineme batch needs Ray: pip install "kineme[ray]"')


def check_workers(workers: int | None) -> None:
    """Raise UsageError where there is to be none."""
    if workers is not None and workers < 1:
        raise UsageError(f"--workers {workers}: at least one is needed")


def with_ray(
    function: str, *arguments: Any, address: str | None, workers: int | None, on_progress: Callable[[Any], None]
) -> Any:
    """Call ``package.module:name`` where Ray may run: here, where it runs already, else in a process of its own.

    When one of Ray's own processes is gone, Ray ends the process that it drives, at once and without a word.

    Args:
        function: it takes the arguments, then those of :func:`running` as a dictionary, then ``on_progress``.
        arguments: what JSON holds.
        address: of a cluster, ``"auto"`` for the one that this machine is part of; None starts Ray here.
        workers: how many; by default as many as there are cores.
        on_progress: see :func:`kineme.subprocesses.call_in_process`.

    Raises:
        KinemeError: the function raised it, or Ray crashed.
    """
    cluster = {"address": address, "workers": workers}
    if "ray" in sys.modules and sys.modules["ray"].is_initialized():
        module, _, name = function.partition(":")
        return getattr(importlib.import_module(module), name)(*arguments, cluster, on_progress=on_progress)
    base = _SHORT if Path(_SHORT).is_dir() else tempfile.gettempdir()
    _remove_abandoned(base)
    with tempfile.TemporaryDirectory(prefix=f"{_FOLDER}{os.getpid()}-", dir=base, ignore_cleanup_errors=True) as folder:
        cluster["folder"] = folder
        try:
            return call_in_process(function, *arguments, cluster, on_progress=on_progress, grace_s=_GRACE_S)
        except ProcessError as error:
            raise KinemeError(
                "Ray crashed, perhaps since the system ended one of its processes for lack of memory (try fewer "
                "--workers); finished videos are kept; rerun the command to resume"
            ) from error


def _remove_abandoned(base: str) -> None:
    """Remove the folders of jobs that were killed; their names hold the number of the process."""
    for left in Path(base).glob(f"{_FOLDER}*-*") if sys.platform != "win32" else ():
        with suppress(PermissionError, ValueError):  # alive, or not ours
            try:
                os.kill(int(left.name.removeprefix(_FOLDER).partition("-")[0]), 0)
            except ProcessLookupError:
                shutil.rmtree(left, ignore_errors=True)


@contextmanager
def running(address: str | None, workers: int | None, folder: str | None = None) -> Iterator[tuple[int, int]]:
    """Have Ray while the context lasts; what this process has started already is used.

    Args:
        address: of a cluster; None starts Ray here.
        workers: how many; by default as many as there are cores.
        folder: for Ray's logs and sockets, where it starts here.

    Yields:
        How many workers, and how many cores each may use.

    Raises:
        KinemeError: Ray cannot be started, or not be reached.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is told to its makers
    import ray

    if ray.is_initialized():
        yield _sizes(ray, workers)
        return
    where: dict[str, Any] = {"address": address}
    if address:
        _check_address(address)
    else:
        where = {
            "address": "local",
            "num_cpus": workers or _cores(),
            "include_dashboard": False,
            "object_store_memory": _store_bytes(workers or _cores()),
            "_node_ip_address": "127.0.0.1",
            "_temp_dir": folder,
        }
    try:
        ray.init(log_to_driver=False, logging_level=logging.CRITICAL, **where)
    except Exception as error:
        line = " ".join(str(error).split())[:300]
        raise KinemeError(f"--ray-address {address}: {line}" if address else f"Ray does not start: {line}") from error
    try:
        yield _sizes(ray, workers)
    finally:
        ray.shutdown()


def _check_address(address: str) -> None:
    """Raise KinemeError where nobody answers, which Ray takes minutes to say."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not (host and port.isdecimal()):
        return  # "auto", which is looked up
    try:
        socket.create_connection((host, int(port)), timeout=10).close()
    except OSError as error:
        reason = error.strerror or error
        raise KinemeError(
            f"--ray-address {address}: no answer from the cluster ({reason}); is 'ray start' done?"
        ) from error


def limit_threads(threads: int) -> None:
    """In a worker, before it loads a network: it takes no more threads than its share."""
    os.environ["KINEME_THREADS"] = str(threads)
    for name in ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS"):
        os.environ.setdefault(name, str(threads))


def in_a_worker(function: Callable[[Any], Any], plan: Any) -> None:
    """Call a function in a worker, which ends with it.

    Raises:
        KinemeError: that the function raised; or the worker crashed.
    """
    import ray

    try:
        ray.get(ray.remote(max_calls=1, num_cpus=_POOL_CPUS, max_retries=2)(function).remote(plan))
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, KinemeError):
            raise error.cause from error
        raise KinemeError(f"a worker cannot start: {type(error.cause).__name__}: {error.cause}") from error
    except ray.exceptions.RayError as error:
        raise KinemeError(f"a worker cannot start: {type(error).__name__}") from error


def through_stages(
    groups: Sequence[str], first: Callable[..., Any] | None, pool: type, plan: Any, workers: int
) -> Iterator[Any]:
    """Send groups through the stages, and yield the tables that come out, in any order.

    Ray tries nothing again: where a worker or a machine is gone, its tables do not come, and their
    videos stay unfinished. The output of a stage may depend on whether it ran before, and Ray's own retries need
    stages that give the same number of blocks every time.

    Args:
        groups: JSON texts, one for a task of the first stage.
        first: function of the first stage; None where the pool takes the groups themselves.
        pool: class whose objects, one in each actor, are the last stage.
        plan: what both are given.
        workers: actors, and about as many tasks, at a time.
    """
    import ray.data

    context = ray.data.DataContext.get_current()
    context.max_errored_blocks = -1
    context.target_max_block_size = _BLOCK_BYTES
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    common: dict[str, Any] = {"batch_size": None, "batch_format": "pyarrow"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the options of retries, of which Ray says that 2.64 will not have them
        data = ray.data.from_items([{"group": group} for group in groups], override_num_blocks=len(groups))
        if first is not None:
            compute = ray.data.TaskPoolStrategy(size=workers + 1)  # while one waits for its next group, others work
            data = data.map_batches(
                first, fn_kwargs={"plan": plan}, num_cpus=_FIRST_CPUS, compute=compute, max_retries=0, **common
            )
        data = data.map_batches(
            pool,
            fn_constructor_kwargs={"plan": plan},
            num_cpus=_POOL_CPUS,
            compute=ray.data.ActorPoolStrategy(size=workers),
            max_restarts=-1,
            max_task_retries=0,
            **common,
        )
    yield from data.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0)


def _sizes(ray: Any, workers: int | None) -> tuple[int, int]:
    cores = max(1, int(ray.cluster_resources().get("CPU", 1)))
    workers = workers or cores
    return workers, max(1, cores // workers)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _store_bytes(workers: int) -> int:
    """Of the memory that workers share: a laptop stays usable."""
    wanted = max(_STORE_BYTES_AT_LEAST, workers * _STORE_BYTES_A_WORKER)
    try:
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):  # Windows
        return wanted
    return int(min(wanted, _STORE_SHARE * total))
