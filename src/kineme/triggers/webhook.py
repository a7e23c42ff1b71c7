"""Events as HTTP POSTs, signed as https://www.standardwebhooks.com asks: receivers check that with its libraries."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import secrets
import time
import urllib.error
import urllib.request
from http.client import HTTPException, HTTPMessage
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

from kineme.errors import UsageError
from kineme.text import json_text
from kineme.triggers.delivery import RefusedError, RetryError
from kineme.version import __version__
from kineme.video.live import without_password

SECRET = "KINEME_WEBHOOK_SECRET"  # noqa: S105 (the name of the variable)

_REFUSALS = (400, 410, 413, 415, 422)  # it will not be taken tomorrow either
_MOST_ANSWER = 1 << 16


class Webhook:
    """Posts each event to an address.

    An event is JSON; a clip comes as multipart/form-data with the parts ``event`` (JSON) and ``clip`` (video/mp4).
    Redirects are not followed.

    Args:
        url: http or https.
        secret: what signatures are made with, ``whsec_`` and base64, or any text; None signs nothing.
        timeout_s: how long the receiver may be silent.

    Raises:
        UsageError: it is no such address, or the secret cannot be read.
    """

    def __init__(self, url: str, secret: str | None, timeout_s: float = 10.0) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise UsageError(f"--webhook {without_password(url)}: give an address that begins with http:// or https://")
        self.destination = without_password(url)
        host = parts.netloc.rpartition("@")[2]
        self._url = parts._replace(netloc=host).geturl()
        self._headers = {"User-Agent": f"kineme/{__version__}"}
        if parts.username:
            login = base64.b64encode(f"{parts.username}:{parts.password or ''}".encode()).decode()
            self._headers["Authorization"] = f"Basic {login}"
        self._key, self._timeout_s = _key(secret), timeout_s
        self._opener = urllib.request.build_opener(_NoRedirect)

    def start(self) -> None:
        """There is nothing to begin."""

    def send(self, document: dict[str, Any]) -> None:
        """As :meth:`kineme.triggers.delivery.Sender.send`."""
        body, content_type = _body(document)
        stamp = str(int(time.time()))
        headers = {
            **self._headers,
            "Content-Type": content_type,
            "webhook-id": document["id"],
            "webhook-timestamp": stamp,
        }
        if self._key:
            signed = hmac.digest(self._key, f"{document['id']}.{stamp}.".encode() + body, hashlib.sha256)
            headers["webhook-signature"] = f"v1,{base64.b64encode(signed).decode()}"
        request = urllib.request.Request(self._url, body, headers, method="POST")  # noqa: S310 (checked above)
        try:
            with self._opener.open(request, timeout=self._timeout_s) as answer:
                answer.read(_MOST_ANSWER)
        except urllib.error.HTTPError as error:
            error.close()
            said = f"it answers {error.code} {error.reason}".rstrip()
            raise (RefusedError if error.code in _REFUSALS else RetryError)(said) from error
        except (OSError, HTTPException) as error:
            reason = getattr(error, "reason", error)
            raise RetryError(f"cannot be reached ({getattr(reason, 'strerror', None) or reason})") from error

    def close(self) -> None:
        """There is nothing to close."""


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> None:
        return None


def secret_from_environment() -> str | None:
    """The secret of signatures, if there is one."""
    return os.environ.get(SECRET) or None


def _key(secret: str | None) -> bytes | None:
    if secret is None:
        return None
    if not secret.startswith("whsec_"):
        return secret.encode()
    try:
        return base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except ValueError as error:
        raise UsageError(f"{SECRET}: what follows whsec_ is not base64") from error


def _body(document: dict[str, Any]) -> tuple[bytes, str]:
    """The body of a request, and its content type."""
    text = json_text(document, indent=None).encode()
    if document["type"] != "clip":
        return text, "application/json"
    try:
        clip = Path(document["clip"]).read_bytes()
    except OSError as error:
        raise RefusedError(f"{document['clip']}: {error.strerror or error}") from error
    boundary = secrets.token_hex(16)
    name = Path(document["clip"]).name
    parts = (
        (b'name="event"\r\nContent-Type: application/json', text),
        (f'name="clip"; filename="{name}"\r\nContent-Type: video/mp4'.encode(), clip),
    )
    body = b"".join(
        b"--%s\r\nContent-Disposition: form-data; %s\r\n\r\n%s\r\n" % (boundary.encode(), head, content)
        for head, content in parts
    )
    return body + b"--%s--\r\n" % boundary.encode(), f"multipart/form-data; boundary={boundary}"
