# SPDX-License-Identifier: MIT OR Apache-2.0
"""Peak memory of six models, computed without a card: PyTorch's own path and the engine.

    python memory.py [--card rx5600xt|h200] [--types float32,float16] [--modes inference,training] [--models …]
                     [--batch 16] [--room]

The models run on tensors without memory (FakeTensorMode). Counted is what results
of operators hold at once, in blocks of 512 bytes as PyTorch's allocator has them:
the figures agree with those that `models.py` measures, which see a training step's
gradients only from its second run on, where those of the first are taken away.
`--room`: for each layer, how much room is left below the peak of PyTorch's path
while that layer computes. That is what the shares in `preference.py` rest on.
"""

from __future__ import annotations

import argparse
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple
from unittest import mock

import common
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode

from rdna1_gemm import device, dispatch, native, plans
from rdna1_gemm.problem import Problem, describe
from rdna1_gemm.report import Report
from rdna1_gemm.schedule import DATA, FORWARD, WEIGHT
from rdna1_gemm.settings import Settings

PYTORCH, ENGINE = "pytorch", "engine"

#: The allocator's blocks are multiples of this.
BLOCK = 512
#: Multiprocessors (of RDNA1: work-group processors), bytes of memory, and how much
#: faster short types are.
CARDS = {
    "rx5600xt": (18, 6 << 30, device.PACKED),
    "h200": (132, 141 << 30, device.MATRIX_UNITS),
}
CARD = "rx5600xt"


class Room(NamedTuple):
    """Bytes between what is held while a layer computes, its results included, and the peak."""

    direction: str
    problem: Problem
    item: int
    bytes: int


def _blocks(size: int) -> int:
    return -(-size // BLOCK) * BLOCK


class Replay(TorchDispatchMode):
    """Counts the bytes that are held, and computes convolutions by one of the two paths."""

    def __init__(self, path: str, kernels: dispatch.Kernels, known: Sequence[Tensor]) -> None:
        super().__init__()
        self.path, self.kernels = path, kernels
        self.peak = self.held = 0
        #: Whether what is called now belongs to a backward pass.
        self.backwards = False
        #: Held before each convolution: direction, problem, bytes of an element, bytes held with results.
        self.layers: List[Tuple[str, Problem, int, int]] = []
        self._live: Dict[int, Tuple[Any, int]] = {}
        self._known = {_storage(tensor)._cdata for tensor in known}

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        aten = torch.ops.aten
        if function in (aten.convolution.default, aten._convolution.default):
            return self.forward(*args[:9])
        if function is aten.convolution_backward.default:
            return self.backward(*args)
        if function is aten.add.Tensor and self.backwards and _whole(args[0]) and args[0].shape == args[1].shape:
            return args[0]  # Autograd adds in place, but not to tensors of this mode.
        result = function(*args, **(kwargs or {}))
        for part in result if isinstance(result, (tuple, list)) else (result,):
            if isinstance(part, Tensor):
                self._count(part)
        return result

    def _count(self, tensor: Tensor) -> None:
        self.sweep()
        storage = _storage(tensor)
        if storage._cdata not in self._known and storage._cdata not in self._live:
            size = _blocks(storage.nbytes())
            self._live[storage._cdata] = (StorageWeakRef(storage), size)
            self.held += size
        self.peak = max(self.peak, self.held)

    def sweep(self) -> None:
        """Forgets what is gone."""
        for key in [key for key, (reference, _) in self._live.items() if reference.expired()]:
            self.held -= self._live.pop(key)[1]

    def forward(
        self,
        x: Tensor,
        w: Tensor,
        b: Optional[Tensor],
        stride: Any,
        padding: Any,
        dilation: Any,
        transposed: bool,
        extra: Any,
        groups: int,
    ) -> Tensor:
        self.sweep()
        problem = describe(x.shape, w.shape, stride, padding, dilation, transposed, extra, groups)
        assert problem is not None and not transposed
        results = x.element_size() * problem.images * problem.groups * problem.outputs * problem.points
        self.layers.append((FORWARD, problem, x.element_size(), self.held + results))
        with self:
            if self.path == PYTORCH:
                return self.own(problem, x)
            return self.kernels.convolution(x, w, b, stride, padding, dilation, transposed, extra, groups)

    def backward(self, g: Tensor, x: Tensor, w: Tensor, sizes: Any, *rest: Any) -> native.Gradients:
        self.sweep()
        problem = describe(x.shape, w.shape, *rest[:6])
        assert problem is not None
        item, mask = x.element_size(), rest[6]
        order = [(DATA, x, mask[0]), (WEIGHT, w, mask[1])]
        held = self.held
        for direction, like, wanted in reversed(order) if plans.weights_first(x.dtype) else order:
            if wanted:
                held += item * like.numel()
                self.layers.append((direction, problem, item, held))
        with self:
            if self.path == PYTORCH:
                return self.own_gradients(problem, x, w, mask)
            return self.kernels.backward(g, x, w, sizes, *rest)

    def own(self, problem: Problem, x: Tensor) -> Tensor:
        """PyTorch's own path: the columns of one image after the other."""
        result = x.new_empty((problem.images, problem.groups * problem.outputs) + problem.out)
        self._columns(problem, x.element_size())
        return result

    def own_gradients(self, problem: Problem, x: Tensor, w: Tensor, mask: Sequence[bool]) -> native.Gradients:
        shapes = (x.shape, w.shape, w.shape[:1])
        results = [x.new_empty(shape) if wanted else None for shape, wanted in zip(shapes, mask)]
        self._columns(problem, x.element_size())
        return results[0], results[1], results[2]

    def _columns(self, problem: Problem, item: int) -> None:
        if not problem.pointwise and not problem.depthwise:
            self.peak = max(self.peak, self.held + _blocks(item * problem.depth * problem.points))


def _storage(tensor: Tensor) -> Any:
    return tensor.untyped_storage() if hasattr(tensor, "untyped_storage") else tensor.storage()._storage


def _whole(tensor: Tensor) -> bool:
    """Whether a tensor is all of its memory."""
    return tensor.is_contiguous() and _storage(tensor).nbytes() == tensor.numel() * tensor.element_size()


def replay(name: str, dtype: torch.dtype, batch: int, training: bool, path: str, card: str = CARD) -> Replay:
    """One step of a model."""
    import torchvision

    kernels = dispatch.Kernels(plans.Planner(Settings(), Report(False, None)))
    kind = plans.Kind.of
    units, memory, short = CARDS[card]
    rates = device.of_card(units, dtype, short)
    with FakeTensorMode():
        default = torch.get_default_dtype()
        torch.set_default_dtype(dtype)
        try:
            net = getattr(torchvision.models, name)(weights=None).train(training)
            x = torch.empty(batch, 3, 224, 224)
        finally:
            torch.set_default_dtype(default)
        target = torch.zeros(batch, dtype=torch.long)
        mode = Replay(path, kernels, [x, target, *net.parameters(), *net.buffers()])

        def own(x: Tensor, w: Tensor, _: Any, arguments: native.Arguments) -> Tensor:
            problem = describe(x.shape, w.shape, *arguments)
            assert problem is not None
            return mode.own(problem, x)

        def own_gradients(
            _: Any, x: Tensor, w: Tensor, sizes: Any, arguments: native.Arguments, mask: Any
        ) -> native.Gradients:
            problem = describe(x.shape, w.shape, *arguments)
            assert problem is not None
            return mode.own_gradients(problem, x, w, mask)

        # What a card would answer, and what would run on it.
        with mock.patch.object(
            plans.Kind, "of", lambda *tensor: kind(*tensor)._replace(is_cuda=True)
        ), mock.patch.object(plans, "memory", lambda _: memory), mock.patch.object(
            plans, "rates", lambda *_: rates
        ), mock.patch.object(native, "memory_format", lambda *_: torch.contiguous_format), mock.patch.object(
            native, "direct", lambda *_: None
        ), mock.patch.object(native, "convolution", own), mock.patch.object(
            native, "convolution_backward", own_gradients
        ), mode:
            if training:
                loss = torch.nn.functional.cross_entropy(net(x).float(), target)
                mode.backwards = True
                loss.backward()
            else:
                with torch.no_grad():
                    net(x)
    return mode


def room(mode: Replay) -> List[Room]:
    """What is left below the peak at each convolution that is no depthwise one."""
    found = [Room(direction, problem, item, mode.peak - held) for direction, problem, item, held in mode.layers]
    return [layer for layer in found if not layer.problem.depthwise]


def _print_room(name: str, layers: List[Room]) -> None:
    for layer in layers:
        problem = layer.problem
        both = layer.item * problem.images * problem.image
        print(
            f"{name:16} {layer.direction:16} {problem.points:6} points"
            f" {problem.channels:5} to {problem.outputs:5} kernel {'x'.join(map(str, problem.kernel))}"
            f" room {layer.bytes / (1 << 20):8.1f} MiB {layer.bytes / both:8.2f} of inputs and results,"
            f" weights {layer.item * problem.weights / both:.3f}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--card", choices=sorted(CARDS), default=CARD, help="whose speed and memory decide")
    parser.add_argument("--types", default="float32,float16")
    parser.add_argument("--modes", default="inference,training")
    parser.add_argument("--models", default=",".join(common.MODELS))
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--room", action="store_true", help="of each layer, for PyTorch's path")
    options = parser.parse_args()
    for dtype in options.types.split(","):
        for mode in options.modes.split(","):
            print(f"{dtype}, batch {options.batch}, {mode}: MiB of PyTorch's own path, of the engine, difference")
            for name in options.models.split(","):
                step = (name, getattr(torch, dtype), options.batch, mode == "training")
                own, ours = replay(*step, PYTORCH, options.card), replay(*step, ENGINE, options.card)
                mib = [peak / (1 << 20) for peak in (own.peak, ours.peak, ours.peak - own.peak)]
                print(f"{name:16} {mib[0]:9.1f} {mib[1]:9.1f} {mib[2]:+8.1f}", flush=True)
                if options.room:
                    _print_room(name, room(own))


if __name__ == "__main__":
    main()
