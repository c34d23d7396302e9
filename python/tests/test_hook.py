# SPDX-License-Identifier: MIT OR Apache-2.0
"""The hook of profile `bypass`, in interpreters of their own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import unittest
from typing import Any, Dict

PYTHON = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")

#: What shows that MIOpen is out of the way.
STATE = "import torch; m = __import__('sys').modules.get('rdna1_gemm'); print(torch.backends.cudnn.enabled, bool(m and m.is_enabled()))"


class Hook(unittest.TestCase):
    def setUp(self) -> None:
        top = tempfile.TemporaryDirectory()
        self.addCleanup(top.cleanup)
        self.top = os.path.realpath(top.name)
        for part in ("hook", "rdna1_gemm"):
            shutil.copytree(os.path.join(PYTHON, part), self.at(part), ignore=shutil.ignore_patterns("__pycache__"))

    def at(self, *parts: str) -> str:
        return os.path.join(self.top, *parts)

    def write(self, path: str, text: str) -> str:
        os.makedirs(os.path.dirname(self.at(path)), exist_ok=True)
        with open(self.at(path), "w", encoding="utf-8") as file:
            file.write(text)
        return self.at(path)

    def run_python(
        self, *arguments: str, path: str = "", bypass: str = "1", **more: Any
    ) -> subprocess.CompletedProcess[str]:
        environment: Dict[str, str] = {k: v for k, v in os.environ.items() if not k.startswith(("RDNA1_", "PYTHON"))}
        environment["PYTHONPATH"] = self.at("hook") + (":" + path if path else "")
        if bypass:
            environment["RDNA1_BYPASS"] = bypass
        environment.update(more.pop("environment", {}))
        return subprocess.run(
            [sys.executable, *arguments], env=environment, capture_output=True, text=True, timeout=300, **more
        )

    def test_whoever_imports_torch_first(self) -> None:
        own = self.write("user/first.py", "import torch.nn.functional\n")
        for program in (
            STATE,
            "from torch import nn\n" + STATE,
            "import first\n" + STATE,
            "__import__('importlib').import_module('torch.nn')\n" + STATE,
        ):
            done = self.run_python("-c", program, path=os.path.dirname(own))
            self.assertEqual((done.stdout, done.stderr), ("False True\n", ""), program)

    def test_nothing_without_being_asked(self) -> None:
        for bypass in ("", "0"):
            done = self.run_python("-c", STATE + "; print('rdna1_bypass' in __import__('sys').modules)", bypass=bypass)
            self.assertEqual((done.stdout, done.stderr), ("True False\nFalse\n", ""))

    def test_torch_is_not_imported_for_others(self) -> None:
        program = "import sys; print([n for n in ('torch', 'rdna1_gemm', 'importlib.util') if n in sys.modules])"
        self.assertEqual(self.run_python("-c", program).stdout, "[]\n")

    def test_another_sitecustomize_runs_too(self) -> None:
        path = os.path.dirname(self.write("user/sitecustomize.py", "import sys\nsys.own = __name__, __file__\n"))
        for bypass in ("1", ""):
            done = self.run_python(
                "-c", "import sys, sitecustomize; print(sys.own, sitecustomize.__file__)", path=path, bypass=bypass
            )
            there = self.at("user/sitecustomize.py")
            self.assertEqual(done.stdout, f"('sitecustomize', '{there}') {there}\n", done.stderr)
        self.write("user/sitecustomize.py", "raise ValueError('mine')\n")
        done = self.run_python("-c", STATE, path=path)
        self.assertIn("ValueError: mine", done.stderr)
        self.assertEqual(done.stdout, "False True\n")

    def test_children_and_workers(self) -> None:
        program = self.write(
            "user/load.py",
            "import multiprocessing, subprocess, sys, torch\n"
            "class Data(torch.utils.data.Dataset):\n"
            "    def __len__(self): return 4\n"
            "    def __getitem__(self, i):\n"
            "        y = torch.conv2d(torch.ones(1, 1, 4, 4), torch.ones(1, 1, 3, 3))\n"
            "        return [float(y.sum()), torch.backends.cudnn.enabled, sys.modules['rdna1_gemm'].is_enabled()]\n"
            "if __name__ == '__main__':\n"
            "    for way in ('fork', 'spawn'):\n"
            "        loader = torch.utils.data.DataLoader(Data(), batch_size=4, num_workers=2, multiprocessing_context=way)\n"
            "        print(way, [part.tolist() for part in next(iter(loader))])\n"
            f"    print(subprocess.run([sys.executable, '-c', {STATE!r}], capture_output=True, text=True).stdout)\n",
        )
        done = self.run_python(program)
        rows = "[[36.0, 36.0, 36.0, 36.0], [False, False, False, False], [True, True, True, True]]"
        self.assertEqual(done.stdout, f"fork {rows}\nspawn {rows}\nFalse True\n\n", done.stderr)

    def test_no_bytecode_stays(self) -> None:
        self.run_python("-c", STATE)
        self.run_python("-c", "pass", bypass="")
        found = [name for _, names, files in os.walk(self.top) for name in names + files]
        self.assertEqual([name for name in found if "pyc" in name], [])

    def test_a_broken_engine_is_no_reason_to_break(self) -> None:
        shutil.rmtree(self.at("rdna1_gemm"))
        done = self.run_python("-c", STATE)
        self.assertEqual(done.stdout, "False False\n")
        self.assertIn("convolution is PyTorch's own, without MIOpen, because the engine failed", done.stderr)
        os.remove(self.at("hook/rdna1_bypass.py"))
        done = self.run_python("-c", "print(1)")
        self.assertEqual((done.stdout, done.returncode), ("1\n", 0))
        self.assertIn("profile bypass is not in force", done.stderr)
        self.assertEqual(self.run_python("-c", "print(1)", bypass="").stderr, "")

    def test_a_torch_that_cannot_be_imported(self) -> None:
        self.write("user/torch/__init__.py", "raise OSError('no libamdhip64')\n")
        path = self.at("user")
        program = "for _ in range(2):\n    try: import torch\n    except OSError as error: print(error)\n"
        self.assertEqual(self.run_python("-c", program, path=path).stdout, "no libamdhip64\n" * 2)
        self.write("user/torch/__init__.py", "__version__ = 'odd'\n")
        done = self.run_python("-c", "import torch; print(torch.__version__)", path=path)
        self.assertEqual(done.stdout, "odd\n")
        self.assertIn("because the engine failed", done.stderr)

    def test_without_standard_error(self) -> None:
        shutil.rmtree(self.at("rdna1_gemm"))
        environment = dict(os.environ, PYTHONPATH=self.at("hook"), RDNA1_BYPASS="1")
        command = f'exec "{sys.executable}" -c "import torch; print(torch.backends.cudnn.enabled)" 2>&-'
        done = subprocess.run(["sh", "-c", command], env=environment, stdout=subprocess.PIPE, text=True, timeout=300)
        self.assertEqual((done.stdout, done.returncode), ("False\n", 0))

    def test_torch_looks_as_it_did(self) -> None:
        program = "import inspect, sys, torch; print(len(inspect.getsource(torch)) > 1000, type(torch.__loader__).__name__, [f for f in sys.meta_path if type(f).__name__ == 'Finder'])"
        self.assertEqual(self.run_python("-c", program).stdout, "True SourceFileLoader []\n")


if __name__ == "__main__":
    unittest.main()
