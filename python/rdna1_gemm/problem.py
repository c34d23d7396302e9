# SPDX-License-Identifier: MIT OR Apache-2.0
"""One convolution, by its numbers alone."""

from __future__ import annotations

from typing import NamedTuple, Optional, Sequence, Tuple

Ints = Tuple[int, ...]


def prod(numbers: Sequence[int]) -> int:
    """The product; 1 for none."""
    result = 1
    for number in numbers:
        result *= number
    return result


class Problem(NamedTuple):
    """A convolution with two or three spatial dimensions.

    A transposed convolution is the data gradient of one of these, so there is
    no flag for it: `size` is then the extent of its *result*. One dimension is
    written as two, `(length, 1)`, so that it can be split along its length.
    """

    images: int
    groups: int
    #: Input channels of one group.
    channels: int
    #: Output channels of one group.
    outputs: int
    size: Ints
    kernel: Ints
    stride: Ints
    padding: Ints
    dilation: Ints
    out: Ints

    @property
    def rank(self) -> int:
        return len(self.size)

    @property
    def taps(self) -> int:
        """Elements of the kernel."""
        return prod(self.kernel)

    @property
    def points(self) -> int:
        """Output points of one image and channel."""
        return prod(self.out)

    @property
    def depth(self) -> int:
        """Terms of one output's sum: the inner dimension of the product."""
        return self.channels * self.taps

    @property
    def padded(self) -> Ints:
        return tuple(i + 2 * p for i, p in zip(self.size, self.padding))

    @property
    def reach(self) -> Ints:
        """The kernel's extent, less one."""
        return tuple(d * (k - 1) for k, d in zip(self.kernel, self.dilation))

    @property
    def weights(self) -> int:
        """Elements of the weight tensor."""
        return self.groups * self.outputs * self.depth

    @property
    def pointwise(self) -> bool:
        """Whether the input is the column matrix already."""
        return self.taps == 1 and self.unit_stride and not any(self.padding)

    @property
    def depthwise(self) -> bool:
        """Whether PyTorch has a kernel of its own, which needs no matrix product."""
        return self.channels == 1 and self.groups > 1

    @property
    def image(self) -> int:
        """Elements of one image's inputs and results."""
        return self.groups * (self.channels * prod(self.size) + self.outputs * self.points)

    @property
    def unit_stride(self) -> bool:
        return all(s == 1 for s in self.stride)

    def span(self, first: int, last: int) -> Tuple[int, int]:
        """The padded input rows that output rows `first..last` read."""
        start = first * self.stride[0]
        return start, (last - 1) * self.stride[0] + self.reach[0] + 1

    def flipped(self) -> Optional[Problem]:
        """The convolution that is this one's data gradient, if one is."""
        padding = tuple(r - p for r, p in zip(self.reach, self.padding))
        exact = all(i == o + r - 2 * p for i, o, r, p in zip(self.size, self.out, self.reach, self.padding))
        if not self.unit_stride or not exact or min(padding) < 0:
            return None
        return self._replace(
            channels=self.outputs, outputs=self.channels, size=self.out, padding=padding, out=self.size
        )


def extent(size: int, kernel: int, stride: int, padding: int, dilation: int) -> int:
    """Output points along one dimension; below 1 where the kernel does not fit."""
    return (size + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1


def describe(
    inputs: Sequence[int],
    weights: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    transposed: bool,
    output_padding: Sequence[int],
    groups: int,
) -> Optional[Problem]:
    """The problem, or nothing where PyTorch itself should answer.

    That is for every argument that PyTorch refuses (its message is the one that
    people know), and for tensors without elements.
    """
    rank = len(inputs) - 2
    lists = (stride, padding, dilation) + ((output_padding,) if transposed else ())
    if rank not in (1, 2, 3) or len(weights) != rank + 2 or any(len(values) != rank for values in lists):
        return None
    if groups < 1 or min(*inputs, *weights) < 1:
        return None
    if min(stride) < 1 or min(padding) < 0 or min(dilation) < 1 or (transposed and min(output_padding) < 0):
        return None
    size, kernel = tuple(inputs[2:]), tuple(weights[2:])
    stride, padding, dilation = tuple(stride), tuple(padding), tuple(dilation)
    if transposed:
        if inputs[1] != weights[0] or inputs[1] % groups:
            return None
        if any(o >= max(s, d) for o, s, d in zip(output_padding, stride, dilation)):
            return None
        channels, outputs = weights[1], weights[0] // groups
        out = size
        size = tuple(
            (o - 1) * s - 2 * p + d * (k - 1) + 1 + extra
            for o, k, s, p, d, extra in zip(out, kernel, stride, padding, dilation, output_padding)
        )
        if min(size) < 1:
            return None
        if out != tuple(extent(*numbers) for numbers in zip(size, kernel, stride, padding, dilation)):
            return None  # An output padding above the stride: no convolution's gradient.
    else:
        if inputs[1] != weights[1] * groups or weights[0] % groups:
            return None
        channels, outputs = weights[1], weights[0] // groups
        out = tuple(extent(*numbers) for numbers in zip(size, kernel, stride, padding, dilation))
        if min(out) < 1:
            return None
    if rank == 1:
        size, kernel, out = size + (1,), kernel + (1,), out + (1,)
        stride, padding, dilation = stride + (1,), padding + (0,), dilation + (1,)
    return Problem(inputs[0], groups, channels, outputs, size, kernel, stride, padding, dilation, out)
