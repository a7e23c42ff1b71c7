"""Fetching a model of the Hugging Face Hub: one commit of it, configurations and ``.safetensors`` alone, checked."""

from __future__ import annotations

import fnmatch
import hashlib
import importlib.util
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kineme.errors import KinemeError
from kineme.files import file_lock, sha256_of, write_json, write_text
from kineme.models.backbone import MB
from kineme.models.hub.licences import accept
from kineme.models.hub.snapshot import (
    MANIFEST,
    WANTED,
    Snapshot,
    find_snapshot,
    hub_folder,
    hub_name,
    refuse_code,
    refuse_pickles,
    split_pin,
)
from kineme.models.registry import is_folder
from kineme.progress import progress

_README = "README.md"


@dataclass(frozen=True)
class _Remote:
    """A file of a commit, and the hash that it must have: SHA-256 of a large one, Git's own of a small one."""

    name: str
    size: int
    sha256: str | None
    blob: str

    def matches(self, path: Path) -> bool:
        if self.sha256:
            return sha256_of(path) == self.sha256
        content = path.read_bytes()
        return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest() == self.blob


def pull(name: str, licence: str | None = None, tell: Callable[[str], None] = lambda line: None) -> Snapshot:
    """Fetch a model unless it is here; of a folder, only look at its licence.

    Args:
        name: ``hf:OWNER/NAME``, perhaps with ``@COMMIT``, or ``hf:./FOLDER``.
        licence: that the user accepts.
        tell: called with a line on commit, size and licence before anything large is fetched.

    Raises:
        UsageError: the licence asks to be accepted, and was not; no model can have such a name.
        KinemeError: the network or the disk would not let it, or the model is of a kind that is not read.
    """
    here = find_snapshot(name, accepted=False)
    if here is not None:
        accept(here.name, here.pin, here.licence, licence)
        return here
    bare, pin = split_pin(name)
    assert not is_folder(bare)
    commit, told_licence, files = _look_up(bare, pin)
    accept(bare, commit, told_licence, licence)
    total = sum(one.size for one in files)
    folder = hub_folder(bare)
    tell(
        f"{bare}: fetching {total / MB:.0f} MB of commit {commit[:12]} from the Hugging Face Hub, licence "
        f"{told_licence or 'not told'}, into {folder}"
    )
    folder.mkdir(parents=True, exist_ok=True)
    with (
        file_lock(folder / ".lock"),
        tempfile.TemporaryDirectory(prefix=".fetching-", dir=folder, ignore_cleanup_errors=True) as temporary,
    ):
        staging = Path(temporary, commit)
        _download(bare, commit, files, staging)
        kept = {one.name: sha256_of(staging / one.name) for one in files if one.name != _README}
        write_json(staging / MANIFEST, {"name": bare, "commit": commit, "licence": told_licence, "files": kept})
        shutil.rmtree(staging / ".cache", ignore_errors=True)  # the library's notes
        if not (folder / commit).exists():
            staging.replace(folder / commit)
        if pin is None:
            write_text(folder / "latest", commit + "\n")
    found = find_snapshot(f"{bare}@{commit}")
    assert found
    return found


def _look_up(name: str, pin: str | None) -> tuple[str, str, list[_Remote]]:
    """Commit, licence and wanted files of a model on the Hub."""
    if not importlib.util.find_spec("huggingface_hub"):
        raise KinemeError(f"{name}: fetching it needs huggingface_hub: pip install 'kineme[hf]'")
    from huggingface_hub import HfApi

    info: Any = _asked(
        name, lambda: HfApi().model_info(hub_name(name), revision=pin, files_metadata=True, timeout=30.0)
    )
    every = [one.rfilename for one in info.siblings]
    refuse_pickles(name, every)
    card: Any = info.card_data or {}
    files = [
        _Remote(one.rfilename, one.size or 0, one.lfs.sha256 if one.lfs else None, one.blob_id or "")
        for one in info.siblings
        if any(fnmatch.fnmatchcase(one.rfilename, pattern) for pattern in (*WANTED, _README))
        and "/" not in one.rfilename
    ]
    licence = card.get("license") if hasattr(card, "get") else None
    return str(info.sha), str(licence or "").lower(), files


def _download(name: str, commit: str, files: list[_Remote], staging: Path) -> None:
    """The files, small ones first: what asks for code is refused before its weights are fetched."""
    from huggingface_hub import hf_hub_download
    from huggingface_hub.utils import disable_progress_bars

    disable_progress_bars()
    total = round(sum(one.size for one in files) / MB)
    with progress(f"fetching {name}, MB", total) as advance:
        for one in sorted(files, key=lambda file: file.size):
            _asked(
                name,
                lambda one=one: hf_hub_download(hub_name(name), one.name, revision=commit, local_dir=staging),  # type: ignore[misc]
            )
            path = staging / one.name
            if not one.matches(path):
                raise KinemeError(f"{name}: {one.name} came damaged (its hash differs from the Hub's); fetch it again")
            if path.suffix == ".json":
                refuse_code(name, path)
            advance(round(one.size / MB))


def _asked(name: str, ask: Callable[[], Any]) -> Any:
    """What the Hub answers, with one line for whatever goes wrong."""
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, RepositoryNotFoundError, RevisionNotFoundError

    try:
        return ask()
    except GatedRepoError as error:
        raise KinemeError(
            f"{name}: its owner asks for an account and consent: agree on its page, and run: hf auth login"
        ) from error
    except RepositoryNotFoundError as error:
        raise KinemeError(f"{name}: there is no such model on the Hugging Face Hub, or it is private") from error
    except RevisionNotFoundError as error:
        raise KinemeError(f"{name}: the Hub has no such commit of it") from error
    except HfHubHTTPError as error:
        raise KinemeError(f"{name}: the Hub refuses it ({' '.join(str(error).split())[:200]})") from error
    except Exception as error:  # of whatever HTTP library it uses
        raise KinemeError(
            f"{name} could not be fetched (the Hub does not answer: {type(error).__name__}); check the network, or "
            f"fetch it elsewhere (hf download {hub_name(name)} --local-dir FOLDER) and give hf:./FOLDER"
        ) from error
