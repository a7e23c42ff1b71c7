"""The files of a model of the Hugging Face Hub, or of a folder that holds such a model, checked before they are used.

Only configurations and ``.safetensors`` are ever read. A model is pinned: one of the Hub to a commit, whose files are
compared with the SHA-256 that they had when they were fetched; a folder to a digest of its files, so that a trained
head refuses features of others.
"""

from __future__ import annotations

import functools
import hashlib
import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kineme.errors import KinemeError, UsageError
from kineme.files import sha256_of, user_cache_folder
from kineme.models.hub.licences import is_accepted, licence_in, refuse_unaccepted
from kineme.models.registry import is_folder
from kineme.text import printable

PREFIX = "hf:"
MANIFEST = "kineme.json"
CONFIG = "config.json"
PROCESSORS = ("video_preprocessor_config.json", "preprocessor_config.json", "processor_config.json")
_INDEX = ".safetensors.index.json"
WANTED = (
    *(CONFIG, *PROCESSORS, "*.safetensors", f"*{_INDEX}"),
    *("tokenizer*.json", "vocab.json", "merges.txt", "special_tokens_map.json"),
)
_ADAPTER = "adapter_config.json"
_WIDTHS = {"hidden_size", "intermediate_size", "mit_hidden_size", "mit_intermediate_size"}
_PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl")
Stamp = tuple[tuple[str, int, int], ...]
_MOST_JSON_BYTES = 2**26
_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")
_PINNED = re.compile(r"(.+)@([0-9a-f]{40})")


@dataclass(frozen=True)
class Snapshot:
    """A model's files as they are now.

    Args:
        name: as the user gives it, without what pins it.
        pin: the commit, or the digest of a folder's files: 40 hexadecimal digits.
        folder: where the files lie.
        licence: its identifier; empty where it is not told.
        files: name to SHA-256.
    """

    name: str
    pin: str
    folder: Path
    licence: str
    files: Mapping[str, str]

    @property
    def pinned(self) -> str:
        """The name by which exactly these files are found again."""
        return f"{self.name}@{self.pin}"

    def json(self, file: str) -> dict[str, Any]:
        """A configuration; empty if no file has that name.

        Raises:
            KinemeError: it cannot be read.
        """
        return read_json(self.folder / file) if file in self.files else {}

    def provenance(self) -> dict[str, Any]:
        """What a model file keeps of it."""
        return {
            "name": self.name,
            "revision": self.pin,
            "licence": self.licence,
            "licence_accepted": is_accepted(self.pin),
            "files": dict(self.files),
        }


def split_pin(name: str) -> tuple[str, str | None]:
    """A name and its pinned commit, if any."""
    match = _PINNED.fullmatch(name)
    return (match[1], match[2]) if match else (name, None)


def hub_name(name: str) -> str:
    """``owner/name`` on the Hub.

    Raises:
        UsageError: it cannot be one.
    """
    rest = name.removeprefix(PREFIX)
    if not _HUB_NAME.fullmatch(rest) or ".." in rest:
        raise UsageError(f"{name}: write hf:OWNER/NAME for a model of the Hugging Face Hub, hf:./FOLDER for a folder")
    return rest


def find_snapshot(name: str, *, accepted: bool = True) -> Snapshot | None:
    """The checked files of a model; None where one of the Hub is not on this machine. Nothing is fetched.

    Args:
        name: ``hf:OWNER/NAME`` or ``hf:./FOLDER``, pinned or not.
        accepted: its licence must have been accepted, where it is one that asks for it.

    Raises:
        UsageError: no model can have such a name.
        KinemeError: files are missing, changed or of a kind that is not read.
    """
    bare, pin = split_pin(name)
    found = _in_folder(bare, pin) if is_folder(bare) else _of_hub(bare, pin)
    if found is not None and accepted:
        refuse_unaccepted(found.name, found.pin, found.licence)
    return found


def _in_folder(name: str, pin: str | None) -> Snapshot:
    folder = Path(name.removeprefix(PREFIX)).expanduser()
    if not folder.is_dir():
        joined = "; networks of other libraries are not joined with others" if "+" in name else ""
        raise KinemeError(
            f"{name}: there is no such folder; run the command from where it is, or give its whole path{joined}"
        )
    return pinned_by_digest(name, pin, folder, check_files(name, folder, _stamp(folder)))


def pinned_by_digest(name: str, pin: str | None, folder: Path, files: Mapping[str, str]) -> Snapshot:
    """The model in a folder, pinned to a digest of its files (name to SHA-256).

    Raises:
        KinemeError: it was pinned to other files.
    """
    now = hashlib.sha256(json.dumps(sorted(files.items())).encode()).hexdigest()[:40]
    if pin and now != pin:
        raise KinemeError(
            f"{name}: its files are not those that the model was trained on (their digest is {now[:12]}, not "
            f"{pin[:12]}): a file was changed or replaced; put the old files back, or train again"
        )
    return Snapshot(name, now, folder, licence_in(folder), files)


def hub_folder(name: str) -> Path:
    """Where the commits of a model of the Hub lie."""
    return user_cache_folder() / "weights" / "hf" / hub_name(name).replace("/", "--")


def _of_hub(name: str, pin: str | None) -> Snapshot | None:
    top = hub_folder(name)
    latest = top / "latest"
    pin = pin or (latest.read_text(encoding="utf-8").strip() if latest.is_file() else None)
    folder = top / pin if pin else None
    if pin is None or folder is None or not (folder / MANIFEST).is_file():
        return None
    manifest = read_json(folder / MANIFEST)
    files = check_files(name, folder, _stamp(folder))
    for file, sha256 in manifest["files"].items():
        if files.get(file) != sha256:
            raise KinemeError(
                f"{name}: {file} was changed after the download (its SHA-256 differs); delete {folder} and run: "
                f"kineme models pull {name}"
            )
    return Snapshot(name, pin, folder, str(manifest["licence"]), {file: files[file] for file in manifest["files"]})


@functools.lru_cache(maxsize=16)
def check_files(name: str, folder: Path, stamp: Stamp) -> dict[str, str]:
    """Name and SHA-256 of the files that a model is read from; as long as they stay the same, checked once.

    Raises:
        KinemeError: a needed file is missing, or the model requires custom code or files of another kind.
    """
    files = [folder / file for file, *_ in stamp]
    if (folder / _ADAPTER).is_file():
        raise KinemeError(
            f"{name}: holds an adapter ({_ADAPTER}), which changes another model; merge it into that model, with "
            "merge_and_unload of peft, and save the result"
        )
    if not (folder / CONFIG).is_file():
        raise KinemeError(f"{name}: holds no {CONFIG}; is it a model saved by transformers (save_pretrained)?")
    for path in files:
        if path.suffix == ".json":
            refuse_code(name, path)
    refuse_pickles(name, [path.name for path in folder.iterdir()])
    for path in files:
        if path.suffix == ".safetensors":
            tensor_shapes(name, path)
        elif path.name == CONFIG or path.name.endswith(_INDEX):
            _refuse_other_weights(name, path, {one.name for one in files})
    return {path.name: sha256_of(path) for path in files}


def refuse_code(name: str, path: Path) -> None:
    """Raise KinemeError where a configuration asks for code: classes beside the model, or kernels of the Hub."""
    for key, value in _entries(path):
        is_kernel = key.strip("_").startswith(("attn_impl", "experts_impl")) and "/" in str(value)
        if is_kernel or (key == "auto_map" and not isinstance(value, int)):  # a number in a vocabulary
            raise KinemeError(
                f"{name}: its {path.name} needs its own code ({key}), and code that comes with a model is never "
                "run; choose a model whose network is part of transformers"
            )


def _entries(path: Path) -> Iterator[tuple[str, Any]]:
    """Key and value of all objects in a configuration, at any depth."""
    left: list[Any] = [read_json(path)]
    while left:
        document = left.pop()
        left += [one for one in document.values() if isinstance(one, dict)]
        yield from document.items()


def _refuse_other_weights(name: str, path: Path, files: Collection[str]) -> None:
    """Raise KinemeError where a configuration, or an index of weights, names a file that is not checked."""
    document = read_json(path)
    places = document.get("weight_map", {})
    named = [*(places.values() if isinstance(places, dict) else [places]), document.get("transformers_weights")]
    for one in named:
        is_checked = isinstance(one, str) and one in files and one.endswith((".safetensors", _INDEX))
        if one is not None and not is_checked:
            raise KinemeError(
                f"{name}: its {path.name} takes weights from {one!r}, which is not a .safetensors file beside it"
            )


def refuse_pickles(name: str, files: Iterable[str]) -> None:
    """Raise KinemeError where a model has weights of another kind alone, or none."""
    files = sorted(files)
    if any(file.endswith(".safetensors") for file in files):
        return
    pickles = [file for file in files if file.endswith(_PICKLES)]
    if pickles:
        other = (
            "convert it where you trust it, with save_pretrained"
            if is_folder(name)
            else f"a commit among the pull requests on its page often has them: {split_pin(name)[0]}@COMMIT"
        )
        raise KinemeError(
            f"{name}: its weights are a pickle ({pickles[0]}), which can run any program when it is opened; only "
            f".safetensors are read; {other}"
        )
    raise KinemeError(f"{name}: holds no weights (*.safetensors)")


def tensor_shapes(name: str, path: Path) -> dict[str, tuple[int, ...]]:
    """Name and shape of the tensors of a file.

    Raises:
        KinemeError: it is not a safetensors file, whatever its name.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            return {one: tuple(file.get_slice(one).get_shape()) for one in file.keys()}  # noqa: SIM118 (no mapping)
    except (SafetensorError, OSError) as error:
        raise KinemeError(
            f"{name}: {path.name} is no safetensors file, whatever its name says ({error}); fetch it again"
        ) from error


def refuse_unfit_sizes(name: str, folder: Path) -> None:
    """Raise KinemeError where a configuration describes a network that its weights cannot be of.

    The library would first build that network, which takes all memory or hours where a number is absurd.
    """
    shapes = [shape for path in sorted(folder.glob("*.safetensors")) for shape in tensor_shapes(name, path).values()]
    sizes = {size for shape in shapes for size in shape}
    for key, value in _entries(folder / CONFIG):
        if isinstance(value, int) and (
            (key in _WIDTHS and value not in sizes) or (key.endswith("num_hidden_layers") and value > len(shapes))
        ):
            raise KinemeError(
                f"{name}: its weights do not fit its configuration ({key} is {printable(value)}); save both together, "
                "with save_pretrained"
            )


def read_json(path: Path) -> dict[str, Any]:
    """An object in a JSON file.

    Raises:
        KinemeError: it cannot be read, or is something else.
    """
    try:
        if path.stat().st_size > _MOST_JSON_BYTES:
            raise KinemeError(f"{path}: is absurdly large")
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise KinemeError(f"{path}: cannot be read ({error})") from error
    if not isinstance(document, dict):
        raise KinemeError(f"{path}: is no JSON object")
    return document


def _stamp(folder: Path) -> Stamp:
    """Name, size and time of the last change of each file that is read."""
    files = sorted({path for pattern in WANTED for path in folder.glob(pattern) if path.is_file()})
    return tuple((path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in files)
