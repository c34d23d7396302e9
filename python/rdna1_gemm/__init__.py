# SPDX-License-Identifier: MIT OR Apache-2.0
"""Convolution by matrix product alone, without MIOpen.

    import rdna1_gemm
    rdna1_gemm.enable()

From then on every convolution of PyTorch on a GPU, and both its gradients, are
matrix products (rocBLAS), copies and sums; depthwise ones are PyTorch's own
kernels. See `docs/engine.md`.
"""

from __future__ import annotations

import atexit
from typing import TYPE_CHECKING, Optional, Sequence

from . import settings as _settings

if TYPE_CHECKING:
    from .dispatch import Engine

__all__ = ["disable", "enable", "is_enabled", "report"]
__version__ = "0.1.0"

_engine: Optional[Engine] = None


def enable(
    *,
    devices: Sequence[str] = ("cuda",),
    workspace: Optional[int] = None,
    fast: Optional[bool] = None,
    log: Optional[bool] = None,
    report: Optional[str] = None,
) -> bool:
    """Puts the engine under every convolution of this process; true if it is in force.

    `devices`: `cuda` (ROCm's cards too), `cpu`. `workspace`: bytes that one
    convolution may take besides its inputs and results. `fast`: all of that
    where it helps. `log`, `report`: as the environment variables `RDNA1_GEMM_FAST`,
    `RDNA1_GEMM_LOG` and `RDNA1_GEMM_REPORT`, which count
    where an argument is not given. Called again, the new arguments count.

    With a PyTorch that the engine does not know it says so, and convolution is
    PyTorch's own, without MIOpen.
    """
    global _engine
    import torch

    from . import dispatch

    chosen = _settings.from_environment()
    if workspace is not None:
        if workspace < 1:
            raise ValueError(f"a workspace of {workspace} bytes")
        chosen = chosen._replace(workspace=workspace)
    if fast is not None:
        chosen = chosen._replace(fast=fast)
    if log is not None:
        chosen = chosen._replace(log=log)
    if report is not None:
        chosen = chosen._replace(report=report or None)
    disable()
    try:
        _engine = dispatch.Engine(chosen, devices)
    except dispatch.Unsupported as error:
        torch.backends.cudnn.enabled = False
        _settings.say(f"disabled: {error}; convolution is PyTorch's own, without MIOpen")
        return False
    if chosen.log:
        limit = (
            "a sixteenth of the memory, at most 512 MiB" if chosen.workspace is None else f"{chosen.workspace} bytes"
        )
        _settings.say(
            f"{__version__}: convolution by matrix product, without MIOpen, on {', '.join(devices)};"
            f" PyTorch {torch.__version__}; workspace: {limit}"
        )
    return True


def disable() -> None:
    """Takes the engine out; PyTorch is as it was before `enable`."""
    global _engine
    if _engine is not None:
        _engine.report.write()
        _engine.close()
        _engine = None


def is_enabled() -> bool:
    """Whether the engine is in force in this process."""
    return _engine is not None


def report() -> str:
    """The table of layers so far; empty unless a report was asked for."""
    return _engine.report.text() if _engine is not None and _engine.report.entries else ""


def _at_exit() -> None:
    if _engine is not None:
        _engine.report.write()


atexit.register(_at_exit)
