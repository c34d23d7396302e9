# SPDX-License-Identifier: MIT OR Apache-2.0
"""From the arguments of a convolution to a function that computes it.

Decisions are made once for each combination of shapes and types, and kept;
what runs for each call afterwards is short.
"""

from __future__ import annotations

from typing import Any, Callable, Optional, Sequence

import torch
from torch import Tensor

from . import native
from .cost import Model
from .device import memory, rates
from .fast import shortcut
from .forward import forward
from .gradients import data_gradient, weight_gradient
from .native import Arguments, Gradients
from .problem import Problem, describe
from .report import Report
from .schedule import DATA, FORWARD, GRADIENTS, NATIVE, OWN, WEIGHT, Schedule
from .settings import Settings, say_once

#: Types that accumulate in their own precision or better.
EXACT = (torch.float32, torch.float64)
#: Types whose sums are kept in fp32.
SHORT = (torch.float16, torch.bfloat16)

#: Out of memory is answered with leaner ways down to this limit, in bytes.
LEANEST = 1 << 20

#: Which gradients PyTorch is asked for.
DATA_ONLY, WEIGHT_ONLY = [True, False, False], [False, True, False]

Run = Callable[..., Any]


class Plan:
    """What to call for arguments of one kind."""

    __slots__ = ("run", "_build", "_limit")

    def __init__(self, build: Callable[[int], Run], limit: int) -> None:
        self._build, self._limit = build, limit
        self.run = build(limit)

    def wants_memory(self, error: BaseException) -> bool:
        """Whether an error is want of memory that a leaner way could cure."""
        text = str(error)
        short = "out of memory" in text or "allocate memory" in text
        return short and self._limit > LEANEST

    def leaner(self, tensor: Tensor) -> None:
        """The same with a quarter of the workspace, from now on."""
        self._limit = max(LEANEST, self._limit // 4)
        say_once("out of memory: leaner ways from here on")
        if tensor.is_cuda:
            torch.cuda.empty_cache()
        self.run = self._build(self._limit)


class Planner:
    """Makes plans under the settings in force."""

    def __init__(self, settings: Settings, report: Report) -> None:
        self.settings, self.report = settings, report

    def _limit(self, tensor: Tensor) -> int:
        return self.settings.limit(memory(tensor.device))

    def _schedule(self, direction: str, problem: Problem, tensor: Tensor, limit: int, native: bool = False) -> Schedule:
        model = Model(
            problem,
            tensor.element_size(),
            tensor.dtype in EXACT,
            rates(tensor.device, tensor.dtype),
            tensor.is_contiguous(),
            native and tensor.is_cuda and problem.groups == 1 and tensor.dim() == 4,
        )
        return model.choose(direction, limit, self.settings.fast)

    # Forward -------------------------------------------------------------

    def forward(self, inputs: Tensor, weights: Tensor, bias: Optional[Tensor], arguments: Arguments) -> Plan:
        """The plan for the convolution of tensors like these."""
        problem = _describe(inputs, weights, bias, arguments)
        if problem is None:
            return Plan(lambda _: lambda x, w, b: native.convolution(x, w, b, arguments), 0)
        if _is_depthwise(problem):
            return Plan(lambda _: self._native(problem, inputs, arguments), 0)
        format = native.memory_format(inputs, weights, bias, arguments)

        def build(limit: int) -> Run:
            if _is_single(problem, inputs) and _one(problem, inputs) <= limit:
                return self._native(problem, inputs, arguments)
            make = self._transposed if arguments.transposed else self._straight
            run = make(problem, inputs, weights, limit, arguments)
            run = _laid_out(run, format)
            return run if inputs.is_cuda or inputs.dtype in EXACT else _widened(run)

        return Plan(build, self._limit(inputs))

    def _straight(
        self, problem: Problem, inputs: Tensor, weights: Tensor, limit: int, arguments: Optional[Arguments] = None
    ) -> Run:
        schedule = self._schedule(FORWARD, problem, inputs, limit, native=arguments is not None)
        if schedule.way == NATIVE and arguments is not None:
            return self._native(problem, inputs, arguments)
        run = shortcut(problem, schedule, inputs, weights)
        if run is None:
            rank = inputs.dim() - 2
            shape = (problem.images, problem.groups * problem.outputs) + problem.out[:rank]

            def run(x: Tensor, w: Tensor, b: Optional[Tensor]) -> Tensor:
                return forward(problem, schedule, _planar(x), w, b).view(shape)

        return self.report.watch(FORWARD, problem, False, inputs, schedule, run)

    def _transposed(self, problem: Problem, inputs: Tensor, weights: Tensor, limit: int, _: Arguments) -> Run:
        """A transposed convolution is the data gradient of a straight one."""
        schedule = self._schedule(DATA, problem, inputs, limit)
        rank = inputs.dim() - 2
        shape = (problem.images, problem.groups * problem.channels) + problem.size[:rank]
        ones = (1,) * rank

        def run(x: Tensor, w: Tensor, b: Optional[Tensor]) -> Tensor:
            result = data_gradient(problem, schedule, _planar(x), w).reshape(shape)
            return result if b is None else result.add_(b.view(-1, *ones))

        return self.report.watch(FORWARD, problem, True, inputs, schedule, run)

    def _native(self, problem: Problem, inputs: Tensor, arguments: Arguments) -> Run:
        """PyTorch's kernels: depthwise, or single images, which its path treats as the engine would."""
        if arguments.transposed and _is_depthwise(problem) and inputs.is_cuda and inputs.dim() > 3:

            def run(x: Tensor, w: Tensor, b: Optional[Tensor]) -> Tensor:
                return native.depthwise_transposed(problem, x, w, b, arguments)

        else:

            def run(x: Tensor, w: Tensor, b: Optional[Tensor]) -> Tensor:
                return native.convolution(x, w, b, arguments)

        schedule = OWN._replace(workspace=0 if _is_depthwise(problem) else _one(problem, inputs))
        return self.report.watch(FORWARD, problem, arguments.transposed, inputs, schedule, run)

    # Backward ------------------------------------------------------------

    def backward(
        self,
        grads: Tensor,
        inputs: Tensor,
        weights: Tensor,
        bias_sizes: Optional[Sequence[int]],
        arguments: Arguments,
        mask: Sequence[bool],
    ) -> Plan:
        """The plan for the gradients that the mask asks for: inputs, weights, bias."""
        problem = _describe(inputs, weights, None, arguments)
        if problem is not None and not _fits(problem, grads, inputs, arguments.transposed):
            problem = None
        sizes = None if bias_sizes is None else list(bias_sizes)
        switches = list(mask)

        def own(g: Tensor, x: Tensor, w: Tensor) -> Gradients:
            return native.convolution_backward(g, x, w, sizes, arguments, switches)

        if problem is None or (_is_depthwise(problem) and not arguments.transposed):
            if problem is not None:
                own = self.report.watch(GRADIENTS, problem, False, inputs, OWN, own)
            return Plan(lambda _: own, 0)
        format = native.memory_format(inputs, weights, None, arguments)

        def build(limit: int) -> Run:
            if _is_single(problem, inputs) and _one(problem, inputs) <= limit:
                schedule = OWN._replace(workspace=_one(problem, inputs))
                return self.report.watch(GRADIENTS, problem, arguments.transposed, inputs, schedule, own)
            run = self._gradients(problem, grads, inputs, weights, arguments, mask, limit, format)
            return run if inputs.is_cuda or inputs.dtype in EXACT else _widened(run)

        return Plan(build, self._limit(inputs))

    def _gradients(
        self,
        problem: Problem,
        grads: Tensor,
        inputs: Tensor,
        weights: Tensor,
        arguments: Arguments,
        mask: Sequence[bool],
        limit: int,
        format: Any,
    ) -> Run:
        transposed = arguments.transposed
        input_run = weight_run = None
        if mask[0] and transposed:
            straight = self._straight(problem, grads, weights, limit)

            def input_run(g: Tensor, x: Tensor, w: Tensor) -> Any:
                return straight(g, w, None)

        elif mask[0]:
            data = self._schedule(DATA, problem, grads, limit, native=True)

            def input_run(g: Tensor, x: Tensor, w: Tensor) -> Any:
                if data.way == NATIVE:
                    return native.convolution_backward(g, x, w, None, arguments, DATA_ONLY)[0]
                return data_gradient(problem, data, _planar(g), w)

            input_run = self.report.watch(DATA, problem, False, inputs, data, input_run)
        if mask[1]:
            plan = self._schedule(WEIGHT, problem, grads if transposed else inputs, limit, native=not transposed)

            def weight_run(g: Tensor, x: Tensor, w: Tensor) -> Any:
                if plan.way == NATIVE:
                    return native.convolution_backward(g, x, w, None, arguments, WEIGHT_ONLY)[1]
                if transposed:
                    g, x = x, g
                return weight_gradient(problem, plan, _planar(x), _planar(g))

            weight_run = self.report.watch(WEIGHT, problem, transposed, inputs, plan, weight_run)
        bias = mask[2]
        over = [0] + list(range(2, inputs.dim()))

        def run(g: Tensor, x: Tensor, w: Tensor) -> Gradients:
            g = g.contiguous()
            to_input = to_weight = None
            # In this order: the schedules count on it.
            if input_run is not None:
                to_input = input_run(g, x, w).reshape(x.shape).contiguous(memory_format=format)
            if weight_run is not None:
                to_weight = weight_run(g, x, w).view(w.shape).contiguous(memory_format=format)
            return to_input, to_weight, g.sum(over) if bias else None

        return run


def _planar(tensor: Tensor) -> Tensor:
    """One spatial dimension as two."""
    return tensor.unsqueeze(-1) if tensor.dim() == 3 else tensor


def _laid_out(run: Run, format: Any) -> Run:
    if format is torch.contiguous_format:
        return run
    return lambda x, w, b: run(x, w, b).contiguous(memory_format=format)


def _widened(run: Run) -> Run:
    """CPUs multiply short types with short sums, if at all."""

    def wide(*tensors: Optional[Tensor]) -> Any:
        dtype = next(tensor.dtype for tensor in tensors if tensor is not None)
        result = run(*(None if tensor is None else tensor.float() for tensor in tensors))
        if isinstance(result, tuple):
            return tuple(None if part is None else part.to(dtype) for part in result)
        return result.to(dtype)

    return wide


def _describe(inputs: Tensor, weights: Tensor, bias: Optional[Tensor], arguments: Arguments) -> Optional[Problem]:
    """The problem, or nothing where PyTorch is to answer by itself."""
    if inputs.dtype not in EXACT + SHORT:
        say_once(f"{inputs.dtype} is left to PyTorch's own convolution, without MIOpen")
        return None
    if inputs.dtype != weights.dtype or inputs.device != weights.device:
        return None
    if bias is not None:
        outputs = weights.shape[1] * arguments.groups if arguments.transposed else weights.shape[0]
        if tuple(bias.shape) != (outputs,) or bias.dtype != inputs.dtype or bias.device != inputs.device:
            return None
    return describe(inputs.shape, weights.shape, *arguments)


def _fits(problem: Problem, grads: Tensor, inputs: Tensor, transposed: bool) -> bool:
    """Whether this is a gradient of the problem's result."""
    if grads.dtype != inputs.dtype or grads.device != inputs.device or grads.dim() != inputs.dim():
        return False
    rank = inputs.dim() - 2
    if transposed:
        shape = (problem.images, problem.groups * problem.channels) + problem.size[:rank]
    else:
        shape = (problem.images, problem.groups * problem.outputs) + problem.out[:rank]
    return tuple(grads.shape) == shape


def _is_depthwise(problem: Problem) -> bool:
    """Whether PyTorch has a kernel of its own, which needs no matrix product."""
    return problem.channels == 1 and problem.groups > 1


def _is_single(problem: Problem, inputs: Tensor) -> bool:
    """Whether PyTorch's own path does the same in fewer calls: one image, one group, columns and one product."""
    return problem.images == 1 and problem.groups == 1 and inputs.is_cuda and inputs.dim() < 5


def _one(problem: Problem, inputs: Tensor) -> int:
    """Bytes of the columns of one image and group."""
    return inputs.element_size() * problem.depth * problem.points
