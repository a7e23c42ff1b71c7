"""How much memory this process has taken."""

from __future__ import annotations

import re
import sys
from pathlib import Path


def peak_mb() -> int | None:
    """Most resident memory so far, in megabytes; None where the system does not tell."""
    status = Path("/proc/self/status")
    if status.exists():  # Linux's other answer, below, begins with what the process had that started this one
        found = re.search(r"VmHWM:\s*(\d+) kB", status.read_text())
        if found:
            return int(found[1]) // 1000
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(peak / 1e6 if sys.platform == "darwin" else peak / 1e3)
