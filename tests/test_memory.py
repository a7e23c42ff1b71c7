"""What a process holds of the machine's memory."""

from __future__ import annotations

import subprocess
import sys

import pytest

from kineme.memory import share_arenas

BLOCKS, BLOCK_BYTES, THREADS = 200, 100_000, 24

# Each thread takes many blocks and gives all back but its last, as decoders do; one after another, but all are alive.
PROGRAM = f"""
import ctypes, os, sys, threading
from kineme.memory import share_arenas
if "shared" in sys.argv:
    share_arenas()
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
turn, finished, kept = threading.Lock(), threading.Barrier({THREADS}), []
def work():
    with turn:
        blocks = [libc.malloc({BLOCK_BYTES}) for _ in range({BLOCKS})]
        for block in blocks:
            ctypes.memset(block, 1, {BLOCK_BYTES})
        kept.append(blocks.pop())
        for block in blocks:
            libc.free(ctypes.c_void_p(block))
    finished.wait()
threads = [threading.Thread(target=work) for _ in range({THREADS})]
for one in threads: one.start()
for one in threads: one.join()
pages = int(open("/proc/self/statm").read().split()[1])
print(pages * os.sysconf("SC_PAGE_SIZE"))
"""


def held_bytes(*arguments: str) -> int:
    done = subprocess.run([sys.executable, "-c", PROGRAM, *arguments], capture_output=True, text=True, check=True)
    return int(done.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="only glibc, of Linux, has arenas")
def test_what_threads_give_back_is_used_by_others():
    alone, shared = held_bytes(), held_bytes("shared")
    assert shared < alone / 2, (alone, shared)


def test_sharing_arenas_may_be_asked_for_anywhere():
    share_arenas()
