"""Settings of ``kineme serve``: its address, its permissions, and its limits."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kineme.errors import UsageError
from kineme.serving.check_video import VideoLimits

if TYPE_CHECKING:
    from kineme.triggers.alarm import AlarmOptions

_LOOPBACK_NAMES = ("localhost", "127.0.0.1", "[::1]")
_MOST_FRAMES_A_SECOND = 240  # over the whole length that a video may have


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How to serve.

    Args:
        models: model files, run folders or pretrained models; the first one is used where none is named.
        state: the folder of the jobs and their results; it is made if need be.
        host: the address to listen on.
        port: the TCP port; 0 takes a free one.
        public_name: the name under which a proxy on this machine serves it to others; its word on who asks is taken.
        token: what everyone must know who asks for more than the page itself; None lets everyone in.
        allow_links: whether the server fetches videos from links.
        link_networks: networks in CIDR notation, not public, that links may lead to all the same.
        cookies: a file of cookies that go with links; visitors then get what that account may see.
        alarm: events of watched cameras to report, and their receivers; None reports none.
        max_bytes: size of a video.
        max_duration_s: length of a video, in seconds.
        max_pixels: width times height of its frames.
        time_limit_s: how long one job may take; it is given up then.
        queue: how many jobs may wait.
        workers: how many jobs run at once, each in a process with models of its own.
        streams: how many cameras may be followed at once.
        rate: how many jobs and cameras an address may begin a minute.
        keep_s: how long a job and its results are kept.
    """

    models: tuple[str, ...]
    state: Path
    host: str = "127.0.0.1"
    port: int = 8765
    public_name: str | None = None
    token: str | None = None
    allow_links: bool = False
    link_networks: tuple[str, ...] = ()
    cookies: Path | None = None
    alarm: AlarmOptions | None = None
    max_bytes: int = 200 << 20
    max_duration_s: float = 600.0
    max_pixels: int = 4096 * 2304
    time_limit_s: float = 900.0
    queue: int = 16
    workers: int = 1
    streams: int = 8
    rate: int = 60
    keep_s: float = 86400.0

    def __post_init__(self) -> None:
        if self.token is not None and len(self.token) < 8:
            raise UsageError("--token: must have 8 characters or more")
        for network in self.link_networks:
            try:
                ipaddress.ip_network(network)
            except ValueError as error:
                raise UsageError(f"--link-network {network}: give a network such as 10.1.0.0/16") from error

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def is_public(self) -> bool:
        """Whether visitors from other machines come, so that none may have all of what there is."""
        return not self.is_loopback or self.public_name is not None

    @property
    def limits(self) -> VideoLimits:
        """What a video may have."""
        return {
            "max_bytes": self.max_bytes,
            "max_duration_s": self.max_duration_s,
            "max_pixels": self.max_pixels,
            "max_frames": int(self.max_duration_s * _MOST_FRAMES_A_SECOND),
        }

    @property
    def hosts(self) -> frozenset[str] | None:
        """Names that a request's Host may have, without port; None where any will do.

        On loopback a page of another site can make its own name mean 127.0.0.1 (DNS rebinding); the Host tells.
        """
        if not self.is_loopback and self.public_name is None:
            return None
        names = (*_LOOPBACK_NAMES, self.public_name) if self.public_name else _LOOPBACK_NAMES
        return frozenset(name.lower() for name in names)
