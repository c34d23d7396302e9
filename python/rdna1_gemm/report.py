# SPDX-License-Identifier: MIT OR Apache-2.0
"""The table of layers: what was computed how, how often, how long."""

from __future__ import annotations

import time
from typing import Any, Callable, Dict, List, Optional, Tuple

import torch

from .problem import Problem
from .schedule import Schedule
from .settings import say

Run = Callable[..., Any]


def shape_text(problem: Problem, transposed: bool) -> str:
    """`16x64x56x56 * 64x64x3x3 s1 p1`, for people."""

    def join(numbers: Any) -> str:
        return "x".join(str(number) for number in numbers)

    inputs = (problem.images, problem.groups * problem.channels) + problem.size
    weights = (problem.groups * problem.outputs, problem.channels) + problem.kernel
    text = f"{join(inputs)} * {join(weights)} s{join(problem.stride)} p{join(problem.padding)}"
    if any(d > 1 for d in problem.dilation):
        text += f" d{join(problem.dilation)}"
    if problem.groups > 1:
        text += f" g{problem.groups}"
    return text + (" transposed" if transposed else "")


class Entry:
    """One kind of layer, in one direction."""

    __slots__ = ("direction", "shape", "dtype", "way", "split", "workspace", "calls", "spans", "seconds")

    def __init__(self, direction: str, shape: str, dtype: str, way: str, split: str, workspace: int) -> None:
        self.direction, self.shape, self.dtype = direction, shape, dtype
        self.way, self.split, self.workspace = way, split, workspace
        self.calls = 0
        #: Pairs of events that have not been read yet.
        self.spans: List[Tuple[Any, Any]] = []
        self.seconds = 0.0

    def settle(self) -> None:
        """Reads the events; waits for the card."""
        for start, end in self.spans:
            end.synchronize()
            self.seconds += start.elapsed_time(end) / 1e3
        self.spans.clear()


class Report:
    """Collects entries where a report or a log is wanted."""

    #: Unread events of one entry before it waits for the card.
    PENDING = 1000

    def __init__(self, log: bool, target: Optional[str]) -> None:
        self.log, self.target = log, target
        self.entries: Dict[Tuple[str, ...], Entry] = {}

    def watch(self, direction: str, problem: Problem, transposed: bool, kind: Any, schedule: Schedule, run: Run) -> Run:
        """The function to call instead of `run`: itself, unless calls are to be timed."""
        if not self.log and self.target is None:
            return run
        shape, dtype = shape_text(problem, transposed), str(kind.dtype).replace("torch.", "")
        split = schedule.split_text(problem)
        key = (direction, shape, dtype, schedule.text(), split)
        if key not in self.entries:
            self.entries[key] = Entry(direction, shape, dtype, schedule.text(), split, schedule.workspace)
            if self.log:
                space = schedule.workspace / (1 << 20)
                say(f"{direction}: {shape} {dtype}: {schedule.text()}{split}, workspace {space:.1f} MiB")
        return self._timed(self.entries[key], run, kind.is_cuda) if self.target is not None else run

    def _timed(self, entry: Entry, run: Run, cuda: bool) -> Run:
        event: Any = torch.cuda.Event

        def on_card(*tensors: Any) -> Any:
            entry.calls += 1
            if torch.cuda.is_current_stream_capturing():
                return run(*tensors)
            start, end = event(enable_timing=True), event(enable_timing=True)
            start.record()
            result = run(*tensors)
            end.record()
            entry.spans.append((start, end))
            if len(entry.spans) >= self.PENDING:
                entry.settle()
            return result

        def on_cpu(*tensors: Any) -> Any:
            entry.calls += 1
            start = time.perf_counter()
            result = run(*tensors)
            entry.seconds += time.perf_counter() - start
            return result

        return on_card if cuda else on_cpu

    def text(self) -> str:
        """The table, the slowest layers first."""
        for entry in self.entries.values():
            entry.settle()
        ordered = sorted(self.entries.values(), key=lambda entry: -entry.seconds)
        lines = [f"{'seconds':>9} {'calls':>7} {'workspace':>10}  {'direction':<15} {'way':<24} layer"]
        for entry in ordered:
            space = f"{entry.workspace / (1 << 20):.1f} MiB"
            way = entry.way + entry.split
            lines.append(
                f"{entry.seconds:9.4f} {entry.calls:7d} {space:>10}  {entry.direction:<15} {way:<24} "
                f"{entry.shape} {entry.dtype}"
            )
        return "\n".join(lines) + "\n"

    def write(self) -> None:
        """At exit: never raises."""
        if self.target is None or not self.entries:
            return
        try:
            text = self.text()
            if self.target == "-":
                say("layers, slowest first\n" + text.rstrip("\n"))
            else:
                with open(self.target, "a", encoding="utf-8") as file:
                    file.write(text)
        except Exception as error:  # The program is over; its result is not ours to change.
            say(f"no report: {error}")
