"""Which addresses links may lead to: public ones, whatever their names and redirects."""

from __future__ import annotations

import ipaddress
import socket
import sys
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_MOST_CHARACTERS = 2000
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
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
    if len(url) > _MOST_CHARACTERS or any(ord(one) < 33 for one in url):
        raise LinkError("this is not a web address")
    if parts.username is not None or parts.password is not None:
        raise LinkError("addresses with a user name or password are not taken")
    try:
        found = socket.getaddrinfo(parts.hostname, port or 443, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise LinkError("no server of this name is found") from error
    if not found or not all(is_public(str(one[4][0]), networks) for one in found):
        raise LinkError(_NEVER)


def guard_connections(networks: Sequence[str] = ()) -> None:
    """Refuse every connection of this process that does not lead to a public address, for good.

    It sees the address that is connected to, after all redirects and whatever the name's server answers the second
    time. A hook cannot be taken off again, so this is for processes of our own.
    """

    def look(event: str, arguments: tuple[Any, ...]) -> None:
        if event not in ("socket.connect", "socket.sendto"):
            return
        address = arguments[1]
        if not (isinstance(address, tuple) and is_public(str(address[0]), networks)):
            raise LinkError(_NEVER)

    sys.addaudithook(look)
