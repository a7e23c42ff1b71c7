"""Video networks of torchvision by name: ``torchvision:r2plus1d_18``, ``s3d``, ``mvit_v2_s`` and ``swin3d_t``.

Size, crop, mean and deviation are those of the library's own weights (``WeightsEnum``), and so are the 400 labels of
Kinetics. The published file is a pickle of tensors: it is fetched once, read with ``weights_only=True`` after the hash
in its name is checked, and kept as safetensors.
"""

from __future__ import annotations

import hashlib
import tempfile
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray

from kineme.errors import KinemeError, UsageError
from kineme.files import sha256_of, user_cache_folder, write_json, write_tensors
from kineme.models.backbone import MB, Backbone
from kineme.models.encoder import WindowEncoder
from kineme.models.hub.backbone import check_frames, clip_backbone
from kineme.models.hub.processing import Processing
from kineme.models.hub.published import Published
from kineme.models.hub.snapshot import MANIFEST, Snapshot, read_json, split_pin
from kineme.models.hub.torch_network import device, refuse_unfit_torchvision, require_modules, run
from kineme.video.spec import ClipSpec

_PREFIX, _FILE, _LICENCE = "torchvision:", "model.safetensors", "bsd-3-clause"
_FROZEN = "it stays frozen: it runs in PyTorch, outside the network that is trained here"


@dataclass(frozen=True, kw_only=True)
class _Network:
    """One architecture.

    Args:
        title: as people call it.
        layer: whose output holds the features.
        frames: of a clip, as its published accuracy was measured.
        fps: as there.
        tubelet: frames for each of the features.
        features: D.
        over_space: from the output of that layer and T' to features (B, T', D).
    """

    title: str
    layer: str
    frames: int
    fps: float
    tubelet: int
    features: int
    over_space: Callable[[Any, int], Any]


def _maps(x_BCTHW: Any, steps: int) -> Any:
    return x_BCTHW.mean((3, 4)).transpose(1, 2)


def _maps_last(x_BTHWC: Any, steps: int) -> Any:
    return x_BTHWC.mean((2, 3))


def _tokens(x_BNC: Any, steps: int) -> Any:
    """After a class token, time first."""
    batch, _, channels = x_BNC.shape
    return x_BNC[:, 1:].reshape(batch, steps, -1, channels).mean(2)


NETWORKS = {
    "r2plus1d_18": _Network(
        title="R(2+1)D-18", layer="layer4", frames=16, fps=15.0, tubelet=8, features=512, over_space=_maps
    ),
    "s3d": _Network(title="S3D", layer="features", frames=128, fps=15.0, tubelet=8, features=1024, over_space=_maps),
    "mvit_v2_s": _Network(
        title="MViTv2-S", layer="norm", frames=16, fps=7.5, tubelet=2, features=768, over_space=_tokens
    ),
    "swin3d_t": _Network(
        title="Video Swin-T", layer="norm", frames=32, fps=15.0, tubelet=2, features=768, over_space=_maps_last
    ),
}


def find(name: str) -> Backbone:
    """The record of a network.

    Raises:
        UsageError: no network has that name.
        KinemeError: torchvision or the weights are not on this machine, or these were changed.
    """
    network, snapshot = _network(name), _snapshot(name)
    processing = _processing(snapshot.name)
    best = ClipSpec(
        frames=network.frames,
        fps=network.fps,
        height=processing.height,
        width=processing.width,
        fit=processing.fit,
        short="loop",
    )

    def shape(spec: ClipSpec) -> tuple[int, int]:
        return check_frames(snapshot.name, spec, best, network.tubelet), network.features

    def encoder(spec: ClipSpec) -> WindowEncoder:
        steps, _ = shape(spec)

        def window(frames_THWC: NDArray[np.uint8]) -> NDArray[np.float32]:
            loaded = _load(snapshot.pinned)
            features_1TD = run(
                lambda pixels: _features(loaded, network, pixels, steps), _pixels(processing, frames_THWC)
            )
            features_TD: NDArray[np.float32] = features_1TD[0]
            return features_TD

        return WindowEncoder(snapshot.pinned, window, shape(spec), views=0)

    what = f"{network.title} of torchvision, of Kinetics-400: one vector for every {network.tubelet} frames."
    return clip_backbone(snapshot, what, best, shape, encoder, frozen_because=_FROZEN)


def classifier(name: str) -> Published:
    """A network with its own labels, the 400 actions of Kinetics; errors as of :func:`find`."""
    record, snapshot = find(name), _snapshot(name)
    processing = _processing(snapshot.name)
    labels = tuple(_weights(snapshot.name).meta["categories"])

    def window(frames_THWC: NDArray[np.uint8]) -> NDArray[np.float32]:
        logits_K: NDArray[np.float32] = run(_load(snapshot.pinned), _pixels(processing, frames_THWC))[0]
        return logits_K

    return Published.of(record.spec, snapshot, labels, window)


def pull(name: str, licence: str | None = None, tell: Callable[[str], None] = lambda line: None) -> Snapshot:
    """Fetch the published weights unless they are here, and keep them as safetensors.

    Raises:
        UsageError: there is no network of that name, or another licence was named.
        KinemeError: torchvision is missing, or the network or the disk would not let it.
    """
    bare, _ = split_pin(name)
    _network(bare)
    require_modules(bare, ("torch", "torchvision"), "torchvision")
    refuse_unfit_torchvision(bare)
    if licence not in (None, _LICENCE):
        raise UsageError(f"--accept-licence {licence}: the licence of {bare} is {_LICENCE}")
    if not (_folder(bare) / MANIFEST).is_file():
        import torch

        weights = _weights(bare)
        size = weights.meta.get("_file_size", 0)
        tell(f"{bare}: fetching {size:.0f} MB from {urlsplit(weights.url).netloc}, licence {_LICENCE}")
        with tempfile.TemporaryDirectory(prefix="kineme-") as temporary:
            file = Path(temporary, "weights.pth")
            _download(bare, weights.url, file, most=int((size + 50) * MB))
            keep(bare, torch.load(file, map_location="cpu", weights_only=True))
    return _snapshot(name)


def keep(name: str, state: dict[str, Any]) -> None:
    """Keep the weights of a network in the user's cache folder, with a note of their SHA-256."""
    file = _folder(name) / _FILE
    file.parent.mkdir(parents=True, exist_ok=True)
    write_tensors(file, {key: value.cpu().contiguous().numpy() for key, value in state.items()}, {})
    write_json(file.with_name(MANIFEST), {"name": name, "licence": _LICENCE, "files": {_FILE: sha256_of(file)}})


def _download(name: str, url: str, file: Path, most: int) -> None:
    """A file whose name ends in the beginning of its SHA-256, as torchvision's do."""
    digest, count = hashlib.sha256(), 0
    try:
        with urllib.request.urlopen(url, timeout=60) as answer, file.open("wb") as out:  # noqa: S310 (https)
            while block := answer.read(2**20):
                count += len(block)
                if count > most:
                    raise KinemeError(f"{name}: the download is larger than torchvision states")
                digest.update(block)
                out.write(block)
    except OSError as error:
        raise KinemeError(f"{name} could not be fetched from {url} ({error}); check the network") from error
    if not digest.hexdigest().startswith(Path(urlsplit(url).path).stem.rsplit("-", 1)[1]):
        raise KinemeError(f"{name}: came damaged (its hash is not the one in its name); fetch it again")


def _network(name: str) -> _Network:
    bare, _ = split_pin(name)
    if bare.removeprefix(_PREFIX) not in NETWORKS:
        known = ", ".join(_PREFIX + one for one in NETWORKS)
        raise UsageError(f"there is no backbone {bare!r} of torchvision here; choose one of {known}")
    return NETWORKS[bare.removeprefix(_PREFIX)]


def _folder(name: str) -> Path:
    return user_cache_folder() / "weights" / "torchvision" / name.removeprefix(_PREFIX)


def _snapshot(name: str) -> Snapshot:
    bare, pin = split_pin(name)
    folder = _folder(bare)
    require_modules(bare, ("torch", "torchvision"), "torchvision")
    refuse_unfit_torchvision(bare)
    if not (folder / MANIFEST).is_file():
        size = _weights(bare).meta.get("_file_size", 0)
        raise KinemeError(
            f"{bare} is not on this machine; to fetch it (about {size:.0f} MB): kineme models pull {bare}"
        )
    wanted = str(read_json(folder / MANIFEST)["files"][_FILE])
    file = folder / _FILE
    if not file.is_file() or _hash(file, file.stat().st_size, file.stat().st_mtime_ns) != wanted:
        raise KinemeError(f"{bare}: {file} was changed; delete {folder} and run: kineme models pull {bare}")
    if pin not in (None, wanted[:40]):
        raise KinemeError(f"{bare}: its weights are not those that the model was trained on; train again")
    return Snapshot(bare, wanted[:40], folder, _LICENCE, {_FILE: wanted})


@lru_cache(maxsize=16)
def _hash(file: Path, size: int, changed_ns: int) -> str:
    return sha256_of(file)


def _weights(name: str) -> Any:
    from torchvision.models import get_model_weights

    return get_model_weights(name.removeprefix(_PREFIX))["KINETICS400_V1"]


def _processing(name: str) -> Processing:
    """The numbers of the library's own transforms."""
    transforms = _weights(name).transforms()
    resize, crop = list(transforms.resize_size), list(transforms.crop_size)
    height, width = resize * 2 if len(resize) == 1 else resize
    return Processing(
        height=height,
        width=width,
        fit="crop" if len(resize) == 1 else "stretch",
        crop=(crop[0], crop[-1]),
        corner=(round((height - crop[0]) / 2), round((width - crop[-1]) / 2)),  # as its center_crop
        scale=1 / 255,
        offset=0.0,
        mean=tuple(transforms.mean),
        std=tuple(transforms.std),
    )


def _pixels(processing: Processing, frames_THWC: NDArray[np.uint8]) -> NDArray[np.float32]:
    """pixels_BCTHW of one clip."""
    return np.ascontiguousarray(processing(frames_THWC).transpose(1, 0, 2, 3)[None])


def _features(loaded: Any, network: _Network, pixels_BCTHW: Any, steps: int) -> Any:
    held: list[Any] = []
    hook = loaded.get_submodule(network.layer).register_forward_hook(
        lambda _module, _inputs, output: held.append(output)
    )
    try:
        loaded(pixels_BCTHW)
    finally:
        hook.remove()
    return network.over_space(held[-1], steps)


@lru_cache(maxsize=2)
def _load(pinned: str) -> Any:
    """The network with its weights."""
    from safetensors.torch import load_file
    from torchvision.models import get_model

    snapshot = _snapshot(pinned)
    network = get_model(snapshot.name.removeprefix(_PREFIX), weights=None)
    try:
        network.load_state_dict(load_file(snapshot.folder / _FILE))
    except RuntimeError as error:
        raise KinemeError(f"{snapshot.name}: its weights do not fit ({' '.join(str(error).split())[:200]})") from error
    return network.eval().to(device())
