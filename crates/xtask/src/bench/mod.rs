// SPDX-License-Identifier: MIT OR Apache-2.0
//! `cargo xtask bench`: what the goals of the design ask for, each beside a
//! named peer that is measured in the same run.
//!
//! Nothing here fails: figures depend on the machine, ratios less so.

mod device_code;
mod miopen;
mod packages;
mod validate;

use std::fmt;
use std::fs;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use clap::ValueEnum;
use rdna1_core::machine::Machine;
use rdna1_core::policy::Policy;
use rdna1_core::root::Root;
use rdna1_stack::Survey;

use crate::{dist, host, test};

/// A fixture of an RX 5600 XT as it is early at boot.
const EARLY: &str = "tests/cases/01-rx5600xt-early-boot/root";

/// What to measure.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Runs of each side; the median counts.
    #[arg(long, default_value_t = 21)]
    runs: usize,
    /// Measure boots instead, with and without the package: takes minutes and root.
    #[arg(long)]
    boots: bool,
    /// Only these parts, comma separated.
    #[arg(long, value_enum, value_delimiter = ',', value_name = "PART")]
    only: Vec<Part>,
}

/// A part of the benchmark; they run in this order, what is easily disturbed first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    /// The boot entry and its memory.
    Boot,
    /// What a login shell does.
    Login,
    /// Detection on large machines.
    Detection,
    /// Stacks, and `run`.
    Stacks,
    /// The proof against the real MIOpen, and plans.
    Proof,
    /// The check of device code.
    Isa,
    /// The validator.
    Validate,
    /// Packages, and the size of what they install.
    Packages,
}

/// One line of the table.
struct Row {
    what: String,
    ours: String,
    peer: String,
    ratio: Option<f64>,
    goal: &'static str,
}

impl Row {
    /// What could not be measured, and why.
    fn left_out(what: &str, why: &str) -> Self {
        Self { what: what.to_owned(), ours: "-".into(), peer: why.to_owned(), ratio: None, goal: "" }
    }
}

/// Runs the task. Our own code is measured as it is released, so that a debug
/// build of this program builds and runs another one.
#[allow(clippy::print_stdout, reason = "the answer of the command")]
pub fn run(top: &Path, args: &Args) -> anyhow::Result<()> {
    if args.boots {
        return test::boots(top);
    }
    if cfg!(debug_assertions) {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let runs = args.runs.to_string();
        let mut command = Command::new(cargo);
        command.args(["run", "--quiet", "--profile", "quick", "--package", "xtask", "--", "bench", "--runs", &runs]);
        for part in args.only.iter().filter_map(Part::to_possible_value) {
            command.args(["--only", part.get_name()]);
        }
        return host::run_tool(command.current_dir(top));
    }
    ensure!(args.runs > 0, "--runs must be at least 1");
    let bench = Bench::new(top, args.runs)?;
    println!("{:44} {:>12} {:>28} {:>8}  goal", "what", "ours", "peer", "ratio");
    for part in Part::value_variants().iter().filter(|part| args.only.is_empty() || args.only.contains(part)) {
        // Each part at once: some take minutes.
        for row in bench.part(*part)? {
            println!("{row}");
        }
    }
    println!("\nmedians of {} runs; peers run on this machine in the same minute", args.runs);
    Ok(())
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ratio = self.ratio.map_or_else(String::new, |ratio| format!("{ratio:.1}x"));
        write!(f, "{:44} {:>12} {:>28} {ratio:>8}  {}", self.what, self.ours, self.peer, self.goal)
    }
}

fn milliseconds(time: Duration) -> String {
    format!("{:.3} ms", time.as_secs_f64() * 1e3)
}

struct Bench {
    top: PathBuf,
    /// A directory in memory.
    dir: PathBuf,
    /// A machine with a card.
    machine: PathBuf,
    bin_dir: PathBuf,
    policy: Policy,
    runs: usize,
}

impl Drop for Bench {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.dir);
    }
}

impl Bench {
    fn new(top: &Path, runs: usize) -> anyhow::Result<Self> {
        let bin_dir = dist::programs(top)?;
        // sysfs is in memory too; a disk would be measured instead of the code.
        let dir = PathBuf::from(format!("/dev/shm/rdna1-bench-{}", std::process::id()));
        fs::create_dir_all(dir.join("empty")).context("cannot write to /dev/shm")?;
        let machine = dir.join("machine");
        host::run_tool(Command::new("cp").arg("--archive").arg(top.join(EARLY)).arg(&machine))?;
        Ok(Self { top: top.to_owned(), dir, machine, bin_dir, policy: Policy::embedded()?, runs })
    }

    fn part(&self, part: Part) -> anyhow::Result<Vec<Row>> {
        Ok(match part {
            Part::Boot => vec![
                self.boot("no card", &self.dir.join("empty"))?,
                self.boot("RX 5600 XT", &self.machine)?,
                self.boot_memory()?,
            ],
            Part::Login => vec![self.login()?],
            Part::Detection => {
                let mut rows = vec![self.detection_here()?];
                for (functions, cards) in [(10, 2), (1_000, 2), (10_000, 2), (10_000, 10_000)] {
                    rows.push(self.detection(functions, cards)?);
                }
                rows
            }
            Part::Stacks => self.stacks()?,
            Part::Proof => self.proof()?,
            Part::Isa => self.device_code()?,
            Part::Validate => vec![self.validator()?],
            Part::Packages => {
                let mut rows = vec![self.installed_size()?];
                rows.extend(self.packages()?);
                rows
            }
        })
    }

    /// The median time of a function.
    fn median(&self, mut f: impl FnMut() -> anyhow::Result<()>) -> anyhow::Result<Duration> {
        f()?;
        let mut times = Vec::new();
        for _ in 0..self.runs {
            let start = Instant::now();
            f()?;
            times.push(start.elapsed());
        }
        times.sort_unstable();
        Ok(times[times.len() / 2])
    }

    /// The median time of a command, from start to end.
    fn command(&self, make: impl Fn() -> Command) -> anyhow::Result<Duration> {
        self.median(|| {
            let mut command = make();
            let name = command.get_program().to_string_lossy().into_owned();
            let status = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
            ensure!(status.with_context(|| format!("cannot run {name}"))?.success(), "{name} failed");
            Ok(())
        })
    }

    fn row(&self, what: impl Into<String>, ours: Duration, peer: (&str, Duration), goal: &'static str) -> Row {
        Row {
            what: what.into(),
            ours: milliseconds(ours),
            peer: format!("{} {}", peer.0, milliseconds(peer.1)),
            ratio: Some(peer.1.as_secs_f64() / ours.as_secs_f64()),
            goal,
        }
    }

    fn detect(&self, root: &Path) -> anyhow::Result<Duration> {
        let root = Root::new(root);
        self.median(|| {
            black_box(Machine::detect(&root, &self.policy));
            Ok(())
        })
    }

    fn detection_here(&self) -> anyhow::Result<Row> {
        let ours = self.command(|| {
            let mut command = Command::new("sh");
            // detect says with status 1 that there is no card.
            command.arg("-c").arg(r#""$0" detect || [ $? = 1 ]"#).arg(self.bin_dir.join("rdna1-rocm-fix"));
            command
        })?;
        let peer = self.command(|| {
            let mut command = Command::new("sh");
            command.arg("-c").arg("lspci -nn | grep -q 1002:731f || true");
            command
        })?;
        Ok(self.row("detect as a command, this machine", ours, ("lspci -nn | grep", peer), ""))
    }

    /// Detection and lspci over the same tree of `count` functions, some of them RDNA1 cards.
    fn detection(&self, count: usize, cards: usize) -> anyhow::Result<Row> {
        let root = self.dir.join(format!("functions-{count}-{cards}"));
        let devices = root.join("sys/bus/pci/devices");
        for i in 0..count {
            let function = devices.join(format!("{:04x}:{:02x}:{:02x}.0", i / 8192, i / 32 % 256, i % 32));
            fs::create_dir_all(&function)?;
            let (vendor, device) = if i < cards { ("0x1002", "0x731f") } else { ("0x8086", "0x1533") };
            for (attribute, value) in [
                ("vendor", vendor),
                ("device", device),
                ("class", "0x030000"),
                ("revision", "0xca"),
                ("subsystem_vendor", "0x1849"),
                ("subsystem_device", "0x5129"),
                // lspci wants these.
                ("irq", "0"),
                ("resource", ""),
            ] {
                fs::write(function.join(attribute), format!("{value}\n"))?;
            }
            fs::write(function.join("config"), config_space(vendor, device))?;
        }
        let ours = self.detect(&root)?;
        let path = format!("sysfs.path={}", root.join("sys/bus/pci").display());
        let peer = self.command(|| {
            let mut command = Command::new("lspci");
            command.args(["-nn", "-O", &path]);
            command
        })?;
        // A tree of this size would slow down whatever is measured after it.
        fs::remove_dir_all(&root)?;
        let goal = if count == 10_000 && cards < count { "under 50 ms" } else { "" };
        Ok(self.row(format!("detection, {count} functions, {cards} cards"), ours, ("lspci -nn", peer), goal))
    }

    /// The boot entry as PID 1 starts it, against one lspci. The two take
    /// turns, and many of them, because a millisecond drowns in a busy machine.
    fn boot(&self, machine: &str, root: &Path) -> anyhow::Result<Row> {
        let program = self.bin_dir.join("rdna1-rocm-fix-generator");
        let once = |mut command: Command| -> anyhow::Result<Duration> {
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            let start = Instant::now();
            ensure!(command.status()?.success(), "{command:?} failed");
            Ok(start.elapsed())
        };
        let (mut ours, mut peer) = (Vec::new(), Vec::new());
        for _ in 0..self.runs * 5 {
            let mut command = Command::new(&program);
            command.env_clear().env("RDNA1_ROOT", root);
            ours.push(once(command)?);
            let mut command = Command::new("lspci");
            command.arg("-nn");
            peer.push(once(command)?);
        }
        let median = |mut times: Vec<Duration>| {
            times.sort_unstable();
            times[times.len() / 2]
        };
        let (ours, peer) = (median(ours), median(peer));
        Ok(self.row(format!("boot entry, {machine}"), ours, ("lspci -nn", peer), "under 2 ms, 10x"))
    }

    fn boot_memory(&self) -> anyhow::Result<Row> {
        let mut ours = Command::new(self.bin_dir.join("rdna1-rocm-fix-generator"));
        let ours = self.peak_memory(ours.env("RDNA1_ROOT", &self.machine))?;
        let peer = self.peak_memory(Command::new("lspci").arg("-nn"))?;
        Ok(Self::memory_row("boot entry, peak memory, RX 5600 XT", ours, ("lspci -nn", peer), "under 4 MiB"))
    }

    /// Largest resident set in KiB of a command or any program that it starts, by
    /// GNU time: a child of this program would be charged with this program's own memory.
    fn peak_memory(&self, command: &Command) -> anyhow::Result<u64> {
        let file = self.dir.join("peak");
        let mut time = Command::new("/usr/bin/time");
        time.args(["--format", "%M", "--output"]).arg(&file);
        time.arg(command.get_program()).args(command.get_args());
        time.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        if let Some(dir) = command.get_current_dir() {
            time.current_dir(dir);
        }
        let status = time.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
        ensure!(
            status.context("cannot run GNU time; apt install time")?.success(),
            "{command:?} failed under GNU time"
        );
        fs::read_to_string(&file)?.trim().parse().context("GNU time printed no number")
    }

    fn memory_row(what: &str, ours: u64, peer: (&str, u64), goal: &'static str) -> Row {
        let mib = |kib: u64| format!("{:.1} MiB", kib as f64 / 1024.0);
        Row {
            what: what.into(),
            ours: mib(ours),
            peer: format!("{} {}", peer.0, mib(peer.1)),
            ratio: Some(peer.1 as f64 / ours as f64),
            goal,
        }
    }

    /// What a login shell does, in one shell so that its own start does not count.
    fn login(&self) -> anyhow::Result<Row> {
        let mut generator = Command::new(self.bin_dir.join("rdna1-rocm-fix-generator"));
        host::output(generator.env("RDNA1_ROOT", &self.machine))?;
        let script = self.machine.join("run/rdna1-rocm-fix/env.sh");
        let times = 200_u32;
        let in_shell = |body: String| {
            self.command(move || {
                let mut command = Command::new("dash");
                command.arg("-c").arg(format!("i=0; while [ $i -lt {times} ]; do {body}; i=$((i+1)); done"));
                command
            })
        };
        let names = "HSA_OVERRIDE_GFX_VERSION MIOPEN_DEBUG_CONV_GEMM MIOPEN_FIND_MODE";
        // As /etc/profile.d/rocm-rdna1.sh does it; the variables are unset so that each turn sets them.
        let path = script.display();
        let ours = in_shell(format!("unset {names}; if [ -x /bin/sh ] && [ -r {path} ]; then . {path}; fi"))?;
        let peer = self.command(|| {
            let mut command = Command::new("dash");
            command.arg("-c").arg("for i in 1 2 3 4 5; do if lspci -nn | grep -q 1002:731f; then :; fi; done");
            command
        })?;
        Ok(self.row("login", ours / times, ("lspci -nn | grep in profile.d", peer / 5), "50x"))
    }

    /// Stacks found by their files against Python asked for versions alone, and
    /// `run` against the bare command.
    fn stacks(&self) -> anyhow::Result<Vec<Row>> {
        let home = self.machine.join("home/u/.pyenv/versions");
        for i in 0..5 {
            let site = home.join(format!("e{i}/lib/python3.12/site-packages"));
            let lib = site.join("torch/lib");
            fs::create_dir_all(lib.join("rocblas/library"))?;
            fs::create_dir_all(home.join(format!("e{i}/bin")))?;
            fs::write(home.join(format!("e{i}/bin/python")), "\x7fELF")?;
            fs::write(home.join(format!("e{i}/pyvenv.cfg")), "home = /usr/bin\n")?;
            fs::write(site.join("torch/version.py"), "__version__ = '2.6.0+rocm6.1'\nhip = '6.1.40091'\n")?;
            fs::write(lib.join("libtorch_hip.so"), bundles(400))?;
            for file in 0..200 {
                fs::write(lib.join(format!("rocblas/library/TensileLibrary_{file}_gfx1030.dat")), "")?;
            }
            for package in 0..200 {
                fs::create_dir_all(site.join(format!("package{package}-1.0.dist-info")))?;
            }
        }
        // What `run` finds under the name of a program that the running system has too.
        fs::create_dir_all(self.machine.join("usr/bin"))?;
        let script = self.machine.join("usr/bin/true");
        fs::write(&script, "#!/home/u/.pyenv/versions/e0/bin/python\n")?;
        host::run_tool(Command::new("chmod").arg("+x").arg(&script))?;
        let root = Root::new(&self.machine);
        let variables = std::iter::once(("HOME".to_owned(), "/home/u".to_owned())).collect();
        ensure!(Survey::of_machine(&root, &variables, None).stacks.len() == 5, "the five environments are not found");
        let found = self.median(|| {
            black_box(Survey::of_machine(&root, &variables, None));
            Ok(())
        })?;
        let asked = self.command(|| {
            let mut command = Command::new("python3");
            command.args(["-c", "from importlib import metadata; [d.version for d in metadata.distributions()]"]);
            command
        })?;
        let run = self.command(|| {
            let mut command = Command::new(self.bin_dir.join("rdna1-rocm-fix"));
            command.arg("--root").arg(&self.machine).args(["run", "--", "true"]);
            command
        })?;
        let bare = self.command(|| Command::new("true"))?;
        Ok(vec![
            self.row("stacks, five environments", found, ("one python3, metadata", asked), "under 50 ms"),
            self.row("run -- a script of a PyTorch environment", run, ("bare exec", bare), "5 ms more than the peer"),
        ])
    }
}

/// The head of a PCI configuration space, as lspci reads it.
fn config_space(vendor: &str, device: &str) -> [u8; 64] {
    let number = |text: &str| u16::from_str_radix(&text[2..], 16).unwrap_or(0).to_le_bytes();
    let mut space = [0; 64];
    space[..2].copy_from_slice(&number(vendor));
    space[2..4].copy_from_slice(&number(device));
    space[8..12].copy_from_slice(&[0xca, 0, 0, 3]);
    space
}

/// What a library's section of device code holds: bundles for five targets each.
fn bundles(count: usize) -> Vec<u8> {
    let mut one = b"__CLANG_OFFLOAD_BUNDLE__".to_vec();
    one.extend(5_u64.to_le_bytes());
    for (i, target) in ["gfx900", "gfx906", "gfx90a", "gfx1030", "gfx1100"].iter().enumerate() {
        let id = format!("hipv4-amdgcn-amd-amdhsa--{target}");
        for number in [4096 * (i as u64 + 1), 4096, id.len() as u64] {
            one.extend(number.to_le_bytes());
        }
        one.extend(id.as_bytes());
    }
    one.resize(6 * 4096, 0);
    one.repeat(count)
}
