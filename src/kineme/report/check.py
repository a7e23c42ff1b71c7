"""What ``kineme check`` finds, as one document."""

from __future__ import annotations

import os
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from kineme.dataset.audit.audit import audit, document_of
from kineme.dataset.audit.quarantine import quarantine_files
from kineme.dataset.audit.suggest import write_groups
from kineme.dataset.scan import scan
from kineme.models.registry import make_approach
from kineme.people.survey import people_document
from kineme.report.audit_page import write_check
from kineme.training.options import TrainOptions, resolve_approach
from kineme.training.resources import estimate_resources


def check_data(
    data: Path,
    *,
    page: str | os.PathLike[str] | None,
    fix: bool,
    groups: str | os.PathLike[str] | None,
    approach: str | None,
    config: dict[str, Any] | None,
    spec_changes: dict[str, Any] | None,
    options: TrainOptions | None,
    group_column: str | None,
) -> dict[str, Any]:
    """Arguments, result and errors are those of :func:`kineme.check`."""
    approach, config, spec = resolve_approach(approach, config)
    spec = replace(spec, **(spec_changes or {}))
    seen = audit(scan(data, group_column=group_column), spec)
    moved = quarantine_files(data, seen.broken) if fix else None
    if groups is not None:
        write_groups(seen, Path(groups))
    document = {
        **document_of(seen, data),
        "needs": asdict(
            estimate_resources(
                seen.lengths_s, seen.decoding_s, make_approach(approach, config), spec, options or TrainOptions()
            )
        ),
        "people": people_document([row for row in seen.table.rows.to_dicts() if row["path"] not in seen.broken]),
        "moved": moved
        and {
            "folder": str(moved.folder),
            "files": {name: str(place) for name, place in moved.files.items()},
            "outside": list(moved.outside),
        },
    }
    if page is not None:
        write_check(page, seen, document)
    return document
