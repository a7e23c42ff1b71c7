"""Models of transformers as folders: hand-made ones that need no library, and tiny random ones saved by it."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
from safetensors.numpy import save_file

SIDE, FRAMES = 32, 8
CONFIG = {"model_type": "videomae", "num_frames": FRAMES, "image_size": SIDE, "tubelet_size": 2, "hidden_size": 24}
PROCESSOR = {
    "size": {"shortest_edge": SIDE},
    "crop_size": {"height": SIDE, "width": SIDE},
    "do_resize": True,
    "do_center_crop": True,
    "do_rescale": True,
    "do_normalize": True,
    "rescale_factor": 1 / 255,
    "image_mean": [0.5, 0.4, 0.3],
    "image_std": [0.2, 0.25, 0.3],
}
COMMIT = "0123456789abcdef0123456789abcdef01234567"


def bare_folder(folder: Path, config: dict[str, Any] | None = None, licence: str = "") -> Path:
    """A folder with the files of a VideoMAE, whose weights are none of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps({**CONFIG, **(config or {})}))
    (folder / "preprocessor_config.json").write_text(json.dumps(PROCESSOR))
    save_file({"weight": np.arange(6, dtype=np.float32)}, folder / "model.safetensors")
    if licence:
        (folder / "README.md").write_text(f"---\ntags: [video]\nlicense: {licence}\n---\n# A model\n")
    return folder


def save_tiny(folder: Path, kind: str) -> Path:
    """A tiny random model of a family, saved by transformers itself."""
    import torch
    import transformers

    torch.manual_seed(0)
    labels = {"id2label": dict(enumerate(("sit-down", "wave"))), "label2id": {"sit-down": 0, "wave": 1}}
    small = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}
    shape = {"image_size": SIDE, "patch_size": 16, "num_frames": FRAMES}
    config, processor = {
        "videomae": lambda: (transformers.VideoMAEConfig(**shape, **small, **labels), PROCESSOR),
        "timesformer": lambda: (transformers.TimesformerConfig(**shape, **small, **labels), PROCESSOR),
        "vivit": lambda: (
            transformers.VivitConfig(image_size=SIDE, num_frames=FRAMES, tubelet_size=[2, 16, 16], **small, **labels),
            {**PROCESSOR, "size": {"shortest_edge": 36}, "rescale_factor": 1 / 127.5, "offset": True},
        ),
        "vjepa2": lambda: (
            transformers.VJEPA2Config(
                crop_size=SIDE,
                patch_size=16,
                frames_per_clip=FRAMES,
                mlp_ratio=2.0,
                hidden_size=48,
                num_hidden_layers=2,
                num_attention_heads=4,
                num_pooler_layers=1,
                pred_hidden_size=48,
                pred_num_attention_heads=4,
                pred_num_hidden_layers=1,
                **labels,
            ),
            {**PROCESSOR, "size": {"shortest_edge": 36}},
        ),
        "videoprism": lambda: (
            transformers.VideoPrismVisionConfig(
                image_size=36,
                num_frames=FRAMES,
                tubelet_size=[1, 18, 18],
                hidden_size=32,
                num_attention_heads=4,
                intermediate_size=64,
                num_spatial_layers=2,
                num_temporal_layers=1,
                num_auxiliary_layers=1,
                **labels,
            ),
            {"size": {"height": 36, "width": 36}, "do_resize": True, "rescale_factor": 1 / 255, "do_normalize": False},
        ),
    }[kind]()
    name = {"videoprism": "VideoPrismForVideoClassification", "vjepa2": "VJEPA2ForVideoClassification"}
    cls = getattr(transformers, name.get(kind) or type(config).__name__.replace("Config", "ForVideoClassification"))
    cls(config).save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps(processor))
    return folder


def save_tiny_xclip(folder: Path) -> Path:
    """A tiny random X-CLIP with a tokenizer that knows single bytes."""
    import torch
    import transformers

    torch.manual_seed(0)
    printed = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [chr(256 + number) for number in range(256 - len(printed))]
    letters = [*map(chr, printed), *others]
    names = [*letters, *(f"{one}</w>" for one in letters), "<|startoftext|>", "<|endoftext|>"]
    vocabulary = {name: number for number, name in enumerate(names)}
    tokenizer = transformers.CLIPTokenizer(vocab=vocabulary, merges=[])
    tokenizer.model_max_length = 40
    tokenizer.save_pretrained(folder)
    end = vocabulary["<|endoftext|>"]
    small = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
    text = {"vocab_size": len(names), "max_position_embeddings": 40, "eos_token_id": end, "pad_token_id": end}
    mit = {"mit_hidden_size": 24, "mit_intermediate_size": 48, "mit_num_hidden_layers": 1}
    config = transformers.XCLIPConfig(
        text_config={**small, **text, "bos_token_id": vocabulary["<|startoftext|>"]},
        vision_config={
            **small,
            **mit,
            "image_size": SIDE,
            "patch_size": 16,
            "num_frames": FRAMES,
            "mit_num_attention_heads": 4,
        },
        projection_dim=24,
        prompt_layers=1,
        prompt_num_attention_heads=4,
    )
    transformers.XCLIPModel(config).save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps(PROCESSOR))
    return folder


@contextmanager
def hub(folder: Path, name: str, licence: str) -> Iterator[str]:
    """A Hugging Face Hub on loopback with one model; gives its address. Files changed later come changed."""
    told = {path.name: path.read_bytes() for path in folder.iterdir()}
    siblings = []
    for file, content in told.items():
        blob = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
        one: dict[str, Any] = {"rfilename": file, "size": len(content), "blobId": blob}
        if file.endswith(".safetensors"):
            one["lfs"] = {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content), "pointerSize": 130}
        siblings.append(one)
    document = {"id": name, "modelId": name, "sha": COMMIT, "siblings": siblings, "cardData": {"license": licence}}

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self._answer(with_body=False)

        def do_GET(self) -> None:
            self._answer(with_body=True)

        def _answer(self, *, with_body: bool) -> None:
            path = unquote(self.path.split("?")[0])
            headers = {}
            if path.startswith(f"/api/models/{name}"):
                content = json.dumps(document).encode()
                headers["Content-Type"] = "application/json"
            elif path.startswith(f"/{name}/resolve/{COMMIT}/"):
                file = path.rsplit("/", 1)[1]
                content = (folder / file).read_bytes()
                headers |= {"X-Repo-Commit": COMMIT, "ETag": f'"{hashlib.sha1(told[file]).hexdigest()}"'}
            else:
                self.send_response(404)
                self.send_header("X-Error-Code", "RepoNotFound")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            for key, value in headers.items():
                self.send_header(key, value)
            self.end_headers()
            if with_body:
                self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
