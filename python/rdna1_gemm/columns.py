# SPDX-License-Identifier: MIT OR Apache-2.0
"""The column matrix of a convolution (im2col) and its adjoint (col2im)."""

from __future__ import annotations

from typing import Any, List, Optional, Sequence, Tuple

import torch
from torch import Tensor
from torch.nn.functional import pad

from .problem import Problem, prod

#: PyTorch's stubs know nothing of `out`.
_nn: Any = torch._C._nn


def im2col(flat: Tensor, out: Tensor, *window: Sequence[int]) -> Tensor:
    """PyTorch's operator, into memory of the right size: it would itself start from that of its input.

    `window`: kernel, dilation, padding, stride.
    """
    result: Tensor = _nn.im2col(flat, *window, out=out)
    return result


def col2im(columns: Tensor, out: Tensor, *window: Sequence[int]) -> None:
    """The same for its adjoint, whose own result would keep the memory of the columns.

    `window`: size, kernel, dilation, padding, stride.
    """
    _nn.col2im(columns, *window, out=out)


def wide(tensor: Tensor) -> torch.dtype:
    """The type of sums: that of fp16 and bf16 would round each term."""
    return torch.promote_types(tensor.dtype, torch.float32)


#: First output row and the one past the last.
Band = Tuple[int, int]


def _padding(problem: Problem, rows: Tuple[int, int]) -> List[int]:
    """Arguments of `pad`: last dimension first, the first one by `rows`."""
    sides: List[int] = []
    for padding in reversed(problem.padding[1:]):
        sides += [padding, padding]
    return sides + list(rows)


def padded(problem: Problem, inputs: Tensor, band: Band) -> Tensor:
    """The padded input rows that a band of output rows reads, contiguous."""
    first, last = problem.span(*band)
    start, end = first - problem.padding[0], last - problem.padding[0]
    low, high = max(start, 0), min(end, problem.size[0])
    if low >= high:  # The whole band lies in the padding.
        shape = list(inputs.shape)
        shape[2] = end - start
        shape[3:] = list(problem.padded[1:])
        return inputs.new_zeros(shape)
    part = inputs.narrow(2, low, high - low) if high - low < problem.size[0] else inputs
    sides = _padding(problem, (low - start, end - high))
    return pad(part, sides) if any(sides) else part.contiguous()


def _windows(problem: Problem, source: Tensor, rows: int, folded: bool) -> Tensor:
    """Every window of a padded input, as a view without copies.

    `(image, channel, tap…, point…)`, or `(channel, tap…, image, point…)`.
    """
    steps = source.stride()
    out = (rows,) + problem.out[1:]
    taps = tuple(step * d for step, d in zip(steps[2:], problem.dilation))
    points = tuple(step * s for step, s in zip(steps[2:], problem.stride))
    if folded:
        shape = (source.shape[1],) + problem.kernel + (source.shape[0],) + out
        return source.as_strided(shape, (steps[1],) + taps + (steps[0],) + points)
    shape = tuple(source.shape[:2]) + problem.kernel + out
    return source.as_strided(shape, tuple(steps[:2]) + taps + points)


def gather(problem: Problem, inputs: Tensor, band: Band) -> Tensor:
    """`(images, channels * taps, points of the band)`."""
    images, channels = inputs.shape[:2]
    rows = band[1] - band[0]
    whole = rows == problem.out[0]
    if problem.rank == 2:
        padding = problem.padding
        if not whole:
            inputs = padded(problem, inputs, band)
            padding = (0, 0)
        # Images and channels are alike to im2col: one launch instead of one per image.
        flat = inputs.reshape(1, images * channels, inputs.shape[2], inputs.shape[3])
        points = rows * problem.out[1]
        shape = (1, images * channels * problem.taps, points)
        columns = im2col(flat, flat.new_empty(shape), problem.kernel, problem.dilation, padding, problem.stride)
        return columns.view(images, channels * problem.taps, points)
    windows = _windows(problem, padded(problem, inputs, band), rows, folded=False)
    return windows.reshape(images, channels * problem.taps, rows * prod(problem.out[1:]))


def gather_folded(problem: Problem, inputs: Tensor) -> Tensor:
    """`(channels * taps, images * points)`: the images side by side."""
    images, channels = inputs.shape[:2]
    if problem.pointwise:
        return inputs.reshape(images, channels, -1).transpose(0, 1).reshape(channels, -1)
    band = (0, problem.out[0])
    windows = _windows(problem, padded(problem, inputs, band), problem.out[0], folded=True)
    return windows.reshape(channels * problem.taps, images * problem.points)


def gather_rows(problem: Problem, inputs: Tensor, band: Band) -> Tensor:
    """Columns of the kernel's rows alone: `(images, channels * width, rows read * out)`.

    A kernel row's own columns are then a contiguous window of these.
    """
    images, channels = inputs.shape[:2]
    padding = problem.padding
    if band[1] - band[0] < problem.out[0]:
        inputs = padded(problem, inputs, band)
        padding = (0, 0)
    flat = inputs.reshape(1, images * channels, inputs.shape[2], inputs.shape[3])
    width = problem.kernel[1]
    first, last = problem.span(*band)
    shape = (1, images * channels * width, (last - first) * problem.out[1])
    columns = im2col(flat, flat.new_empty(shape), (1, width), (1, problem.dilation[1]), padding, (1, problem.stride[1]))
    return columns.view(images, channels * width, -1)


def scatter(problem: Problem, columns: Tensor, channels: int, out: Optional[Tensor] = None) -> Tensor:
    """The adjoint of `gather` for whole images: sums each input's contributions, into `out` if there is one."""
    images = columns.shape[0]
    if problem.rank == 2:
        flat = columns.view(1, images * channels * problem.taps, problem.points)
        window = (problem.size, problem.kernel, problem.dilation, problem.padding, problem.stride)
        shape = (images, channels) + problem.size
        direct = out is not None and out.is_contiguous()
        summed = out if out is not None and direct else columns.new_empty(shape)
        col2im(flat, summed.view(1, images * channels, *problem.size), *window)
        if direct:
            return summed
    else:
        summed = columns.new_zeros((images, channels) + problem.padded, dtype=wide(columns))
        windows = _windows(problem, summed, problem.out[0], folded=False)
        _add_taps(problem, windows, columns.view(windows.shape))
        for dim, (padding, size) in enumerate(zip(problem.padding, problem.size), 2):
            summed = summed.narrow(dim, padding, size)
    return summed.to(columns.dtype) if out is None else out.copy_(summed)


def scatter_band(problem: Problem, columns: Tensor, channels: int, band: Band, total: Tensor) -> None:
    """Adds a band's contributions to the input's gradient."""
    images = columns.shape[0]
    rows = band[1] - band[0]
    first, last = problem.span(*band)
    part = columns.new_zeros((images, channels, last - first) + problem.padded[1:], dtype=wide(columns))
    windows = _windows(problem, part, rows, folded=False)
    _add_taps(problem, windows, columns.view(windows.shape))
    start = first - problem.padding[0]
    low, high = max(start, 0), min(start + last - first, problem.size[0])
    if low >= high:
        return
    part = part.narrow(2, low - start, high - low)
    for dim, (padding, size) in enumerate(zip(problem.padding[1:], problem.size[1:]), 3):
        part = part.narrow(dim, padding, size)
    total.narrow(2, low, high - low).add_(part)


def _add_taps(problem: Problem, windows: Tensor, columns: Tensor) -> None:
    """One tap after the other, because windows of different taps overlap."""
    for tap in range(problem.taps):
        index, rest = [], tap
        for extent in reversed(problem.kernel):
            index.append(rest % extent)
            rest //= extent
        where = (slice(None), slice(None)) + tuple(reversed(index))
        windows[where].add_(columns[where])
