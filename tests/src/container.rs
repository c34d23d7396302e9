// SPDX-License-Identifier: MIT OR Apache-2.0
//! A real Debian 13 in a container, with or without a card.
//!
//! The root that `cargo xtask test` makes stays untouched: each container works
//! on an overlay in memory. A card is a directory of PCI attributes, mounted over
//! the kernel's own; everything else in the container is real.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::program::top;
use crate::tools;

/// Containers share this process's control group, so only one runs at a time.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

fn turn() -> MutexGuard<'static, ()> {
    // A test that failed while it had its turn has told its own story.
    ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The machine's PCI devices, beside its files.
const DEVICES: &str = "pci-devices";

/// How long a boot may take before a test fails.
const BOOT_LIMIT: Duration = Duration::from_secs(90);

/// The Debian root to test in; reports the skip where there is none.
///
/// # Panics
/// Where nothing may be skipped.
pub fn debian_root() -> Option<PathBuf> {
    if !tools::is_root() || !tools::available(&["systemd-nspawn", "mount", "umount", "nsenter", "unshare"]) {
        return None;
    }
    let root =
        std::env::var_os("RDNA1_TEST_ROOT").map(PathBuf::from).filter(|root| root.join("etc/debian_version").exists());
    if root.is_none() {
        tools::skip("RDNA1_TEST_ROOT names no Debian root (cargo xtask test makes one)");
    }
    root
}

/// A container that has not been started.
#[derive(Debug)]
pub struct Container {
    dir: PathBuf,
    binds: Vec<(PathBuf, String)>,
    memory: Vec<String>,
}

impl Container {
    /// A fresh one on top of a root.
    ///
    /// # Panics
    /// If the overlay cannot be mounted.
    pub fn new(root: &Path) -> Self {
        static COUNT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let count = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let dir = top().join(format!("target/containers/{}-{count}", std::process::id()));
        std::fs::create_dir_all(&dir).expect("target is writable");
        // An overlay's upper layer may not lie on another overlay; memory always works.
        mount(&["-t", "tmpfs", "-o", "mode=755", "tmpfs"], &dir);
        let sub = |name: &str| {
            let path = dir.join(name);
            std::fs::create_dir(&path).expect("a fresh tmpfs is writable");
            path.display().to_string()
        };
        let (upper, work) = (sub("upper"), sub("work"));
        sub("machine");
        let options = format!("lowerdir={},upperdir={upper},workdir={work}", root.display());
        mount(&["-t", "overlay", "-o", &options, "overlay"], &dir.join("machine"));
        sub(DEVICES);
        let devices = dir.join(DEVICES);
        Self { dir, binds: Vec::new(), memory: Vec::new() }.with_bind(devices, "/sys/bus/pci/devices")
    }

    /// Where the machine's files can be read and changed from outside.
    pub fn root(&self) -> PathBuf {
        self.dir.join("machine")
    }

    /// Shows a host directory inside, read-only.
    #[must_use]
    pub fn with_bind(mut self, host: impl Into<PathBuf>, inside: &str) -> Self {
        self.binds.retain(|(_, there)| there != inside);
        self.binds.push((host.into(), inside.to_owned()));
        self
    }

    /// Mounts a file system in memory inside, with options of tmpfs(5).
    #[must_use]
    pub fn with_memory(mut self, inside: &str, options: &str) -> Self {
        self.memory.push(format!("--tmpfs={inside}:{options}"));
        self
    }

    /// Where the files lie that stand for the machine's PCI devices.
    pub fn devices(&self) -> PathBuf {
        self.dir.join(DEVICES)
    }

    /// Gives the machine a KFD, with no nodes yet: its directory of device
    /// classes becomes a copy of the kernel's, whose links lead where they led.
    ///
    /// # Panics
    /// If memory is full.
    #[must_use]
    pub fn with_kfd(self) -> Self {
        let classes = self.dir.join("classes");
        for class in std::fs::read_dir("/sys/class").expect("sysfs is mounted").flatten() {
            let copy = classes.join(class.file_name());
            std::fs::create_dir_all(&copy).expect("a tmpfs is writable");
            for device in std::fs::read_dir(class.path()).into_iter().flatten().flatten() {
                if let Ok(target) = std::fs::read_link(device.path()) {
                    std::os::unix::fs::symlink(target, copy.join(device.file_name())).expect("a tmpfs is writable");
                }
            }
        }
        std::fs::create_dir_all(self.kfd_nodes()).expect("a tmpfs is writable");
        self.with_bind(classes, "/sys/class")
    }

    fn kfd_nodes(&self) -> PathBuf {
        self.dir.join("classes/kfd/kfd/topology/nodes")
    }

    /// KFD takes the cards, also while the machine runs: node 0 is the CPU, and
    /// each card is the node of its place, driven by amdgpu, with a render node.
    ///
    /// # Panics
    /// If memory is full, or the machine has no KFD.
    pub fn kfd_takes_the_cards(&self) {
        let node = |number: usize, text: String| {
            let dir = self.kfd_nodes().join(number.to_string());
            std::fs::create_dir_all(&dir).expect("a tmpfs is writable");
            std::fs::write(dir.join("properties"), text).expect("a tmpfs is writable");
        };
        node(0, "simd_count 0\n".into());
        for number in 1..=std::fs::read_dir(self.devices()).map_or(0, Iterator::count) {
            let function = self.devices().join(slot(number));
            std::os::unix::fs::symlink("../amdgpu", function.join("driver")).expect("a tmpfs is writable");
            std::fs::create_dir_all(function.join(format!("drm/renderD{}", 127 + number)))
                .expect("a tmpfs is writable");
            // Bus, device and function in one number.
            node(number, format!("simd_count 72\nsimd_per_cu 2\ndomain 0\nlocation_id {}\n", number << 8));
        }
    }

    /// Puts a PCI display function into the machine, for instance `0x731f`
    /// with revision `0xca`: an RX 5600 XT.
    ///
    /// # Panics
    /// If memory is full.
    #[must_use]
    pub fn with_card(self, device: &str, revision: &str) -> Self {
        let devices = self.devices();
        let number = std::fs::read_dir(&devices).map_or(0, Iterator::count) + 1;
        let function = devices.join(slot(number));
        std::fs::create_dir_all(&function).expect("a tmpfs is writable");
        for (attribute, value) in
            [("vendor", "0x1002"), ("device", device), ("class", "0x030000"), ("revision", revision)]
        {
            std::fs::write(function.join(attribute), format!("{value}\n")).expect("a tmpfs is writable");
        }
        self
    }

    /// Takes all cards out again, also while the machine runs.
    ///
    /// # Panics
    /// If they cannot be removed.
    pub fn remove_cards(&self) {
        for entry in std::fs::read_dir(self.devices()).expect("it is there").flatten() {
            std::fs::remove_dir_all(entry.path()).expect("a tmpfs is writable");
        }
    }

    fn nspawn(&self) -> Command {
        // A network of its own, so that its sshd does not meet the host's. Not by
        // --private-network: that mounts another /sys over the cards (measured).
        // The capability lets systemd bring the loopback interface up.
        let mut command = Command::new("unshare");
        command.args(["--net", "systemd-nspawn", "--quiet", "--register=no", "--keep-unit"]);
        command.args(["--capability=CAP_NET_ADMIN", "--directory"]).arg(self.root());
        for (host, inside) in &self.binds {
            command.arg(format!("--bind-ro={}:{inside}", host.display()));
        }
        command.args(&self.memory).stdin(Stdio::null());
        command
    }

    /// Runs a shell command without booting, as in a maintainer's chroot. Must
    /// not be called while a [`Booted`] of this thread lives.
    ///
    /// # Panics
    /// If the container cannot be started.
    pub fn run(&self, script: &str) -> Output {
        let _turn = turn();
        let mut command = self.nspawn();
        command.args(["--pipe", "--setenv=DEBIAN_FRONTEND=noninteractive", "/bin/sh", "-c", script]);
        let mut output = command.output().expect("systemd-nspawn runs");
        output.stderr = without_remark(&output.stderr);
        output
    }

    /// Boots its systemd as PID 1 and waits until it has finished.
    ///
    /// # Panics
    /// If it does not come up.
    pub fn boot(&self) -> Booted {
        let turn = turn();
        let log = std::fs::File::create(self.dir.join("boot.log")).expect("a tmpfs is writable");
        let mut command = self.nspawn();
        command.arg("--boot").stdout(log.try_clone().expect("a file can be duplicated")).stderr(log);
        let nspawn = command.spawn().expect("systemd-nspawn runs");
        let mut booted = Booted { nspawn, leader: 0, _turn: turn };
        let start = Instant::now();
        while start.elapsed() < BOOT_LIMIT {
            booted.leader = child_of(booted.nspawn.id()).unwrap_or(0);
            if booted.leader != 0 {
                let state = booted.run("systemctl is-system-running");
                let state = String::from_utf8_lossy(&state.stdout).trim().to_owned();
                if state == "running" || state == "degraded" {
                    return booted;
                }
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        let log = std::fs::read_to_string(self.dir.join("boot.log")).unwrap_or_default();
        panic!("no boot within {BOOT_LIMIT:?}:\n{log}");
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        for mount in [self.root(), self.dir.clone()] {
            let _ = Command::new("umount").arg("--lazy").arg(mount).status();
        }
        let _ = std::fs::remove_dir(&self.dir);
    }
}

/// A container whose systemd runs; powered off when dropped.
#[derive(Debug)]
pub struct Booted {
    nspawn: Child,
    /// PID 1 of the container, as the host numbers it.
    leader: u32,
    _turn: MutexGuard<'static, ()>,
}

impl Booted {
    /// Runs a shell command inside, with an empty environment but for `PATH`.
    ///
    /// # Panics
    /// If it cannot be started.
    pub fn run(&self, script: &str) -> Output {
        Command::new("nsenter")
            .args(["--target", &self.leader.to_string(), "--all", "/bin/sh", "-c", script])
            .env_clear()
            .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
            .stdin(Stdio::null())
            .output()
            .expect("nsenter runs")
    }
}

impl Drop for Booted {
    fn drop(&mut self) {
        if self.leader != 0 {
            let _ = self.run("systemctl --force poweroff");
        }
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(10) {
            if let Ok(Some(_)) = self.nspawn.try_wait() {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = self.nspawn.kill();
        let _ = self.nspawn.wait();
    }
}

/// The address of a card by its place.
fn slot(number: usize) -> String {
    format!("0000:{number:02x}:00.0")
}

/// Standard error without nspawn's remark that it leaves its propagation
/// directory alone, as /run of a build machine is no memory file system.
fn without_remark(stderr: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(stderr);
    let lines = text.split_inclusive('\n').filter(|line| !line.starts_with("Attempted to remove disk file system"));
    lines.collect::<String>().into_bytes()
}

/// nspawn's child, once it has become the container's init.
fn child_of(parent: u32) -> Option<u32> {
    let children = std::fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).ok()?;
    let child = children.split_whitespace().next()?.parse().ok()?;
    let status = std::fs::read_to_string(format!("/proc/{child}/status")).ok()?;
    let inner = status.lines().find(|line| line.starts_with("NSpid:"))?.split_whitespace().next_back()?;
    (inner == "1").then_some(child)
}

fn mount(arguments: &[&str], at: &Path) {
    let status = Command::new("mount").args(arguments).arg(at).status().expect("mount runs");
    assert!(status.success(), "cannot mount {arguments:?} at {}", at.display());
}
