"""Every test session has a cache folder of its own; only pretrained weights are shared with the user's."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="session", autouse=True)
def _own_strips(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KINEME_STRIPS", str(tmp_path_factory.mktemp("strips")))
        yield
