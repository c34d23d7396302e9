# SPDX-License-Identifier: MIT OR Apache-2.0
"""What the benchmarks share: models, and time on the card."""

from __future__ import annotations

import os
import statistics
import sys
from typing import Any, Callable, List

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))

import torch

MODELS = ("resnet18", "resnet50", "vgg16", "efficientnet_b0", "mobilenet_v2", "densenet121")


def prepare() -> str:
    """Exact products on both sides; returns what this runs on."""
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.benchmark = False
    torch.manual_seed(0)
    return f"{torch.cuda.get_device_name()}, PyTorch {torch.__version__}, TF32 off"


def model(name: str, dtype: torch.dtype, training: bool) -> Any:
    import torchvision

    torch.manual_seed(0)
    return getattr(torchvision.models, name)(weights=None).to("cuda", dtype).train(training)


def milliseconds(call: Callable[[], Any], budget: float = 0.15, warm: int = 3) -> float:
    """The median of repeated calls, with the host's part where the host is slower."""
    for _ in range(warm):
        call()
    torch.cuda.synchronize()
    times: List[float] = []
    while len(times) < 5 or (sum(times) < budget * 1e3 and len(times) < 60):
        start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        start.record()
        call()
        end.record()
        end.synchronize()
        times.append(start.elapsed_time(end))
    return statistics.median(times)


def graphed(call: Callable[[], Any], repeat: int = 4) -> float:
    """Milliseconds of the card alone: the call, recorded and replayed."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        call()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for _ in range(repeat):
            call()
    return milliseconds(graph.replay, budget=0.004, warm=1) / repeat
