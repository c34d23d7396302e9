# SPDX-License-Identifier: MIT OR Apache-2.0
"""Profile `bypass`: Python runs this at its start because `PYTHONPATH` leads here.

With `RDNA1_BYPASS=1` it arranges that PyTorch, once something imports it, does
convolution without MIOpen; without, nothing. Another `sitecustomize` that the
user or the distribution has runs all the same. Kept small: it is compiled at
each start, and costs a program without PyTorch nothing else.
"""

import os
import sys


def _leave_no_bytecode(cached):
    """Where Python may write beside this file it has; packages leave nothing behind."""
    try:
        os.unlink(cached)
        os.rmdir(os.path.dirname(cached))
    except (OSError, TypeError):
        pass


def _watch_for_torch():
    written, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        import rdna1_bypass

        rdna1_bypass.watch()
    finally:
        sys.dont_write_bytecode = written


def _next_sitecustomize(here):
    """Runs the `sitecustomize` that Python would have found without this one."""
    # What `importlib` is made of, and loaded in every interpreter: costs no import.
    from _frozen_importlib import module_from_spec
    from _frozen_importlib_external import PathFinder

    path = [entry for entry in sys.path if os.path.realpath(entry or os.curdir) != here]
    spec = PathFinder.find_spec("sitecustomize", path)
    if spec is None or spec.loader is None:
        return
    module = module_from_spec(spec)
    sys.modules["sitecustomize"] = module
    spec.loader.exec_module(module)


if not sys.dont_write_bytecode:
    _leave_no_bytecode(globals().get("__cached__"))
if os.environ.get("RDNA1_BYPASS") == "1":
    try:
        _watch_for_torch()
    except Exception as error:  # Whatever is wrong here is no reason to break a program.
        if sys.stderr is not None:
            sys.stderr.write("rdna1-rocm-fix: profile bypass is not in force: %s\n" % (error,))
_next_sitecustomize(os.path.dirname(os.path.realpath(__file__)))
