"""Breaks PyTorch's convolution, as RDNA1_TEST_FAULT says, in whatever process
has this directory on PYTHONPATH.

Breaks what a card would compute and nothing else: float64, in which references
are computed, stays right, and so does convolution without MIOpen.
"""

import os
import threading

FAULT = os.environ.get("RDNA1_TEST_FAULT")


def install():
    import torch
    import torch.nn.functional as functional

    real = functional.conv2d
    calls = [0]

    def wrong_weights(x, w, *rest, **more):
        return real(x, w.flip(0), *rest, **more)

    def not_a_number(x, w, *rest, **more):
        y = real(x, w, *rest, **more)
        spot = torch.zeros_like(y)
        spot.view(-1)[-1:] = float("nan")
        return y + spot

    def slightly_wrong(x, w, *rest, **more):
        # One weight of many is off by a hundredth of the usual.
        spot = torch.zeros_like(w)
        spot.view(-1)[:1] = 0.01 * float(w.detach().abs().max())
        return real(x, w + spot, *rest, **more)

    def unstable(x, w, *rest, **more):
        calls[0] += 1
        return real(x, w * (1 + calls[0] % 2), *rest, **more)

    def wrong_gradient(x, w, *rest, **more):
        y = real(x, w, *rest, **more)
        # The value is right, what flows back through it is not.
        return y + (x.sum() * 0.01 - (x.sum() * 0.01).detach())

    def gradient_of_other_filters(x, w, *rest, **more):
        w = w.clone()
        if w.requires_grad:
            w.register_hook(lambda gradient: gradient.flip(0))
        return real(x, w, *rest, **more)

    def endless(x, w, *rest, **more):
        if x.is_cuda:
            # A kernel that spins: nothing but killing the process ends it.
            torch.cuda._sleep(1 << 62)
        else:
            threading.Event().wait()
        return real(x, w, *rest, **more)

    def crash(x, w, *rest, **more):
        os.abort()

    broken = {
        "wrong-weights": wrong_weights,
        "nan": not_a_number,
        "slightly-wrong": slightly_wrong,
        "unstable": unstable,
        "wrong-gradient": wrong_gradient,
        "gradient-of-other-filters": gradient_of_other_filters,
        "endless": endless,
        "crash": crash,
    }[FAULT]

    def conv2d(x, w, *rest, **more):
        works = x.dtype == torch.float64 or not torch.backends.cudnn.enabled
        return (real if works else broken)(x, w, *rest, **more)

    functional.conv2d = conv2d


if FAULT:
    install()
