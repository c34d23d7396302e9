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
    def peaks(self, name: str, dtype: torch.dtype, training: bool) -> Tuple[int, int]:
        own = memory.replay(name, dtype, 16, training, memory.PYTORCH)
        ours = memory.replay(name, dtype, 16, training, memory.ENGINE)
        self.assertGreater(len(own.layers), 10)
        self.assertEqual([layer[:2] for layer in own.layers], [layer[:2] for layer in ours.layers])
        return own.peak, ours.peak

    def test_fp32_takes_no_more_than_pytorchs_own_path(self) -> None:
        for name in common.MODELS:
            for training in (False, True):
                own, ours = self.peaks(name, torch.float32, training)
                self.assertLessEqual(ours, own, f"{name}, training: {training}")

    def test_bf16_takes_a_little_more_in_training_alone(self) -> None:
        for name in ("resnet18", "vgg16"):
            own, ours = self.peaks(name, torch.bfloat16, False)
            self.assertLessEqual(ours, own, name)
            own, ours = self.peaks(name, torch.bfloat16, True)
            self.assertLessEqual(ours, own * 1.05, name)

    def test_more_would_be_seen(self) -> None:
        """The measure sees what `fast` takes."""
        with mock.patch.object(memory, "Settings", lambda: Settings(fast=True)):
            own, ours = self.peaks("resnet18", torch.float32, False)
        self.assertGreater(ours, own * 1.3)


if __name__ == "__main__":
    unittest.main()
