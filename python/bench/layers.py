# SPDX-License-Identifier: MIT OR Apache-2.0
"""Every way for every layer of six models, measured and estimated.

    python layers.py [--out FILE] [--only MODEL,…] [--seconds N]

Times are the card's alone. What the cost model rests on, and its check: at the end of
each kind, the sums over its layers of the vendor's library, of PyTorch's own path, of
what the model picks where memory is no matter, and of the fastest way.
"""

from __future__ import annotations

import argparse
import json
import time
from typing import Any, Dict, List, Tuple

import common
import torch
from torch import Tensor

from rdna1_gemm import cost, device
from rdna1_gemm.forward import forward
from rdna1_gemm.gradients import data_gradient, weight_gradient
from rdna1_gemm.problem import describe
from rdna1_gemm.schedule import DATA, FORWARD, WEIGHT

#: Limits at which each way is split, in bytes.
LIMITS = (1 << 34, 128 << 20, 64 << 20, 32 << 20, 16 << 20)


def layers(names: List[str], batch: int) -> List[Tuple[Any, ...]]:
    """Arguments of the distinct convolutions: input and weight shape, stride, padding, dilation, groups."""
    found: Dict[Tuple[Any, ...], int] = {}
    for name in names:
        net = common.model(name, torch.float32, False)

        def note(module: Any, inputs: Any, _: Any) -> None:
            key = (
                tuple(inputs[0].shape),
                tuple(module.weight.shape),
                module.stride,
                module.padding,
                module.dilation,
                module.groups,
            )
            found[key] = found.get(key, 0) + 1

        for module in net.modules():
            if isinstance(module, torch.nn.Conv2d):
                module.register_forward_hook(note)
        with torch.no_grad():
            net(torch.randn(batch, 3, 224, 224, device="cuda"))
        del net
    pointwise = [key for key in found if key[1][2:] == (1, 1)]
    # DenseNet's many 1x1 layers differ in channels alone.
    dropped = set(pointwise[i] for i in range(len(pointwise)) if i % 3 and len(pointwise) > 60)
    return [key for key in found if key not in dropped and key[5] == 1]


def measure(direction: str, layer: Tuple[Any, ...], dtype: torch.dtype) -> List[Dict[str, Any]]:
    shape, weights, stride, padding, dilation, groups = layer
    problem = describe(shape, weights, stride, padding, dilation, False, (0, 0), groups)
    assert problem is not None
    x = torch.randn(shape, device="cuda", dtype=dtype)
    w = torch.randn(weights, device="cuda", dtype=dtype)
    g = torch.randn((shape[0], weights[0]) + problem.out, device="cuda", dtype=dtype)
    rows: List[Dict[str, Any]] = []

    def add(way: str, call: Any, workspace: int, estimate: float, **more: Any) -> None:
        try:
            torch.cuda.synchronize()
            ms = common.graphed(call)
        except RuntimeError as error:
            print(way, layer, str(error)[:100], flush=True)
            return
        rows.append(
            {"way": way, "ms": round(ms, 5), "mib": workspace >> 20, "model_ms": round(estimate * 1e3, 5), **more}
        )

    mask = [direction == DATA, direction == WEIGHT, False]

    def own() -> Any:
        if direction == FORWARD:
            return torch.convolution(x, w, None, stride, padding, dilation, False, (0, 0), groups)
        return torch.ops.aten.convolution_backward(
            g, x, w, None, stride, padding, dilation, False, (0, 0), groups, mask
        )

    for name, enabled in (("vendor", True), ("pytorch", False)):
        torch.backends.cudnn.enabled = enabled
        add(name, own, 0, 0.0)
    model = cost.Model(problem, x.element_size(), dtype == torch.float32, device.rates(x.device, dtype), True)
    schedules = {}
    for way in model.ways(direction):
        for limit in LIMITS:
            for schedule in model.splits(direction, way, limit):
                schedules[schedule.text() + schedule.split_text(problem)] = schedule
    if direction == DATA and problem.flipped() and not problem.pointwise:
        turned = cost.Model(problem.flipped(), x.element_size(), model.exact, model.rates, True)
        for way in turned.ways(FORWARD):
            for schedule in list(turned.splits(FORWARD, way, LIMITS[0]))[:1]:
                schedules["flipped " + way] = schedule._replace(way="flipped", inner=schedule)
    picked = model.choose(direction, LIMITS[0], fast=True)
    schedules[picked.text() + picked.split_text(problem)] = picked
    for name, schedule in schedules.items():

        def run(schedule: Any = schedule) -> Tensor:
            if direction == FORWARD:
                return forward(problem, schedule, x, w, None)
            if direction == DATA:
                return data_gradient(problem, schedule, g, w)
            return weight_gradient(problem, schedule, x, g)

        add(name, run, schedule.workspace, schedule.cost, picked=schedule is picked)
    return rows


def summary(measured: List[List[Dict[str, Any]]]) -> str:
    """Sums over layers of which everything was measured."""
    sums = {"vendor": 0.0, "pytorch": 0.0, "picked": 0.0, "fastest": 0.0}
    count = 0
    for rows in measured:
        times = {row["way"]: row["ms"] for row in rows}
        ways = [row["ms"] for row in rows if "picked" in row]
        picked = [row["ms"] for row in rows if row.get("picked")]
        if {"vendor", "pytorch"} <= set(times) and picked:
            count += 1
            for name, ms in zip(sums, (times["vendor"], times["pytorch"], picked[0], min(ways))):
                sums[name] += ms
    return f"{count} layers, ms: " + ", ".join(f"{name} {ms:.2f}" for name, ms in sums.items())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", default="-")
    parser.add_argument("--only", default=",".join(common.MODELS))
    parser.add_argument("--seconds", type=float, default=1e9)
    options = parser.parse_args()
    where = common.prepare()
    start = time.time()
    result: List[Dict[str, Any]] = []
    cases = [
        (direction, batch, dtype)
        for direction, batch, dtype in (
            (FORWARD, 16, torch.float32),
            (WEIGHT, 16, torch.float32),
            (DATA, 16, torch.float32),
            (FORWARD, 1, torch.float32),
            (FORWARD, 16, torch.float16),
            (WEIGHT, 16, torch.float16),
            (DATA, 16, torch.float16),
            (FORWARD, 1, torch.float16),
        )
    ]
    with torch.no_grad():
        for direction, batch, dtype in cases:
            measured = []
            for layer in layers(options.only.split(","), batch):
                if time.time() - start > options.seconds:
                    break
                rows = measure(direction, layer, dtype)
                measured.append(rows)
                result.append(
                    {
                        "direction": direction,
                        "dtype": str(dtype)[6:],
                        "layer": [list(map(int, v)) if isinstance(v, tuple) else v for v in layer],
                        "ways": rows,
                    }
                )
            print(f"{time.time() - start:.0f} s: {direction} {batch} {dtype}: {summary(measured)}", flush=True)
    text = json.dumps({"device": where, "layers": result})
    if options.out == "-":
        print(text)
    else:
        with open(options.out, "w", encoding="utf-8") as file:
            file.write(text)


if __name__ == "__main__":
    main()
