# SPDX-License-Identifier: MIT OR Apache-2.0
"""The usual schedules of `forward` and `gradients` with everything decided beforehand.

They compute what those compute, with fewer calls: most layers cost the host more
time than the card. One group, two dimensions (or one, written as two), whole
images, contiguous weights. A view with given strides is one call, where narrowing
and shaping it would be three.
"""

from __future__ import annotations

from typing import Callable, List, Optional, Tuple

import torch
from torch import Tensor

from .columns import col2im, im2col
from .problem import Problem
from .schedule import COLUMNS, FLIPPED, PRODUCT, ROWS, Schedule

Run = Callable[[Tensor, Tensor, Optional[Tensor]], Tensor]
Gradient = Callable[[Tensor, Tensor], Tensor]

#: First image, and how many.
Part = Tuple[int, int]


def _fits(problem: Problem, schedule: Schedule, dense: bool) -> bool:
    """`dense`: the tensors are contiguous. Of others each part is copied by itself, which is not done here."""
    parts = schedule.rows < problem.out[0] or schedule.channels < problem.channels
    if parts or problem.groups > 1 or problem.rank > 2 or schedule.cost == float("inf"):
        return False
    return dense or schedule.images == problem.images


def _parts(images: int, step: int) -> List[Part]:
    return [(first, min(step, images - first)) for first in range(0, images, step)]


def straight(problem: Problem, schedule: Schedule, rank: int, dense: bool) -> Optional[Run]:
    """A function for a schedule of the forward direction; `rank` is that of the caller's tensors."""
    if not _fits(problem, schedule, dense):
        return None
    if schedule.way == PRODUCT and schedule.images == problem.images:
        return _product(problem, rank)
    if schedule.way == COLUMNS:
        return _columns(problem, schedule, rank)
    if schedule.way == ROWS:
        return _rows(problem, schedule, rank)
    return None


def _product(problem: Problem, rank: int) -> Run:
    images, outputs, channels, points = problem.images, problem.outputs, problem.channels, problem.points
    result = (images, outputs) + problem.out[:rank]
    if images == 1:

        def one(x: Tensor, w: Tensor, b: Optional[Tensor]) -> Tensor:
            matrix, columns = w.view(outputs, channels), x.reshape(channels, points)
            if b is None:
                return torch.mm(matrix, columns).view(result)
            return torch.addmm(b.view(outputs, 1), matrix, columns).view(result)

        return one
    batch, matrices, steps = (images, channels, points), (images, outputs, channels), (0, channels, 1)

    def many(x: Tensor, w: Tensor, b: Optional[Tensor]) -> Tensor:
        matrix, columns = w.as_strided(matrices, steps), x.reshape(batch)
        if b is None:
            return torch.bmm(matrix, columns).view(result)
        return torch.baddbmm(b.view(1, outputs, 1), matrix, columns).view(result)

    return many


def _columns(problem: Problem, schedule: Schedule, rank: int) -> Run:
    images, outputs, depth, points = problem.images, problem.outputs, problem.depth, problem.points
    result = (images, outputs) + problem.out[:rank]
    window = (problem.kernel, problem.dilation, problem.padding, problem.stride)
    if images == 1:
        flat, wide = (1, problem.channels) + problem.size, (1, depth, points)

        def one(x: Tensor, w: Tensor, b: Optional[Tensor]) -> Tensor:
            columns = im2col(x.reshape(flat), x.new_empty(wide), *window)[0]
            if b is None:
                return torch.mm(w.view(outputs, depth), columns).view(result)
            return torch.addmm(b.view(outputs, 1), w.view(outputs, depth), columns).view(result)

        return one
    steps = (0, depth, 1)
    if schedule.images == images:
        flat = (1, images * problem.channels) + problem.size
        wide, batch, matrices = (1, images * depth, points), (images, depth, points), (images, outputs, depth)

        def many(x: Tensor, w: Tensor, b: Optional[Tensor]) -> Tensor:
            columns = im2col(x.reshape(flat), x.new_empty(wide), *window).view(batch)
            matrix = w.as_strided(matrices, steps)
            if b is None:
                return torch.bmm(matrix, columns).view(result)
            return torch.baddbmm(b.view(1, outputs, 1), matrix, columns).view(result)

        return many
    parts = _parts(images, schedule.images)
    source, target = _Images(problem.channels, problem.size), _Images(outputs, (points,))
    space = schedule.images * depth * points

    def some(x: Tensor, w: Tensor, b: Optional[Tensor]) -> Tensor:
        x = x.contiguous()
        results, buffer = x.new_empty(result), x.new_empty(space)
        for first, count in parts:
            columns = buffer.as_strided((1, count * depth, points), (0, points, 1))
            im2col(source.merged(x, first, count), columns, *window)
            columns = buffer.as_strided((count, depth, points), (depth * points, points, 1))
            matrix = w.as_strided((count, outputs, depth), steps)
            torch.bmm(matrix, columns, out=target.batch(results, first, count))
        return results if b is None else results.add_(b.view((outputs,) + (1,) * rank))

    return some


def _rows(problem: Problem, schedule: Schedule, rank: int) -> Run:
    images, outputs, points = problem.images, problem.outputs, problem.points
    height, across = problem.kernel
    result = (images, outputs) + problem.out[:rank]
    wide = problem.channels * across
    #: Elements of one row of columns: the output columns of every input row that is read.
    length = (problem.span(0, problem.out[0])[1]) * problem.out[1]
    step = problem.dilation[0] * problem.out[1]
    window = ((1, across), (1, problem.dilation[1]), problem.padding, (1, problem.stride[1]))
    kernel = (outputs, problem.channels, height, across)
    source, target = _Images(problem.channels, problem.size), _Images(outputs, (points,))
    parts = _parts(images, schedule.images)
    space = schedule.images * wide * length

    def run(x: Tensor, w: Tensor, b: Optional[Tensor]) -> Tensor:
        x = x.contiguous()
        matrix = w.view(kernel).permute(2, 0, 1, 3).contiguous()
        start = matrix.storage_offset()
        results, buffer = x.new_empty(result), x.new_empty(space)
        for first, count in parts:
            columns = buffer.as_strided((1, count * wide, length), (0, length, 1))
            im2col(source.merged(x, first, count), columns, *window)
            out = target.batch(results, first, count)
            for row in range(height):
                part = buffer.as_strided((count, wide, points), (wide * length, length, 1), row * step)
                weights = matrix.as_strided((count, outputs, wide), (0, wide, 1), start + row * outputs * wide)
                if row:
                    out.baddbmm_(weights, part)
                else:
                    torch.bmm(weights, part, out=out)
        return results if b is None else results.add_(b.view((outputs,) + (1,) * rank))

    return run


def to_input(problem: Problem, schedule: Schedule, rank: int, dense: bool) -> Optional[Gradient]:
    """A function of the result's gradient and the weights for a schedule of the data gradient."""
    if schedule.way == FLIPPED:
        return _flipped(problem, schedule, rank, dense)
    if not _fits(problem, schedule, dense) or schedule.way not in (PRODUCT, COLUMNS) or problem.images == 1:
        return None
    images, channels, outputs = problem.images, problem.channels, problem.outputs
    depth, points = problem.depth, problem.points
    result = (images, channels) + problem.size
    steps = (0, 1, depth)
    if schedule.way == PRODUCT:
        if schedule.images < images:
            return None

        def product(g: Tensor, w: Tensor) -> Tensor:
            matrix = w.as_strided((images, channels, outputs), steps)
            return torch.bmm(matrix, g.reshape(images, outputs, points)).view(result)

        return product
    window = (problem.size, problem.kernel, problem.dilation, problem.padding, problem.stride)
    source, target = _Images(outputs, (points,)), _Images(channels, problem.size)
    parts = _parts(images, schedule.images)
    space = schedule.images * depth * points

    def columns(g: Tensor, w: Tensor) -> Tensor:
        g = g.contiguous()
        results, buffer = g.new_empty(result), g.new_empty(space)
        for first, count in parts:
            matrix = w.as_strided((count, depth, outputs), steps)
            wide = buffer.as_strided((count, depth, points), (depth * points, points, 1))
            torch.bmm(matrix, source.batch(g, first, count), out=wide)
            wide = buffer.as_strided((1, count * depth, points), (0, points, 1))
            col2im(wide, target.merged(results, first, count), *window)
        return results

    return columns


def _flipped(problem: Problem, schedule: Schedule, rank: int, dense: bool) -> Optional[Gradient]:
    turned, inner = problem.flipped(), schedule.inner
    run = straight(turned, inner, rank, dense) if turned is not None and inner is not None else None
    if run is None or inner is None:
        return None
    inner_run, taps = run, list(range(2, 2 + rank))
    copied = inner.way != ROWS  # That one makes a copy of its own.

    def flipped(g: Tensor, w: Tensor) -> Tensor:
        matrix = (w.flip(taps) if problem.taps > 1 else w).transpose(0, 1)
        if copied:
            matrix = matrix.contiguous()
        return inner_run(g, matrix, None)

    return flipped


def to_weights(problem: Problem, schedule: Schedule, exact: bool, dense: bool) -> Optional[Gradient]:
    """A function of the input and the result's gradient for a schedule of the weights' gradient.

    `exact`: sums of several products may be kept in the tensors' type.
    """
    if not _fits(problem, schedule, dense) or not exact or problem.images == 1:
        return None
    if schedule.way not in (PRODUCT, COLUMNS):
        return None
    images, channels, outputs = problem.images, problem.channels, problem.outputs
    depth, points = problem.depth, problem.points
    source, target = _Images(channels, problem.size), _Images(outputs, (points,))
    pixels = _Images(channels, (points,))
    parts = _parts(images, schedule.images)
    pointwise = schedule.way == PRODUCT
    window = (problem.kernel, problem.dilation, problem.padding, problem.stride)
    space = 0 if pointwise else schedule.images * depth * points
    single = schedule.images == 1

    def run(x: Tensor, g: Tensor) -> Tensor:
        x, g = x.contiguous(), g.contiguous()
        total: Optional[Tensor] = None
        buffer = None if pointwise else x.new_empty(space)
        for first, count in parts:
            if buffer is None:
                columns = pixels.turned(x, first, count)
            else:
                columns = buffer.as_strided((1, count * depth, points), (0, points, 1))
                im2col(source.merged(x, first, count), columns, *window)
                columns = buffer.as_strided((count, points, depth), (depth * points, 1, points))
            grads = target.batch(g, first, count)
            if single and total is not None:
                total.addmm_(grads[0], columns[0])
            elif count == 1:
                one = torch.mm(grads[0], columns[0])
                total = one if total is None else total.add_(one)
            else:
                part = torch.bmm(grads, columns).sum(0)
                total = part if total is None else total.add_(part)
        assert total is not None
        return total

    return run


class _Images:
    """Views of some images of a contiguous tensor."""

    __slots__ = ("channels", "size", "points", "image", "strides")

    def __init__(self, channels: int, size: Tuple[int, ...]) -> None:
        self.channels, self.size = channels, size
        #: Elements of a channel and of an image.
        self.points = size[0] * (size[1] if len(size) > 1 else 1)
        self.image = channels * self.points
        self.strides = (0, self.points, size[-1], 1)

    def merged(self, tensor: Tensor, first: int, count: int) -> Tensor:
        """`(1, images * channels, *size)`: images and channels are alike to im2col."""
        where = tensor.storage_offset() + first * self.image
        return tensor.as_strided((1, count * self.channels) + self.size, self.strides, where)

    def batch(self, tensor: Tensor, first: int, count: int) -> Tensor:
        """`(images, channels, points)`."""
        where = tensor.storage_offset() + first * self.image
        return tensor.as_strided((count, self.channels, self.points), (self.image, self.points, 1), where)

    def turned(self, tensor: Tensor, first: int, count: int) -> Tensor:
        """`(images, points, channels)`."""
        where = tensor.storage_offset() + first * self.image
        return tensor.as_strided((count, self.points, self.channels), (self.image, 1, self.points), where)
