# SPDX-License-Identifier: MIT OR Apache-2.0
"""Gradients of a convolution by the ways of a schedule. Tensors as in `forward`."""

from __future__ import annotations

from typing import Optional

import torch
from torch import Tensor

from .columns import Band, gather, gather_folded, scatter, scatter_band, wide
from .forward import chunks, forward, multiply, spread
from .problem import Problem, prod
from .schedule import FLIPPED, FOLDED, PRODUCT, Schedule


def data_gradient(problem: Problem, schedule: Schedule, grads: Tensor, weights: Tensor) -> Tensor:
    """The gradient with respect to the input, from that of the result."""
    if schedule.way == FLIPPED:
        assert schedule.inner is not None
        return _flipped(problem, schedule.inner, grads, weights)
    groups, depth = problem.groups, problem.depth
    channels = groups * problem.channels
    shape = (problem.images, channels) + problem.size
    matrix = weights.reshape(groups, problem.outputs, depth).transpose(1, 2)
    whole = schedule.images == problem.images and schedule.rows == problem.out[0]
    if whole and schedule.channels == problem.channels:
        batch = grads.reshape(problem.images * groups, problem.outputs, problem.points)
        columns = multiply(spread(matrix, problem.images), batch, None)
        if schedule.way == PRODUCT:
            return columns.view(shape)
        return scatter(problem, columns.view(problem.images, groups * depth, problem.points), channels)
    total = grads.new_zeros(shape)
    for first, images, band in chunks(problem, schedule):
        part = grads.narrow(0, first, images).narrow(2, band[0], band[1] - band[0])
        target = total.narrow(0, first, images)
        for channel in range(0, problem.channels, schedule.channels):
            count = min(schedule.channels, problem.channels - channel)
            _scatter_part(problem, channel, count, part, weights, band, target)
    return total


def _scatter_part(
    problem: Problem, channel: int, count: int, grads: Tensor, weights: Tensor, band: Band, total: Tensor
) -> None:
    """Adds what a band's gradient gives to some channels of every group."""
    groups, images = problem.groups, grads.shape[0]
    whole = band == (0, problem.out[0])
    if count == problem.channels:
        points = (band[1] - band[0]) * prod(problem.out[1:])
        matrix = weights.reshape(groups, problem.outputs, problem.depth).transpose(1, 2)
        batch = grads.reshape(images * groups, problem.outputs, points)
        if problem.pointwise:
            start = band[0] * prod(problem.out[1:])
            target = total.flatten(2).narrow(2, start, points).view(images * groups, problem.channels, points)
            multiply(spread(matrix, images), batch, None, target)
            return
        columns = multiply(spread(matrix, images), batch, None).view(images, groups * problem.depth, points)
        if whole:
            scatter(problem, columns, groups * count, total)
        else:
            scatter_band(problem, columns, groups * count, band, total)
        return
    sub = problem._replace(images=images, groups=1, channels=count)
    for group in range(groups):
        outputs = slice(group * problem.outputs, (group + 1) * problem.outputs)
        part = weights[outputs].narrow(1, channel, count)
        target = total.narrow(1, group * problem.channels + channel, count)
        _scatter_part(sub, 0, count, grads[:, outputs], part, band, target)


def _flipped(problem: Problem, schedule: Schedule, grads: Tensor, weights: Tensor) -> Tensor:
    turned = problem.flipped()
    assert turned is not None
    matrix = weights.reshape((problem.groups, problem.outputs, problem.channels) + problem.kernel)
    if problem.taps > 1:
        matrix = matrix.flip(tuple(range(3, 3 + problem.rank)))
    shape = (problem.groups * problem.channels, problem.outputs) + problem.kernel
    matrix = matrix.transpose(1, 2).reshape(shape).contiguous()
    return forward(turned, schedule, grads, matrix, None)


def weight_gradient(problem: Problem, schedule: Schedule, inputs: Tensor, grads: Tensor) -> Tensor:
    """The gradient with respect to the weights, from input and gradient of the result."""
    groups = problem.groups
    shape = (groups * problem.outputs, problem.channels) + problem.kernel
    if schedule.channels < problem.channels:
        by_channels = _folded_by_channels if schedule.way == FOLDED else _narrow
        return by_channels(problem, schedule, inputs, grads).view(shape)
    exact = wide(inputs) == inputs.dtype
    total: Optional[Tensor] = None
    for first, images, band in chunks(problem, schedule):
        source, part = inputs, grads
        if images < problem.images:
            source, part = inputs.narrow(0, first, images), grads.narrow(0, first, images)
        if schedule.way == FOLDED:
            total = _folded(problem._replace(images=images), source, part, total, exact)
        elif total is not None and images == 1 and exact:
            total = _weight_part(problem, schedule.way, source, part, band, total)
        else:
            total = _add(total, _weight_part(problem, schedule.way, source, part, band))
    assert total is not None
    return total.to(inputs.dtype).view(shape)


def _weight_part(
    problem: Problem, way: str, inputs: Tensor, grads: Tensor, band: Band, total: Optional[Tensor] = None
) -> Tensor:
    """`(groups, outputs, depth)` from some images and output rows, added to a total of that shape."""
    groups, images = problem.groups, inputs.shape[0]
    rows = band[1] - band[0]
    points = rows * prod(problem.out[1:])
    if rows < problem.out[0]:
        grads = grads.narrow(2, band[0], rows)
        inputs = inputs.narrow(2, band[0], rows) if way == PRODUCT else inputs
    columns = inputs if way == PRODUCT else gather(problem, inputs, band)
    columns = columns.reshape(images * groups, problem.depth, points)
    batch = grads.reshape(images * groups, problem.outputs, points)
    if images * groups == 1:
        # Libraries cut the long sum of a plain product, not always that of a batch of one.
        if total is None:
            return torch.mm(batch[0], columns[0].t()).unsqueeze(0)
        total[0].addmm_(batch[0], columns[0].t())
        return total
    partial = multiply(batch, columns.transpose(1, 2), total, total)
    if images == 1:
        return partial
    partial = partial.view(images, groups, problem.outputs, problem.depth)
    # Sums of fp16 and bf16 stay in fp32 until all images are in.
    return partial.sum(0, dtype=wide(partial))


def _folded(problem: Problem, inputs: Tensor, grads: Tensor, total: Optional[Tensor], exact: bool) -> Tensor:
    """The images side by side: one product, whose sum is long enough for small results."""
    folded = _side_by_side(problem, grads)
    columns = gather_folded(problem, inputs).t()
    if total is None or not exact:
        return _add(total, torch.mm(folded, columns))
    return total.addmm_(folded, columns)


def _side_by_side(problem: Problem, grads: Tensor) -> Tensor:
    """`(outputs, images * points)`."""
    folded = grads.reshape(problem.images, problem.outputs, problem.points).transpose(0, 1)
    return folded.reshape(problem.outputs, problem.images * problem.points)


def _folded_by_channels(problem: Problem, schedule: Schedule, inputs: Tensor, grads: Tensor) -> Tensor:
    """Parts of the channels, each one's gradient complete: no sum is left for the tensors' type."""
    total = inputs.new_empty((problem.outputs, problem.depth))
    folded = _side_by_side(problem, grads)
    for channel in range(0, problem.channels, schedule.channels):
        count = min(schedule.channels, problem.channels - channel)
        columns = gather_folded(problem._replace(channels=count), inputs.narrow(1, channel, count))
        torch.mm(folded, columns.t(), out=total.narrow(1, channel * problem.taps, count * problem.taps))
        del columns  # Not beside the next ones.
    return total


def _add(total: Optional[Tensor], part: Tensor) -> Tensor:
    if total is None:
        return part
    return total.to(wide(total)).add_(part)


def _narrow(problem: Problem, schedule: Schedule, inputs: Tensor, grads: Tensor) -> Tensor:
    """One row of one image and group at a time, over parts of the channels."""
    dtype = wide(inputs)
    total = inputs.new_zeros((problem.groups, problem.outputs, problem.channels, problem.taps), dtype=dtype)
    for group in range(problem.groups):
        outputs = slice(group * problem.outputs, (group + 1) * problem.outputs)
        for first, images, band in chunks(problem, schedule):
            part = grads[first : first + images, outputs]
            for channel in range(0, problem.channels, schedule.channels):
                count = min(schedule.channels, problem.channels - channel)
                sub = problem._replace(images=images, groups=1, channels=count)
                source = inputs.narrow(0, first, images).narrow(1, group * problem.channels + channel, count)
                added = _weight_part(sub, schedule.way, source, part, band)
                target = total[group].narrow(1, channel, count)
                target.add_(added.view(target.shape))
    return total.to(inputs.dtype)
