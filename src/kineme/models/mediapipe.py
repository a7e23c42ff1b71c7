"""The package of MediaPipe, which carries several networks."""

from __future__ import annotations

from collections.abc import Mapping

from kineme.models.backbone import Pretrained


def mediapipe_weights(name: str, what: str, members: Mapping[str, str]) -> Pretrained:
    """Networks out of the package ``mediapipe``; arguments as of :class:`~kineme.models.backbone.Pretrained`."""
    return Pretrained(
        name=name,
        what=what,
        licence="Apache-2.0",
        source="mediapipe==0.10.21",
        download_bytes=35_622_638,
        archive_sha256="05dc4a9e593655a79558d05d6227d31018c2537a4bd3362b51e230cf22aecfe3",
        # The models are data: the wheel of one platform serves them all.
        pip_options=(
            "--only-binary=:all:",
            "--platform=manylinux_2_28_x86_64",
            "--implementation=cp",
            "--python-version=3.11",
        ),
        members=members,
    )
