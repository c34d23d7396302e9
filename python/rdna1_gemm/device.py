# SPDX-License-Identifier: MIT OR Apache-2.0
"""What the cost model and the workspace limit take from a device."""

from __future__ import annotations

from typing import Dict, Optional, Tuple

import torch

from .cost import Rates

#: Floating-point operations of one multiprocessor in a second (RDNA1's work-group
#: processor and NVIDIA's SM alike: 128 multiply-adds in a cycle at about 1.7 GHz).
UNIT_FLOPS = 128 * 2 * 1.7e9
#: Operations that a card does while it moves a byte. Radeon RX 5600 XT: 7.2 TFLOP/s
#: and 288 GB/s; H100: 60 TFLOP/s and 3,350 GB/s.
INTENSITY = 20.0
#: Matrix units do fp16 and bf16 so much faster than the vector units do fp32;
#: without them (RDNA1), packed instructions do fp16 twice as fast.
MATRIX_UNITS, PACKED = 12.0, 2.0

_rates: Dict[Tuple[torch.device, torch.dtype], Rates] = {}
_memory: Dict[torch.device, Optional[int]] = {}


def rates(device: torch.device, dtype: torch.dtype) -> Rates:
    """The model's constants for a device; rough, because only ratios matter."""
    found = _rates.get((device, dtype))
    if found is None:
        found = _rates[device, dtype] = _make(device, dtype)
    return found


def _make(device: torch.device, dtype: torch.dtype) -> Rates:
    if device.type != "cuda":
        units = max(1, torch.get_num_threads())
        return Rates(flops=3e10 * units, bytes=1e10, launch=2e-6, units=units)
    units = torch.cuda.get_device_properties(device).multi_processor_count
    return of_card(units, dtype, PACKED if torch.version.hip else MATRIX_UNITS)


def of_card(units: int, dtype: torch.dtype, short: float) -> Rates:
    """The constants of a card with so many multiprocessors that does fp16 and bf16 `short` times as fast as fp32."""
    flops = units * UNIT_FLOPS
    speed = short if dtype in (torch.float16, torch.bfloat16) else 1.0
    return Rates(flops=flops * speed, bytes=flops / INTENSITY, launch=8e-6, units=units)


def memory(device: torch.device) -> Optional[int]:
    """Bytes of a card's memory; nothing for a CPU."""
    if device not in _memory:
        cuda = device.type == "cuda"
        _memory[device] = int(torch.cuda.get_device_properties(device).total_memory) if cuda else None
    return _memory[device]
