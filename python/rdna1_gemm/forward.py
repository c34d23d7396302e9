# SPDX-License-Identifier: MIT OR Apache-2.0
"""Convolution by the ways of a schedule.

Tensors: inputs `(images, channels, *size)`, weights `(outputs, channels of a
group, *kernel)`, results `(images, outputs, *out)`, contiguous.
"""

from __future__ import annotations

from typing import Iterator, Optional, Tuple

import torch
from torch import Tensor

from .columns import Band, gather, gather_folded, gather_rows, padded, wide
from .problem import Problem, prod
from .schedule import COLUMNS, FOLDED, PRODUCT, ROWS, TAPS, Schedule


def chunks(problem: Problem, schedule: Schedule) -> Iterator[Tuple[int, int, Band]]:
    """First image, number of images, output rows."""
    for first in range(0, problem.images, schedule.images):
        images = min(schedule.images, problem.images - first)
        for row in range(0, problem.out[0], schedule.rows):
            yield first, images, (row, min(row + schedule.rows, problem.out[0]))


def spread(weights: Tensor, images: int) -> Tensor:
    """`(groups, m, k)` for every image: `(images * groups, m, k)`."""
    groups, m, k = weights.shape
    if groups == 1:
        return weights.expand(images, m, k)
    if images == 1:
        return weights
    return weights.expand(images, groups, m, k).reshape(images * groups, m, k)


def _bias(problem: Problem, bias: Optional[Tensor], images: int) -> Optional[Tensor]:
    if bias is None:
        return None
    return spread(bias.view(problem.groups, problem.outputs, 1), images)


def multiply(a: Tensor, b: Tensor, bias: Optional[Tensor], out: Optional[Tensor] = None) -> Tensor:
    """`a @ b + bias`, batched, into `out` if there is one."""
    if bias is None:
        return torch.bmm(a, b) if out is None else torch.bmm(a, b, out=out)
    return torch.baddbmm(bias, a, b) if out is None else torch.baddbmm(bias, a, b, out=out)


def forward(problem: Problem, schedule: Schedule, inputs: Tensor, weights: Tensor, bias: Optional[Tensor]) -> Tensor:
    """The convolution, as `(images, outputs, points)` of some shape with these elements."""
    if schedule.channels < problem.channels or schedule.cost == float("inf"):
        return _narrow(problem, schedule, inputs, weights, bias)
    if schedule.way == PRODUCT:
        return _product(problem, schedule, inputs, weights, bias)
    if schedule.way == FOLDED:
        return _folded(problem, inputs, weights, bias)
    if schedule.images == problem.images and schedule.rows == problem.out[0]:
        if schedule.way == COLUMNS:
            columns = gather(problem, inputs, (0, problem.out[0]))
            return _columns(problem, columns, weights, bias)
    results = inputs.new_empty((problem.images, problem.groups * problem.outputs, problem.points))
    inner = prod(problem.out[1:])
    for first, images, band in chunks(problem, schedule):
        part = inputs.narrow(0, first, images) if images < problem.images else inputs
        out = results.narrow(0, first, images).narrow(2, band[0] * inner, (band[1] - band[0]) * inner)
        out = out.view(images * problem.groups, problem.outputs, out.shape[2])
        if schedule.way == COLUMNS:
            _columns(problem, gather(problem, part, band), weights, bias, out)
        elif schedule.way == ROWS:
            _rows(problem, part, weights, bias, band, out)
        else:
            assert schedule.way == TAPS
            _taps(problem, part, weights, bias, band, out)
    return results


def _product(problem: Problem, schedule: Schedule, inputs: Tensor, weights: Tensor, bias: Optional[Tensor]) -> Tensor:
    groups = problem.groups
    if schedule.images == problem.images and schedule.rows == problem.out[0]:
        batch = inputs.reshape(problem.images * groups, problem.channels, problem.points)
        return _columns(problem, batch, weights, bias)
    results = inputs.new_empty((problem.images, groups * problem.outputs, problem.points))
    inner = prod(problem.out[1:])
    for first, images, band in chunks(problem, schedule):
        part = inputs.narrow(0, first, images).narrow(2, band[0], band[1] - band[0])
        out = results.narrow(0, first, images).narrow(2, band[0] * inner, (band[1] - band[0]) * inner)
        out = out.view(images * groups, problem.outputs, out.shape[2])
        _columns(problem, part.reshape(images * groups, problem.channels, out.shape[2]), weights, bias, out)
    return results


def _columns(
    problem: Problem, columns: Tensor, weights: Tensor, bias: Optional[Tensor], out: Optional[Tensor] = None
) -> Tensor:
    groups, depth = problem.groups, problem.depth
    points = columns.shape[-1]
    columns = columns.view(-1, depth, points) if columns.shape[1] != depth else columns
    images = columns.shape[0] // groups
    matrix = weights.reshape(groups, problem.outputs, depth)
    return multiply(spread(matrix, images), columns, _bias(problem, bias, images), out)


def _folded(problem: Problem, inputs: Tensor, weights: Tensor, bias: Optional[Tensor]) -> Tensor:
    columns = gather_folded(problem, inputs)
    matrix = weights.reshape(problem.outputs, problem.depth)
    if bias is None:
        results = torch.mm(matrix, columns)
    else:
        results = torch.addmm(bias.view(problem.outputs, 1), matrix, columns)
    if problem.images == 1:
        return results
    return results.view(problem.outputs, problem.images, problem.points).transpose(0, 1).contiguous()


def _rows(problem: Problem, inputs: Tensor, weights: Tensor, bias: Optional[Tensor], band: Band, out: Tensor) -> None:
    groups, height = problem.groups, problem.kernel[0]
    images, points = inputs.shape[0], out.shape[2]
    width = problem.channels * problem.kernel[1]
    columns = gather_rows(problem, inputs, band)
    columns = columns.view(images * groups, width, columns.shape[2])
    matrix = weights.reshape((groups, problem.outputs, problem.channels) + problem.kernel)
    matrix = matrix.permute(3, 0, 1, 2, 4).reshape(height, groups, problem.outputs, width)
    added = _bias(problem, bias, images)
    for row in range(height):
        window = columns.narrow(2, row * problem.dilation[0] * problem.out[1], points)
        multiply(spread(matrix[row], images), window, added, out)
        added = out


def _taps(problem: Problem, inputs: Tensor, weights: Tensor, bias: Optional[Tensor], band: Band, out: Tensor) -> None:
    groups, images = problem.groups, inputs.shape[0]
    source = padded(problem, inputs, band)
    steps = source.stride()[2:]
    flat = source.view(images * groups, problem.channels, prod(source.shape[2:]))
    rows = band[1] - band[0]
    shape = (rows,) + problem.out[1:]
    #: From the first point of the result to the one past the last, in the padded input.
    reach = sum((extent - 1) * step for extent, step in zip(shape, steps)) + 1
    direct = problem.padded[1:] == problem.out[1:]
    total = out if direct else inputs.new_empty((images * groups, problem.outputs, rows * steps[0]))
    window = total.narrow(2, 0, reach)
    matrix = weights.reshape(groups, problem.outputs, problem.channels, problem.taps)
    matrix = matrix.permute(3, 0, 1, 2).contiguous()
    added = _bias(problem, bias, images)
    for tap in range(problem.taps):
        offset, rest = 0, tap
        for extent, dilation, step in zip(reversed(problem.kernel), reversed(problem.dilation), reversed(steps)):
            offset += rest % extent * dilation * step
            rest //= extent
        multiply(spread(matrix[tap], images), flat.narrow(2, offset, reach), added, window)
        added = window
    if not direct:
        view = total.as_strided((images * groups, problem.outputs) + shape, total.stride()[:2] + tuple(steps))
        out.view((images * groups, problem.outputs) + shape).copy_(view)


def _narrow(problem: Problem, schedule: Schedule, inputs: Tensor, weights: Tensor, bias: Optional[Tensor]) -> Tensor:
    """One row of one image and group at a time, over parts of the channels."""
    results = inputs.new_zeros((problem.images, problem.groups * problem.outputs, problem.points))
    inner = prod(problem.out[1:])
    for group in range(problem.groups):
        outputs = slice(group * problem.outputs, (group + 1) * problem.outputs)
        for first, images, band in chunks(problem, schedule):
            total = None
            for channel in range(0, problem.channels, schedule.channels):
                count = min(schedule.channels, problem.channels - channel)
                sub = problem._replace(images=images, groups=1, channels=count)
                source = inputs.narrow(0, first, images).narrow(1, group * problem.channels + channel, count)
                part = _columns(sub, gather(sub, source, band), weights[outputs].narrow(1, channel, count), None)
                part = part.to(wide(part))
                total = part if total is None else total.add_(part)
            assert total is not None
            if bias is not None:
                total = total + bias[outputs].view(1, -1, 1)
            results[first : first + images, outputs, band[0] * inner : band[1] * inner] = total
    return results
