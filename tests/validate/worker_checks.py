"""Checks of the worker's own functions, in the interpreter that runs this:
worker_checks.py WORKER. Needs PyTorch, and no GPU."""

import importlib.util
import sys
import types

SPEC = importlib.util.spec_from_file_location("worker", sys.argv[1])
worker = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(worker)

import torch  # noqa: E402


class Channel:
    token = "0"

    def phase(self, name):
        pass


class Like:
    """An object with these fields."""

    def __init__(self, **fields):
        self.__dict__.update(fields)


def properties_of_old_releases():
    """PyTorch 1.13 and 2.0 on ROCm have no gcnArchName, and no PCI address."""
    old = types.SimpleNamespace(name="AMD Radeon RX 5700 XT", major=10, minor=1, total_memory=1, multi_processor_count=20)
    new = types.SimpleNamespace(gcnArchName="gfx1010:xnack-", pci_domain_id=0, pci_bus_id=3, pci_device_id=0, **vars(old))
    assert worker.arch_of(old, "5.2.21151") is None
    assert worker.arch_of(new, "6.4") == "gfx1010:xnack-"
    assert worker.arch_of(new, None) == "sm_101", "the same on CUDA"
    assert worker.pci_of(old) is None
    assert worker.pci_of(new) == "0000:03:00.0"
    real = torch.cuda
    torch.version.hip, hip = "5.2.21151", torch.version.hip
    torch.cuda = types.SimpleNamespace(
        is_available=lambda: True,
        device_count=lambda: 2,
        get_device_properties=lambda index: [new, old][index],
        set_device=chosen.append,
        get_arch_list=lambda: ["gfx900"],
    )
    usable, worker.usable = worker.usable, lambda device: str(device) == "cuda:1"
    try:
        listed = worker.list_devices(Channel())["devices"]
        opened = worker.open_device({"device": "cuda:1"}, Channel())
    finally:
        torch.cuda, torch.version.hip, worker.usable = real, hip, usable
    assert [device["arch"] for device in listed] == ["gfx1010:xnack-", None], listed
    assert chosen == [1] and opened["kind"] == "cuda" and opened["arch"] is None, opened


chosen = []


def benchmark_is_pytorchs_own():
    """On ROCm up to 2.6 it is true from the beginning, and programs have it so."""
    work = dict(
        kind="conv", batch=1, channels=2, filters=2, input=[5, 5], kernel=3, padding=0, padding_mode="zeros", stride=1,
        dilation=1, groups=1, transposed=False, bias=False, data_type="f32", autocast=None, memory="contiguous",
        miopen=True, benchmark=None,
    )
    seen = []
    real = worker.conv_call
    worker.conv_call = lambda *arguments: (seen.append(torch.backends.cudnn.benchmark), real(*arguments))[1]
    right = worker.conv_reference(work)
    for usual in (True, False):
        torch.backends.cudnn.benchmark = usual
        worker.start({"threads": 1, "torchvision": False, "variables": []})
        for asked, wanted in ((None, usual), (False, False), (None, usual), (True, True)):
            torch.load, load = (lambda file, weights_only: right), torch.load
            del seen[:]
            request = {"work": dict(work, benchmark=asked), "device": "cpu", "file": "", "timed": False}
            answer = worker.case(request, Channel())
            torch.load = load
            assert set(seen) == {wanted}, (usual, asked, seen)
            assert [check["quantity"] for check in answer["checks"]] == ["output", "grad-input", "grad-weight"]
    worker.conv_call = real
    torch.backends.cudnn.benchmark = False


def answers_of_models():
    one = torch.ones(3)
    for output in (one, [one], (None, one), {"out": one, "aux": None}, {"a": {"b": [one]}}, Like(logits=one)):
        assert worker.tensor_of(output) is one, output
    for output in (None, "text", {}, Like(a=1)):
        try:
            worker.tensor_of(output)
        except worker.Unsupported as error:
            assert "no tensor" in str(error)
        else:
            raise AssertionError(output)


def every_format_has_a_digest():
    kinds = [torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.int8, torch.uint8, torch.bool]
    kinds += [torch.complex64, torch.complex128]
    for kind in kinds:
        ones = torch.ones([5], dtype=kind)
        zeros = torch.zeros([5], dtype=kind)
        assert worker.digest([ones]) != worker.digest([zeros]) == 0, kind
        assert worker.digest([ones]) == worker.digest([ones.clone()]), kind


def what_nobody_claims():
    for text, unsupported in (
        ('"slow_conv2d" not implemented for \'BFloat16\'', True),
        ("Current CUDA Device does not support bfloat16. Please switch dtype to float16.", True),
        ("miopenStatusNotImplemented. This error may appear if you passed in a non-contiguous input.", False),
        ("HIP error: invalid device function", False),
    ):
        for device in ("cpu", "cuda:0"):
            found = worker.failure(RuntimeError(text), device)["error"]
            assert found["unsupported"] == unsupported, (text, device)
    assert worker.failure(worker.Mismatch("x"), "cpu")["error"]["different_start"]


def trained(model, backward):
    """How much of the promised decline is missing with this gradient of convolution."""
    real = torch.nn.functional.conv2d

    class Convolution(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, w):
            ctx.save_for_backward(x, w)
            return real(x, w)

        @staticmethod
        def backward(ctx, gradient):
            with torch.enable_grad():
                x, w = (t.detach().requires_grad_() for t in ctx.saved_tensors)
                return backward(*torch.autograd.grad(real(x, w), (x, w), gradient))

    def conv2d(x, w, *_rest):
        return Convolution.apply(x, w)

    sys.modules["mine"] = types.SimpleNamespace(model=model)
    torch.nn.functional.conv2d = conv2d
    work = {"model": "mine:model", "batch": 2, "size": 16, "steps": 6, "rate": 0.03}
    checks = worker.model_training(work, torch.device("cpu"), Channel(), worker.Clock(False))
    torch.nn.functional.conv2d = real
    return checks[0]["error"]


def training_needs_right_gradients():
    """Whatever the model's scale, which a learning rate would have to fit."""
    for scale in (0.01, 1.0, 100.0):

        def model():
            # Nothing to learn but filters: a bias whose gradient is right hides what they do.
            convolutions = torch.nn.Conv2d(3, 64, 3, bias=False), torch.nn.Conv2d(64, 64, 3, bias=False)
            with torch.no_grad():
                convolutions[1].weight *= scale
            return torch.nn.Sequential(convolutions[0], torch.nn.ReLU(), convolutions[1])

        right = trained(model, lambda x, w: (x, w))
        assert -0.1 < right < 0.1, (scale, right)
        for name, wrong in (
            ("negated", lambda x, w: (x, -w)),
            ("of other filters", lambda x, w: (x, w.flip(0))),
            ("nothing", lambda x, w: (0 * x, 0 * w)),
        ):
            missing = trained(model, wrong)
            assert missing > 0.9, (scale, name, missing)


for check in (
    properties_of_old_releases,
    benchmark_is_pytorchs_own,
    answers_of_models,
    every_format_has_a_digest,
    what_nobody_claims,
    training_needs_right_gradients,
):
    check()
    print("ok", check.__name__)
