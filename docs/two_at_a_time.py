"""Runs tasks two at a time, each after those that it needs: no command of a build keeps two cores busy."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from graphlib import TopologicalSorter


def run_two_at_a_time(tasks: Mapping[str, Callable[[], object]], needs: Mapping[str, Iterable[str]]) -> None:
    """Run all tasks; the first error is raised, once what runs beside it has ended.

    Args:
        tasks: by name, in the order in which they begin where they may.
        needs: names of those that a task needs; what is no task is there already.
    """
    order = TopologicalSorter({name: [one for one in needs.get(name, ()) if one in tasks] for name in tasks})
    order.prepare()
    pool = ThreadPoolExecutor(2)
    running: dict[Future[object], str] = {}
    try:
        while order.is_active():
            running |= {pool.submit(tasks[name]): name for name in order.get_ready()}
            for one in wait(running, return_when=FIRST_COMPLETED).done:
                one.result()
                order.done(running.pop(one))
    finally:
        pool.shutdown(cancel_futures=True)
