"""What numpy had better not use of a processor, said before numpy is imported, to this process and those it starts.

AMD's Zen 4 picks lanes of an AVX-512 register by microcode: numpy sorts 10 million numbers in 0.63 s with AVX-512, and
in 0.12 s without. Who imported numpy before this package keeps the slow way; workers that are spawned do not.
"""

from __future__ import annotations

import os
import re
from importlib.metadata import version
from pathlib import Path

__all__ = ["left_out"]

ABOUT = Path("/proc/cpuinfo")


def left_out(about: str, numpy: str) -> str | None:
    """What numpy is to leave out, by what Linux says about the processor and by the names that a version of numpy has.

    >>> zen4 = "vendor_id : AuthenticAMD\\ncpu family : 25\\nflags : avx2 avx512f"
    >>> left_out(zen4, "2.4.6"), left_out(zen4, "2.2.1"), left_out(zen4.replace("25", "26"), "2.4.6")
    ('X86_V4', 'AVX512F', None)
    """
    told = dict(re.findall(r"^(vendor_id|cpu family|flags)\s*: (.*)$", about, re.MULTILINE))
    is_zen_3_or_4 = told.get("vendor_id") == "AuthenticAMD" and told.get("cpu family") == "25"
    if not is_zen_3_or_4 or "avx512f" not in told.get("flags", "").split():  # which Zen 3 has not
        return None
    major, minor = map(int, numpy.split(".")[:2])
    return "X86_V4" if (major, minor) >= (2, 4) else "AVX512F"


if ABOUT.exists() and (name := left_out(ABOUT.read_text(), version("numpy"))):
    os.environ.setdefault("NPY_DISABLE_CPU_FEATURES", name)
