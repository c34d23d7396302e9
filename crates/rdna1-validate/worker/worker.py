# SPDX-License-Identifier: MIT OR Apache-2.0
"""The worker of rdna1-validate: computes what it is asked and reports numbers.

It judges nothing. Requests come as JSON lines on one descriptor, answers go as
JSON lines to another; standard output and error stay free for whatever chatty
libraries print there. Every request has a token that its answer repeats, so
that nothing else can pass for an answer.

Needs nothing but PyTorch (1.13 or later; torchvision for its models) and
Python 3.8 or later. Called as: worker.py REQUESTS_FD ANSWERS_FD
"""

import contextlib
import ctypes
import importlib
import json
import os
import signal
import sys
import time
import traceback
from typing import Any, Callable, Dict, Iterator, List, Optional, Tuple

Json = Dict[str, Any]

# What PyTorch came with: something else may have switched MIOpen off already, and
# whether MIOpen is asked to search (`benchmark`) differs between releases for ROCm.
SETTINGS = {"miopen": True, "benchmark": False}

# Repetitions of each computation: two show whether it is repeatable.
REPEATS = 2


class Channel:
    """The two pipes to the program that started this worker."""

    def __init__(self, requests: int, answers: int) -> None:
        # What is started from here must not hold them open.
        os.set_inheritable(requests, False)
        os.set_inheritable(answers, False)
        self.requests = os.fdopen(requests, "r", encoding="utf-8")
        self.answers = answers
        self.token = ""

    def send(self, message: Json) -> None:
        message["token"] = self.token
        data = (json.dumps(message, allow_nan=False) + "\n").encode("utf-8")
        while data:
            data = data[os.write(self.answers, data) :]

    def phase(self, name: str) -> None:
        """Announces a step, on the pipe and within what libraries log."""
        self.send({"phase": name})
        mark(self.token, name)


def mark(token: str, name: str) -> None:
    sys.stderr.flush()
    os.write(2, "\n@rdna1 {} {}\n".format(token, name).encode("utf-8"))


class Mismatch(Exception):
    """This worker and the reference's started from different numbers."""


class Unsupported(Exception):
    """Neither PyTorch nor the device claims to do this."""


# -- Numbers ------------------------------------------------------------------


class Numbers:
    """Random tensors from a seed, the same in every process."""

    def __init__(self, seed: int) -> None:
        import torch

        self.torch = torch
        self.generator = torch.Generator().manual_seed(seed)

    def normal(self, shape: List[int], dtype: Any, scale: float = 1.0) -> Any:
        values = self.torch.randn(shape, generator=self.generator, dtype=self.torch.float32)
        return (values * scale).to(dtype)


def dtype_of(name: str) -> Any:
    import torch

    return {"f32": torch.float32, "f16": torch.float16, "bf16": torch.bfloat16}[name]


def product(sizes: List[int]) -> int:
    result = 1
    for size in sizes:
        result *= size
    return result


def digest(tensors: List[Any]) -> int:
    """A sum over bit patterns, by which two processes find out that they hold
    the same numbers. In integers, because a sum of floats depends on its order,
    and that on the number of threads."""
    import torch

    integers = {8: torch.int64, 4: torch.int32, 2: torch.int16, 1: torch.uint8}
    total = 0
    for tensor in tensors:
        tensor = tensor.detach()
        # Of a complex number, its two parts.
        flat = (torch.view_as_real(tensor) if tensor.is_complex() else tensor).contiguous().view(-1)
        total += int(flat.view(integers[flat.element_size()]).to(torch.int64).sum().item()) if flat.numel() else 0
    return total


def each(value: Any, n: int) -> List[int]:
    return list(value) if isinstance(value, list) else [value] * n


# -- Convolution --------------------------------------------------------------


def conv_inputs(work: Json, dtype: Any) -> Tuple[Any, Any, Optional[Any], Numbers]:
    """Input, weights and bias. Weights are scaled so that outputs are about 1."""
    n = len(work["input"])
    numbers = Numbers(1)
    kernel = each(work["kernel"], n)
    channels, filters, groups = work["channels"], work["filters"], work["groups"]
    if work["transposed"]:
        weight_shape = [channels, filters // groups] + kernel
    else:
        weight_shape = [filters, channels // groups] + kernel
    fan_in = channels // groups * product(kernel)
    x = numbers.normal([work["batch"], channels] + list(work["input"]), dtype)
    w = numbers.normal(weight_shape, dtype, fan_in**-0.5)
    b = numbers.normal([filters], dtype) if work["bias"] else None
    return x, w, b, numbers


def conv_call(work: Json, x: Any, w: Any, b: Optional[Any]) -> Any:
    import torch.nn.functional as functional

    n = len(work["input"])
    stride, dilation = each(work["stride"], n), each(work["dilation"], n)
    padding = work["padding"]
    if padding != "same":
        padding = each(padding, n)
    if work["transposed"]:
        call = getattr(functional, "conv_transpose{}d".format(n))
        return call(x, w, b, stride=stride, padding=padding, groups=work["groups"], dilation=dilation)
    mode = work["padding_mode"]
    if mode != "zeros":
        # As torch.nn.Conv2d does it.
        sides = [size for size in reversed(padding) for _ in range(2)]
        x = functional.pad(x, sides, mode=mode)
        padding = [0] * n
    call = getattr(functional, "conv{}d".format(n))
    return call(x, w, b, stride=stride, padding=padding, dilation=dilation, groups=work["groups"])


def laid_out(tensor: Any, memory: str) -> Any:
    """A tensor with the same numbers that lies in memory as asked."""
    import torch

    if memory == "channels-last" and tensor.dim() == 4:
        return tensor.contiguous(memory_format=torch.channels_last)
    if memory == "channels-last" and tensor.dim() == 5:
        return tensor.contiguous(memory_format=torch.channels_last_3d)
    if memory == "non-contiguous":
        wide = torch.zeros(list(tensor.shape[:-1]) + [2 * tensor.shape[-1]], dtype=tensor.dtype, device=tensor.device)
        view = wide[..., ::2]
        view.copy_(tensor)
        return view
    return tensor


def conv_reference(work: Json) -> Dict[str, Any]:
    import torch

    x, w, b, numbers = conv_inputs(work, dtype_of(work["data_type"]))
    leaves = [t.to(torch.float64).requires_grad_() for t in (x, w, b) if t is not None]
    y = conv_call(work, leaves[0], leaves[1], leaves[2] if b is not None else None)
    g = numbers.normal(list(y.shape), dtype_of(work["data_type"]))
    gradients = torch.autograd.grad(y, leaves, g.to(torch.float64))
    names = ["grad-input", "grad-weight", "grad-bias"]
    result = dict(zip(names, gradients))
    result["output"] = y.detach()
    result["digest"] = digest([t for t in (x, w, b, g) if t is not None])
    return result


def conv_device(
    work: Json, device: Any, channel: Channel, reference: Dict[str, Any], clock: "Clock"
) -> List[Dict[str, Any]]:
    import torch

    compute = dtype_of(work["autocast"] or work["data_type"])
    x, w, b, numbers = conv_inputs(work, compute)
    g = numbers.normal(list(reference["output"].shape), compute)
    same_start(reference, [t for t in (x, w, b, g) if t is not None])
    outer = dtype_of(work["data_type"])
    memory = work["memory"]
    leaves = [laid_out(t.to(outer).to(device), memory) for t in (x, w)]
    leaves += [b.to(outer).to(device)] if b is not None else []
    leaves = [t.detach().requires_grad_() for t in leaves]
    g = laid_out(g.to(device), memory)
    if work["benchmark"] is not None:
        torch.backends.cudnn.benchmark = work["benchmark"]
    torch.backends.cudnn.enabled = work["miopen"] and SETTINGS["miopen"]
    results = []
    for _ in range(REPEATS):
        result = {}
        poison(device, [g, leaves[0], leaves[1]])
        channel.phase("forward")
        with autocast(device, work["autocast"]):
            y = conv_call(work, leaves[0], leaves[1], leaves[2] if b is not None else None)
        finish(device)
        result["output"] = y.detach()
        if list(y.shape) == list(reference["output"].shape):
            g = g.to(y.dtype)
            poison(device, [leaves[0], leaves[1]])
            channel.phase("grad-input")
            result["grad-input"] = torch.autograd.grad(y, leaves[0], g, retain_graph=True)[0]
            finish(device)
            poison(device, [leaves[1]])
            channel.phase("grad-weight")
            rest = torch.autograd.grad(y, leaves[1:], g)
            finish(device)
            result.update(zip(["grad-weight", "grad-bias"], rest))
        results.append(result)

    def once() -> None:
        with autocast(device, work["autocast"]):
            y = conv_call(work, leaves[0], leaves[1], leaves[2] if b is not None else None)
        torch.autograd.grad(y, leaves, g.to(y.dtype))

    clock.measure(once, device)
    return results


class Clock:
    """Times what has been computed before: nothing is compiled or searched for any more."""

    # Enough for a minimum that the machine's other work does not shape.
    LEAST_RUNS, MOST_RUNS, SECONDS = 3, 50, 0.1

    def __init__(self, wanted: bool) -> None:
        self.wanted = wanted
        self.seconds: Optional[float] = None

    def measure(self, once: Callable[[], Any], device: Any) -> None:
        if not self.wanted:
            return
        begin, runs = time.monotonic(), 0
        while runs < self.LEAST_RUNS or runs < self.MOST_RUNS and time.monotonic() - begin < self.SECONDS:
            started = time.perf_counter()
            once()
            finish(device)
            seconds = time.perf_counter() - started
            self.seconds = seconds if self.seconds is None else min(self.seconds, seconds)
            runs += 1


@contextlib.contextmanager
def autocast(device: Any, name: Optional[str]) -> Iterator[None]:
    if name is None:
        yield
        return
    import torch

    with torch.autocast(device_type=device.type, dtype=dtype_of(name)):
        yield


def poison(device: Any, like: List[Any]) -> None:
    """Fills memory that the results will probably get with NaN, so that what a
    kernel leaves unwritten does not look right by chance."""
    import torch

    if device.type == "cpu":
        return
    blocks = [torch.full([max(t.numel(), 1)], float("nan"), dtype=t.dtype, device=device) for t in like]
    finish(device)
    del blocks


def finish(device: Any) -> None:
    import torch

    if device.type == "cuda":
        torch.cuda.synchronize()


# -- The controls -------------------------------------------------------------


def elementwise_formula(x: Any) -> Any:
    # No transcendental functions: their accuracy is not what is in question.
    return (x * 3.0 + 1.0) * x - x.abs()


def plain_inputs(work: Json) -> Tuple[List[Any], Callable[..., Any], Numbers]:
    """The tensors of a control, and what is computed from them."""
    import torch
    import torch.nn.functional as functional

    numbers = Numbers(2)
    dtype = dtype_of(work["data_type"])
    kind = work["kind"]
    if kind == "elementwise":
        return [numbers.normal([work["elements"]], dtype)], elementwise_formula, numbers
    if kind == "matmul":
        m, n, k = work["m"], work["n"], work["k"]
        return [numbers.normal([m, k], dtype, k**-0.5), numbers.normal([k, n], dtype)], torch.matmul, numbers
    if kind == "batch-norm":
        channels = work["channels"]
        x = numbers.normal([work["batch"], channels] + list(work["input"]), dtype)
        # PyTorch keeps weight and bias of a half-precision batch norm in float32.
        weight, bias = (numbers.normal([channels], torch.float32) for _ in range(2))

        def normalise(x: Any, weight: Any, bias: Any) -> Any:
            return functional.batch_norm(x, None, None, weight, bias, training=True)

        return [x, weight, bias], normalise, numbers
    raise ValueError("unknown kind " + kind)


NAMES = ["grad-input", "grad-weight", "grad-bias"]


def plain_reference(work: Json) -> Dict[str, Any]:
    import torch

    inputs, formula, numbers = plain_inputs(work)
    leaves = [t.to(torch.float64).requires_grad_() for t in inputs]
    y = formula(*leaves)
    g = numbers.normal(list(y.shape), dtype_of(work["data_type"]))
    result = dict(zip(NAMES, torch.autograd.grad(y, leaves, g.to(torch.float64))))
    result["output"] = y.detach()
    result["digest"] = digest(inputs + [g])
    return result


def plain_device(
    work: Json, device: Any, channel: Channel, reference: Dict[str, Any], _clock: Clock
) -> List[Dict[str, Any]]:
    # No profile changes what a control does, so that none is timed.
    import torch

    inputs, formula, numbers = plain_inputs(work)
    g = numbers.normal(list(reference["output"].shape), dtype_of(work["data_type"]))
    same_start(reference, inputs + [g])
    leaves = [t.to(device).requires_grad_() for t in inputs]
    g = g.to(device)
    results = []
    for _ in range(REPEATS):
        poison(device, [g] + inputs[:1])
        channel.phase("forward")
        y = formula(*leaves)
        finish(device)
        channel.phase("gradients")
        gradients = torch.autograd.grad(y, leaves, g)
        finish(device)
        result = dict(zip(NAMES, gradients))
        result["output"] = y.detach()
        results.append(result)
    return results


def copy_device(work: Json, device: Any, channel: Channel) -> Json:
    import torch

    # Bit patterns, not numbers: a flipped bit in a NaN counts.
    generator = torch.Generator().manual_seed(3)
    sent = torch.randint(-(2**31), 2**31 - 1, [work["elements"]], generator=generator, dtype=torch.int32)
    channel.phase("copy")
    started = time.monotonic()
    differing = 0
    for _ in range(REPEATS):
        received = sent.to(device).clone().to("cpu")
        finish(device)
        differing = max(differing, int((received != sent).sum().item()))
    check = measured("output", error=float(differing), largest=1.0, run_to_run=None)
    return {"checks": [check], "torch_seconds": time.monotonic() - started}


# -- Comparing ----------------------------------------------------------------


def measured(quantity: str, error: Optional[float], largest: float, run_to_run: Optional[float], **more: Any) -> Json:
    result = {"nan": 0, "inf": 0, "shape": None}
    result.update(quantity=quantity, error=error, largest=largest, run_to_run=run_to_run)
    result.update(more)
    return result


def same_start(reference: Dict[str, Any], tensors: List[Any]) -> None:
    mine, theirs = digest(tensors), int(reference["digest"])
    if mine != theirs:
        raise Mismatch("two processes drew different numbers from one seed ({} and {})".format(mine, theirs))


def compare(results: List[Dict[str, Any]], reference: Dict[str, Any]) -> List[Json]:
    """The largest differences of all repetitions, in units of the reference's largest value."""
    import torch

    checks = []
    for quantity in ["output", "grad-input", "grad-weight", "grad-bias"]:
        found = [result[quantity] for result in results if quantity in result]
        if not found:
            continue
        right = reference[quantity]
        wrong_shape = [list(t.shape) for t in found if t.shape != right.shape]
        if wrong_shape:
            text = "{} instead of {}".format(wrong_shape[0], list(right.shape))
            checks.append(measured(quantity, None, 0.0, None, shape=text))
            continue
        largest = float(right.abs().max().item()) if right.numel() else 0.0
        unit = largest or 1.0
        error, nan, inf, first, run_to_run = 0.0, 0, 0, None, 0.0
        for tensor in found:
            values = tensor.detach().to("cpu").to(torch.float64)
            nan += int(torch.isnan(values).sum().item())
            inf += int(torch.isinf(values).sum().item())
            if values.numel() and not nan and not inf:
                error = max(error, float((values - right).abs().max().item()) / unit)
                if first is not None:
                    run_to_run = max(run_to_run, float((values - first).abs().max().item()) / unit)
            first = values
        number = not nan and not inf
        checks.append(
            measured(quantity, error if number else None, largest, run_to_run if number else None, nan=nan, inf=inf)
        )
    return checks


# -- Models -------------------------------------------------------------------


def build_model(work: Json) -> Tuple[Any, Tuple[Any, ...]]:
    """A model with weights from a seed, and its input."""
    import torch

    torch.manual_seed(4)
    name = work["model"]
    if ":" in name:
        module, function = name.split(":", 1)
        if os.getcwd() not in sys.path:
            sys.path.insert(0, os.getcwd())
        made = getattr(importlib.import_module(module), function)()
        model, inputs = made if isinstance(made, tuple) else (made, None)
        if inputs is None:
            inputs = torch.randn(work["batch"], 3, work["size"], work["size"])
        return model, inputs if isinstance(inputs, tuple) else (inputs,)
    try:
        from torchvision import models
    except Exception as error:
        raise Unsupported("torchvision does not load: {}".format(error)) from error
    model = getattr(models, name)(num_classes=10)
    return model, (torch.randn(work["batch"], 3, work["size"], work["size"]),)


def without_chance(model: Any) -> None:
    """Switches off dropout and stochastic depth, which would hide what a training does."""
    for module in model.modules():
        if type(module).__name__ in ("Dropout", "Dropout1d", "Dropout2d", "Dropout3d", "StochasticDepth"):
            module.p = 0.0


def answer_of(model: Any, inputs: Tuple[Any, ...]) -> Any:
    """A model's answer as one tensor of the CPU."""
    import torch

    with torch.no_grad():
        output = tensor_of(model(*inputs))
    return output.detach().to("cpu").to(torch.float64)


def tensor_of(output: Any) -> Any:
    """The tensor that stands for a model's answer: itself, the first one in a
    sequence or mapping (segmentation and detection models, Transformers), or in
    an object's fields."""
    import torch

    found = first_tensor(output)
    if not isinstance(found, torch.Tensor):
        raise Unsupported("the model answers with {}, in which there is no tensor".format(type(output).__name__))
    return found


def first_tensor(value: Any) -> Any:
    import torch

    if isinstance(value, torch.Tensor):
        return value
    if isinstance(value, dict):
        value = list(value.values())
    elif not isinstance(value, (tuple, list)):
        value = list(getattr(value, "__dict__", {}).values())
    tensors = (first_tensor(one) for one in value)
    return next((one for one in tensors if one is not None), None)


def floating(inputs: Tuple[Any, ...], convert: Callable[[Any], Any]) -> Tuple[Any, ...]:
    import torch

    def one(value: Any) -> Any:
        is_float = isinstance(value, torch.Tensor) and value.is_floating_point()
        return convert(value) if is_float else value

    return tuple(one(value) for value in inputs)


def model_reference(work: Json) -> Dict[str, Any]:
    """The answer in float64, and how far the CPU's own float32 is from it."""
    import torch

    model, inputs = build_model(work)
    model.eval()
    single = answer_of(model, inputs)
    start = digest(starting_numbers(model, inputs))
    double = answer_of(model.double(), floating(inputs, lambda t: t.double()))
    for name, answer in (("float32", single), ("float64", double)):
        if not bool(torch.isfinite(answer).all().item()):
            raise ValueError("in {} on the CPU the model's own answer is not finite: nothing to compare with".format(name))
    largest = (float(double.abs().max().item()) if double.numel() else 0.0) or 1.0
    error = float((single - double).abs().max().item()) / largest if double.numel() else 0.0
    return {"output": double, "digest": start, "cpu-error": error}


def starting_numbers(model: Any, inputs: Tuple[Any, ...]) -> List[Any]:
    import torch

    return list(model.parameters()) + [value for value in inputs if isinstance(value, torch.Tensor)]


def model_inference(
    work: Json, device: Any, channel: Channel, reference: Dict[str, Any], clock: Clock
) -> List[Dict[str, Any]]:
    model, inputs = build_model(work)
    model.eval()
    same_start(reference, starting_numbers(model, inputs))
    model.to(device)
    inputs = tuple(t.to(device) if hasattr(t, "to") else t for t in inputs)
    results = []
    for _ in range(REPEATS):
        channel.phase("forward")
        results.append({"output": answer_of(model, inputs)})
    clock.measure(lambda: answer_of(model, inputs), device)
    return results


def model_training(work: Json, device: Any, channel: Channel, clock: Clock) -> List[Json]:
    """Some steps on one batch, down the gradient, each as long as would take `rate` of
    the loss away if the loss were linear: L / |gradient|² times `rate`. That needs no
    learning rate, which would be too long a step for one model and too short for the
    next, and it is missed where the gradient is not the loss's own."""
    import torch

    model, inputs = build_model(work)
    without_chance(model)
    model.to(device).train()
    inputs = tuple(t.to(device) if hasattr(t, "to") else t for t in inputs)
    trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if not trainable:
        raise Unsupported("the model has no parameter that could be trained")
    optimiser = torch.optim.SGD(trainable, lr=0.0)
    losses: List[float] = []
    target: List[Callable[[Any], Any]] = []

    def step() -> None:
        optimiser.zero_grad()
        output = tensor_of(model(*inputs))
        if not output.requires_grad:
            raise Unsupported("the model's answer does not depend on what could be trained")
        if not target:
            target.append(training_target(work, output))
        loss = target[0](output)
        losses.append(float(loss.item()))
        if losses[0] == 0:
            raise Unsupported("the model's answer is 0 from the beginning: there is nothing to learn")
        loss.backward()
        optimiser.param_groups[0]["lr"] = step_length(trainable, work["rate"] * losses[-1])
        optimiser.step()

    for number in range(work["steps"]):
        channel.phase("step {}".format(number + 1))
        step()
        finish(device)
    clock.measure(step, device)
    del losses[work["steps"] :]
    is_number = all(abs(loss) < float("inf") for loss in losses)
    nan = sum(1 for loss in losses if loss != loss)
    promised = 1 - (1 - work["rate"]) ** (len(losses) - 1)
    # What is missing of the decline: 0 is as promised, 1 nothing learnt, more is worse than before.
    error = 1 - (1 - losses[-1] / losses[0]) / promised if is_number else None
    largest = losses[0] if is_number else 0.0
    return [measured("loss", error, largest, None, nan=nan, inf=0 if is_number else len(losses) - nan)]


def step_length(parameters: List[Any], decline: float) -> float:
    """By how many gradients the parameters must move for a linear loss to fall by `decline`."""
    import torch

    gradients = [parameter.grad.detach() for parameter in parameters if parameter.grad is not None]
    # The squares of half precision's gradients leave its range.
    halves = (torch.float16, torch.bfloat16)
    norms = [(g.float() if g.dtype in halves else g).norm().float() for g in gradients]
    square = float(torch.stack(norms).norm().item()) ** 2
    return decline / square if square else 0.0


def training_target(work: Json, output: Any) -> Callable[[Any], Any]:
    import torch

    if ":" not in work["model"]:
        labels = (torch.arange(output.shape[0]) % output.shape[1]).to(output.device)
        return lambda output: torch.nn.functional.cross_entropy(output, labels)
    # Half of what it answers untrained: every model can get nearer to that.
    wanted = 0.5 * output.detach().float()
    unit = (wanted**2).mean().clamp(min=1e-12)
    return lambda output: ((output.float() - wanted) ** 2).mean() / unit


# -- Requests -----------------------------------------------------------------


def start(request: Json) -> Json:
    """Imports PyTorch and says which one it is. Touches no device."""
    started = time.monotonic()
    import torch

    SETTINGS["miopen"] = bool(torch.backends.cudnn.enabled)
    SETTINGS["benchmark"] = bool(torch.backends.cudnn.benchmark)
    torch.set_num_threads(request["threads"])
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    for name in ("allow_fp16_reduced_precision_reduction", "allow_bf16_reduced_precision_reduction"):
        with contextlib.suppress(Exception):  # PyTorch 1.13 does not know the second one.
            setattr(torch.backends.cuda.matmul, name, False)
    torchvision = None
    if request["torchvision"]:
        with contextlib.suppress(Exception):
            torchvision = str(importlib.import_module("torchvision").__version__)
    names = tuple(request["variables"])
    return {
        "python": sys.version.split()[0],
        "torch": str(torch.__version__),
        "torch_path": os.path.dirname(str(torch.__file__)),
        "hip": getattr(torch.version, "hip", None),
        "cuda": getattr(torch.version, "cuda", None),
        "torchvision": torchvision,
        "bypass": "rdna1_gemm" in sys.modules or not SETTINGS["miopen"],
        "environment": {k: v for k, v in sorted(os.environ.items()) if k.startswith(names)},
        "torch_seconds": time.monotonic() - started,
    }


def list_devices(channel: Channel) -> Json:
    """What PyTorch sees. Each GPU's properties are asked for, nothing is computed."""
    started = time.monotonic()
    import torch

    channel.phase("list")
    if not torch.cuda.is_available():
        raise Unsupported("torch.cuda.is_available() is False")
    properties = [torch.cuda.get_device_properties(index) for index in range(torch.cuda.device_count())]
    devices = [
        {
            "name": str(found.name),
            "arch": arch_of(found, torch.version.hip),
            "pci": pci_of(found),
            "memory_bytes": found.total_memory,
        }
        for found in properties
    ]
    return {"devices": devices, "torch_seconds": time.monotonic() - started}


def arch_of(properties: Any, hip: Optional[str]) -> Optional[str]:
    """The target that the device runs code for."""
    if hip:
        # PyTorch has it since August 2023 (pull request 107477); 1.13 and 2.0 do not tell.
        arch = getattr(properties, "gcnArchName", None)
        return str(arch) if arch else None
    # On CUDA that attribute exists too, and holds the device's name.
    return "sm_{}{}".format(properties.major, properties.minor)


def pci_of(properties: Any) -> Optional[str]:
    """Where the device sits, as `0000:03:00.0`; newer releases of PyTorch know."""
    numbers = [getattr(properties, "pci_{}_id".format(part), None) for part in ("domain", "bus", "device")]
    if any(not isinstance(number, int) for number in numbers):
        return None
    return "{:04x}:{:02x}:{:02x}.0".format(*numbers)


def open_device(request: Json, channel: Channel) -> Json:
    """Touches the device for the first time."""
    started = time.monotonic()
    import torch

    kind = torch.device(request["device"]).type
    answer = {"kind": kind, "name": "", "arch": None, "memory_bytes": None, "multiprocessors": None, "visible": 0}
    channel.phase("open")
    if kind == "cpu":
        answer.update(name=cpu_name(), visible=1, cudnn=None, arch_list=[])
    else:
        if not torch.cuda.is_available():
            raise Unsupported("torch.cuda.is_available() is False")
        index = torch.device(request["device"]).index or 0
        # A model of the user's may say no more than `cuda`.
        torch.cuda.set_device(index)
        properties = torch.cuda.get_device_properties(index)
        version = None
        with contextlib.suppress(Exception):
            version = torch.backends.cudnn.version()
        answer.update(
            name=properties.name,
            arch=arch_of(properties, torch.version.hip),
            memory_bytes=properties.total_memory,
            multiprocessors=properties.multi_processor_count,
            visible=torch.cuda.device_count(),
            cudnn=version,
            arch_list=list(torch.cuda.get_arch_list()),
        )
    if not usable(torch.device(request["device"])):
        raise RuntimeError("1 + 1 is not 2 on this device")
    answer["torch_seconds"] = time.monotonic() - started
    return answer


def cpu_name() -> str:
    with contextlib.suppress(OSError):
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as text:
            for line in text:
                if line.startswith("model name"):
                    return line.split(":", 1)[1].strip()
    return "CPU"


def usable(device: Any) -> bool:
    """Whether the device still computes: after some errors nothing works until a new process starts."""
    import torch

    try:
        one = torch.ones([64], device=device)
        return bool(((one + one).to("cpu") == 2).all().item())
    except Exception:
        return False


def reference(request: Json) -> Json:
    """Computes a reference in float64 and leaves it in a file."""
    import torch

    started = time.monotonic()
    work = request["work"]
    if work["kind"] == "conv":
        result = conv_reference(work)
    elif work["kind"] == "model-inference":
        result = model_reference(work)
    else:
        result = plain_reference(work)
    # PyTorch 1.13 loads safely nothing but tensors.
    tensors = {k: v if isinstance(v, torch.Tensor) else torch.tensor(v) for k, v in result.items()}
    torch.save(tensors, request["file"])
    return {"torch_seconds": time.monotonic() - started}


def case(request: Json, channel: Channel) -> Json:
    """Runs a case on the device and measures how far it is from its reference."""
    import torch

    started = time.monotonic()
    work, device = request["work"], torch.device(request["device"])
    kind = work["kind"]
    torch.backends.cudnn.benchmark = SETTINGS["benchmark"]
    torch.backends.cudnn.enabled = SETTINGS["miopen"]
    if kind == "copy":
        return copy_device(work, device, channel)
    answer: Json = {}
    clock = Clock(bool(request["timed"]))
    if kind == "model-training":
        answer["checks"] = model_training(work, device, channel, clock)
    else:
        right = torch.load(request["file"], weights_only=True)
        run = {"conv": conv_device, "model-inference": model_inference}.get(kind, plain_device)
        results = run(work, device, channel, right, clock)
        channel.phase("compare")
        answer["checks"] = compare(results, right)
        if "cpu-error" in right:
            answer["cpu_error"] = float(right["cpu-error"])
    answer["warm_seconds"] = clock.seconds
    answer["torch_seconds"] = time.monotonic() - started
    return answer


def failure(error: BaseException, device: Optional[str]) -> Json:
    text = "{}: {}".format(type(error).__name__, error)
    memory = isinstance(error, MemoryError) or "out of memory" in text.lower() or "can't allocate memory" in text
    # PyTorch's own words for what it, or this device, does not claim to do.
    words = ("not implemented for", "not supported on", "AutocastCPU only support", "does not support bfloat16")
    known = any(some in text for some in words)
    is_cpu = device in (None, "cpu")
    result: Json = {
        "message": text[:4000],
        "where": "".join(traceback.format_exception(type(error), error, error.__traceback__))[-4000:],
        "out_of_memory": memory,
        "unsupported": isinstance(error, Unsupported) or known,
        "different_start": isinstance(error, Mismatch),
        "missing_module": error.name if isinstance(error, ModuleNotFoundError) else None,
        "usable": True,
    }
    if not is_cpu and "torch" in sys.modules:
        import torch

        with contextlib.suppress(Exception):
            torch.cuda.empty_cache()
        result["usable"] = usable(torch.device(device))
    return {"error": result}


def serve(channel: Channel) -> None:
    for line in channel.requests:
        request = json.loads(line)
        channel.token = request["token"]
        try:
            what = request["what"]
            if what == "start":
                answer = start(request)
            elif what == "list":
                answer = list_devices(channel)
            elif what == "open":
                answer = open_device(request, channel)
            elif what == "reference":
                answer = reference(request)
            else:
                answer = case(request, channel)
            message = {"answer": answer}
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: B902 - a case may raise anything, SystemExit included
            message = failure(error, request.get("device"))
        sys.stdout.flush()
        mark(channel.token, "end")
        try:
            channel.send(message)
        except ValueError as error:  # What it measured is no number that JSON has.
            channel.send(failure(error, request.get("device")))


def main() -> None:
    # If the program that started this worker dies, nobody waits for it any more.
    with contextlib.suppress(Exception):
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    serve(Channel(int(sys.argv[1]), int(sys.argv[2])))


if __name__ == "__main__":
    main()
