"""VideoPrism of KerasHub as a folder: ``keras-hub:./FOLDER``, a preset that KerasHub saved, run by Keras alone.

Only the numbers of its configuration and the tensors of ``model.weights.h5`` are read: nothing in the folder names a
class to import. Tokens are averaged over space and kept over time, one vector for every frame.
"""

from __future__ import annotations

import functools
import importlib.util
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kineme.errors import KinemeError, UsageError
from kineme.files import sha256_of
from kineme.models.backbone import Backbone
from kineme.models.backend import keras
from kineme.models.encoder import WindowEncoder, run_network
from kineme.models.hub.backbone import check_frames, clip_backbone
from kineme.models.hub.snapshot import CONFIG, Snapshot, pinned_by_digest, split_pin
from kineme.models.native_stderr import suppress_native_stderr
from kineme.models.registry import is_folder
from kineme.video.spec import ClipSpec, ResizeMode

_PREFIX = "keras-hub:"
_KIND, _WEIGHTS, _CONVERTER = "keras_hub>VideoPrismBackbone", "model.weights.h5", "image_converter.json"
_PRESETS = {"videoprism_public_v1_base": 458, "videoprism_public_v1_large": 1420}  # MB, google-deepmind/videoprism
_NUMBERS = (
    *("num_frames", "patch_size", "hidden_dim", "intermediate_dim", "num_heads"),
    *("num_spatial_layers", "num_temporal_layers", "num_auxiliary_layers"),
    *("attention_logit_soft_cap", "layer_norm_epsilon"),
)
_FROZEN = "it stays frozen: its weights lie outside the model file; fine-tune it in Keras, and give the folder again"


def find(name: str) -> Backbone:
    """The record of a preset, made of its configuration.

    Raises:
        UsageError: no preset can have such a name.
        KinemeError: it is not on this machine, or cannot be used; one line says why.
    """
    snapshot = _snapshot(name)
    numbers = _numbers(snapshot)
    best, features = _clip_spec(snapshot, numbers), int(numbers["hidden_dim"])

    def shape(spec: ClipSpec) -> tuple[int, int]:
        return check_frames(snapshot.name, spec, best, tubelet=1), features

    def encoder(spec: ClipSpec) -> WindowEncoder:
        if not importlib.util.find_spec("keras_hub"):
            raise KinemeError(
                f"{snapshot.name}: needs KerasHub: pip install regex tokenizers, then pip install --no-deps keras-hub "
                "(what else it asks for would put another build of TensorFlow over tensorflow-cpu)"
            )

        def window(frames_THWC: NDArray[np.uint8]) -> NDArray[np.float32]:
            features_TD: NDArray[np.float32] = run_network(_load(snapshot.pinned), frames_THWC[None])[0]
            return features_TD

        return WindowEncoder(snapshot.pinned, window, shape(spec), views=0)

    what = f"VideoPrism of KerasHub, {snapshot.name}: one vector for every frame."
    return clip_backbone(snapshot, what, best, shape, encoder, frozen_because=_FROZEN)


def pull(name: str, licence: str | None = None, tell: Callable[[str], None] = lambda line: None) -> Snapshot:
    """The preset in a folder; none is fetched.

    Raises:
        UsageError: no preset can have such a name, or a licence was named.
        KinemeError: it is not on this machine; the line says how to fetch it.
    """
    if licence is not None:
        raise UsageError(f"--accept-licence {licence}: a preset of KerasHub does not state its licence")
    return _snapshot(name)


def classifier(name: str) -> Any:
    """Raise KinemeError: a preset gives features alone."""
    snapshot = _snapshot(name)
    raise KinemeError(f"{snapshot.name}: has no action labels; train on it with --backbone {snapshot.name}")


def _snapshot(name: str) -> Snapshot:
    bare, pin = split_pin(name)
    rest = bare.removeprefix(_PREFIX)
    if rest in _PRESETS:
        handle = f"keras/videoprism/keras/{rest}/1"
        raise KinemeError(
            f"{bare} ({_PRESETS[rest]} MB) is on Kaggle, from where Kineme does not fetch; kagglehub does: "
            f"kagglehub.model_download({handle!r}) returns a folder; give it as {_PREFIX}/THE/FOLDER"
        )
    if not is_folder(bare):
        known = ", ".join(_PRESETS)
        raise UsageError(f"{bare}: write {_PREFIX}./FOLDER for a preset that KerasHub saved; VideoPrism's are {known}")
    folder = Path(rest).expanduser()
    if not folder.is_dir():
        raise KinemeError(f"{bare}: there is no such folder; run the command from where it is, or give its whole path")
    for file in (CONFIG, _WEIGHTS):
        if not (folder / file).is_file():
            raise KinemeError(f"{bare}: holds no {file}; is it a preset saved by KerasHub (save_to_preset)?")
    stamp = [(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in sorted(folder.iterdir())]
    return pinned_by_digest(bare, pin, folder, _hashes(folder, tuple(stamp)))


@functools.lru_cache(maxsize=16)
def _hashes(folder: Path, stamp: tuple[tuple[str, int, int], ...]) -> dict[str, str]:
    names = (CONFIG, _WEIGHTS, _CONVERTER)
    return {file: sha256_of(folder / file) for file in names if (folder / file).is_file()}


def _numbers(snapshot: Snapshot) -> dict[str, Any]:
    """The arguments of the network, numbers alone."""
    document = snapshot.json(CONFIG)
    kind, config = document.get("registered_name"), document.get("config")
    if kind != _KIND or not isinstance(config, dict):
        raise KinemeError(f"{snapshot.name}: is a preset of {kind!r}; features are taken of {_KIND}")
    if config.get("num_text_layers"):
        raise KinemeError(
            f"{snapshot.name}: has a text side, and its video features have no time; take the preset without "
            f"(such as {next(iter(_PRESETS))})"
        )
    try:
        numbers = {key: config[key] for key in _NUMBERS}
        height, width, channels = map(int, config["image_shape"])
    except (KeyError, TypeError, ValueError) as error:
        raise KinemeError(f"{snapshot.name}: its {CONFIG} cannot be understood ({error!r})") from error
    if channels != 3 or not all(value is None or isinstance(value, int | float) for value in numbers.values()):
        raise KinemeError(f"{snapshot.name}: its {CONFIG} describes no network of RGB videos")
    return {**numbers, "image_shape": (height, width, 3)}


def _converter(snapshot: Snapshot) -> Mapping[str, Any]:
    """How its pixels are scaled; VideoPrism's lie between 0 and 1 by default."""
    config = snapshot.json(_CONVERTER).get("config", {})
    usual = {"scale": 1 / 255, "offset": 0.0, "crop_to_aspect_ratio": True, "pad_to_aspect_ratio": False}
    return {key: value if config.get(key) is None else config[key] for key, value in usual.items()}


def _clip_spec(snapshot: Snapshot, numbers: Mapping[str, Any]) -> ClipSpec:
    converter, (height, width, _) = _converter(snapshot), numbers["image_shape"]
    fit: ResizeMode = "letterbox" if converter["pad_to_aspect_ratio"] else "stretch"
    if converter["crop_to_aspect_ratio"]:
        fit = "crop"
    frames = int(numbers["num_frames"])
    return ClipSpec(frames=frames, fps=frames / 10, height=height, width=width, fit=fit, short="loop")


@functools.lru_cache(maxsize=2)
def _load(pinned: str) -> Any:
    """A Keras model from uint8 clips_BTHWC to features_BTD."""
    snapshot = _snapshot(pinned)
    numbers, converter = _numbers(snapshot), _converter(snapshot)
    _ = keras.backend  # ours chooses Keras' backend, before KerasHub imports it
    with suppress_native_stderr():
        import keras_hub
    try:
        network = keras_hub.models.VideoPrismBackbone(**numbers)
        network.load_weights(snapshot.folder / _WEIGHTS)
    except Exception as error:  # whatever a wrong file makes of it
        line = " ".join(str(error).split())[:300]
        raise KinemeError(f"{snapshot.name}: KerasHub cannot load it as VideoPrismBackbone ({line})") from error
    clips = keras.Input((numbers["num_frames"], *numbers["image_shape"]), dtype="uint8", name="clip")
    scale, offset = (np.asarray(converter[key], np.float32) for key in ("scale", "offset"))
    tokens_BTND = network(keras.ops.cast(clips, "float32") * scale + offset)
    return keras.Model(clips, keras.ops.mean(tokens_BTND, axis=2), name="backbone")
