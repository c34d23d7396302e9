# SPDX-License-Identifier: MIT OR Apache-2.0
"""PyTorch's own kernels, with MIOpen and cuDNN out of the way."""

from __future__ import annotations

from typing import Any, Callable, List, NamedTuple, Optional, Sequence, Tuple

import torch
from torch import Tensor

from .problem import Problem

#: The kernels that stand behind every device's: what ran before the engine did.
_KEY = torch._C.DispatchKey.CompositeExplicitAutograd
_forward = torch.ops.aten._convolution.default
_backward = torch.ops.aten.convolution_backward.default

Gradients = Tuple[Optional[Tensor], Optional[Tensor], Optional[Tensor]]


class Arguments(NamedTuple):
    """The arguments of `aten::convolution` besides its tensors, in its order."""

    stride: List[int]
    padding: List[int]
    dilation: List[int]
    transposed: bool
    output_padding: List[int]
    groups: int


def convolution(inputs: Tensor, weights: Tensor, bias: Optional[Tensor], arguments: Arguments) -> Tensor:
    """PyTorch's own convolution; raises what PyTorch raises."""
    deterministic = torch.are_deterministic_algorithms_enabled()
    # The last three: no benchmark, and whether cuDNN or MIOpen may be used: no.
    result: Tensor = _forward._op_dk(_KEY, inputs, weights, bias, *arguments, False, deterministic, False, False)
    return result


def direct(problem: Problem, rank: int, arguments: Arguments) -> Optional[Callable[..., Tensor]]:
    """The kernel that `convolution` would choose for contiguous tensors on a card, if it can be called by itself.

    That saves the host the choice, which takes longer than many a layer.
    """
    if rank != 2 or arguments.transposed:
        return None
    library: Any = torch._C._nn
    kernel, stride, padding, dilation = problem.kernel, problem.stride, problem.padding, problem.dilation
    dilated = any(d > 1 for d in dilation)
    if problem.groups > 1:
        depthwise = getattr(library, "_conv_depthwise2d", None)
        if depthwise is None or problem.channels > 1:
            return None
        return lambda x, w, b: depthwise(x, w, kernel, b, stride, padding, dilation)
    slow = getattr(library, "thnn_conv2d", None)
    if slow is None or dilated:
        return None
    return lambda x, w, b: slow(x, w, kernel, b, stride, padding)


def convolution_backward(
    grads: Tensor,
    inputs: Tensor,
    weights: Tensor,
    bias_sizes: Optional[Sequence[int]],
    arguments: Arguments,
    mask: Sequence[bool],
) -> Gradients:
    """PyTorch's own gradients."""
    if torch._C._get_cudnn_enabled():
        # This operator has no argument for it. The engine had set it; whoever
        # set it back asked for MIOpen where there is to be none.
        torch._C._set_cudnn_enabled(False)
    result: Gradients = _backward._op_dk(_KEY, grads, inputs, weights, bias_sizes, *arguments, mask)
    return result


def _turned(arguments: Arguments) -> Arguments:
    """The convolution whose data gradient a transposed one is."""
    return arguments._replace(transposed=False, output_padding=[0] * len(arguments.stride))


def depthwise_transposed(
    problem: Problem, inputs: Tensor, weights: Tensor, bias: Optional[Tensor], arguments: Arguments
) -> Tensor:
    """A transposed depthwise convolution by the depthwise kernel for data gradients."""
    # Only its shape is read.
    shape = inputs.new_empty((problem.images, problem.groups) + problem.size)
    result, _, _ = convolution_backward(inputs, shape, weights, None, _turned(arguments), [True, False, False])
    assert result is not None
    return result if bias is None else result.add_(bias.view((-1,) + (1,) * problem.rank))


def memory_format(inputs: Tensor, weights: Tensor, bias: Optional[Tensor], arguments: Arguments) -> Any:
    """The layout that PyTorch gives results for such tensors without MIOpen.

    What traces programs without running them (torch.compile) relies on it.
    """
    channels_last = {4: torch.channels_last, 5: torch.channels_last_3d}.get(inputs.dim())
    if channels_last is None or inputs.is_cuda:
        return torch.contiguous_format
    determine = getattr(torch._C, "_conv_determine_backend_memory_format", None)
    if determine is not None:
        backend = torch._C._select_conv_backend(inputs, weights, bias, *arguments, None)
        return determine(inputs, weights, backend)
    # PyTorch 1.13 keeps its rule to itself.
    last = inputs.dim() == 4 and (_is_channels_last(inputs) or _is_channels_last(weights))
    return channels_last if last else torch.contiguous_format


def _is_channels_last(tensor: Tensor) -> bool:
    """By its strides, which tell also where both layouts are the same."""
    _, channels, height, width = tensor.shape
    strides = tensor.stride()
    last = strides == (height * width * channels, 1, width * channels, channels)
    return last and strides != (channels * height * width, height * width, width, 1)
