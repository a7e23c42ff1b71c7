"""The families of video networks in transformers that give features: how each sees a clip, and where its tokens are.

Features are the tokens of the last layer, averaged over space and kept over time. Rates are those that the published
networks were trained at. Networks that sampled a ten-second video of Kinetics sparsely (X-CLIP, VideoPrism) sample
ten seconds here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from kineme.errors import KinemeError

Config = Mapping[str, Any]
_KINETICS_S = 10.0


@dataclass(frozen=True, kw_only=True)
class Family:
    """One architecture.

    Args:
        title: as people call it.
        network: the class in transformers whose tokens are the features.
        classifier: the class that ends in logits; empty if it has no classifier.
        pixels: name of its input, (B, T, C, H, W).
        frames: T, by the configuration.
        size: height and width of a frame, by the configuration.
        fps: frames a second, by T.
        tubelet: frames that become one token.
        features: D.
        tokens: from the network and pixels_BTCHW to features (B, T', D).
        text: from the network, pixels_BTCHW and embeddings of sentences (K, D) to logits_BK, where it has a text side.
        is_any_length: whether it also takes other numbers of frames: its positions are computed.
        unused: beginning of the names of weights that the tokens do not need, and that files may lack.
    """

    title: str
    network: str
    classifier: str
    pixels: str = "pixel_values"
    frames: Callable[[Config], int]
    size: Callable[[Config], tuple[int, int]]
    fps: Callable[[int], float]
    tubelet: Callable[[Config], int]
    features: Callable[[Config], int]
    tokens: Callable[[Any, Any], Any]
    text: Callable[[Any, Any, Any], Any] | None = None
    is_any_length: bool = False
    unused: str = ""


def family_of(name: str, config: Config) -> tuple[Family, Config]:
    """The family of a model, and the vision part of its configuration.

    Raises:
        KinemeError: none whose tokens are known here, or its numbers make no sense.
    """
    kind = str(config.get("model_type"))
    if kind not in FAMILIES:
        known = ", ".join(family.title for family in FAMILIES.values())
        raise KinemeError(f"{name}: is a model of type {kind!r}; features are taken of {known}")
    part = config.get("vision_config") if isinstance(config.get("vision_config"), dict) else config
    # A configuration holds only what differs from the defaults of its class.
    family, numbers = FAMILIES[kind], {**_DEFAULTS[kind], **(part or {})}
    try:
        least = min(family.frames(numbers), *family.size(numbers), family.tubelet(numbers), family.features(numbers))
    except (TypeError, ValueError, LookupError) as error:
        raise KinemeError(f"{name}: its configuration cannot be understood ({error})") from error
    if least < 1:
        raise KinemeError(f"{name}: its configuration says {least} where a network needs at least 1")
    return family, numbers


def _side(config: Config, key: str = "image_size") -> tuple[int, int]:
    side = config[key]
    height, width = side if isinstance(side, list | tuple) else (side, side)
    return int(height), int(width)


def _over_space(tokens_BND: Any, steps: int) -> Any:
    """Tokens, time first, to their mean over space at each step."""
    batch, _, size = tokens_BND.shape
    return tokens_BND.reshape(batch, steps, -1, size).mean(2)


def _videomae(network: Any, pixels: Any) -> Any:
    tokens = network(pixel_values=pixels).last_hidden_state
    return _over_space(tokens, pixels.shape[1] // network.config.tubelet_size)


def _timesformer(network: Any, pixels: Any) -> Any:
    """After a class token, the frames of each place follow each other."""
    tokens = network(pixel_values=pixels).last_hidden_state[:, 1:]
    batch, _, size = tokens.shape
    return tokens.reshape(batch, -1, pixels.shape[1], size).mean(1)


def _vivit(network: Any, pixels: Any) -> Any:
    tokens = network(pixel_values=pixels).last_hidden_state[:, 1:]
    return _over_space(tokens, pixels.shape[1] // network.config.tubelet_size[0])


def _vjepa2(network: Any, pixels: Any) -> Any:
    tokens = network(pixel_values_videos=pixels, skip_predictor=True).last_hidden_state
    return _over_space(tokens, pixels.shape[1] // network.config.tubelet_size)


def _videoprism(network: Any, pixels: Any) -> Any:
    tokens = network(pixel_values_videos=pixels).last_hidden_state
    return _over_space(tokens, pixels.shape[1] // network.config.tubelet_size[0])


def _xclip(network: Any, pixels: Any) -> Any:
    """What its transformer over frames makes of each frame: the mean of these is its embedding of a video."""
    batch, frames = pixels.shape[:2]
    seen = network.vision_model(pixel_values=pixels.reshape(-1, *pixels.shape[2:])).pooler_output
    return network.mit(network.visual_projection(seen).view(batch, frames, -1)).last_hidden_state


def _xclip_text(network: Any, pixels: Any, text_KD: Any) -> Any:
    """The forward pass of ``XCLIPModel``, whose sentences are embedded once instead of for every clip."""
    batch, frames = pixels.shape[:2]
    seen = network.vision_model(pixel_values=pixels.reshape(-1, *pixels.shape[2:]))
    video_BD = network.mit(network.visual_projection(seen.pooler_output).view(batch, frames, -1)).pooler_output
    places = network.prompts_visual_layernorm(seen.last_hidden_state[:, 1:]) @ network.prompts_visual_projection
    places = places.view(batch, frames, -1, video_BD.shape[-1]).mean(1)
    text_BKD = text_KD.unsqueeze(0).expand(batch, -1, -1)
    text_BKD = text_BKD + network.prompts_generator(text_BKD, places)
    text_BKD = text_BKD / text_BKD.norm(dim=-1, keepdim=True)
    video_BD = video_BD / video_BD.norm(dim=-1, keepdim=True)
    return (text_BKD @ video_BD.unsqueeze(-1)).squeeze(-1) * network.logit_scale.exp()


_DEFAULTS: dict[str, Config] = {
    "videomae": {"num_frames": 16, "image_size": 224, "tubelet_size": 2, "hidden_size": 768},
    "timesformer": {"num_frames": 8, "image_size": 224, "hidden_size": 768},
    "vivit": {"num_frames": 32, "image_size": 224, "tubelet_size": [2, 16, 16], "hidden_size": 768},
    "vjepa2": {"frames_per_clip": 64, "crop_size": 256, "tubelet_size": 2, "hidden_size": 1024},
    "videoprism_vision_model": {"num_frames": 16, "image_size": 288, "tubelet_size": [1, 18, 18], "hidden_size": 768},
    "xclip": {"num_frames": 8, "image_size": 224, "mit_hidden_size": 512},
}

FAMILIES = {
    "videomae": Family(
        title="VideoMAE",
        network="VideoMAEModel",
        classifier="VideoMAEForVideoClassification",
        frames=lambda config: int(config["num_frames"]),
        size=_side,
        fps=lambda frames: 7.5,  # every fourth frame of 30 a second
        tubelet=lambda config: int(config["tubelet_size"]),
        features=lambda config: int(config["hidden_size"]),
        tokens=_videomae,
    ),
    "timesformer": Family(
        title="TimeSformer",
        network="TimesformerModel",
        classifier="TimesformerForVideoClassification",
        frames=lambda config: int(config["num_frames"]),
        size=_side,
        fps=lambda frames: 30 / 4 if frames >= 96 else frames * 30 / 256,  # 8 x 32, 16 x 16 and 96 x 4 of 30 a second
        tubelet=lambda config: 1,
        features=lambda config: int(config["hidden_size"]),
        tokens=_timesformer,
    ),
    "vivit": Family(
        title="ViViT",
        network="VivitModel",
        classifier="VivitForVideoClassification",
        frames=lambda config: int(config["num_frames"]),
        size=_side,
        fps=lambda frames: 12.5,  # every second frame of 25 a second
        tubelet=lambda config: int(config["tubelet_size"][0]),
        features=lambda config: int(config["hidden_size"]),
        tokens=_vivit,
        unused="pooler.",
    ),
    "vjepa2": Family(
        title="V-JEPA 2",
        network="VJEPA2Model",
        classifier="VJEPA2ForVideoClassification",
        pixels="pixel_values_videos",
        frames=lambda config: int(config["frames_per_clip"]),
        size=lambda config: _side(config, "crop_size"),
        fps=lambda frames: 4.0,
        tubelet=lambda config: int(config["tubelet_size"]),
        features=lambda config: int(config["hidden_size"]),
        tokens=_vjepa2,
        is_any_length=True,
    ),
    "videoprism_vision_model": Family(
        title="VideoPrism",
        network="VideoPrismVisionModel",
        classifier="VideoPrismForVideoClassification",
        pixels="pixel_values_videos",
        frames=lambda config: int(config["num_frames"]),
        size=_side,
        fps=lambda frames: frames / _KINETICS_S,
        tubelet=lambda config: int(config["tubelet_size"][0]),
        features=lambda config: int(config["hidden_size"]),
        tokens=_videoprism,
    ),
    "xclip": Family(
        title="X-CLIP",
        network="XCLIPModel",
        classifier="",
        frames=lambda config: int(config["num_frames"]),
        size=_side,
        fps=lambda frames: frames / _KINETICS_S,
        tubelet=lambda config: 1,
        features=lambda config: int(config["mit_hidden_size"]),
        tokens=_xclip,
        text=_xclip_text,
    ),
}
