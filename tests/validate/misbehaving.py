#!/usr/bin/python3
"""An interpreter that misbehaves, in place of Python with PyTorch.

rdna1-validate calls it as it calls Python: misbehaving.py WORKER REQUESTS_FD
ANSWERS_FD. It computes nothing and answers that everything is right, except
that it does what RDNA1_TEST_BEHAVIOUR says at its first convolution. (The file
named by RDNA1_TEST_ONCE remembers that it has, so that the worker after it is
well-behaved.)
"""

import json
import os
import signal
import subprocess
import sys
import time

REQUESTS, ANSWERS = int(sys.argv[2]), int(sys.argv[3])
BEHAVIOUR = os.environ.get("RDNA1_TEST_BEHAVIOUR", "")
ONCE = os.environ.get("RDNA1_TEST_ONCE")


def write(text):
    data = text.encode()
    while data:
        data = data[os.write(ANSWERS, data):]


def send(token, **message):
    write(json.dumps(dict(message, token=token)) + "\n")


def mark(token, name):
    os.write(2, "\n@rdna1 {} {}\n".format(token, name).encode())


def checks(work, error=0.0, **more):
    names = {
        "copy": ["output"],
        "elementwise": ["output", "grad-input"],
        "matmul": ["output", "grad-input", "grad-weight"],
        "model-training": ["loss"],
        "model-inference": ["output"],
    }.get(work["kind"], ["output", "grad-input", "grad-weight"])
    if work.get("bias") or work["kind"] == "batch-norm":
        names = names + ["grad-bias"]
    usual = {"largest": 1.0, "nan": 0, "inf": 0, "run_to_run": 0.0, "shape": None}
    return [dict(usual, quantity=name, error=error, **more) for name in names]


def right(token, work, found=None):
    for phase in ("forward", "grad-input", "grad-weight"):
        mark(token, phase)
        send(token, phase=phase)
    mark(token, "end")
    answer = {"checks": found or checks(work), "torch_seconds": 0.001}
    if work["kind"] == "model-inference":
        answer["cpu_error"] = 1e-7
    send(token, answer=answer)


def solver(token, work, name):
    """What MIOpen logs."""
    send(token, phase="forward")
    mark(token, "forward")
    line = "MIOpen(HIP): Info [FillFindReturnParameters] FW Chosen Algorithm: {} , 115605504, 27.8\n"
    os.write(2, line.format(name).encode())
    mark(token, "end")
    send(token, answer={"checks": checks(work), "torch_seconds": 0.001})


def child(token, work):
    """Leaves a process of a session of its own behind, which holds the pipe for answers open, and hangs."""
    os.set_inheritable(ANSWERS, True)
    subprocess.Popen(["sleep", "4711"], start_new_session=True, close_fds=False)
    time.sleep(3600)


def chatty(token, work):
    """Prints what looks like an answer wherever that does no harm, a lot of it."""
    forged = json.dumps({"token": token, "answer": {"checks": [], "torch_seconds": 0}}) + "\n"
    mark("0123456789abcdef", "end")
    for fd in (1, 2):
        for _ in range(40):
            os.write(fd, (forged * 200).encode())
    right(token, work)


def ignore(token, work):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    time.sleep(3600)


def abort(token, work):
    os.write(2, b"rocBLAS error: Cannot read TensileLibrary.dat for GPU arch : gfx1010\n")
    os.kill(os.getpid(), signal.SIGABRT)


def stuck(token, work):
    # A file system that never answers: the kernel holds whoever asks it.
    os.stat(os.environ["RDNA1_TEST_STUCK"] + "/x")


def close(token, work):
    os.close(ANSWERS)
    time.sleep(3600)


BEHAVIOURS = {
    "hang": lambda token, work: (send(token, phase="grad-input"), time.sleep(3600)),
    "hang-forever": lambda token, work: time.sleep(3600),
    "ignore-sigterm": ignore,
    "late": lambda token, work: (time.sleep(float(os.environ["RDNA1_TEST_SECONDS"])), right(token, work)),
    "segv": lambda token, work: os.kill(os.getpid(), signal.SIGSEGV),
    "abort": abort,
    "killed": lambda token, work: os.kill(os.getpid(), signal.SIGKILL),
    "exit-0": lambda token, work: os._exit(0),
    "exit-3": lambda token, work: os._exit(3),
    "garbage": lambda token, work: write("Segmentation fault in kernel 0x7f\n"),
    "no-json": lambda token, work: write('{"token": "' + token + '", "answer": {"checks": [}\n'),
    "json-nan": lambda token, work: write('{"token": "' + token + '", "answer": {"checks": NaN}}\n'),
    "wrong-token": lambda token, work: right("0123456789abcdef", work),
    "empty-answer": lambda token, work: send(token, answer={}),
    "no-checks": lambda token, work: send(token, answer={"checks": [], "torch_seconds": 0}),
    "flood": lambda token, work: [write("x" * 65536) for _ in range(100)],
    "close": close,
    "child": child,
    "chatty": chatty,
    "stuck": stuck,
    "wrong": lambda token, work: right(token, work, checks(work, error=0.5)),
    "not-finite": lambda token, work: right(token, work, checks(work, error=None, nan=7)),
    "unstable": lambda token, work: right(token, work, checks(work, error=0.2, run_to_run=0.4)),
    "shape": lambda token, work: right(token, work, checks(work, error=None, shape="[1] instead of [2]")[:1]),
    "exception": lambda token, work: fail(token, "RuntimeError: miopenStatusUnknownError"),
    "out-of-memory": lambda token, work: fail(token, "OutOfMemoryError: HIP out of memory", out_of_memory=True),
    "broken-device": lambda token, work: fail(token, "RuntimeError: HIP error: unspecified launch failure", usable=False),
    "unsupported": lambda token, work: fail(token, "RuntimeError: not implemented for 'Half'", unsupported=True),
    "gemm-solver": lambda token, work: solver(token, work, "GemmFwdRest"),
    "other-solver": lambda token, work: solver(token, work, "ConvBinWinogradRxSf2x3g1"),
    "executes-gemm": lambda token, work: executes(token, work, 0),
    "executes-direct": lambda token, work: executes(token, work, 1),
    "refuses-dilation": lambda token, work: refuses_dilation(token, work),
    "flooding-child": lambda token, work: flooding_child(),
    "lost-device": lambda token, work: (open(LOST, "w").close(), os.kill(os.getpid(), signal.SIGSEGV)),
    "other-start": lambda token, work: fail(token, "Mismatch: two processes drew different numbers", different_start=True),
}

# While this file is there, no new worker can open the device.
LOST = os.environ.get("RDNA1_TEST_LOST", "/nowhere/lost")


def executes(token, work, algorithm):
    """What MIOpen logs where it has found before: nothing but the execution."""
    functions = {"forward": "Forward", "grad-input": "BackwardData", "grad-weight": "BackwardWeights"}
    for phase, function in functions.items():
        mark(token, phase)
        line = "MIOpen(HIP): Info [Convolution{}] algo = {}, workspace = 7\n"
        os.write(2, line.format(function, algorithm).encode())
    right(token, work)


def refuses_dilation(token, work):
    """As PyTorch 2.7 does with MIOpen under gemm, and cudnn.benchmark."""
    if work["dilation"] == 1:
        return executes(token, work, 0)
    send(token, phase="forward")
    mark(token, "forward")
    os.write(2, b"MIOpen Error: convolutionocl.cpp:1: No suitable algorithm was found\n")
    fail(token, "RuntimeError: miopenStatusUnknownError")


def flooding_child():
    """Dies, and leaves a process behind that prints for ever where the worker did."""
    child = subprocess.Popen([sys.executable, "-c", "while True: print('y' * 9999, flush=True)"], stdin=subprocess.DEVNULL)
    time.sleep(0.2)
    os._exit(3 if child.poll() is None else 4)


def fail(token, message, **more):
    usual = {"out_of_memory": False, "unsupported": False, "missing_module": None, "usable": True}
    mark(token, "end")
    send(token, error=dict(usual, message=message, where="", **more))


def devices():
    """The card, or with two-gpus another one before it."""
    card = {"name": "AMD Radeon RX 5600 XT", "arch": "gfx1010", "pci": None, "memory_bytes": 6 << 30}
    other = {"name": "AMD Radeon RX 7900 XTX", "arch": "gfx1100", "pci": None, "memory_bytes": 6 << 30}
    return {"two-gpus": [other, card], "other-gpu": [other]}.get(BEHAVIOUR, [card])


def misbehaves(work):
    if work["kind"] != "conv" or BEHAVIOUR not in BEHAVIOURS:
        return False
    if ONCE is None:
        return True
    try:
        os.close(os.open(ONCE, os.O_CREAT | os.O_EXCL))
        return True
    except FileExistsError:
        return False


def main():
    if BEHAVIOUR == "dies-at-start":
        sys.stderr.write("ImportError: libMIOpen.so.1: cannot open shared object file\n")
        os.kill(os.getpid(), signal.SIGABRT)
    for line in os.fdopen(REQUESTS):
        request = json.loads(line)
        token, what = request["token"], request["what"]
        if what == "start" and BEHAVIOUR == "no-torch":
            fail(token, "ModuleNotFoundError: No module named 'torch'", missing_module="torch")
        elif what == "start":
            wanted = tuple(request["variables"])
            send(token, answer={
                "python": "3.0", "torch": os.environ.get("RDNA1_TEST_TORCH", "0.0"), "torch_path": "/nowhere",
                "torchvision": None, "bypass": False,
                "hip": None if BEHAVIOUR in ("cuda-build", "cpu-build") else "6.1",
                "cuda": "12.4" if BEHAVIOUR == "cuda-build" else None,
                "environment": {k: v for k, v in os.environ.items() if k.startswith(wanted)},
                "torch_seconds": 0.001,
            })
        elif what in ("list", "open") and os.path.exists(LOST):
            fail(token, "RuntimeError: HIP error: invalid device function", usable=False)
        elif what == "list" and BEHAVIOUR != "no-device":
            send(token, answer={"devices": devices(), "torch_seconds": 0.001})
        elif what == "open" and BEHAVIOUR == "open-hangs":
            time.sleep(3600)
        elif what == "list":
            fail(token, "Unsupported: torch.cuda.is_available() is False", unsupported=True)
        elif what == "open":
            if BEHAVIOUR == "two-gpus":
                open(os.environ["RDNA1_TEST_OPENED"], "w").write(request["device"])
            send(token, answer={
                "kind": request["device"].split(":")[0], "name": "none", "arch": "gfx1010", "memory_bytes": 6 << 30, "multiprocessors": 1,
                "visible": 1, "cudnn": 3, "arch_list": ["gfx1010"], "torch_seconds": 0.001,
            })
        elif what == "reference" and BEHAVIOUR == "no-product" and request["work"]["kind"] == "matmul":
            fail(token, "RuntimeError: no memory for this product")
        elif what == "reference" and BEHAVIOUR == "slow-reference":
            open(os.environ["RDNA1_TEST_OPENED"], "w").close()
            time.sleep(3600)
        elif what == "reference" and BEHAVIOUR == "no-reference" and request["work"]["kind"] == "conv":
            fail(token, "RuntimeError: [enforce fail at inline_container.cc] . No space left on device")
        elif what == "reference":
            send(token, answer={"torch_seconds": 0.001})
        elif misbehaves(request["work"]):
            BEHAVIOURS[BEHAVIOUR](token, request["work"])
        else:
            right(token, request["work"])


main()
