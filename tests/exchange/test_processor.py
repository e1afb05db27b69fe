"""What numpy is told to leave out on a processor that is slow at it."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from penstock.exchange.processor import left_out

ZEN_4 = "processor\t: 0\nvendor_id\t: AuthenticAMD\ncpu family\t: 25\nmodel\t\t: 17\nflags\t\t: avx2 avx512f avx512dq\n"


@pytest.mark.parametrize(
    ("about", "numpy", "name"),
    [
        (ZEN_4, "2.4.0", "X86_V4"),
        (ZEN_4, "2.10.1", "X86_V4"),
        (ZEN_4, "2.3.5", "AVX512F"),
        (ZEN_4, "3.0.0rc1", "X86_V4"),
        (ZEN_4.replace(" avx512f avx512dq", ""), "2.4.0", None),
        (ZEN_4.replace(": 25", ": 26"), "2.4.0", None),
        (ZEN_4.replace("AuthenticAMD", "GenuineIntel"), "2.4.0", None),
        ("Processor : ARM", "2.4.0", None),
    ],
    ids=["2.4", "2.10", "2.3", "3", "Zen 3", "Zen 5", "Intel", "ARM"],
)
def test_only_zen_4_is_slow(about: str, numpy: str, name: str | None) -> None:
    """AVX-512 is left out where AMD's family 25 has it, under the name that the version of numpy knows it by."""
    assert left_out(about, numpy) == name


@pytest.mark.parametrize("own", [None, "AVX512_SPR"])
def test_a_choice_that_was_made_stays(own: str | None) -> None:
    """The package asks before numpy is there, and only where the user did not; numpy takes it without a word."""
    environment = {name: value for name, value in os.environ.items() if name != "NPY_DISABLE_CPU_FEATURES"}
    program = "import os, penstock.exchange, numpy; print(os.environ.get('NPY_DISABLE_CPU_FEATURES'))"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True,
        env=environment | ({"NPY_DISABLE_CPU_FEATURES": own} if own else {}),
    )  # fmt: skip

    assert done.stdout.strip() in ([own] if own else ["None", "X86_V4", "AVX512F"])
    assert done.stderr == ""
