# SPDX-License-Identifier: MIT OR Apache-2.0
"""Six models: the vendor's library, PyTorch's own GEMM path, the engine.

    python models.py [--out FILE.json] [--types float32,float16] [--batches 16,1] [--modes inference,training] [--fast]

All three in one process, one after the other for each model; TF32 off. The first
time is the median of repeated steps with the host's part, the second the sum of the
card's kernels in one step, by PyTorch's profiler: a host that is slow, compared with
the card, hides how fast a path is. Memory is the peak of what was asked of the
allocator, above what model and input hold (with `--out`, that of its blocks, too);
error is that of one image's result against float64, where the model is evaluated.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from typing import Any, Callable, Dict, List, Tuple

import common
import torch

import rdna1_gemm

PATHS = ("vendor", "pytorch", "engine")

#: Whether the engine may take memory for speed.
FAST = False


def choose(path: str) -> None:
    """Puts one of the three paths in force."""
    rdna1_gemm.disable()
    torch.backends.cudnn.enabled = path == "vendor"
    if path == "engine":
        assert rdna1_gemm.enable(fast=FAST)


def step(net: Any, inputs: Any, training: bool) -> Callable[[], Any]:
    if not training:

        def evaluate() -> Any:
            with torch.inference_mode():
                return net(inputs)

        return evaluate
    optimizer = torch.optim.SGD(net.parameters(), lr=1e-6)
    target = torch.zeros(inputs.shape[0], dtype=torch.long, device=inputs.device)

    def train() -> Any:
        optimizer.zero_grad(set_to_none=True)
        torch.nn.functional.cross_entropy(net(inputs).float(), target).backward()
        optimizer.step()

    return train


def peaks(call: Callable[[], Any]) -> List[int]:
    """Bytes that a call needs at once beyond what is held: asked for, and in the allocator's blocks.

    A block may be up to 1 MiB larger than what was asked for, as blocks happened to be free.
    """
    torch.cuda.synchronize()
    held = torch.cuda.memory_stats()
    torch.cuda.reset_peak_memory_stats()
    call()
    torch.cuda.synchronize()
    found = torch.cuda.memory_stats()
    names = ("requested_bytes.all", "allocated_bytes.all")
    return [int(found[f"{name}.peak"] - held[f"{name}.current"]) for name in names if f"{name}.peak" in found]


def kernels(call: Callable[[], Any]) -> float:
    """Milliseconds of the card alone: the sum of a call's kernels."""
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CUDA]) as profiled:
        call()
        torch.cuda.synchronize()
    cuda = torch.autograd.DeviceType.CUDA
    return sum(event.self_device_time_total for event in profiled.events() if event.device_type == cuda) / 1e3


def cell(name: str, dtype: torch.dtype, batch: int, training: bool, error: bool) -> Dict[str, Any]:
    result: Dict[str, Any] = {"model": name, "type": str(dtype)[6:], "batch": batch, "training": training}
    net = common.model(name, dtype, training)
    inputs = torch.randn(batch, 3, 224, 224, device="cuda", dtype=dtype)
    call = step(net, inputs, training)
    for path in PATHS:
        choose(path)
        try:
            ms = common.milliseconds(call, budget=0.25)
            result[path] = {"ms": ms, "card_ms": kernels(call), "bytes": peaks(call)}
        except RuntimeError as failure:
            result[path] = {"failed": str(failure)[:200]}
    if error and not training:
        choose("pytorch")
        with torch.inference_mode():
            exact = common.model(name, dtype, False).double()(inputs[:1].double())
            for path in PATHS:
                choose(path)
                found = net(inputs[:1]).double()
                result[path]["error"] = float((found - exact).norm() / exact.norm())
    choose("vendor")
    return result


def mean(values: List[float]) -> float:
    return math.exp(sum(math.log(value) for value in values) / len(values)) if values else float("nan")


def table(cells: List[Dict[str, Any]]) -> str:
    lines = []
    groups: Dict[Tuple[Any, ...], List[Dict[str, Any]]] = {}
    for found in cells:
        groups.setdefault((found["type"], found["batch"], found["training"]), []).append(found)
    for (dtype, batch, training), group in groups.items():
        lines.append(f"\n### {dtype}, batch {batch}, {'training' if training else 'inference'}\n")
        lines.append(
            "| model | vendor ms | PyTorch's GEMM path | engine | engine / vendor | PyTorch / engine |"
            " the card alone: vendor, PyTorch, engine | engine / vendor | PyTorch / engine |"
            " MiB: vendor, PyTorch, engine | error: vendor, PyTorch, engine |"
        )
        lines.append("| --- " * 11 + "|")
        ratios: List[List[float]] = [[], [], [], []]
        for found in group:
            if any("ms" not in found[path] for path in PATHS):
                lines.append(
                    f"| {found['model']} | " + " | ".join(str(found[path]) for path in PATHS) + " | | | | | | | |"
                )
                continue
            vendor, pytorch, engine = (found[path]["ms"] for path in PATHS)
            card = [found[path]["card_ms"] for path in PATHS]
            mine = [engine / vendor, pytorch / engine, card[2] / card[0], card[1] / card[2]]
            for values, value in zip(ratios, mine):
                values.append(value)
            space = ", ".join(f"{found[path]['bytes'][0] / (1 << 20):.1f}" for path in PATHS)
            error = ", ".join(f"{found[path]['error']:.1e}" for path in PATHS if "error" in found[path])
            lines.append(
                f"| {found['model']} | {vendor:.2f} | {pytorch:.2f} | {engine:.2f} | {mine[0]:.2f} | {mine[1]:.2f}"
                f" | {', '.join(f'{ms:.2f}' for ms in card)} | {mine[2]:.2f} | {mine[3]:.2f} | {space} | {error} |"
            )
        means = [f"{mean(values):.2f}" for values in ratios]
        lines.append(f"| geometric mean | | | | {means[0]} | {means[1]} | | {means[2]} | {means[3]} | | |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out")
    parser.add_argument("--types", default="float32,float16")
    parser.add_argument("--batches", default="16,1")
    parser.add_argument("--modes", default="inference,training")
    parser.add_argument("--models", default=",".join(common.MODELS))
    parser.add_argument("--seconds", type=float, default=1e9)
    parser.add_argument("--fast", action="store_true", help="the engine with RDNA1_GEMM_FAST")
    options = parser.parse_args()
    global FAST
    FAST = options.fast
    print(common.prepare(), flush=True)
    start = time.time()
    cells: List[Dict[str, Any]] = []
    for dtype in options.types.split(","):
        for batch in options.batches.split(","):
            for mode in options.modes.split(","):
                for name in options.models.split(","):
                    if time.time() - start > options.seconds:
                        print(f"left out for want of time: {dtype} {batch} {mode} {name}")
                        continue
                    cells.append(cell(name, getattr(torch, dtype), int(batch), mode == "training", True))
    print(table(cells))
    if options.out:
        with open(options.out, "w", encoding="utf-8") as file:
            json.dump({"device": common.prepare(), "cells": cells}, file, indent=1)


if __name__ == "__main__":
    main()
