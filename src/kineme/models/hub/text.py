"""Classes by text, without training: how well a clip fits each of some sentences, by X-CLIP.

Source: Ni et al., "Expanding Language-Image Pretrained Models for General Video Recognition", ECCV 2022.
"""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kineme.dataset.sheet import read_text
from kineme.errors import KinemeError, UsageError
from kineme.models.hub.backbone import find, require_snapshot
from kineme.models.hub.families import family_of
from kineme.models.hub.processing import read_processing
from kineme.models.hub.published import Published
from kineme.models.hub.snapshot import CONFIG, PREFIX
from kineme.models.hub.torch_network import load_transformers, require_modules, run
from kineme.text import printable

NOTE = "zero-shot: no figure is known for these labels"
PROMPT = "{}"  # X-CLIP learned from the names of actions as they are
_MOST_LABELS, _LONGEST = 2000, 500


def read_labels(text: str) -> tuple[str, ...]:
    """Labels with commas between them, quoted where one has a comma itself; or a label a line, or such a file's name.

    Raises:
        UsageError: there are fewer than two, too many, one occurs twice, or a quote is not closed.
        KinemeError: the file cannot be read.
    """
    file = _file_of(text)
    if file or "\n" in text:
        named = (read_text(file) if file else text).splitlines()
    else:
        try:
            named = next(csv.reader([text], skipinitialspace=True, strict=True), [])
        except csv.Error as error:
            raise UsageError(
                f"--labels: cannot be read ({error}); put a label that has a comma into double quotes, and write a "
                "double quote inside it twice"
            ) from error
    labels = tuple(printable(one.strip()) for one in named if one.strip())
    if not 2 <= len(labels) <= _MOST_LABELS:
        one = f" ({labels[0][:60]!r}, which is not a file)" if len(labels) == 1 and not file else ""
        raise UsageError(
            f"--labels: give 2 to {_MOST_LABELS} labels with commas between them, or a file with a label a line, not "
            f"{len(labels)}{one}"
        )
    if any(len(one) > _LONGEST for one in labels):
        raise UsageError(f"--labels: a label may have {_LONGEST} letters at most")
    twice = [one for number, one in enumerate(labels) if one in labels[:number]]
    if twice:
        raise UsageError(f"--labels: {twice[0]!r} occurs twice")
    return labels


def _file_of(text: str) -> Path | None:
    """The file that has this name, if any."""
    try:
        return Path(text) if Path(text).is_file() else None
    except OSError:  # longer than a name may be
        return None


def with_labels(name: str, labels: Sequence[str], prompt: str = PROMPT) -> Published:
    """A model of classes by text.

    Args:
        name: ``hf:OWNER/NAME`` or ``hf:./FOLDER`` of an X-CLIP.
        labels: the classes.
        prompt: the sentence for a label, which takes the place of ``{}`` in it.

    Raises:
        UsageError: the prompt has no place for the label, or no model of the Hub can have such a name.
        KinemeError: it is not on this machine, has no text side, or cannot be used.
    """
    if prompt.count("{}") != 1:
        raise UsageError(f"--prompt {prompt!r}: write {{}} once, where the label goes")
    if not name.startswith(PREFIX):
        raise UsageError(f"labels by text need a model such as hf:microsoft/xclip-base-patch32, not {name}")
    snapshot = require_snapshot(name)
    family, _ = family_of(snapshot.name, snapshot.json(CONFIG))
    if family.text is None:
        raise KinemeError(f"{snapshot.name}: {family.title} has no text side; --labels needs an X-CLIP")
    score = family.text
    if not ("tokenizer.json" in snapshot.files or {"vocab.json", "merges.txt"} <= set(snapshot.files)):
        raise KinemeError(f"{snapshot.name}: holds no tokenizer.json, without which it cannot read labels; save it too")
    record, processing = find(snapshot.pinned), read_processing(snapshot)
    require_modules(snapshot.name, ("torch", "transformers"), "hf")
    sentences = [prompt.replace("{}", label) for label in labels]
    kept: list[Any] = []

    def window(frames_THWC: NDArray[np.uint8]) -> NDArray[np.float32]:
        network = load_transformers(snapshot.pinned, snapshot.folder, family.network)
        if not kept:
            kept.append(_embed(snapshot.name, snapshot.folder, network, sentences))
        logits_1K = run(lambda pixels: score(network, pixels, kept[0]), processing(frames_THWC)[None])
        logits_K: NDArray[np.float32] = logits_1K[0]
        return logits_K

    key = hashlib.sha256(json.dumps(sentences).encode()).hexdigest()[:32]
    zero_shot = {"note": NOTE, "prompt": prompt}
    return Published.of(record.spec, snapshot, tuple(labels), window, key=key, zero_shot=zero_shot)


def _embed(name: str, folder: Path, network: Any, sentences: list[str]) -> Any:
    """Projected embeddings of sentences, (K, D).

    Raises:
        KinemeError: the tokenizer cannot be loaded, or a sentence is too long for the model.
    """
    import torch
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except Exception as error:  # whatever a wrong file makes of it
        raise KinemeError(f"{name}: its tokenizer cannot be loaded ({' '.join(str(error).split())[:200]})") from error
    most = min(tokenizer.model_max_length, network.config.text_config.max_position_embeddings)
    counts = [len(one) for one in tokenizer(sentences).input_ids]
    longest = max(range(len(sentences)), key=counts.__getitem__)
    if counts[longest] > most:
        raise KinemeError(
            f"{name}: reads sentences of at most {most} tokens, and {sentences[longest][:60]!r}... has "
            f"{counts[longest]}; shorten the label or the prompt"
        )
    tokens = tokenizer(sentences, padding=True, return_tensors="pt").to(network.device)
    with torch.inference_mode():
        return network.get_text_features(**tokens).pooler_output
