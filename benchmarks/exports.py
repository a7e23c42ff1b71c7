"""Which approach can be exported to which format, and how well every export agrees with Keras.

Each model is exported to each format, which compares the scores of the clip model and of the step model with those of
Keras over 200 frames and fails where they differ by more than 1e-4 of their scale. What cannot be exported is in the
table with the reason. The models are runs of training, or the pretrained one by its name:

    python benchmarks/exports.py RUN... i3d-kinetics400 --out benchmarks/results/exports.json

Any comparison leaves such runs: ``kineme compare videos --out compared``, then ``compared/cells/*``.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

from pairs import record, table

from kineme import api
from kineme.errors import KinemeError
from kineme.exporters.agreement import TOLERANCE
from kineme.exporters.folder import export_folder
from kineme.files import write_json
from kineme.models.formats import FORMATS

TOOLS = ("keras", "tensorflow", "ai-edge-litert", "onnx", "onnxruntime", "tf2onnx", "openvino")


def main() -> None:
    parser = argparse.ArgumentParser(description="Every approach in every format: what agrees, and what cannot.")
    parser.add_argument("models", nargs="+", help="run folders, model files, or i3d-kinetics400")
    parser.add_argument("--formats", nargs="+", default=list(FORMATS), help="default: all")
    parser.add_argument("--check", type=Path, help="video to compare on (default: drawn people)")
    parser.add_argument("--out", type=Path, help="JSON file to write the result to")
    arguments = parser.parse_args()
    result: dict[str, Any] = record(*TOOLS, tolerance=TOLERANCE, models={})
    for path in arguments.models:
        model = api.load(path)
        name = " on ".join(filter(None, (model.card.approach, model.card.config.get("backbone"))))
        rows = {one: exported(model, one, arguments.check) for one in arguments.formats}
        result["models"][name] = rows
        print(f"{name}: " + ", ".join(f"{one} {row.get('reason', 'agrees')}" for one, row in rows.items()), flush=True)
    show(result)
    if arguments.out:
        write_json(arguments.out, result)
    fails = [row for rows in result["models"].values() for row in rows.values() if not row["agrees"]]
    sys.exit(1 if fails else 0)


def exported(model: Any, format_name: str, check: Path | None) -> dict[str, Any]:
    """What became of one model in one format."""
    import json

    with tempfile.TemporaryDirectory(prefix="kineme-exports-") as work:
        folder = Path(work, "export")
        try:
            export_folder(model, format_name, folder, check=check)
        except KinemeError as error:
            return {"agrees": False, "reason": str(error).replace(str(folder), "the folder")}
        told = json.loads((folder / "export.json").read_text(encoding="utf-8"))
        parts = {
            name: {
                "difference": float(f"{part['difference']:.2g}"),
                "latency_ms_one_thread": part["latency_ms"],
                "megabytes": round(part["bytes"] / 1e6, 2),
            }
            for name, part in told["parts"].items()
        }
        return {"agrees": True, "frames": told["frames_compared"], "scale": round(told["scale"], 2), "parts": parts}


def show(result: dict[str, Any]) -> None:
    """Largest differences of the clip model and the step model, as shares of the scores' scale."""
    names = list(next(iter(result["models"].values())))
    rows = []
    for model, by_format in result["models"].items():
        for part in ("clip", "step"):
            cells = [
                f"{row['parts'][part]['difference']:.0e}" if part in row.get("parts", {}) else "-"
                for row in by_format.values()
            ]
            if set(cells) != {"-"}:
                rows.append([f"{model}, {part}", *cells])
    table(["largest difference", *names], rows)


if __name__ == "__main__":
    main()
