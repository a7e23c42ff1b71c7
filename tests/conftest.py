"""Every test session has a cache folder of its own; under CI a test is skipped only for a reason that is listed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kineme.models.hub.torch_network import keep_triton_out

if "PYTEST_XDIST_WORKER" in os.environ:  # several processes share the cores
    os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
keep_triton_out()  # tests import PyTorch themselves

_ALLOWED = Path(__file__).with_name("allowed_skips.txt")
_unlisted: dict[str, str] = {}  # where a test was skipped: why


@pytest.fixture(scope="session", autouse=True)
def _own_caches(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KINEME_FRAME_CACHE", str(tmp_path_factory.mktemp("frames")))
        patch.setenv("KINEME_INSPECTION_CACHE", str(tmp_path_factory.mktemp("inspections")))
        yield


def _note_skip(report: pytest.TestReport | pytest.CollectReport) -> None:
    if not report.skipped or hasattr(report, "wasxfail"):
        return
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    reason = reason.removeprefix("Skipped: ")
    lines = _ALLOWED.read_text(encoding="utf-8").splitlines()
    if not reason.startswith(tuple(line for line in lines if line and not line.startswith("#"))):
        _unlisted[report.nodeid] = reason


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    _note_skip(report)


def pytest_collectreport(report: pytest.CollectReport) -> None:
    _note_skip(report)


def pytest_sessionfinish(session: pytest.Session) -> None:
    if os.environ.get("CI") == "true" and _unlisted and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if os.environ.get("CI") == "true":
        for where, reason in _unlisted.items():
            terminalreporter.write_line(f"SKIPPED BUT NOT LISTED in tests/{_ALLOWED.name}: {where}: {reason}", red=True)
