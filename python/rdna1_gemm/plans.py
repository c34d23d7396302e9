# SPDX-License-Identifier: MIT OR Apache-2.0
"""From the arguments of a convolution to a function that computes it.

Decisions are made once for each combination of shapes and types, and kept;
what runs for each call afterwards is short.
"""

from __future__ import annotations

from typing import Any, Callable, NamedTuple, Optional, Sequence, Tuple

import torch
from torch import Tensor

from . import fast, native
from .cost import Model
from .device import memory, rates
from .forward import forward
from .gradients import data_gradient, weight_gradient
from .native import Arguments, Gradients
from .problem import Problem, describe, prod
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


class Kind(NamedTuple):
    """What a plan knows of a tensor. It must not hold the tensor: that would live as long as the plan."""

    dtype: torch.dtype
    device: torch.device
    #: Spatial dimensions.
    rank: int
    #: Whether it is contiguous.
    dense: bool
    #: Bytes of an element.
    item: int
    is_cuda: bool
    #: Whether autograd keeps what is computed for a backward pass.
    training: bool = False

    @staticmethod
    def of(tensor: Tensor, training: bool = False) -> Kind:
        return Kind(
            tensor.dtype,
            tensor.device,
            tensor.dim() - 2,
            tensor.is_contiguous(),
            tensor.element_size(),
            tensor.is_cuda,
            training,
        )


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

    def _limit(self, kind: Kind) -> int:
        return self.settings.limit(memory(kind.device))

    def _schedule(
        self, direction: str, problem: Problem, kind: Kind, limit: int, native: bool = False, later: int = 0
    ) -> Schedule:
        model = Model(
            problem,
            kind.item,
            kind.dtype in EXACT,
            rates(kind.device, kind.dtype),
            kind.dense,
            native and kind.is_cuda and problem.groups == 1 and kind.rank == 2,
        )
        return model.choose(direction, limit, self.settings.fast, kind.training, later)

    # Forward -------------------------------------------------------------

    def forward(
        self, inputs: Tensor, weights: Tensor, bias: Optional[Tensor], arguments: Arguments, training: bool
    ) -> Plan:
        """The plan for the convolution of tensors like these."""
        problem = _describe(inputs, weights, bias, arguments)
        if problem is None:
            return Plan(lambda _: lambda x, w, b: native.convolution(x, w, b, arguments), 0)
        kind, packed = Kind.of(inputs, training), weights.is_contiguous()
        if problem.depthwise:
            return Plan(lambda _: self._native(problem, kind, packed, arguments), 0)
        format = native.memory_format(inputs, weights, bias, arguments)

        def build(limit: int) -> Run:
            if _is_single(problem, kind) and _one(problem, kind) <= limit:
                return self._native(problem, kind, packed, arguments)
            make = self._transposed if arguments.transposed else self._straight
            run = make(problem, kind, packed, limit, arguments)
            run = _laid_out(run, format)
            return run if kind.is_cuda or kind.dtype in EXACT else _widened(run)

        return Plan(build, self._limit(kind))

    def _straight(
        self, problem: Problem, kind: Kind, packed: bool, limit: int, arguments: Optional[Arguments] = None
    ) -> Run:
        """`packed`: the weights are contiguous."""
        schedule = self._schedule(FORWARD, problem, kind, limit, native=arguments is not None)
        if schedule.way == NATIVE and arguments is not None:
            return self._native(problem, kind, packed, arguments)
        run = fast.straight(problem, schedule, kind.rank, kind.dense) if packed else None
        if run is None:
            shape = (problem.images, problem.groups * problem.outputs) + problem.out[: kind.rank]

            def run(x: Tensor, w: Tensor, b: Optional[Tensor]) -> Tensor:
                return forward(problem, schedule, _planar(x), w, b).view(shape)

        return self.report.watch(FORWARD, problem, False, kind, schedule, run)

    def _transposed(self, problem: Problem, kind: Kind, packed: bool, limit: int, _: Arguments) -> Run:
        """A transposed convolution is the data gradient of a straight one."""
        schedule = self._schedule(DATA, problem, kind, limit)
        shape = (problem.images, problem.groups * problem.channels) + problem.size[: kind.rank]
        ones = (1,) * kind.rank
        data = self._to_input(problem, schedule, kind, packed)

        def run(x: Tensor, w: Tensor, b: Optional[Tensor]) -> Tensor:
            result: Tensor = data(x, x, w).reshape(shape)
            return result if b is None else result.add_(b.view(-1, *ones))

        return self.report.watch(FORWARD, problem, True, kind, schedule, run)

    def _native(self, problem: Problem, kind: Kind, packed: bool, arguments: Arguments) -> Run:
        """PyTorch's kernels: depthwise, or single images, which its path treats as the engine would."""
        run = native.direct(problem, kind.rank, arguments) if kind.is_cuda and kind.dense and packed else None
        if run is None and arguments.transposed and problem.depthwise and kind.is_cuda and kind.rank > 1:

            def run(x: Tensor, w: Tensor, b: Optional[Tensor]) -> Tensor:
                return native.depthwise_transposed(problem, x, w, b, arguments)

        elif run is None:

            def run(x: Tensor, w: Tensor, b: Optional[Tensor]) -> Tensor:
                return native.convolution(x, w, b, arguments)

        schedule = OWN._replace(workspace=0 if problem.depthwise else _one(problem, kind))
        return self.report.watch(FORWARD, problem, arguments.transposed, kind, schedule, run)

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
        kind, packed = Kind.of(inputs), weights.is_contiguous()

        def own(g: Tensor, x: Tensor, w: Tensor) -> Gradients:
            return native.convolution_backward(g, x, w, sizes, arguments, switches)

        if problem is None:
            return Plan(lambda _: own, 0)
        if problem.depthwise and not arguments.transposed and not (mask[1] and _is_coarse(kind)):
            watched = self.report.watch(GRADIENTS, problem, False, kind, OWN, own)
            return Plan(lambda _: watched, 0)
        format = native.memory_format(inputs, weights, None, arguments)

        def build(limit: int) -> Run:
            if _is_single(problem, kind) and _one(problem, kind) <= limit:
                schedule = OWN._replace(workspace=_one(problem, kind))
                return self.report.watch(GRADIENTS, problem, arguments.transposed, kind, schedule, own)
            run = self._gradients(problem, kind, packed, arguments, switches, limit, format)
            return run if kind.is_cuda or kind.dtype in EXACT else _widened(run)

        return Plan(build, self._limit(kind))

    def _gradients(
        self,
        problem: Problem,
        kind: Kind,
        packed: bool,
        arguments: Arguments,
        mask: Sequence[bool],
        limit: int,
        format: Any,
    ) -> Run:
        transposed = arguments.transposed
        # `run` below makes it so.
        grads = kind._replace(dense=True)
        first = weights_first(kind.dtype)
        # What is computed first has the room of the other's result.
        room = [kind.item * size * wanted for size, wanted in zip(_sizes(problem, transposed), mask)]
        input_run = weight_run = None
        if mask[0] and transposed:
            straight = self._straight(problem, grads, packed, limit)

            def input_run(g: Tensor, x: Tensor, w: Tensor) -> Any:
                return straight(g, w, None)

        elif mask[0]:
            later = 0 if first else room[1]
            data = OWN if problem.depthwise else self._schedule(DATA, problem, grads, limit, True, later)
            input_run = self._to_input(problem, data, grads, packed, arguments)
            input_run = self.report.watch(DATA, problem, False, kind, data, input_run)
        if mask[1]:
            source, later = grads if transposed else kind, room[0] if first else 0
            weight_run = self._to_weights(problem, source, kind, limit, arguments, later)
        bias = mask[2]
        over = [0] + list(range(2, kind.rank + 2))

        def to_input(g: Tensor, x: Tensor, w: Tensor) -> Optional[Tensor]:
            if input_run is None:
                return None
            result: Tensor = input_run(g, x, w).reshape(x.shape)
            return result.contiguous(memory_format=format)

        def to_weight(g: Tensor, x: Tensor, w: Tensor) -> Optional[Tensor]:
            if weight_run is None:
                return None
            result: Tensor = weight_run(g, x, w).view(w.shape)
            return result.contiguous(memory_format=format)

        def run(g: Tensor, x: Tensor, w: Tensor) -> Gradients:
            g = g.contiguous()
            # In this order: the schedules count on it.
            early = to_weight(g, x, w) if first else None
            data = to_input(g, x, w)
            weight = early if first else to_weight(g, x, w)
            return data, weight, g.sum(over) if bias else None

        return run

    def _to_input(
        self, problem: Problem, schedule: Schedule, kind: Kind, packed: bool, arguments: Optional[Arguments] = None
    ) -> Run:
        """A function of the result's gradient, inputs (only PyTorch's kernels look at these) and weights."""
        if schedule.way == NATIVE:
            assert arguments is not None
            return lambda g, x, w: native.convolution_backward(g, x, w, None, arguments, DATA_ONLY)[0]
        run = fast.to_input(problem, schedule, kind.rank, kind.dense) if packed else None
        if run is not None:
            decided = run
            return lambda g, x, w: decided(g, w)
        return lambda g, x, w: data_gradient(problem, schedule, _planar(g), w)

    def _to_weights(
        self, problem: Problem, source: Kind, kind: Kind, limit: int, arguments: Arguments, later: int
    ) -> Run:
        """A function of the result's gradient, inputs and weights; `source` is what columns are made of."""
        transposed = arguments.transposed
        schedule = self._schedule(WEIGHT, problem, source, limit, not transposed, later)
        run = fast.to_weights(problem, schedule, kind.dtype in EXACT, kind.dense)

        def weight_run(g: Tensor, x: Tensor, w: Tensor) -> Any:
            if schedule.way == NATIVE:
                return native.convolution_backward(g, x, w, None, arguments, WEIGHT_ONLY)[1]
            if transposed:
                g, x = x, g
            if run is not None:
                return run(x, g)
            return weight_gradient(problem, schedule, _planar(x), _planar(g))

        return self.report.watch(WEIGHT, problem, transposed, kind, schedule, weight_run)


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


def weights_first(dtype: torch.dtype) -> bool:
    """Whether the weights' gradient is computed before that of the input.

    Where its sums need memory of their own, it takes what is not allocated yet.
    """
    return dtype in SHORT


def _sizes(problem: Problem, transposed: bool) -> Tuple[int, int]:
    """Elements of the input and of the weights, as the caller has them."""
    if transposed:
        inputs = problem.outputs * problem.points
    else:
        inputs = problem.channels * prod(problem.size)
    return problem.images * problem.groups * inputs, problem.weights


def _is_coarse(kind: Kind) -> bool:
    """Whether PyTorch's own kernel would add up a depthwise layer's gradient of weights in a short type.

    That for three dimensions does: the sums of a block's threads (DepthwiseConv3d.cu of PyTorch).
    """
    return kind.rank == 3 and kind.is_cuda and kind.dtype in SHORT


def _is_single(problem: Problem, kind: Kind) -> bool:
    """Whether PyTorch's own path does the same in fewer calls: one image, one group, columns and one product."""
    return problem.images == 1 and problem.groups == 1 and kind.is_cuda and kind.rank < 3


def _one(problem: Problem, kind: Kind) -> int:
    """Bytes of the columns of one image and group."""
    return kind.item * problem.depth * problem.points
