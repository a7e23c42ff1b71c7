"""ELAN (.eaf); times are milliseconds. One tier holds no two annotations at a time.

https://www.mpi.nl/tools/elan/EAF_Annotation_Format_3.0_and_ELAN.pdf
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

from kineme.dataset.annotations.document import Document
from kineme.dataset.annotations.form import Form
from kineme.dataset.annotations.segment import Found, Segment, file_name, number


def _read(document: Document) -> Found:
    path, root = document.path, document.xml
    origins = {
        file_name(one.get("MEDIA_URL")): one.get("TIME_ORIGIN") or 0
        for one in root.findall("./HEADER/MEDIA_DESCRIPTOR")
    }
    slots = {slot.get("TIME_SLOT_ID"): slot.get("TIME_VALUE") for slot in root.iterfind("./TIME_ORDER/TIME_SLOT")}
    found = Found()
    for tier in root.iterfind("./TIER"):
        for one in tier.iterfind("./ANNOTATION/ALIGNABLE_ANNOTATION"):
            where = f"{path}, annotation {one.get('ANNOTATION_ID')}"
            values = [slots.get(one.get(f"TIME_SLOT_REF{which}")) for which in (1, 2)]
            times = [None if value is None else number(where, value) / 1000 for value in values]
            start_s, end_s = times if None not in times else (None, None)
            found.add(where, start_s, end_s, one.findtext("ANNOTATION_VALUE") or "", tier=tier.get("TIER_ID") or "")
    found.origins.update({name: number(f"{path}, TIME_ORIGIN", value) / 1000 for name, value in origins.items()})
    return found


def write(video: Path, segments: Sequence[Segment]) -> str:
    """The text of a file about one video; overlapping segments go to further tiers."""
    root = ElementTree.Element(
        "ANNOTATION_DOCUMENT",
        {"AUTHOR": "", "DATE": "2000-01-01T00:00:00+00:00", "FORMAT": "3.0", "VERSION": "3.0"},
    )
    header = ElementTree.SubElement(root, "HEADER", {"MEDIA_FILE": "", "TIME_UNITS": "milliseconds"})
    ElementTree.SubElement(
        header,
        "MEDIA_DESCRIPTOR",
        {"MEDIA_URL": f"./{video.name}", "RELATIVE_MEDIA_URL": f"./{video.name}", "MIME_TYPE": "video/*"},
    )
    order = ElementTree.SubElement(root, "TIME_ORDER")
    tiers: list[tuple[ElementTree.Element, float]] = []
    for count, one in enumerate(segments):
        assert one.end_s is not None
        slots = [f"ts{2 * count + 1}", f"ts{2 * count + 2}"]
        for slot, time_s in zip(slots, (one.start_s, one.end_s), strict=True):
            value = str(round(time_s * 1000))
            ElementTree.SubElement(order, "TIME_SLOT", {"TIME_SLOT_ID": slot, "TIME_VALUE": value})
        free = next((at for at, (_, end_s) in enumerate(tiers) if end_s <= one.start_s), len(tiers))
        if free == len(tiers):
            name = "label" if not free else f"label {free + 1}"
            attributes = {"LINGUISTIC_TYPE_REF": "default-lt", "TIER_ID": name}
            tiers.append((ElementTree.SubElement(root, "TIER", attributes), 0.0))
        tier = tiers[free][0]
        tiers[free] = tier, one.end_s
        holder = ElementTree.SubElement(tier, "ANNOTATION")
        references = {"TIME_SLOT_REF1": slots[0], "TIME_SLOT_REF2": slots[1]}
        marked = ElementTree.SubElement(
            holder, "ALIGNABLE_ANNOTATION", {"ANNOTATION_ID": f"a{count + 1}", **references}
        )
        ElementTree.SubElement(marked, "ANNOTATION_VALUE").text = one.label
    ElementTree.SubElement(root, "LINGUISTIC_TYPE", {"LINGUISTIC_TYPE_ID": "default-lt", "TIME_ALIGNABLE": "true"})
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


ELAN = Form(
    "ELAN", "XML", "ELAN (ANNOTATION_DOCUMENT)", lambda document: document.xml.tag == "ANNOTATION_DOCUMENT", _read
)
