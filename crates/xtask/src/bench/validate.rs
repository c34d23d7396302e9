// SPDX-License-Identifier: MIT OR Apache-2.0
//! The validator beside the obvious way: an interpreter for each case.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};

use super::{Bench, Row};

/// Debian's own Python, whose PyTorch the tests use as well.
const PYTHON: &str = "/usr/bin/python3";

/// The validator's family of kernel sizes.
const KERNELS: [&str; 9] = ["1,1", "2,2", "3,3", "4,4", "5,5", "7,7", "11,11", "1,3", "3,1"];

/// What somebody would write who checks one convolution: twice forward and
/// backward, against float64.
const SCRIPT: &str = "\
import sys, torch
import torch.nn.functional as F
kernel = [int(k) for k in sys.argv[1].split(',')]
x, w = torch.randn(2, 16, 32, 32), torch.randn(32, 16, *kernel)
def run(x, w):
    x, w = x.detach().requires_grad_(), w.detach().requires_grad_()
    y = F.conv2d(x, w)
    return [y.detach(), *torch.autograd.grad(y, [x, w], torch.ones_like(y))]
right = run(x.double(), w.double())
for _ in range(2):
    for found, wanted in zip(run(x, w), right):
        assert (found.double() - wanted).abs().max() < 1e-4 * wanted.abs().max()
";

impl Bench {
    /// All kernel sizes, each with its own import of PyTorch or in one worker.
    /// Seconds long, so once each. Without PyTorch there is nothing to compare.
    pub(super) fn validator(&self) -> anyhow::Result<Row> {
        let import = Command::new(PYTHON).args(["-c", "import torch"]).stderr(Stdio::null()).status();
        if !import.is_ok_and(|status| status.success()) {
            return Ok(Row::left_out("validator", "no python3-torch here"));
        }
        let mut ours = Command::new(self.bin_dir.join("rdna1-validate"));
        ours.args(["--device", "cpu", "--level", "medium", "--only", "kernel/*", "--python", PYTHON]);
        let ours = once(&mut ours)?;
        let mut peer = Duration::ZERO;
        for kernel in KERNELS {
            peer += once(Command::new(PYTHON).args(["-c", SCRIPT, kernel]))?;
        }
        Ok(self.row("validator, 9 convolutions", ours, ("a python each", peer), "faster"))
    }
}

fn once(command: &mut Command) -> anyhow::Result<Duration> {
    let name = command.get_program().to_string_lossy().into_owned();
    let start = Instant::now();
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    ensure!(status.with_context(|| format!("cannot run {name}"))?.success(), "{name} failed");
    Ok(start.elapsed())
}
