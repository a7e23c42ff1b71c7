"""Downloads of large files over HTTP; interrupted downloads resume."""

from __future__ import annotations

import http.client
import json
import ssl
import time
import urllib.error
import urllib.request
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

from kineme.errors import KinemeError
from kineme.files import cannot_write, remove_abandoned, sha256_of, write_json
from kineme.progress import Advance, progress
from kineme.version import __version__

_BLOCK = 1 << 18
_MB = 1_000_000
_TRIES = 5
_GO_ON = "rerun the command to resume"


def download(
    url: str,
    target: Path,
    *,
    size_bytes: int | None = None,
    sha256: str | None = None,
    timeout_s: float = 60.0,
    pause_s: float = 1.0,
) -> None:
    """Fetch ``url`` to ``target`` unless it is there already.

    Half a file lies at ``target.part``, and what the server said of it at ``target.part.json``. A later call asks
    for the rest alone, and only takes it where the server still has the same file (If-Range, and the same length);
    otherwise it starts again. A broken connection is tried again a few times by itself.

    Args:
        url: http or https.
        target: where to; appears only when complete and right.
        size_bytes: length the file must have.
        sha256: hash the file must have.
        timeout_s: longest silence of the server.
        pause_s: before the second try; it doubles with each.

    Raises:
        KinemeError: the server does not give the file, gives another one, or the disk is full.
    """
    if target.is_file():
        return
    part = Path(f"{target}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with ExitStack() as shown:
            meter = _Meter(target.name, shown)
            in_vain = 0
            while True:
                before = _size(part)
                reason = _try(url, part, size_bytes, timeout_s, meter)
                if reason is None:
                    break
                in_vain = 0 if _size(part) > before else in_vain + 1
                if in_vain == _TRIES:
                    raise KinemeError(f"{url}: {reason}, with {_size(part) / _MB:.1f} MB fetched; {_GO_ON}")
                if in_vain:
                    time.sleep(pause_s * 2 ** (in_vain - 1))
        _check(url, part, size_bytes, sha256)
        part.replace(target)
        _facts(part).unlink(missing_ok=True)
        remove_abandoned(_facts(part))
    except OSError as error:
        raise cannot_write(target, error) from error


class _Meter:
    """Shows whole megabytes as they come; a start from scratch is not shown again."""

    def __init__(self, name: str, shown: ExitStack) -> None:
        self._name, self._shown = name, shown
        self._advance: Advance | None = None
        self._done = 0

    def __call__(self, count: int, total: int | None) -> None:
        if self._advance is None:
            whole = None if total is None else -(-total // _MB)
            self._advance = self._shown.enter_context(progress(f"fetching {self._name}, MB", whole))
        done = -(-count // _MB) if count == total else count // _MB
        if done > self._done:
            self._advance(done - self._done)
            self._done = done


def _try(url: str, part: Path, size_bytes: int | None, timeout_s: float, meter: _Meter) -> str | None:
    """Fetch missing bytes; None when the file is complete, else why the connection ended early.

    Raises:
        KinemeError: trying again cannot help.
    """
    have = _size(part)
    known = _read_facts(part, url) if have else {}
    headers = {"User-Agent": f"kineme/{__version__}", "Accept-Encoding": "identity"}
    if have and known.get("validator"):
        headers |= {"Range": f"bytes={have}-", "If-Range": known["validator"]}
    try:
        request = urllib.request.Request(url, headers=headers)  # noqa: S310 - the caller checks the scheme
        with urllib.request.urlopen(request, timeout=timeout_s) as answer:  # noqa: S310
            begin, total = _begin_and_total(answer, have)
            if begin and total not in (None, known.get("total")):
                part.unlink()  # another file by now; the next try asks for all of it
                return "the file has changed meanwhile"
            total = known.get("total") if begin else total
            if begin == 0:
                write_json(_facts(part), {"url": url, "validator": _validator(answer), "total": total})
            with part.open("r+b" if begin else "wb") as file:
                file.seek(begin)
                done = begin
                while block := answer.read(_BLOCK):
                    file.write(block)
                    done += len(block)
                    meter(done, total)
            if total is not None and done < total:
                return f"the connection was lost during the download ({total / _MB:.1f} MB in all)"
            return None
    except urllib.error.HTTPError as error:
        if error.code == 416:  # the part is no beginning of the file any more, or is all of it
            if size_bytes == have or known.get("total") == have:
                return None
            part.unlink()
            return "the file has changed meanwhile"
        if error.code in (408, 425, 429) or error.code >= 500:
            return f"the server answers {error.code} {error.reason}".rstrip()
        raise KinemeError(f"{url}: the server answers {error.code} {error.reason}".rstrip()) from error
    except urllib.error.URLError as error:
        if isinstance(error.reason, ssl.SSLCertVerificationError):
            raise KinemeError(f"{url}: its certificate cannot be verified ({error.reason.verify_message})") from error
        return f"cannot be reached ({getattr(error.reason, 'strerror', None) or error.reason})"
    except TimeoutError:
        return f"the server was silent for {timeout_s:g} s"
    except (http.client.HTTPException, ConnectionError, ssl.SSLError):
        return "the connection was lost during the download"


def _begin_and_total(answer: Any, have: int) -> tuple[int, int | None]:
    """At which byte the answer begins, and the length of the whole file."""
    length = answer.headers.get("Content-Length")
    if answer.status == 206:
        unit, _, rest = (answer.headers.get("Content-Range") or "").partition(" ")
        span, _, whole = rest.partition("/")
        begin = span.partition("-")[0]
        if unit == "bytes" and begin == str(have):
            return have, int(whole) if whole.isdigit() else None
        raise http.client.HTTPException("another range than asked for")
    return 0, int(length) if length and length.isdigit() else None


def _validator(answer: Any) -> str | None:
    """What tells one version of the file from another; weak tags do not serve for ranges."""
    tag: str | None = answer.headers.get("ETag")
    if tag and not tag.startswith("W/"):
        return tag
    date: str | None = answer.headers.get("Last-Modified")
    return date


def _check(url: str, part: Path, size_bytes: int | None, sha256: str | None) -> None:
    """Raise where the file that came is not the one that is published, and remove it."""
    wrong = None
    if size_bytes is not None and part.stat().st_size != size_bytes:
        wrong = f"{part.stat().st_size:,} bytes came, and the published file has {size_bytes:,}"
    elif sha256 is not None and sha256_of(part) != sha256:
        wrong = "the download is not the published file (its SHA-256 differs)"
    if wrong:
        part.unlink()
        _facts(part).unlink(missing_ok=True)
        raise KinemeError(f"{url}: {wrong}; it was removed, so try again, or get it by hand and give --from FOLDER")


def _facts(part: Path) -> Path:
    return Path(f"{part}.json")


def _read_facts(part: Path, url: str) -> dict[str, Any]:
    """What the server said when the part was begun; nothing where it was begun at another address."""
    with suppress(OSError, ValueError):
        facts = json.loads(_facts(part).read_text(encoding="utf-8"))
        if isinstance(facts, dict) and facts.get("url") == url:
            return facts
    return {}


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
