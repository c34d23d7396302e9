// SPDX-License-Identifier: MIT OR Apache-2.0
//! A booted systemd: what environment generators print and what an
//! `EnvironmentFile=` holds, as a service has it. The root directory, a Debian
//! with systemd, is that of `RDNA1_TEST_ROOT`; nothing in it is changed.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use assert_fs::TempDir;
use assert_fs::prelude::*;
use rdna1_core::render::{Format, Guard};
use rdna1_tests::tools;

use super::{Environment, accepted, assert_carried, command, named, parse, quiet, values, written};

/// A booted root directory. What is written there goes to memory.
struct Machine {
    nspawn: Child,
    leader: String,
}

impl Machine {
    /// Boots `root` with `shared` as `/run/shared`, and its `generators` in place.
    fn boot(root: &Path, shared: &Path) -> Self {
        let bind = |what: &Path, at: &str| format!("--bind-ro={}:{at}", what.display());
        let mut nspawn = command("systemd-nspawn")
            .args(["--register=no", "--keep-unit", "--quiet", "--volatile=overlay", "--boot", "--directory"])
            .arg(root)
            .arg(bind(shared, "/run/shared"))
            .arg(bind(&shared.join("generators"), "/etc/systemd/system-environment-generators"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("systemd-nspawn starts");
        let deadline = Instant::now() + Duration::from_secs(60);
        let leader = loop {
            assert!(nspawn.try_wait().is_ok_and(|ended| ended.is_none()), "systemd-nspawn has ended");
            assert!(Instant::now() < deadline, "systemd has not come up");
            if let Some(leader) = leader(nspawn.id()) {
                break leader;
            }
            sleep(Duration::from_millis(50));
        };
        let machine = Self { nspawn, leader };
        machine.wait(deadline);
        machine
    }

    fn command(&self, program: &str) -> Command {
        let mut nsenter = command("nsenter");
        nsenter.args(["--all", "--target", &self.leader, program]);
        nsenter
    }

    /// Waits until the machine can start units.
    fn wait(&self, deadline: Instant) {
        let up = || {
            let state = self.command("systemctl").arg("is-system-running").output();
            state.is_ok_and(|state| [&b"running\n"[..], b"degraded\n"].contains(&state.stdout.as_slice()))
        };
        while !up() {
            assert!(Instant::now() < deadline, "the machine has not come up");
            sleep(Duration::from_millis(50));
        }
    }

    /// The environment of a service.
    fn service(&self, properties: &[&str]) -> Environment {
        let mut run = self.command("systemd-run");
        parse(&quiet(run.args(["--pipe", "--wait", "--quiet"]).args(properties).args(["/usr/bin/env", "-0"])))
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // Twice: at once, there is nothing worth saving.
        let off = self.command("systemctl").args(["poweroff", "--force", "--force"]).output();
        if off.is_err() {
            let _ = self.nspawn.kill();
        }
        let _ = self.nspawn.wait();
    }
}

/// The descendant of a process that is number 1 of its own namespace.
fn leader(ancestor: u32) -> Option<String> {
    let task = PathBuf::from(format!("/proc/{ancestor}"));
    let status = fs::read_to_string(task.join("status")).ok()?;
    let pids = status.lines().find_map(|line| line.strip_prefix("NSpid:"))?;
    let mut pids = pids.split_whitespace();
    if pids.next_back() == Some("1") && pids.next().is_some() {
        return Some(ancestor.to_string());
    }
    let children = fs::read_to_string(task.join(format!("task/{ancestor}/children"))).ok()?;
    children.split_whitespace().filter_map(|child| leader(child.parse().ok()?)).next()
}

/// A machine whose environment generator and whose file print `text`.
fn boot_with(text: &str) -> Option<(TempDir, Machine)> {
    let Some(root) = std::env::var_os("RDNA1_TEST_ROOT") else {
        tools::skip("RDNA1_TEST_ROOT names no root directory with systemd");
        return None;
    };
    if !tools::is_root() || !tools::available(&["systemd-nspawn", "nsenter"]) {
        return None;
    }
    let dir = TempDir::new().expect("there is room for a directory");
    dir.child("text").write_str(text).expect("a text is written");
    let generator = dir.child("generators/90-ours");
    generator.write_str("#!/bin/sh\nexec cat /run/shared/text\n").expect("a script is written");
    fs::set_permissions(generator.path(), PermissionsExt::from_mode(0o755)).expect("it becomes executable");
    let machine = Machine::boot(Path::new(&root), dir.path());
    Some((dir, machine))
}

#[test]
fn services_have_what_generators_print_and_what_files_hold() {
    let values = accepted(Format::Systemd, values::table());
    let text = written(Format::Systemd, Guard::None, &named(&values)).expect("only accepted values come here");
    let Some((dir, machine)) = boot_with(&text) else { return };
    assert_carried("a service", &machine.service(&[]), &values);
    // Other values under the same names: those of the file win.
    let reversed: Vec<String> = values.into_iter().rev().collect();
    let text = written(Format::Systemd, Guard::None, &named(&reversed)).expect("only accepted values come here");
    dir.child("file").write_str(&text).expect("a file is written");
    assert_carried("EnvironmentFile=", &machine.service(&["--property=EnvironmentFile=/run/shared/file"]), &reversed);
}
