# SPDX-License-Identifier: MIT OR Apache-2.0
"""Runs a test file of PyTorch's own with the engine in force.

    python pytorch.py FILE [ARGUMENT…]

FILE is from PyTorch's source; the arguments are its own (`-k conv`). The device is
`RDNA1_GEMM_DEVICE`, the CPU if not set.
"""

from __future__ import annotations

import os
import runpy
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))

import rdna1_gemm


def main() -> None:
    sys.argv = sys.argv[1:]
    file = os.path.abspath(sys.argv[0])
    # Under CI PyTorch's runner writes XML, with a module that is not there.
    os.environ.pop("CI", None)
    assert rdna1_gemm.enable(devices=[os.environ.get("RDNA1_GEMM_DEVICE", "cpu")])
    os.chdir(os.path.dirname(file))
    sys.path.insert(0, os.path.dirname(file))
    runpy.run_path(file, run_name="__main__")


if __name__ == "__main__":
    main()
