# SPDX-License-Identifier: MIT OR Apache-2.0
"""The common cases of `forward` with everything decided beforehand.

They compute what `forward` computes, with fewer calls: small layers cost more
time in Python than on the card.
"""

from __future__ import annotations

from typing import Callable, Optional

import torch
from torch import Tensor

from .columns import im2col
from .problem import Problem
from .schedule import COLUMNS, PRODUCT, Schedule

Run = Callable[[Tensor, Tensor, Optional[Tensor]], Tensor]


def shortcut(problem: Problem, schedule: Schedule, inputs: Tensor, weights: Tensor) -> Optional[Run]:
    """A function for contiguous weights of one group and a schedule without splits."""
    whole = schedule.images == problem.images and schedule.rows == problem.out[0]
    unsplit = whole and schedule.channels == problem.channels
    if not unsplit or problem.groups > 1 or not weights.is_contiguous() or problem.rank > 2:
        return None
    if schedule.way == PRODUCT:
        return _product(problem, inputs.dim() - 2)
    if schedule.way == COLUMNS:
        return _columns(problem, inputs.dim() - 2)
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


def _columns(problem: Problem, rank: int) -> Run:
    images, outputs, depth, points = problem.images, problem.outputs, problem.depth, problem.points
    result = (images, outputs) + problem.out[:rank]
    flat = (1, images * problem.channels) + problem.size
    wide = (1, images * depth, points)
    window = (problem.kernel, problem.dilation, problem.padding, problem.stride)
    if images == 1:

        def one(x: Tensor, w: Tensor, b: Optional[Tensor]) -> Tensor:
            matrix, columns = w.view(outputs, depth), im2col(x.reshape(flat), wide, *window)[0]
            if b is None:
                return torch.mm(matrix, columns).view(result)
            return torch.addmm(b.view(outputs, 1), matrix, columns).view(result)

        return one
    batch, matrices, steps = (images, depth, points), (images, outputs, depth), (0, depth, 1)

    def many(x: Tensor, w: Tensor, b: Optional[Tensor]) -> Tensor:
        columns = im2col(x.reshape(flat), wide, *window).view(batch)
        matrix = w.as_strided(matrices, steps)
        if b is None:
            return torch.bmm(matrix, columns).view(result)
        return torch.baddbmm(b.view(1, outputs, 1), matrix, columns).view(result)

    return many
