"""The figures of ``/metrics``."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from kineme.serving.checks import Checks
from kineme.serving.live import Streams
from kineme.serving.runner import Runner
from kineme.serving.store import JobStore


def make_registry(store: JobStore, runner: Runner, checks: Checks, streams: Streams) -> CollectorRegistry:
    """A registry that asks the parts of the server when it is read."""
    registry = CollectorRegistry()
    registry.register(_Parts(store, runner, checks, streams))
    return registry


class _Parts(Collector):
    def __init__(self, store: JobStore, runner: Runner, checks: Checks, streams: Streams) -> None:
        self._store, self._runner, self._checks, self._streams = store, runner, checks, streams

    def collect(self) -> Iterator[Metric]:
        """All figures now."""
        runner, streams = self._runner, self._streams
        ended = CounterMetricFamily("kineme_jobs_ended", "Jobs that are over, by how they ended", labels=["how"])
        for how, count in sorted(runner.finished.items()):
            ended.add_metric([how], count)
        yield ended
        yield GaugeMetricFamily("kineme_jobs_waiting", "Jobs in the queue", self._store.waiting()[0])
        yield GaugeMetricFamily("kineme_jobs_running", "Jobs being worked on", runner.running)
        yield CounterMetricFamily(
            "kineme_worker_restarts",
            "Processes that crashed or took too long",
            runner.restarts + self._checks.restarts,
        )
        yield GaugeMetricFamily("kineme_streams", "Cameras being followed", streams.open)
        yield CounterMetricFamily("kineme_stream_frames", "Pictures of cameras looked at", streams.frames)
        yield CounterMetricFamily("kineme_stream_dropped", "Pictures there was no time for", streams.dropped)
