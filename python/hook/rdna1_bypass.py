# SPDX-License-Identifier: MIT OR Apache-2.0
"""Takes MIOpen out of PyTorch's way as soon as PyTorch is imported.

Python 3.8 and later. PyTorch itself is never imported from here.
"""

import os
import sys

#: The engine's directory is beside the hook's.
ENGINE = os.path.join(os.path.dirname(os.path.dirname(os.path.realpath(__file__))), "rdna1_gemm")


def watch():
    """Acts now if PyTorch is there, otherwise when it comes."""
    if "torch" in sys.modules:
        act()
    elif not any(isinstance(finder, Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, Finder())


class Finder:
    """Finds nothing itself: has whoever finds PyTorch tell when it is loaded."""

    def find_spec(self, name, path=None, target=None):
        if name != "torch":
            return None
        for finder in sys.meta_path:
            find = getattr(finder, "find_spec", None)
            spec = None if finder is self or find is None else find(name, path, target)
            if spec is not None:
                self._attend(spec.loader)
                return spec
        return None

    def _attend(self, loader):
        """After the module's code has run, this loader alone, this once."""
        execute = getattr(loader, "exec_module", None)
        if execute is None:
            return

        def exec_module(module):
            # As it was, also for a second attempt after a failed import.
            loader.__dict__.pop("exec_module", None)
            execute(module)
            if self in sys.meta_path:
                sys.meta_path.remove(self)
            act()

        try:
            loader.exec_module = exec_module
        except AttributeError:
            say("PyTorch's loader cannot be watched; profile bypass is not in force")


def act():
    """Puts the engine in force; where that fails, PyTorch's own path without MIOpen."""
    try:
        import torch

        torch.backends.cudnn.enabled = False
        engine().enable()
    except Exception as error:
        say("convolution is PyTorch's own, without MIOpen, because the engine failed: %s" % (error,))


def engine():
    """The engine that was installed with this hook, whatever else has its name."""
    found = sys.modules.get("rdna1_gemm")
    if found is not None:
        return found
    from importlib.util import module_from_spec, spec_from_file_location

    start = os.path.join(ENGINE, "__init__.py")
    spec = spec_from_file_location("rdna1_gemm", start, submodule_search_locations=[ENGINE])
    module = module_from_spec(spec)
    # Its parts are loaded at once, so that none is compiled into a file later.
    written, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    sys.modules["rdna1_gemm"] = module
    try:
        spec.loader.exec_module(module)
        import rdna1_gemm.dispatch  # noqa: F401
    except BaseException:
        sys.modules.pop("rdna1_gemm", None)
        raise
    finally:
        sys.dont_write_bytecode = written
    return module


def say(text):
    """One line on standard error, which may be closed."""
    try:
        sys.stderr.write("rdna1-rocm-fix: %s\n" % (text,))
    except (AttributeError, OSError, ValueError):
        pass
