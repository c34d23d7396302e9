# SPDX-License-Identifier: MIT OR Apache-2.0
"""Every way and split against PyTorch's own convolution, in float64."""

from __future__ import annotations

import random
import unittest
from typing import Callable, Iterator, Optional, Tuple

import support
import torch
from support import CONVOLUTIONS, DEVICE
from torch import Tensor

from rdna1_gemm import fast
from rdna1_gemm.cost import Model, Rates
from rdna1_gemm.forward import forward
from rdna1_gemm.gradients import data_gradient, weight_gradient
from rdna1_gemm.problem import Problem
from rdna1_gemm.schedule import DATA, FORWARD, WEIGHT, Schedule

RATES = Rates(flops=5e13, bytes=2.5e12, launch=5e-6, units=132)
ROOMY = 1 << 40


Call = Callable[[Tensor, Tensor, Optional[Tensor], Tensor], Tensor]


def computations(
    direction: str, problem: Problem, schedule: Schedule, rank: int, dense: bool
) -> Iterator[Tuple[str, Call]]:
    """A schedule's computation from input, weights, bias and gradient: the general one, and that decided beforehand."""

    def planar(tensor: Tensor) -> Tensor:
        return tensor.unsqueeze(-1) if rank == 1 else tensor

    if direction == FORWARD:
        yield "general", lambda x, w, b, g: forward(problem, schedule, planar(x), w, b)
        straight = fast.straight(problem, schedule, rank, dense)
        if straight is not None:
            yield "decided", lambda x, w, b, g: straight(x, w, b)
    elif direction == DATA:
        yield "general", lambda x, w, b, g: data_gradient(problem, schedule, planar(g), w)
        to_input = fast.to_input(problem, schedule, rank, True)
        if to_input is not None:
            yield "decided", lambda x, w, b, g: to_input(g, w)
    else:
        yield "general", lambda x, w, b, g: weight_gradient(problem, schedule, planar(x), planar(g))
        to_weights = fast.to_weights(problem, schedule, True, dense)
        if to_weights is not None:
            yield "decided", lambda x, w, b, g: to_weights(x, g)


class Ways(unittest.TestCase):
    def test_all_agree_with_pytorch(self) -> None:
        rng = random.Random(1)
        torch.manual_seed(1)
        seen = set()
        for _ in range(120):
            shape, weights, arguments = support.random_case(rng)
            rank = len(shape) - 2
            problem = support.problem(shape, weights, arguments)
            if problem is None:
                continue
            x = torch.randn(shape, dtype=torch.float64, device=DEVICE)
            if rng.random() < 0.3:
                x = x.transpose(1, 2).contiguous().transpose(1, 2)
            w = torch.randn(weights, dtype=torch.float64, device=DEVICE)
            b = torch.randn(weights[0], dtype=torch.float64, device=DEVICE) if rng.random() < 0.5 else None
            x.requires_grad_(), w.requires_grad_()
            y = CONVOLUTIONS[rank - 1](x, w, b, **arguments)
            g = torch.randn_like(y)
            to_x, to_w = torch.autograd.grad(y, (x, w), g)
            for direction, wanted in ((FORWARD, y), (DATA, to_x), (WEIGHT, to_w)):
                model = Model(problem, 8, True, RATES, x.is_contiguous())
                schedules = [model.choose(direction, limit) for limit in (ROOMY, 2000, 500, 100, 1)]
                for limit in (ROOMY, 3000, 600, 200):
                    schedules += model.candidates(direction, limit)
                for schedule in set(schedules):
                    for kind, call in computations(direction, problem, schedule, rank, x.is_contiguous()):
                        with torch.no_grad():
                            found = call(x, w, b, g)
                        error = (found.reshape(wanted.shape) - wanted).abs().max().item()
                        self.assertLess(error, 1e-9, f"{kind}: {problem} {direction} {schedule}")
                        split = schedule.images < problem.images, schedule.rows < problem.out[0]
                        seen.add((kind, direction, schedule.text(), split, schedule.channels < problem.channels))
        # Nothing that exists went unchecked.
        self.assertGreaterEqual(len([kind for kind, *_ in seen if kind == "general"]), 46, sorted(seen))
        self.assertGreaterEqual(len([kind for kind, *_ in seen if kind == "decided"]), 14, sorted(seen))

    def test_a_choice_stays_under_the_limit(self) -> None:
        rng = random.Random(2)
        for _ in range(400):
            shape, weights, arguments = support.random_case(rng)
            problem = support.problem(shape, weights, arguments)
            if problem is None:
                continue
            for item, exact in ((4, True), (2, False)):
                for direction in (FORWARD, DATA, WEIGHT):
                    model = Model(problem, item, exact, RATES, True)
                    for limit in (1 << 20, 4000, 1000):
                        schedule = model.choose(direction, limit)
                        if schedule.cost != float("inf"):
                            self.assertLessEqual(schedule.workspace, limit, f"{problem} {direction} {schedule}")

    def test_workspace_is_what_operators_take(self) -> None:
        """The model's bytes against those that PyTorch's operators allocate."""
        rng = random.Random(3)
        checked = 0
        for _ in range(150):
            shape, weights, arguments = support.random_case(rng)
            rank = len(shape) - 2
            problem = support.problem(shape, weights, arguments)
            if problem is None:
                continue
            x = torch.randn(shape, device=DEVICE)
            w = torch.randn(weights, device=DEVICE)
            g = torch.randn((shape[0], weights[0]) + problem.out[:rank], device=DEVICE)
            for direction in (FORWARD, DATA, WEIGHT):
                model = Model(problem, 4, True, RATES, True)
                for schedule in model.candidates(direction, 1 << 40) + model.candidates(direction, 4000):
                    for kind, call in computations(direction, problem, schedule, rank, True):
                        with torch.no_grad(), support.Memory() as memory:
                            memory.know(x, w, g)
                            found = call(x, w, None, g)
                        taken = memory.peak - 4 * found.numel()
                        checked += 1
                        self.assertLessEqual(taken, schedule.workspace, f"{kind}: {problem} {direction} {schedule}")
        self.assertGreater(checked, 300)


if __name__ == "__main__":
    unittest.main()
