"""The settings of a worker: the model and how it is used, in a form that can be sent to another machine."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kineme import api
from kineme.files import atomic_write, file_lock, sha256_of, user_cache_folder
from kineme.model import Model
from kineme.models.model_file import ModelCard
from kineme.prediction.engines.select import open_engine
from kineme.prediction.featurizers import open_featurizer
from kineme.prediction.loading import KINETICS
from kineme.prediction.predict import fetch_options
from kineme.prediction.windows import WindowScorer, open_scorer
from kineme.scale.cluster import limit_threads
from kineme.sources.local_video import FetchOptions

if TYPE_CHECKING:
    from kineme.prediction.featurizers import FrameFeaturizer


@dataclass(frozen=True)
class Plan:
    """How videos become scores.

    Args:
        model: the file, or the name of a pretrained model.
        sha256: of the file; empty for a pretrained model.
        card: of the model, as JSON.
        stride: ticks from one window to the next, if the model says so.
        engine: that runs it.
        content: the file's bytes in Ray's object store, for workers that do not see the file.
        threads: of a worker.
        stalled_s: how long a video may give no frame before it is given up.
        is_alone: whether each video is decoded in a process of its own.
        cookies: a file of cookies, for links.
        cookies_from_browser: the browser that has them.
    """

    model: str
    sha256: str
    card: str
    stride: int | None
    engine: str
    content: Any = None
    threads: int = 1
    stalled_s: float = 300.0
    is_alone: bool = False
    cookies: str | None = None
    cookies_from_browser: str | None = None

    def file(self) -> str:
        """The model on this machine: the file where it is the very same here, else a copy in the user's cache."""
        path = Path(self.model)
        if not self.sha256 or (path.is_file() and sha256_of(path) == self.sha256):
            return self.model
        copy = user_cache_folder() / "batch" / self.sha256 / path.name
        if not copy.is_file() or sha256_of(copy) != self.sha256:
            import ray

            with atomic_write(copy) as temporary:
                temporary.write_bytes(ray.get(self.content))
        return str(copy)

    def fetch_options(self, model: Model) -> FetchOptions:
        """How videos are fetched for a model."""
        return fetch_options(model, cookies=self.cookies, cookies_from_browser=self.cookies_from_browser)

    def open(self) -> Model:
        """The model, in a process that takes no more threads than its share."""
        limit_threads(self.threads)
        return api.load(self.file())

    def without_network(self) -> Model:
        """The model without its network, for what needs none."""
        return Model(None, ModelCard.from_json(Path(self.model), self.card), self.model, stride=self.stride)

    def windows(self, model: Model) -> WindowScorer:
        """What scores its windows, made in turn by the workers of a machine: the first compiles for all."""
        with file_lock(user_cache_folder() / "engines" / "batch.lock"):
            if model.members:
                return open_scorer(model, self.engine)
            return WindowScorer(model, open_engine(self.engine, model), has_features=model.poses is not None)

    def featurizer(self, model: Model) -> FrameFeaturizer | None:
        """What must see a video's frames from its start in turn, and so is where they are decoded."""
        return open_featurizer(model, open_engine(self.engine, model)) if model.poses else None


def plan_for(model: Model, engine: str, **more: Any) -> Plan:
    """The plan for a loaded model, but for what only Ray's driver knows."""
    _, sha256 = model_id(model)
    name = os.path.abspath(model.path) if model.path else KINETICS  # noqa: PTH100
    card = json.dumps(model.card.to_json(), ensure_ascii=False)
    return Plan(name, sha256, card, model.stride, engine, **more)


def model_id(model: Model) -> tuple[str, str]:
    """The identity of a model in the rows, and the SHA-256 of its file (empty without a file)."""
    if model.path is None:
        from kineme.models.weights import PRETRAINED

        known = hashlib.sha256(",".join(sorted(PRETRAINED[KINETICS].files.values())).encode()).hexdigest()
        return f"{model.name}@{known[:12]}", ""
    sha256 = sha256_of(model.path)
    return f"{model.name}@{sha256[:12]}", sha256
