"""How much memory this process has taken, and how much there is."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path


def peak_mb() -> int | None:
    """Most resident memory so far, in megabytes; None where the system does not tell."""
    status = Path("/proc/self/status")
    if status.exists():  # Linux's other answer, below, begins with what the process had that started this one
        found = re.search(r"VmHWM:\s*(\d+) kB", status.read_text(encoding="utf-8"))
        if found:
            return int(found[1]) // 1000
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(peak / 1e6 if sys.platform == "darwin" else peak / 1e3)


def total_bytes() -> int | None:
    """Memory that this process may use: of the machine, or of its container; None where the system does not tell."""
    try:
        machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # Windows
        return None
    try:
        return min(machine, int(Path("/sys/fs/cgroup/memory.max").read_text(encoding="ascii")))
    except (OSError, ValueError):  # no such limit
        return machine
