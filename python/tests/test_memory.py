# SPDX-License-Identifier: MIT OR Apache-2.0
"""Peak memory of whole models, replayed without a card."""

from __future__ import annotations

import os
import sys
import unittest
from typing import Tuple
from unittest import mock

import support

sys.path.insert(0, os.path.join(support.ROOT, "bench"))

import torch

import common
import memory

from rdna1_gemm.settings import Settings


class Peak(unittest.TestCase):
    """bf16 stands for both short types: PyTorch 1.13 runs some CPU kernels for shapes, and lacks those of fp16."""

    def peaks(self, name: str, dtype: torch.dtype, training: bool, card: str = memory.CARD) -> Tuple[int, int]:
        own = memory.replay(name, dtype, 16, training, memory.PYTORCH, card)
        ours = memory.replay(name, dtype, 16, training, memory.ENGINE, card)
        self.assertGreater(len(own.layers), 10)
        self.assertEqual([layer[:2] for layer in own.layers], [layer[:2] for layer in ours.layers])
        return own.peak, ours.peak

    def test_no_more_than_pytorchs_own_path(self) -> None:
        for name in common.MODELS:
            for dtype in (torch.float32, torch.bfloat16):
                for training in (False, True):
                    own, ours = self.peaks(name, dtype, training)
                    self.assertLessEqual(ours, own, f"{name}, {dtype}, training: {training}")

    def test_no_more_on_a_faster_card(self) -> None:
        """Whose speed decides for other ways."""
        for name in ("resnet18", "vgg16"):
            for dtype in (torch.float32, torch.bfloat16):
                own, ours = self.peaks(name, dtype, True, "h200")
                self.assertLessEqual(ours, own, f"{name}, {dtype}")

    def test_more_would_be_seen(self) -> None:
        """The measure sees what `fast` takes."""
        with mock.patch.object(memory, "Settings", lambda: Settings(fast=True)):
            own, ours = self.peaks("resnet18", torch.float32, False)
        self.assertGreater(ours, own * 1.3)


if __name__ == "__main__":
    unittest.main()
