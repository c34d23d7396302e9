# SPDX-License-Identifier: MIT OR Apache-2.0
"""What a user may choose, by environment variable or by `enable`.

`RDNA1_GEMM_LOG=1`: one line at the start, one for each new shape and choice.
`RDNA1_GEMM_REPORT=1` or a file's name: the table of layers at exit, timed.
`RDNA1_GEMM_WORKSPACE=256M`: the most that one convolution may take besides
its inputs and results.
`RDNA1_GEMM_FAST=1`: up to that limit wherever it is faster, not only as much as
leaves a usual network's peak alone.
"""

from __future__ import annotations

import os
import sys
from typing import Dict, Mapping, NamedTuple, Optional, Set

LOG = "RDNA1_GEMM_LOG"
REPORT = "RDNA1_GEMM_REPORT"
WORKSPACE = "RDNA1_GEMM_WORKSPACE"
FAST = "RDNA1_GEMM_FAST"

#: By default a sixteenth of the device's memory, and no more than this.
CEILING = 512 << 20
SHARE = 16

_UNITS: Dict[str, int] = {"": 0, "K": 10, "M": 20, "G": 30}


class Settings(NamedTuple):
    log: bool = False
    #: Where the report goes: `-` is standard error.
    report: Optional[str] = None
    #: Bytes; nothing means the default of the device.
    workspace: Optional[int] = None
    #: Whether speed counts for more than memory.
    fast: bool = False

    def limit(self, total: Optional[int]) -> int:
        """Bytes of workspace on a device with so much memory."""
        if self.workspace is not None:
            return self.workspace
        return CEILING if total is None else min(CEILING, total // SHARE)


def size(text: str) -> int:
    """Bytes from `123`, `64K`, `256M`, `1.5G`, with or without `iB` or `B`.

    Raises `ValueError` for anything else, and for less than one byte.
    """
    number = text.strip().upper()
    for suffix in ("IB", "B"):
        if number.endswith(suffix):
            number = number[: -len(suffix)]
            break
    unit = number[-1:] if number[-1:] in _UNITS else ""
    value = float(number[: len(number) - len(unit)])
    if not 1 <= value < 1 << 40:
        raise ValueError(text)
    return int(value * (1 << _UNITS[unit]))


def from_environment(environment: Optional[Mapping[str, str]] = None) -> Settings:
    """The user's settings. A value that cannot be used is reported and ignored."""
    values = os.environ if environment is None else environment
    workspace = None
    text = values.get(WORKSPACE, "")
    if text:
        try:
            workspace = size(text)
        except ValueError:
            say(f"{WORKSPACE}={text!r} is no size such as 256M; the default is used")
    report = values.get(REPORT, "")
    return Settings(
        log=values.get(LOG, "") not in ("", "0"),
        report=None if report in ("", "0") else "-" if report == "1" else report,
        workspace=workspace,
        fast=values.get(FAST, "") not in ("", "0"),
    )


def say(text: str) -> None:
    """One line on standard error, which may be closed."""
    try:
        print(f"rdna1_gemm: {text}", file=sys.stderr, flush=True)
    except (OSError, ValueError, AttributeError):
        pass


_said: Set[str] = set()


def say_once(text: str) -> None:
    if text not in _said:
        _said.add(text)
        say(text)
