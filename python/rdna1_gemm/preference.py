# SPDX-License-Identifier: MIT OR Apache-2.0
"""The workspace that does not raise a usual network's peak above that of PyTorch's own path.

A layer does not know its network. What is known of networks is that activations
shrink and weights grow with depth, so that a forward pass which keeps nothing is at
its peak early, and a backward pass early or, where weights outweigh activations, late.
The shares below are the least room that six networks leave below their peak at a layer
of a kind, by `bench/memory.py --room`; `tests/test_memory.py` holds the engine to it.
"""

from __future__ import annotations

from typing import Sequence, Tuple

from .problem import Problem
from .schedule import FORWARD

#: From so many points on, a share of the elements of input and result.
Shares = Sequence[Tuple[int, float]]

FORWARD_SHARES: Shares = ((40000, 0.25), (10000, 0.75), (2500, 1.7), (0, 9.0))
#: The forward pass of a training has more room: its peak is still to come.
TRAINING_SHARES: Shares = ((40000, 2.8), (10000, 4.2), (0, 9.0))
BACKWARD_SHARES: Shares = ((10000, 1.2), (2500, 2.6), (500, 1.7), (0, 9.0))

#: Where there are fewer points than so many, the most elements for each image.
MOST_POINTS, FORWARD_MOST, BACKWARD_MOST = 10000, 910_000, 1_300_000
#: A forward pass that keeps nothing may take these shares all the same: what is left
#: where two paths meet.
LEAST_SHARES: Shares = ((2500, 1.0), (0, 2.5))
STRIDED_LEAST = 0.8
#: From so many elements of an image's input and result on that limit does not count:
#: networks with such layers have a higher peak.
LARGE = 1_100_000

#: With so much in weights, compared with inputs and results, their gradients grow
#: faster than activations go, and a backward pass is at its peak.
HEAVY = 0.1
HEAVY_SHARES: Shares = ((500, 0.31), (100, 0.45), (0, 1.1))
#: The same where a stage begins and two paths meet, strided or 1x1 from so many
#: points on: for 1x1, and for other kernels, which get the columns of one image.
STAGE_POINTS, STAGE_PRODUCT, STAGE_TAPS = 100, 0.2, 0.09

#: Elements for each image that are preferred to more launches everywhere else.
FLOOR = 3 << 13


def preferred(problem: Problem, item: int, direction: str, training: bool, later: int) -> int:
    """Bytes of workspace for elements of `item` bytes.

    At least the columns of one image, which PyTorch's own path takes. `training`: a
    forward pass whose backward pass is to come. `later`: bytes of a result that is to
    come, which PyTorch's path has allocated by the time of its peak.
    """
    if direction == FORWARD:
        elements = _training(problem) if training else _inference(problem)
    elif problem.weights > HEAVY * problem.images * problem.image:
        elements = _heavy(problem)
    else:
        elements = _backward(problem)
    columns = item * problem.groups * problem.depth * problem.points
    return max(columns, int(item * problem.images * elements)) + later


def _share(shares: Shares, problem: Problem) -> float:
    """Elements for each image."""
    return problem.image * next(share for points, share in shares if problem.points >= points)


def _training(problem: Problem) -> float:
    return max(_share(TRAINING_SHARES, problem), FLOOR)


def _inference(problem: Problem) -> float:
    elements = _share(FORWARD_SHARES, problem)
    if problem.points < MOST_POINTS and problem.image < LARGE:
        least = _share(LEAST_SHARES, problem) if problem.unit_stride else STRIDED_LEAST * problem.image
        elements = min(elements, max(least, FORWARD_MOST))
    return max(elements, FLOOR)


def _backward(problem: Problem) -> float:
    elements = _share(BACKWARD_SHARES, problem)
    if problem.points < MOST_POINTS:
        elements = min(elements, BACKWARD_MOST)
    return max(elements, FLOOR)


def _heavy(problem: Problem) -> float:
    if problem.unit_stride and not (problem.pointwise and problem.points >= STAGE_POINTS):
        return max(_share(HEAVY_SHARES, problem), FLOOR)
    return problem.image * (STAGE_PRODUCT if problem.taps == 1 else STAGE_TAPS)
