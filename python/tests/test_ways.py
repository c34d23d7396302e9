# SPDX-License-Identifier: MIT OR Apache-2.0
"""Every way and split against PyTorch's own convolution, in float64."""

from __future__ import annotations

import random
import unittest

import support
import torch
from support import CONVOLUTIONS, DEVICE

from rdna1_gemm.cost import Model, Rates
from rdna1_gemm.forward import forward
from rdna1_gemm.gradients import data_gradient, weight_gradient
from rdna1_gemm.schedule import DATA, FORWARD, WEIGHT

RATES = Rates(flops=5e13, bytes=2.5e12, launch=5e-6, units=132)
ROOMY = 1 << 40


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
            flat_x, flat_g = (x.unsqueeze(-1), g.unsqueeze(-1)) if rank == 1 else (x, g)
            for direction, wanted in ((FORWARD, y), (DATA, to_x), (WEIGHT, to_w)):
                model = Model(problem, 8, True, RATES, x.is_contiguous())
                schedules = [model.choose(direction, limit) for limit in (ROOMY, 2000, 500, 100, 1)]
                for limit in (ROOMY, 3000, 600, 200):
                    schedules += model.candidates(direction, limit)
                for schedule in set(schedules):
                    with torch.no_grad():
                        if direction == FORWARD:
                            found = forward(problem, schedule, flat_x, w, b)
                        elif direction == DATA:
                            found = data_gradient(problem, schedule, flat_g, w)
                        else:
                            found = weight_gradient(problem, schedule, flat_x, flat_g)
                    error = (found.reshape(wanted.shape) - wanted).abs().max().item()
                    self.assertLess(error, 1e-9, f"{problem} {direction} {schedule}")
                    split = schedule.images < problem.images, schedule.rows < problem.out[0]
                    seen.add((direction, schedule.way, split, schedule.channels < problem.channels))
        # Nothing that exists went unchecked.
        self.assertGreaterEqual(len(seen), 40, sorted(seen))

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
            flat_x, flat_g = (x.unsqueeze(-1), g.unsqueeze(-1)) if rank == 1 else (x, g)
            for direction in (FORWARD, DATA, WEIGHT):
                model = Model(problem, 4, True, RATES, True)
                for schedule in model.candidates(direction, 1 << 40) + model.candidates(direction, 4000):
                    with torch.no_grad(), support.Memory() as memory:
                        memory.know(x, w, g)
                        if direction == FORWARD:
                            found = forward(problem, schedule, flat_x, w, None)
                        elif direction == DATA:
                            found = data_gradient(problem, schedule, flat_g, w)
                        else:
                            found = weight_gradient(problem, schedule, flat_x, flat_g)
                    taken = memory.peak - 4 * found.numel()
                    checked += 1
                    self.assertLessEqual(taken, schedule.workspace, f"{problem} {direction} {schedule}")
        self.assertGreater(checked, 300)


if __name__ == "__main__":
    unittest.main()
