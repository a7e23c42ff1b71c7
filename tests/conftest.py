"""Every test session has a cache folder of its own; only pretrained weights are shared with the user's."""

from __future__ import annotations

import os

import pytest

if "PYTEST_XDIST_WORKER" in os.environ:  # several processes share the cores
    os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")


@pytest.fixture(scope="session", autouse=True)
def _own_strips(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KINEME_STRIPS", str(tmp_path_factory.mktemp("strips")))
        patch.setenv("KINEME_LOOKS", str(tmp_path_factory.mktemp("looks")))
        yield
