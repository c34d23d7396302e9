# SPDX-License-Identifier: MIT OR Apache-2.0
"""The cost model: workspace and time of each way, and the choice between them."""

from __future__ import annotations

from typing import Callable, Iterator, List, NamedTuple, Optional

from .preference import preferred
from .problem import Problem, prod
from .schedule import COLUMNS, DATA, FLIPPED, FOLDED, FORWARD, NATIVE, PRODUCT, ROWS, TAPS, WEIGHT, Schedule

#: col2im reads each element so much more slowly than a copy (measured, H200).
SCATTER = 1.5

#: Seconds of the host for an operator called here, and for one image of PyTorch's own loop.
CALL, IMAGE = 14e-6, 14e-6

#: Tiles of a matrix product, and the part of the peak that they reach.
TILES = ((128, 128, 1.0), (128, 64, 0.9), (64, 64, 0.75), (32, 64, 0.5), (32, 32, 0.35))


class Rates(NamedTuple):
    """What a card does in a second, as far as choices depend on it."""

    #: Floating-point operations of a large matrix product.
    flops: float
    #: Bytes of a copy, read and written.
    bytes: float
    #: Seconds between two kernels that wait for nothing else.
    launch: float
    #: Multiprocessors that share the tiles of a product.
    units: int


def _ceil(a: int, b: int) -> int:
    return -(-a // b)


def largest(low: int, high: int, fits: Callable[[int], bool]) -> int:
    """The largest number that fits, where every smaller one does; 0 for none."""
    low -= 1
    while low < high:
        middle = (low + high + 1) // 2
        if fits(middle):
            low = middle
        else:
            high = middle - 1
    return low


class Model:
    """Estimates schedules of one problem.

    `item` is the size of an element in bytes. `exact` says that a result may be
    the accumulator of several products: true for fp32 and fp64, false for fp16
    and bf16, whose sums would be rounded between products.
    """

    def __init__(
        self, problem: Problem, item: int, exact: bool, rates: Rates, dense: bool, native: bool = False
    ) -> None:
        self.problem, self.item, self.exact, self.rates = problem, item, exact, rates
        #: Whether the input is contiguous; otherwise a copy of each chunk is.
        self.dense = dense
        #: Whether PyTorch's own loop over images computes this, too.
        self.native = native

    def _part(self, channels: int) -> Model:
        """The same for some of the channels, which are not contiguous."""
        return Model(self.problem._replace(channels=channels), self.item, self.exact, self.rates, False)

    # Bytes ---------------------------------------------------------------

    def _inputs(self, images: int, rows: int) -> int:
        """A copy of the input rows, padded."""
        problem = self.problem
        first, last = problem.span(0, rows)
        return self.item * images * problem.groups * problem.channels * (last - first) * prod(problem.padded[1:])

    def _copied(self, images: int, rows: int, columns: bool = True) -> int:
        """What is copied before the columns are made."""
        problem = self.problem
        if rows < problem.out[0] or (problem.rank == 3 and columns):
            # The padded rows, and the part of the input that they are cut from
            # while it is made contiguous.
            return self._inputs(images, rows)
        if not self.dense:
            return self.item * images * problem.groups * problem.channels * prod(problem.size)
        return 0

    def _spread(self, images: int) -> int:
        """The weights, once for each image: what a batch of groups needs."""
        return self.item * images * self.problem.weights if self.problem.groups > 1 and images > 1 else 0

    def _partial(self, images: int, rows: int) -> int:
        """Weight gradients of single images and chunks, before they are summed."""
        problem = self.problem
        several = images < problem.images or rows < problem.out[0]
        if images == 1 and self.exact:
            return 0  # Added where the sum is.
        wide = max(4, self.item)
        partial = self.item * images if images > 1 or several else 0
        total = wide * (1 if images > 1 else 0) + (wide if several else 0)
        return (partial + total) * problem.weights

    def workspace(self, direction: str, way: str, images: int, rows: int, channels: Optional[int] = None) -> int:
        """Bytes besides inputs and results."""
        problem, item = self.problem, self.item
        if channels is not None and channels < problem.channels:
            return self._part(channels).workspace(direction, way, images, rows)  # FOLDED
        inner = prod(problem.out[1:])
        points = rows * inner
        columns = item * images * problem.groups * problem.depth * points
        results = item * images * problem.groups * problem.outputs * points
        weights = item * problem.weights
        if way == PRODUCT:
            dense = 0 if self.dense else item * images * problem.groups * problem.channels * points
            return dense + (self._partial(images, rows) if direction == WEIGHT else self._spread(images))
        if way == COLUMNS:
            total = columns + self._spread(images)
            if direction == WEIGHT:
                total += self._partial(images, rows) + self._copied(images, rows)
            elif direction == DATA:
                banded = rows < problem.out[0] or problem.rank == 3
                # The sum of the taps, in fp32 at least, and its copy without the padding.
                sums = max(4, item) // item + 1
                total += sums * self._inputs(images, rows) if banded else 0
            else:
                total += self._copied(images, rows)
            return total
        if way == FOLDED:
            copied = 0 if problem.pointwise else self._inputs(images, rows)
            partial = 0
            if direction == WEIGHT and images < problem.images and not self.exact:
                partial = (4 + item) * problem.weights
            return columns + results + copied + partial
        if way == ROWS:
            read = rows + problem.reach[0]
            width = item * images * problem.groups * problem.channels * problem.kernel[1] * read * problem.out[1]
            return width + weights + self._spread(images) // problem.kernel[0] + self._copied(images, rows, False)
        if way == TAPS:
            padded = item * images * problem.groups * problem.outputs * rows * prod(problem.padded[1:])
            direct = problem.padded[1:] == problem.out[1:]
            return (
                self._inputs(images, rows) + (0 if direct else padded) + weights + self._spread(images) // problem.taps
            )
        return 0

    # Seconds -------------------------------------------------------------

    def product(self, m: int, n: int, k: int, batch: int) -> float:
        """A batched matrix product."""
        rates = self.rates
        best = float("inf")
        for tile_m, tile_n, efficiency in TILES:
            tiles = _ceil(m, tile_m) * _ceil(n, tile_n) * batch
            # Libraries cut the long sum of one product where tiles are too few for
            # the card, at a price; that of a batch they do not (cuBLAS, measured).
            pieces = min(rates.units // tiles, k // 512) if batch == 1 and tiles < rates.units else 1
            split = pieces / 2 if pieces > 2 else 1.0
            tile = 2.0 * tile_m * tile_n * (k + 32) * rates.units / (rates.flops * efficiency)
            best = min(best, tile * _ceil(tiles, rates.units) / split)
        traffic = self.item * batch * (m * k + k * n + m * n)
        return max(best, traffic / rates.bytes) + rates.launch

    def copy(self, elements: float) -> float:
        return self.item * elements / self.rates.bytes + self.rates.launch

    def estimate(
        self, direction: str, way: str, images: int, rows: int, channels: Optional[int] = None, call: float = CALL
    ) -> float:
        """`call`: seconds of the host for each operator."""
        problem = self.problem
        if channels is not None and channels < problem.channels:
            part = self._part(channels)
            parts = _ceil(problem.channels, channels)
            again = (parts - 1) * self.copy(2 * images * problem.outputs * problem.points)
            return parts * part.estimate(direction, way, images, rows) - again
        chunks = _ceil(problem.images, images) * _ceil(problem.out[0], rows)
        inner = prod(problem.out[1:])
        points = rows * inner
        batch = images * problem.groups
        channels = problem.groups * problem.channels
        read = images * channels * prod(problem.size) * min(1.0, rows / problem.out[0])
        columns = images * channels * problem.taps * points
        k, depth = problem.outputs, problem.depth
        if direction == FORWARD:
            shape = (k, points, depth)
        elif direction == DATA:
            shape = (depth, points, k)
        else:
            shape = (k, depth, points)
        calls = 1
        if way == PRODUCT:
            total = self.product(*shape, batch)
            if direction == WEIGHT:
                calls += images > 1
                total += self.copy(images * problem.weights)
        elif way == COLUMNS:
            calls = 2
            total = self.copy(read + columns) + self.product(*shape, batch)
            if direction == DATA:
                total += SCATTER * columns * self.item / self.rates.bytes
            if direction == WEIGHT:
                calls += images > 1
                total += self.copy(images * problem.weights)
        elif way == FOLDED:
            calls = 4
            results = images * problem.groups * k * points
            m, n, d = shape
            fold = (m, n * images, d) if direction != WEIGHT else (m, n, d * images)
            total = self.copy(2 * read) + self.copy(2 * columns) + self.product(*fold, 1) + self.copy(2 * results)
        elif way == ROWS:
            calls = 2 + problem.kernel[0]
            wide = images * channels * problem.kernel[1] * (rows + problem.reach[0]) * inner
            one = self.product(k, points, problem.channels * problem.kernel[1], batch)
            again = (problem.kernel[0] - 1) * self.item * images * problem.groups * k * points / self.rates.bytes
            total = self.copy(read + wide) + problem.kernel[0] * one + again + self.copy(2 * problem.weights)
        else:
            calls = 3 + problem.taps
            padded = prod(problem.padded[1:]) * rows
            one = self.product(k, padded, problem.channels, batch)
            again = (problem.taps - 1) * self.item * images * problem.groups * k * padded / self.rates.bytes
            crop = self.copy(2 * images * problem.groups * k * points)
            total = self.copy(2 * read) + problem.taps * one + again + crop + self.copy(2 * problem.weights)
        return chunks * max(total, calls * call)

    # Choice --------------------------------------------------------------

    def ways(self, direction: str) -> Iterator[str]:
        """The ways that compute the problem at all."""
        problem = self.problem
        if problem.pointwise:
            yield PRODUCT
        else:
            yield COLUMNS
        if direction != DATA and problem.groups == 1:
            yield FOLDED
        if direction == FORWARD and self.exact and not problem.pointwise:
            if problem.rank == 2 and problem.stride[0] == 1 and problem.kernel[0] > 1:
                yield ROWS
            if problem.unit_stride and problem.taps > 1:
                yield TAPS

    def splits(self, direction: str, way: str, limit: int) -> Iterator[Schedule]:
        """A way's splits that fit, the coarsest first."""
        problem = self.problem

        def schedule(images: int, rows: int) -> Schedule:
            space = self.workspace(direction, way, images, rows)
            return Schedule(way, images, rows, problem.channels, space, self.estimate(direction, way, images, rows))

        every = schedule(problem.images, problem.out[0])
        if way == FOLDED and direction == FORWARD:
            if every.workspace <= limit:
                yield every
            return
        one = self.workspace(direction, way, 1, problem.out[0])
        if every.workspace <= limit:
            yield every
        elif way == FOLDED:
            yield from self._by_channels(direction, limit)
        if one <= limit and problem.images > 1:
            images = max(1, problem.images * limit // max(every.workspace, 1))
            # Equal chunks.
            images = _ceil(problem.images, _ceil(problem.images, min(images, problem.images - 1)))
            while images > 1 and self.workspace(direction, way, images, problem.out[0]) > limit:
                images -= 1
            yield schedule(images, problem.out[0])
            if images > 1:
                yield schedule(1, problem.out[0])
        if one > limit and way != FOLDED:
            rows = largest(1, problem.out[0], lambda n: self.workspace(direction, way, 1, n) <= limit)
            if rows:
                yield schedule(1, rows)

    def _by_channels(self, direction: str, limit: int) -> Iterator[Schedule]:
        """FOLDED in equal parts of the channels: every part of the weights' gradient is complete, whatever its type."""
        problem = self.problem
        images, rows = problem.images, problem.out[0]
        channels = largest(
            1, problem.channels - 1, lambda n: self.workspace(direction, FOLDED, images, rows, n) <= limit
        )
        if channels:
            channels = _ceil(problem.channels, _ceil(problem.channels, channels))
            space = self.workspace(direction, FOLDED, images, rows, channels)
            yield Schedule(
                FOLDED, images, rows, channels, space, self.estimate(direction, FOLDED, images, rows, channels)
            )

    def choose(
        self, direction: str, limit: int, fast: bool = False, training: bool = False, later: int = 0
    ) -> Schedule:
        """The cheapest schedule in the preferred workspace, or in so much more as it takes, and never over the limit.

        Where speed counts for more (`fast`), the cheapest under the limit. For
        `training` and `later` see `preference.preferred`.

        Where not even one output row fits, single rows over parts of the channels.
        """
        room = limit if fast else min(limit, preferred(self.problem, self.item, direction, training, later))
        while True:
            best = min(self.candidates(direction, room), key=lambda schedule: schedule.cost, default=None)
            if best is not None:
                return best
            if room >= limit:
                return self.least(direction, limit)
            room = min(limit, 2 * room)

    def candidates(self, direction: str, limit: int) -> List[Schedule]:
        """Every way under a limit."""
        # First, because of equals that one takes the host less time.
        found = self._own(direction, limit) if self.native else []
        for way in self.ways(direction):
            found += self.splits(direction, way, limit)
        flipped = self.problem.flipped() if direction == DATA and not self.problem.pointwise else None
        turned = self.item * self.problem.weights
        if flipped and 2 * turned <= limit:
            inner = Model(flipped, self.item, self.exact, self.rates, self.dense)
            for best in inner.candidates(FORWARD, limit - turned):
                space = turned + max(turned, best.workspace)
                cost = best.cost + self.copy(4 * self.problem.weights)
                found.append(Schedule(FLIPPED, best.images, best.rows, best.channels, space, cost, best))
        return found

    def _own(self, direction: str, limit: int) -> List[Schedule]:
        """PyTorch's own loop over images, if it fits."""
        problem = self.problem
        space = 0 if problem.pointwise else self.item * problem.depth * problem.points
        if space > limit or (direction == WEIGHT and not self.exact):
            return []  # It rounds sums of short types after each image.
        way = PRODUCT if problem.pointwise else COLUMNS
        image = Model(problem._replace(images=1), self.item, True, self.rates, self.dense)
        seconds = problem.images * max(image.estimate(direction, way, 1, problem.out[0], call=0.0), IMAGE)
        return [Schedule(NATIVE, problem.images, problem.out[0], problem.channels, space, seconds)]

    def least(self, direction: str, limit: int) -> Schedule:
        """One output row of one image at a time, over so many channels as fit; at least one."""
        narrow = self.problem._replace(groups=1)
        way = PRODUCT if narrow.pointwise else COLUMNS

        def space(channels: int) -> int:
            part = Model(narrow._replace(channels=channels), max(self.item, 4), self.exact, self.rates, False)
            return 2 * part.workspace(direction, way, 1, 1)

        channels = max(1, largest(1, narrow.channels, lambda n: space(n) <= limit))
        return Schedule(way, 1, 1, channels, space(channels), float("inf"))
