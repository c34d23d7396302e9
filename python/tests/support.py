# SPDX-License-Identifier: MIT OR Apache-2.0
"""What the tests share: problems, and memory as PyTorch's own operators take it."""

from __future__ import annotations

import contextlib
import os
import random
import sys
import weakref
from typing import Any, Dict, Iterator, List, Optional, Tuple

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
sys.path.insert(0, ROOT)

import torch
from torch.utils._python_dispatch import TorchDispatchMode

import rdna1_gemm
from rdna1_gemm.problem import Problem, describe

#: Where the tests compute: `RDNA1_GEMM_DEVICE=cuda` for a card.
DEVICE = os.environ.get("RDNA1_GEMM_DEVICE", "cpu")
CONVOLUTIONS = (torch.conv1d, torch.conv2d, torch.conv3d)
TRANSPOSED = (torch.conv_transpose1d, torch.conv_transpose2d, torch.conv_transpose3d)


@contextlib.contextmanager
def engine(**options: Any) -> Iterator[None]:
    """The engine in force."""
    assert rdna1_gemm.enable(devices=[DEVICE], **options)
    try:
        yield
    finally:
        rdna1_gemm.disable()


def random_case(rng: random.Random) -> Tuple[List[int], List[int], Dict[str, Any]]:
    """Shapes of input and weights, and arguments; not every one is a convolution."""
    rank = rng.choice([1, 2, 2, 2, 3])
    groups = rng.choice([1, 1, 1, 2, 3])
    channels, outputs = rng.choice([1, 2, 3]), rng.choice([1, 2, 4])
    size = [rng.randint(1, 9) for _ in range(rank)]
    kernel = [rng.randint(1, 4) for _ in range(rank)]
    stride = [rng.choice([1, 1, 2, 3]) for _ in range(rank)]
    padding = [rng.randint(0, 3) for _ in range(rank)]
    dilation = [rng.choice([1, 1, 2]) for _ in range(rank)]
    if rng.random() < 0.3:
        stride = [1] * rank
    if rng.random() < 0.2:
        kernel, stride, padding = [1] * rank, [1] * rank, [0] * rank
    images = rng.choice([1, 2, 5])
    return (
        [images, groups * channels] + size,
        [groups * outputs, channels] + kernel,
        {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups},
    )


def problem(shape: List[int], weights: List[int], arguments: Dict[str, Any]) -> Optional[Problem]:
    """What `random_case` describes, if it is a convolution."""
    window = (arguments[name] for name in ("stride", "padding", "dilation"))
    return describe(shape, weights, *window, False, [0] * (len(shape) - 2), arguments["groups"])


class Memory(TorchDispatchMode):
    """The most bytes that the results of operators hold at once, while it is on.

    Results that share memory count once. What kernels take inside themselves is
    not seen, nor is what was there before.
    """

    def __init__(self) -> None:
        super().__init__()
        self.peak = 0
        #: By the memory's address: its bytes, and who refers to it.
        self._live: Dict[int, Tuple[int, List[Any]]] = {}
        self._known: List[int] = []

    def know(self, *tensors: torch.Tensor) -> None:
        """These were there before."""
        self._known += [_memory(tensor)[0] for tensor in tensors]

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = function(*args, **(kwargs or {}))
        alive = {where: (size, [r for r in refs if r() is not None]) for where, (size, refs) in self._live.items()}
        self._live = {where: entry for where, entry in alive.items() if entry[1]}
        for tensor in result if isinstance(result, (tuple, list)) else (result,):
            if isinstance(tensor, torch.Tensor) and tensor.numel():
                where, size = _memory(tensor)
                if where not in self._known:
                    self._live.setdefault(where, (size, []))[1].append(weakref.ref(tensor))
        self.peak = max(self.peak, sum(size for size, _ in self._live.values()))
        return result


def _memory(tensor: torch.Tensor) -> Tuple[int, int]:
    """Where a tensor's memory begins, and its bytes."""
    if hasattr(tensor, "untyped_storage"):
        storage = tensor.untyped_storage()
        return storage.data_ptr(), storage.nbytes()
    typed = tensor.storage()
    return typed.data_ptr(), typed.nbytes()
