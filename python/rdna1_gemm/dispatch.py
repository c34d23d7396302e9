# SPDX-License-Identifier: MIT OR Apache-2.0
"""Puts the engine below every caller: as the kernels of PyTorch's own operators.

`aten::convolution`, `aten::_convolution` and `aten::convolution_backward` are
what every module, function, scripted and compiled program ends in, and their
derivatives are formulated in themselves. Kernels for a device's key replace what
would choose MIOpen; autograd, autocast, vmap and tracing lie above and stay.
"""

from __future__ import annotations

import inspect
import warnings
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple

import torch
from torch import Tensor

from .native import Arguments, Gradients
from .plans import Plan, Planner
from .report import Report
from .settings import Settings

#: Dispatch keys by device type. ROCm's devices are PyTorch's `cuda`.
KEYS = {"cuda": "CUDA", "cpu": "CPU"}

#: The operators' arguments as this engine reads them.
SIGNATURES = {
    "convolution": "input weight bias stride padding dilation transposed output_padding groups",
    "_convolution": "input weight bias stride padding dilation transposed output_padding groups"
    " benchmark deterministic cudnn_enabled allow_tf32",
    "convolution_backward": "grad_output input weight bias_sizes stride padding dilation transposed"
    " output_padding groups output_mask",
}


class Unsupported(RuntimeError):
    """This PyTorch is not one that the engine knows."""


def check() -> None:
    """Raises `Unsupported` unless this PyTorch has the operators as the engine knows them."""
    numbers = torch.__version__.split("+")[0].split(".")
    version = tuple(int("".join(c for c in number if c.isdigit()) or 0) for number in numbers[:2])
    if not (1, 13) <= version < (3, 0):
        raise Unsupported(f"PyTorch {torch.__version__} is not between 1.13 and 2")
    for name, arguments in SIGNATURES.items():
        try:
            operator = getattr(torch.ops.aten, name).default
            found = [argument.name for argument in operator._schema.arguments]
            known = found == arguments.split() and callable(operator._op_dk)
        except (AttributeError, RuntimeError) as error:
            raise Unsupported(f"PyTorch {torch.__version__} has no aten::{name} that can be called: {error}") from None
        if not known:
            raise Unsupported(f"PyTorch {torch.__version__} has another aten::{name}")


class Kernels:
    """The kernels, with the plans that they have made so far."""

    #: Kept plans; more kinds of arguments than this come from shapes that vary.
    PLANS = 4096

    def __init__(self, planner: Planner) -> None:
        self.planner = planner
        self._forward: Dict[Tuple[Any, ...], Plan] = {}
        self._backward: Dict[Tuple[Any, ...], Plan] = {}
        #: Only NVIDIA's cards round fp32 products (RDNA1 has no such mode).
        self._tf32 = torch.version.cuda is not None

    def convolution(
        self,
        inputs: Tensor,
        weights: Tensor,
        bias: Optional[Tensor],
        stride: List[int],
        padding: List[int],
        dilation: List[int],
        transposed: bool,
        output_padding: List[int],
        groups: int,
        *_: bool,
    ) -> Tensor:
        """`aten::convolution`, and `aten::_convolution` whose switches do not matter here."""
        training = torch.is_grad_enabled() and (weights.requires_grad or inputs.requires_grad)
        key = (
            inputs.shape,
            weights.shape,
            inputs.dtype,
            weights.dtype,
            inputs.get_device(),
            weights.get_device(),
            inputs.stride(),
            weights.stride(),
            bias is None or (bias.shape, bias.dtype, bias.device),
            tuple(stride),
            tuple(padding),
            tuple(dilation),
            transposed,
            tuple(output_padding),
            groups,
            training,
        )
        plan = self._forward.get(key)
        if plan is None:
            arguments = Arguments(stride, padding, dilation, transposed, output_padding, groups)
            plan = self._keep(self._forward, key, self.planner.forward(inputs, weights, bias, arguments, training))
        result: Tensor = self._run(plan, inputs, weights, bias)
        return result

    def backward(
        self,
        grads: Tensor,
        inputs: Tensor,
        weights: Tensor,
        bias_sizes: Optional[List[int]],
        stride: List[int],
        padding: List[int],
        dilation: List[int],
        transposed: bool,
        output_padding: List[int],
        groups: int,
        mask: List[bool],
    ) -> Gradients:
        """`aten::convolution_backward`."""
        key = (
            grads.shape,
            inputs.shape,
            weights.shape,
            grads.dtype,
            inputs.dtype,
            weights.dtype,
            grads.get_device(),
            inputs.get_device(),
            weights.get_device(),
            inputs.stride(),
            weights.stride(),
            bias_sizes and tuple(bias_sizes),
            tuple(stride),
            tuple(padding),
            tuple(dilation),
            transposed,
            tuple(output_padding),
            groups,
            tuple(mask),
        )
        plan = self._backward.get(key)
        if plan is None:
            arguments = Arguments(stride, padding, dilation, transposed, output_padding, groups)
            made = self.planner.backward(grads, inputs, weights, bias_sizes, arguments, mask)
            plan = self._keep(self._backward, key, made)
        result: Gradients = self._run(plan, grads, inputs, weights)
        return result

    def _run(self, plan: Plan, *tensors: Optional[Tensor]) -> Any:
        """Runs a plan: without TF32, and leaner where memory is short."""
        if self._tf32 and _tf32_allowed():
            torch.backends.cuda.matmul.allow_tf32 = False
            try:
                return self._run(plan, *tensors)
            finally:
                torch.backends.cuda.matmul.allow_tf32 = True
        while True:
            try:
                return plan.run(*tensors)
            except RuntimeError as error:
                if not plan.wants_memory(error):
                    raise
            # Out here the failed attempt's tensors are gone.
            assert tensors[0] is not None
            plan.leaner(tensors[0])

    def _keep(self, plans: Dict[Tuple[Any, ...], Plan], key: Tuple[Any, ...], plan: Plan) -> Plan:
        if len(plans) >= self.PLANS:
            plans.clear()
        plans[key] = plan
        return plan


def vendor(convolution: Callable[..., Tensor]) -> Dict[str, Callable[..., Tensor]]:
    """MIOpen's own operators, for programs that name them (fused TorchScript graphs do)."""

    def zeros(stride: Sequence[int]) -> List[int]:
        return [0] * len(stride)

    def straight(
        x: Tensor, w: Tensor, b: Any, padding: Any, stride: Any, dilation: Any, groups: int, *_: bool
    ) -> Tensor:
        return convolution(x, w, b, stride, padding, dilation, False, zeros(stride), groups)

    def transpose(
        x: Tensor, w: Tensor, b: Any, padding: Any, extra: Any, stride: Any, dilation: Any, groups: int, *_: bool
    ) -> Tensor:
        return convolution(x, w, b, stride, padding, dilation, True, extra, groups)

    def relu(x: Tensor, w: Tensor, b: Any, stride: Any, padding: Any, dilation: Any, groups: int) -> Tensor:
        return torch.relu(convolution(x, w, b, stride, padding, dilation, False, zeros(stride), groups))

    def add_relu(
        x: Tensor, w: Tensor, z: Tensor, alpha: Any, b: Any, stride: Any, padding: Any, dilation: Any, groups: int
    ) -> Tensor:
        result = convolution(x, w, b, stride, padding, dilation, False, zeros(stride), groups)
        return torch.relu(torch.add(result, z, alpha=1 if alpha is None else alpha))

    return {
        "miopen_convolution": straight,
        "miopen_depthwise_convolution": straight,
        "miopen_convolution_transpose": transpose,
        "miopen_convolution_relu": relu,
        "miopen_convolution_add_relu": add_relu,
    }


def _tf32_allowed() -> bool:
    try:
        return torch._C._get_cublas_allow_tf32()
    except RuntimeError:  # Set by the newer of PyTorch's two interfaces, which knows more than two answers.
        return False


class Engine:
    """The engine in force. `close` takes it out again."""

    def __init__(self, settings: Settings, devices: Sequence[str]) -> None:
        check()
        unknown = [device for device in devices if device not in KEYS]
        if unknown or not devices:
            raise ValueError(f"devices are {sorted(KEYS)}, not {list(devices)}")
        self.devices = tuple(devices)
        self.report = Report(settings.log, settings.report)
        self.kernels = Kernels(Planner(settings, self.report))
        library: Any = torch.library.Library
        self._library: Any = library("aten", "IMPL")
        self._before = _Switches()
        try:
            for device in devices:
                self._register(KEYS[device])
        except Exception:
            self.close()
            raise
        self._before.set()

    def _register(self, key: str) -> None:
        kernels: Dict[str, Callable[..., Any]] = {
            "convolution": self.kernels.convolution,
            "_convolution": self.kernels.convolution,
            "convolution_backward": self.kernels.backward,
        }
        if key == "CUDA":
            known = vendor(self.kernels.convolution)
            kernels.update({name: known[name] for name in known if hasattr(torch.ops.aten, name)})
        options = {}
        if "allow_override" in inspect.signature(self._library.impl).parameters:
            options["allow_override"] = True
        with warnings.catch_warnings():
            # PyTorch tells once that a kernel of its own is replaced.
            warnings.simplefilter("ignore")
            for name, kernel in kernels.items():
                self._library.impl(name, kernel, key, **options)

    def close(self) -> None:
        """Everything as it was before."""
        library, self._library = self._library, None
        if library is not None and hasattr(library, "_destroy"):
            library._destroy()
        del library  # PyTorch 1.13 and 2.0 undo registrations when it goes.
        self._before.reset()


class _Switches:
    """PyTorch's settings that the engine needs while it is in force.

    cuDNN (on ROCm: MIOpen) is off, so that batch normalisation, recurrent layers
    and whatever convolution is left to PyTorch do without it; products of short
    types may not be summed in short.
    """

    PRODUCTS = ("allow_fp16_reduced_precision_reduction", "allow_bf16_reduced_precision_reduction")

    def __init__(self) -> None:
        self._found: Dict[str, Any] = {}
        self._cudnn: Optional[bool] = None

    def set(self) -> None:
        self._cudnn = torch._C._get_cudnn_enabled()
        torch._C._set_cudnn_enabled(False)
        for name in self.PRODUCTS:
            try:
                self._found[name] = getattr(torch.backends.cuda.matmul, name)
                setattr(torch.backends.cuda.matmul, name, False)
            except (AssertionError, AttributeError, RuntimeError):
                pass  # Older versions lack one of them.

    def reset(self) -> None:
        if self._cudnn is not None:
            torch._C._set_cudnn_enabled(self._cudnn)
        self._cudnn = None
        for name, value in self._found.items():
            setattr(torch.backends.cuda.matmul, name, value)
        self._found.clear()
