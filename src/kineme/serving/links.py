"""Links: which addresses they may lead to (public ones, whatever names and redirects say), and how they are fetched."""

from __future__ import annotations

import ipaddress
import os
import socket
import sys
from collections.abc import Sequence
from contextlib import closing, suppress
from pathlib import PurePath
from typing import Any
from urllib.parse import urlsplit

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_MOST_CHARACTERS = 2000
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_MIN_SIDE = 480  # pixels: what is fetched is shown, too
_MOST_MEMORY = 300 << 20  # of a process that fetches
_STARTS_A_PROGRAM = ("subprocess.Popen", "os.exec", "os.posix_spawn", "os.spawn", "os.system")
_SANDBOXES = ("deno", "node", "qjs")  # YouTube's scripts run in them, and yt-dlp gives them no network
_NEVER = "links may only lead to public addresses"


class LinkError(PermissionError):
    """An address that the server does not go to; ``str(error)`` says why."""


def is_public(address: str, networks: Sequence[str] = ()) -> bool:
    """Whether a numeric address is on the public internet, or in one of ``networks``.

    An IPv6 address that holds an IPv4 one is what that is (mapped), or refused (6to4, Teredo, NAT64).
    """
    try:
        one: Address = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(one, ipaddress.IPv6Address):
        if one.ipv4_mapped:
            one = one.ipv4_mapped
        elif one.sixtofour or one.teredo or one in _NAT64:
            return False
    if any(one in ipaddress.ip_network(network) for network in networks):
        return True
    return one.is_global and not (one.is_multicast or one.is_reserved or one.is_unspecified)


def check_link(url: str, networks: Sequence[str] = ()) -> None:
    """Look at an address before anything is fetched; its name is resolved.

    Raises:
        LinkError: it is no http address, holds a password, is unknown, or leads to a machine that is not public.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise LinkError("this is not a web address") from error
    if parts.scheme.lower() not in ("http", "https") or not parts.hostname:
        raise LinkError("only addresses that begin with http:// or https:// are taken")
    if len(url) > _MOST_CHARACTERS or any(ord(one) < 33 or not one.isprintable() for one in url):
        raise LinkError("this is not a web address")
    if parts.username is not None or parts.password is not None:
        raise LinkError("addresses with a user name or password are not taken")
    try:
        found = socket.getaddrinfo(parts.hostname, port or 443, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise LinkError("no server of this name is found") from error
    if not found or not all(is_public(str(one[4][0]), networks) for one in found):
        raise LinkError(_NEVER)


def guard_process(networks: Sequence[str] = (), *, programs: bool) -> list[LinkError]:
    """Refuse every connection of this process that does not lead to a public address, for good.

    It sees the address that is connected to, after all redirects and whatever the name's server answers the second
    time. A hook cannot be taken off again, so this is for processes of our own.

    Args:
        networks: that connections may lead to although they are not public.
        programs: whether programs may be started, whose connections nobody sees.

    Returns:
        Connections that were refused so far; it grows. Libraries make errors of their own of an error that they meet.
    """
    refused: list[LinkError] = []

    sys.modules["curl_cffi"] = None  # type: ignore[assignment]  # yt-dlp would use it, and its connections are not seen

    def look(event: str, arguments: tuple[Any, ...]) -> None:
        if event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
            address = arguments[1]
            if address is not None and not (isinstance(address, tuple) and is_public(str(address[0]), networks)):
                refused.append(LinkError(_NEVER))
                raise refused[-1]
        elif event in _STARTS_A_PROGRAM and not programs:
            program = os.fspath(arguments[0]) if isinstance(arguments[0], str | os.PathLike) else ""
            if PurePath(program).stem not in _SANDBOXES:
                raise LinkError("no program is started for a link")

    sys.addaudithook(look)
    return refused


def limit_memory() -> None:
    """Limit the memory of this process and of the programs that it starts, for good."""
    with suppress(ImportError, ValueError):  # Windows has no such limit
        import resource

        resource.setrlimit(resource.RLIMIT_DATA, (_MOST_MEMORY, _MOST_MEMORY))


def fetch_link(
    url: str, path: str | os.PathLike[str], networks: Sequence[str], max_bytes: int, cookies: str | None = None
) -> None:
    """Fetch a video from a link to ``path``; for processes that :func:`guard_process` guards.

    Raises:
        LinkError: it leads inside.
        KinemeError: it cannot be had.
    """
    from kineme.sources.links import fetch_videos
    from kineme.sources.local_video import FailedVideo, FetchOptions

    check_link(url, networks)
    limit_memory()
    options = FetchOptions(min_side=_MIN_SIDE, with_sound=True, max_bytes=max_bytes, cookies=cookies)
    with closing(fetch_videos(url, options)) as videos:
        video = next(videos)
        if isinstance(video, FailedVideo):
            raise video.error
        os.replace(video.path, path)  # noqa: PTH105 (both are in the job's folder)
