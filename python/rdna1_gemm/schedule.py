# SPDX-License-Identifier: MIT OR Apache-2.0
"""The ways to compute a convolution, and one way with its splits."""

from __future__ import annotations

from typing import NamedTuple, Optional

from .problem import Problem

#: Directions.
FORWARD, DATA, WEIGHT = "forward", "data gradient", "weight gradient"
#: Those that are asked for, by one kernel.
GRADIENTS = "gradients"

#: Ways. PRODUCT: the input is the column matrix already. COLUMNS: im2col and one
#: product. FOLDED: the same with all images side by side. ROWS: columns of the
#: kernel's rows alone, one accumulating product for each row. TAPS: no columns,
#: one accumulating product for each tap, on shifted windows of the padded input.
#: FLIPPED: the data gradient as a convolution with the kernel turned round.
#: NATIVE: PyTorch's own kernel without MIOpen (depthwise, single images).
PRODUCT, COLUMNS, FOLDED, ROWS, TAPS = "product", "columns", "folded", "rows", "taps"
FLIPPED, NATIVE = "flipped", "native"


class Schedule(NamedTuple):
    """One way, split so that its workspace stays under a limit."""

    way: str
    #: Images at once.
    images: int
    #: Output rows at once (the first spatial dimension).
    rows: int
    #: Input channels of a group at once; fewer than all where one row of columns is
    #: too much, and in parts of a FOLDED gradient of weights.
    channels: int
    #: Bytes besides inputs and results.
    workspace: int
    #: Seconds, by the cost model.
    cost: float
    #: The forward schedule behind FLIPPED.
    inner: Optional[Schedule] = None

    def text(self) -> str:
        """The way's name."""
        return f"{self.way} {self.inner.way}" if self.inner else self.way

    def split_text(self, problem: Problem) -> str:
        """What is done at once, where that is not everything."""
        if self.way == NATIVE:
            return ""
        turned = problem.flipped() if self.inner else None
        whole = turned or problem
        parts = []
        if self.images < whole.images:
            parts.append(f"{self.images} images")
        if self.rows < whole.out[0]:
            parts.append(f"{self.rows} rows")
        if self.channels < whole.channels:
            parts.append(f"{self.channels} channels")
        return f" ({', '.join(parts)})" if parts else ""


#: PyTorch's own kernel.
OWN = Schedule(NATIVE, 0, 0, 0, 0, 0.0)
