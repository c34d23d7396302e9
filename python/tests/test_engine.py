# SPDX-License-Identifier: MIT OR Apache-2.0
"""The engine in force, seen from where its users stand."""

from __future__ import annotations

import contextlib
import gc
import io
import itertools
import os
import subprocess
import sys
import unittest
import weakref
from typing import Any, Callable, List, Tuple
from unittest import mock

import support
import torch
from support import CONVOLUTIONS, DEVICE, TRANSPOSED, engine
from torch import nn

import rdna1_gemm
from rdna1_gemm import dispatch, forward, settings
from rdna1_gemm.columns import scatter, scatter_band
from rdna1_gemm.problem import describe

VERSION = tuple(int(part) for part in torch.__version__.split("+")[0].split(".")[:2] if part.isdigit())


#: PyTorch's own loop over images left out.
NO_LOOP = mock.patch("rdna1_gemm.cost.Model._own", lambda *_: [])


def both(call: Callable[[], Any], **options: Any) -> Tuple[Any, Any]:
    """PyTorch's answer and the engine's."""
    own = call()
    with engine(**options):
        return own, call()


class Coverage(unittest.TestCase):
    def setUp(self) -> None:
        torch.manual_seed(0)

    def check(
        self, function: Any, shape: Any, weights: Any, bias: bool = True, layout: Any = None, **arguments: Any
    ) -> None:
        """Result and all gradients, in float64."""
        outputs = weights[1] * arguments.get("groups", 1) if function in TRANSPOSED else weights[0]
        x = torch.randn(shape, dtype=torch.float64, device=DEVICE)
        x = layout(x) if layout else x
        w = torch.randn(weights, dtype=torch.float64, device=DEVICE)
        b = torch.randn(outputs, dtype=torch.float64, device=DEVICE) if bias else None
        leaves = [t.requires_grad_() for t in (x, w, b) if t is not None]

        def call() -> List[torch.Tensor]:
            y = function(x, w, b, **arguments)
            return [y, *torch.autograd.grad((y * y).sum(), leaves)]

        for own, ours in zip(*both(call)):
            torch.testing.assert_close(ours, own, rtol=1e-9, atol=1e-9)
            if hasattr(torch._C, "_conv_determine_backend_memory_format"):
                self.assertEqual(ours.stride(), own.stride())

    def test_ranks_strides_paddings_dilations_groups(self) -> None:
        for rank, stride, padding, dilation, groups, bias in itertools.product(
            (1, 2, 3), (1, 2), (0, 2), (1, 2), (1, 2), (False, True)
        ):
            size = (9, 8, 7)[:rank]
            with self.subTest(rank=rank, stride=stride, padding=padding, dilation=dilation, groups=groups):
                arguments = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
                self.check(CONVOLUTIONS[rank - 1], (3, 4) + size, (6, 4 // groups) + (3,) * rank, bias, **arguments)
                self.check(TRANSPOSED[rank - 1], (3, 4) + size, (4, 6 // groups) + (3,) * rank, bias, **arguments)

    def test_output_padding_and_padding_by_name(self) -> None:
        self.check(torch.conv_transpose2d, (2, 3, 5, 6), (3, 4, 3, 3), stride=2, output_padding=1)
        self.check(torch.conv_transpose2d, (2, 3, 5, 6), (3, 4, 3, 3), dilation=3, output_padding=2)
        self.check(torch.conv2d, (2, 3, 8, 7), (4, 3, 3, 4), padding="same")
        self.check(torch.conv1d, (2, 3, 8), (4, 3, 3), padding="valid")

    def test_depthwise(self) -> None:
        for rank in (1, 2, 3):
            size = (9, 8, 7)[:rank]
            self.check(CONVOLUTIONS[rank - 1], (2, 5) + size, (10, 1) + (3,) * rank, groups=5, padding=1)
            self.check(TRANSPOSED[rank - 1], (2, 5) + size, (5, 2) + (3,) * rank, groups=5, stride=2)
            self.check(TRANSPOSED[rank - 1], (2, 5) + size, (5, 1) + (3,) * rank, groups=5, stride=2, padding=1)

    def test_pointwise(self) -> None:
        for images, groups in itertools.product((1, 3), (1, 2)):
            self.check(torch.conv2d, (images, 4, 5, 6), (6, 4 // groups, 1, 1), groups=groups)
            self.check(torch.conv2d, (images, 4, 5, 6), (6, 4 // groups, 1, 1), groups=groups, stride=2)
            self.check(torch.conv2d, (images, 4, 5, 6), (6, 4 // groups, 1, 1), groups=groups, padding=1)

    def test_layouts(self) -> None:
        for layout in (
            lambda t: t.contiguous(memory_format=torch.channels_last),
            lambda t: t.transpose(2, 3),
            lambda t: torch.cat([t, t], 1)[:, ::2],
            lambda t: t[:1].expand(3, -1, -1, -1),
        ):
            self.check(torch.conv2d, (3, 4, 8, 8), (6, 4, 3, 3), layout=layout, padding=1)
            self.check(torch.conv2d, (3, 4, 8, 8), (6, 4, 1, 1), layout=layout)
        self.check(
            torch.conv2d, (3, 1, 8, 8), (6, 1, 3, 3), layout=lambda t: t.contiguous(memory_format=torch.channels_last)
        )

    def test_empty(self) -> None:
        self.check(torch.conv2d, (0, 4, 8, 8), (6, 4, 3, 3))
        self.check(torch.conv_transpose2d, (0, 4, 8, 8), (4, 6, 3, 3))

    def test_unbatched_and_complex(self) -> None:
        self.check(torch.conv2d, (4, 8, 8), (6, 4, 3, 3))
        x = torch.randn(2, 4, 8, 8, dtype=torch.complex128, device=DEVICE)
        w = torch.randn(6, 4, 3, 3, dtype=torch.complex128, device=DEVICE)
        own, ours = both(lambda: torch.conv2d(x, w))
        torch.testing.assert_close(ours, own)

    def test_short_types_sum_in_fp32(self) -> None:
        for dtype in (torch.float16, torch.bfloat16):
            x = torch.rand(2, 4096, 3, 3, device=DEVICE).to(dtype).requires_grad_()
            w = torch.rand(4, 4096, 3, 3, device=DEVICE).to(dtype).requires_grad_()
            with engine():
                y = torch.conv2d(x, w, padding=1)
                to_x, to_w = torch.autograd.grad(y, (x, w), torch.ones_like(y))
            exact = torch.conv2d(x.double(), w.double(), padding=1)
            # One rounding of the result; a sum in the short type would be off by far more.
            step = torch.finfo(dtype).eps
            torch.testing.assert_close(y.double(), exact, rtol=step, atol=0.0)
            self.assertEqual((to_x.dtype, to_w.dtype), (dtype, dtype))

    def test_taps_of_volumes_sum_in_fp32(self) -> None:
        """The adjoint of im2col in three dimensions, and of a band of rows, is our own sum."""
        arguments = ((2, 3, 6, 7, 5), (4, 3, 3, 3, 3), (1, 1, 1), (1, 1, 1), (1, 1, 1))
        flat = ((2, 3, 9, 7), (4, 3, 3, 3), (1, 1), (1, 1), (1, 1))
        for shape, weights, *window in (arguments, flat):
            problem = describe(shape, weights, *window, False, (0,) * len(window[0]), 1)
            for dtype in (torch.float16, torch.bfloat16):
                points = problem.points
                columns = torch.rand(2, problem.depth, points, device=DEVICE).to(dtype)
                exact = scatter(problem, columns.double(), 3)
                if problem.rank == 3:
                    found = scatter(problem, columns, 3)
                else:
                    found = torch.zeros(shape, dtype=dtype, device=DEVICE)
                    scatter_band(problem, columns, 3, (0, problem.out[0]), found)
                self.assertEqual(found.dtype, dtype)
                # One rounding; 27 of them would be off by more.
                torch.testing.assert_close(found.double(), exact, rtol=torch.finfo(dtype).eps, atol=0.0)

    def test_same_bits_every_time(self) -> None:
        x = torch.randn(4, 16, 20, 20, device=DEVICE, requires_grad=True)
        w = torch.randn(32, 16, 3, 3, device=DEVICE, requires_grad=True)
        with engine():
            runs = []
            for _ in range(3):
                y = torch.conv2d(x, w, padding=1)
                runs.append((y, *torch.autograd.grad(y.square().sum(), (x, w))))
        for run in runs[1:]:
            self.assertTrue(all(torch.equal(a, b) for a, b in zip(run, runs[0])))


class Callers(unittest.TestCase):
    """Whatever stands above the operators."""

    def setUp(self) -> None:
        torch.manual_seed(0)
        self.x = torch.randn(2, 4, 6, 5, dtype=torch.float64, device=DEVICE, requires_grad=True)
        self.w = torch.randn(6, 2, 3, 3, dtype=torch.float64, device=DEVICE, requires_grad=True)

    def test_gradients_of_gradients(self) -> None:
        b = torch.randn(6, dtype=torch.float64, device=DEVICE, requires_grad=True)
        t = torch.randn(4, 3, 3, 3, dtype=torch.float64, device=DEVICE, requires_grad=True)
        with engine():
            for call, inputs in (
                (lambda x, w, b: torch.conv2d(x, w, b, stride=2, padding=1, groups=2), (self.x, self.w, b)),
                (lambda x, t: torch.conv_transpose2d(x, t, stride=2, padding=1), (self.x, t)),
            ):
                self.assertTrue(torch.autograd.gradcheck(call, inputs, check_forward_ad=True))
                self.assertTrue(torch.autograd.gradgradcheck(call, inputs))

    def test_autocast(self) -> None:
        dtype = torch.float16 if DEVICE == "cuda" else torch.bfloat16
        x, w = self.x.detach().float(), self.w.detach().float()

        def call() -> torch.Tensor:
            with torch.autocast(DEVICE, dtype=dtype):
                return torch.conv2d(x, w, groups=2)

        own, ours = both(call)
        self.assertEqual(ours.dtype, dtype)
        torch.testing.assert_close(ours, own, rtol=0.02, atol=0.02)

    @unittest.skipUnless(hasattr(torch, "func"), "torch.func is not in this PyTorch")
    def test_function_transforms(self) -> None:
        weights = torch.randn(3, 6, 2, 3, 3, dtype=torch.float64, device=DEVICE)
        x = self.x.detach()

        def loss(w: torch.Tensor) -> torch.Tensor:
            return torch.conv2d(x, w, groups=2, padding=1).square().sum()

        for transform in (
            lambda: torch.func.vmap(loss)(weights),
            lambda: torch.func.vmap(torch.func.grad(loss))(weights),
            lambda: torch.func.jvp(loss, (weights[0],), (weights[1],))[1],
            lambda: torch.func.hessian(lambda s: loss(s * weights[0]))(
                torch.tensor(1.5, dtype=torch.float64, device=DEVICE)
            ),
        ):
            own, ours = both(transform)
            torch.testing.assert_close(ours, own)

    def test_script_and_trace(self) -> None:
        net = (
            nn.Sequential(nn.Conv2d(4, 6, 3, padding=1), nn.ReLU(), nn.ConvTranspose2d(6, 2, 2, 2)).double().to(DEVICE)
        )
        x = self.x.detach()
        own = net(x)
        for form in (torch.jit.script(net), torch.jit.trace(net, x)):
            with engine():
                torch.testing.assert_close(form(x), own)
                frozen = torch.jit.freeze(form.eval())
                torch.testing.assert_close(frozen(x), own)

    @unittest.skipUnless(
        hasattr(torch, "compile") and sys.version_info < (3, 13), "torch.compile is not in this PyTorch"
    )
    def test_compile(self) -> None:
        net = nn.Sequential(nn.Conv2d(4, 6, 3, padding=1), nn.ReLU(), nn.Conv2d(6, 2, 1)).double().to(DEVICE)
        x = self.x.detach()
        for layout in (torch.contiguous_format, torch.channels_last):
            inputs = x.contiguous(memory_format=layout).requires_grad_()
            own = net(inputs)
            wanted = torch.autograd.grad(own.sum(), inputs)[0]
            with engine():
                for backend in ("aot_eager", "inductor"):
                    torch._dynamo.reset()
                    try:
                        ours = torch.compile(net, backend=backend)(inputs)
                    except Exception as error:
                        if "compiler" in str(error).lower() or "Python.h" in str(error):
                            continue  # This machine has no compiler for it.
                        raise
                    torch.testing.assert_close(ours, own)
                    torch.testing.assert_close(torch.autograd.grad(ours.sum(), inputs)[0], wanted)

    def test_modules_that_use_the_vendor_otherwise(self) -> None:
        net = nn.Sequential(nn.Conv1d(4, 4, 3), nn.BatchNorm1d(4)).double().to(DEVICE)
        rnn = nn.LSTM(5, 3, batch_first=True, bidirectional=True).double().to(DEVICE)
        x = torch.randn(2, 4, 7, dtype=torch.float64, device=DEVICE)

        def call() -> Any:
            y = rnn(net(x))[0]
            return y, torch.autograd.grad(y.sum(), list(net.parameters()) + list(rnn.parameters()))

        own, ours = both(call)
        torch.testing.assert_close(ours, own, rtol=1e-6, atol=1e-7)

    def test_miopens_own_operators(self) -> None:
        if not hasattr(torch.ops.aten, "miopen_convolution_relu"):
            self.skipTest("no such operators")
        kernels = dispatch.vendor(lambda *arguments: torch.convolution(*arguments))
        x, w, z = self.x.detach(), self.w.detach(), torch.ones(2, 6, 4, 3, dtype=torch.float64, device=DEVICE)
        one, none = [1, 1], [0, 0]
        plain = torch.conv2d(x, w, groups=2)
        torch.testing.assert_close(kernels["miopen_convolution"](x, w, None, none, one, one, 2, False, False), plain)
        torch.testing.assert_close(kernels["miopen_convolution_relu"](x, w, None, one, none, one, 2), plain.relu())
        added = kernels["miopen_convolution_add_relu"](x, w, z, 2.0, None, one, none, one, 2)
        torch.testing.assert_close(added, (plain + 2 * z).relu())
        t = torch.randn(4, 3, 3, 3, dtype=torch.float64, device=DEVICE)
        found = kernels["miopen_convolution_transpose"](x, t, None, none, one, [2, 2], one, 1, False, False)
        torch.testing.assert_close(found, torch.conv_transpose2d(x, t, stride=2, output_padding=1))
        # Where the schemas are as expected, every argument is named in order.
        for name in ("miopen_convolution", "miopen_convolution_relu", "miopen_convolution_add_relu"):
            names = [argument.name for argument in getattr(torch.ops.aten, name).default._schema.arguments]
            self.assertEqual(
                names[-2:] if name == "miopen_convolution" else names[-1:],
                ["benchmark", "deterministic"] if name == "miopen_convolution" else ["groups"],
            )


class Manners(unittest.TestCase):
    def test_pytorchs_own_errors(self) -> None:
        x = torch.randn(2, 4, 6, 6, device=DEVICE)
        wrong: List[Callable[[], Any]] = [
            lambda: torch.conv2d(x, torch.randn(6, 3, 3, 3, device=DEVICE)),
            lambda: torch.conv2d(x, torch.randn(6, 4, 9, 9, device=DEVICE)),
            lambda: torch.conv2d(x, torch.randn(6, 4, 3, 3, device=DEVICE), padding=-1),
            lambda: torch.conv2d(x, torch.randn(6, 4, 3, 3, device=DEVICE), stride=0),
            lambda: torch.conv2d(x, torch.randn(6, 4, 3, 3, device=DEVICE), torch.randn(5, device=DEVICE)),
            lambda: torch.conv2d(x, torch.randn(6, 4, 3, 3, device=DEVICE).double()),
            lambda: torch.conv2d(x, torch.randn(6, 4, 3, device=DEVICE)),
            lambda: torch.conv2d(x, torch.randn(5, 2, 3, 3, device=DEVICE), groups=2),
            lambda: torch.conv_transpose2d(x, torch.randn(4, 3, 3, 3, device=DEVICE), output_padding=3),
        ]
        for call in wrong:
            messages = []
            # PyTorch's own path without the vendor's library words some of them differently.
            for use in (torch.backends.cudnn.flags(enabled=False), engine()):
                with use, self.assertRaises((RuntimeError, ValueError)) as caught:
                    call()
                messages.append(str(caught.exception))
            self.assertEqual(messages[0].splitlines()[0], messages[1].splitlines()[0])

    def test_integers_are_pytorchs_with_one_note(self) -> None:
        x = torch.randint(-3, 3, (2, 4, 6, 6))
        w = torch.randint(-3, 3, (6, 4, 3, 3))
        settings._said.clear()
        said = io.StringIO()
        with engine(), contextlib.redirect_stderr(said):
            if DEVICE == "cpu":
                own = torch.nn.functional.conv2d(x.double(), w.double()).long()
                for _ in range(2):
                    self.assertTrue(torch.equal(torch.conv2d(x, w), own))
                self.assertEqual(said.getvalue().count("torch.int64 is left to PyTorch"), 1)

    def test_disable_leaves_pytorch_as_it_was(self) -> None:
        before = torch.backends.cudnn.enabled
        kernels = torch._C._dispatch_dump("aten::convolution")
        with engine():
            self.assertTrue(rdna1_gemm.is_enabled())
            self.assertFalse(torch.backends.cudnn.enabled)
            self.assertNotEqual(torch._C._dispatch_dump("aten::convolution"), kernels)
            rdna1_gemm.enable(devices=[DEVICE], workspace=1 << 20)  # Again, with other settings.
        self.assertFalse(rdna1_gemm.is_enabled())
        self.assertEqual(torch.backends.cudnn.enabled, before)
        self.assertEqual(torch._C._dispatch_dump("aten::convolution"), kernels)
        rdna1_gemm.disable()

    def test_memory_short_leaner_ways(self) -> None:
        """The first attempts fail as PyTorch fails without memory; the result comes all the same."""
        x, w = torch.randn(8, 16, 40, 40, device=DEVICE), torch.randn(16, 16, 3, 3, device=DEVICE)
        own = torch.conv2d(x, w)
        taken: List[int] = []
        gather = forward.gather

        def short(problem: Any, inputs: Any, band: Any) -> Any:
            columns = inputs.shape[0] * problem.depth * (band[1] - band[0]) * problem.out[1]
            taken.append(columns)
            if columns > 300_000:
                raise RuntimeError("HIP out of memory. Tried to allocate 9.00 GiB")
            return gather(problem, inputs, band)

        with mock.patch.object(forward, "gather", short), mock.patch(
            "rdna1_gemm.fast.straight", lambda *_: None
        ), NO_LOOP:
            with mock.patch("rdna1_gemm.cost.Model.ways", lambda *_: iter(["columns"])), engine():
                torch.testing.assert_close(torch.conv2d(x, w), own, rtol=1e-4, atol=1e-4)
                self.assertGreater(max(taken), 300_000)
                taken.clear()
                torch.conv2d(x, w)  # From now on without trying what failed.
                self.assertLess(max(taken), 300_000)
        with mock.patch.object(forward, "gather", mock.Mock(side_effect=RuntimeError("HIP out of memory"))):
            with mock.patch("rdna1_gemm.fast.straight", lambda *_: None), NO_LOOP, engine():
                with mock.patch("rdna1_gemm.cost.Model.ways", lambda *_: iter(["columns"])):
                    with self.assertRaisesRegex(RuntimeError, "HIP out of memory"):
                        torch.conv2d(x, w)

    def test_nothing_is_kept_alive(self) -> None:
        """Plans last as long as the process; the tensors that they were made for must not."""
        for images in (1, 4):
            for groups in (1, 4, 8):
                x = torch.randn(images, 8, 12, 12, device=DEVICE, requires_grad=True)
                w = torch.randn(8, 8 // groups, 3, 3, device=DEVICE, requires_grad=True)
                with engine():
                    y = torch.conv2d(x, w, groups=groups)
                    y.sum().backward()
                    alive = [weakref.ref(tensor) for tensor in (x, w, y)]
                    del x, w, y
                    gc.collect()
                    self.assertEqual([ref() for ref in alive], [None, None, None], f"{images} images, {groups} groups")

    def test_the_limit_holds(self) -> None:
        """SD-VAE's kind of layer, small: PyTorch's columns would be 9 times the input."""
        x = torch.randn(1, 32, 64, 64, device=DEVICE)
        w = torch.randn(32, 32, 3, 3, device=DEVICE)
        limit = 200_000
        with engine(workspace=limit), torch.no_grad(), support.Memory() as memory:
            memory.know(x, w)
            plan = rdna1_gemm._engine.kernels.convolution  # type: ignore[union-attr]
            y = plan(x, w, None, [1, 1], [1, 1], [1, 1], False, [0, 0], 1)
        self.assertLessEqual(memory.peak - 4 * y.numel(), limit)
        torch.testing.assert_close(y, torch.conv2d(x, w, padding=1), rtol=1e-4, atol=1e-4)

    def test_unknown_pytorch(self) -> None:
        said = io.StringIO()
        for version in ("1.12.1", "3.0.0", "unknown"):
            with mock.patch.object(torch, "__version__", version), contextlib.redirect_stderr(said):
                self.assertFalse(rdna1_gemm.enable(devices=[DEVICE]))
            self.assertIn(f"disabled: PyTorch {version}", said.getvalue())
        with mock.patch.dict(dispatch.SIGNATURES, {"convolution": "input weight"}), contextlib.redirect_stderr(said):
            self.assertFalse(rdna1_gemm.enable(devices=[DEVICE]))
        self.assertIn("has another aten::convolution", said.getvalue())
        torch.backends.cudnn.enabled = True

    def test_settings(self) -> None:
        for text, value in (("123", 123), ("64K", 65536), ("1.5GiB", 3 << 29), ("256mb", 256 << 20)):
            self.assertEqual(settings.size(text), value)
        said = io.StringIO()
        with contextlib.redirect_stderr(said):
            for text in ("", "x", "-1", "0", "nan", "inf", "1e999", "5T"):
                found = settings.from_environment({settings.WORKSPACE: text, settings.LOG: "0"})
                self.assertEqual(found, settings.Settings())
        self.assertEqual(said.getvalue().count("is no size"), 7)
        self.assertTrue(settings.from_environment({settings.FAST: "1"}).fast)
        self.assertEqual(settings.Settings().limit(6 << 30), 384 << 20)
        with self.assertRaises(ValueError):
            rdna1_gemm.enable(devices=["tpu"])
        with self.assertRaises(ValueError):
            rdna1_gemm.enable(workspace=0)

    def test_log_and_report(self) -> None:
        program = (
            "import torch, rdna1_gemm\n"
            f"rdna1_gemm.enable(devices=['{DEVICE}'])\n"
            f"net = torch.nn.Conv2d(3, 4, 3).to('{DEVICE}')\n"
            f"for _ in range(3): net(torch.randn(2, 3, 8, 8, device='{DEVICE}')).sum().backward()\n"
        )
        environment = dict(os.environ, PYTHONPATH=support.ROOT, RDNA1_GEMM_LOG="1", RDNA1_GEMM_REPORT="1")
        done = subprocess.run(
            [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
        )
        self.assertIn("convolution by matrix product, without MIOpen, on " + DEVICE, done.stderr)
        self.assertRegex(done.stderr, r"rdna1_gemm: forward: 2x3x8x8 \* 4x3x3x3 s1x1 p0x0 float32: \w+")
        self.assertRegex(done.stderr, r"\n +\d+\.\d+ +3 +\d+\.\d MiB  forward +\w+.* 2x3x8x8")
        self.assertRegex(done.stderr, r"\n +\d+\.\d+ +3 +\d+\.\d MiB  weight gradient")
        self.assertEqual(done.stdout, "")


if __name__ == "__main__":
    unittest.main()
