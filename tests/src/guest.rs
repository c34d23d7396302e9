// SPDX-License-Identifier: MIT OR Apache-2.0
//! A guest of QEMU: a real kernel finds PCI functions on a bus, a real udev
//! announces them, a real systemd boots.
//!
//! The disk is a machine as apt has installed it, and nothing of the tests: the
//! units that observe come through the firmware's tables (systemd.system-credentials(7),
//! SMBIOS), and what they see leaves through the second serial port. No KVM is
//! needed; a boot takes about 15 s of two cores.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use rdna1_fakepci::{Function, Qemu};

use crate::container::Container;

/// The program.
pub const QEMU: &str = "qemu-system-x86_64";

/// How long a guest may take to answer, on a machine that is busy as well.
const PATIENCE: Duration = Duration::from_secs(180);

/// MiB of memory.
const MEMORY: u32 = 1024;

/// A shell command in the guest must fit into its serial port's buffer.
const LONGEST_LINE: usize = 4000;

/// What costs an emulated CPU seconds and has no part in this: a login prompt
/// for the console, and modules for hardware that the guest has not got.
const QUICKER: &str = " systemd.mask=serial-getty@ttyS0.service systemd.mask=modprobe@drm.service \
    modprobe.blacklist=kvm_amd,kvm_intel,ata_piix,powernow_k8,pcspkr,psmouse,floppy,i2c_piix4,parport_pc";

/// What the agent says when it begins to listen.
const READY: &str = "ready";

/// Takes a line of base64 from the second serial port, runs it as a shell
/// command with an empty environment but for PATH, and answers in the same way.
const AGENT: &str = r#"
stty -F /dev/ttyS1 raw -echo
exec </dev/ttyS1 >/dev/ttyS1 2>/dev/null
echo ready
while read -r line; do
    script=$(printf %s "$line" | base64 -d)
    path=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
    { env -i PATH=$path /bin/sh -c "$script" 2>&1 </dev/null; printf '\n%s' $?; } | base64 -w0
    echo
done
"#;

/// A disk and the kernel on it.
#[derive(Debug)]
pub struct Image {
    disk: PathBuf,
    kernel: PathBuf,
}

impl Image {
    /// The disk of a machine, which must have a kernel, as `NAME` in a directory.
    ///
    /// # Panics
    /// If the machine has no kernel, or the disk is full.
    pub fn of(machine: &Container, dir: &Path, name: &str) -> Self {
        let root = machine.root();
        // What lies there would show before the guest mounts its own /run: with a
        // `.containerenv`, as podman leaves it, PID 1 believes in a container.
        for entry in std::fs::read_dir(root.join("run")).expect("a Debian root has /run").flatten() {
            let path = entry.path();
            let removed = if path.is_dir() { std::fs::remove_dir_all(&path) } else { std::fs::remove_file(&path) };
            removed.expect("the machine can be changed");
        }
        std::fs::create_dir_all(dir).expect("the directory can be made");
        let boot = std::fs::read_dir(root.join("boot")).expect("a Debian root has /boot");
        let kernel =
            boot.flatten().map(|entry| entry.path()).find(|path| path.display().to_string().contains("vmlinuz-"));
        let copy = dir.join(format!("{name}.vmlinuz"));
        std::fs::copy(kernel.expect("the machine has a kernel"), &copy).expect("the kernel can be copied");
        let disk = dir.join(format!("{name}.ext4"));
        let _ = std::fs::remove_file(&disk);
        let made = Command::new("/sbin/mke2fs")
            .args(["-q", "-t", "ext4", "-O", "^has_journal", "-E", "root_owner=0:0,lazy_itable_init=1", "-d"])
            .arg(&root)
            .arg(&disk)
            .arg("3G")
            .output()
            .expect("mke2fs runs");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        Self { disk, kernel: copy }
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.disk);
        let _ = std::fs::remove_file(&self.kernel);
    }
}

/// What is special about a boot.
#[derive(Debug, Default)]
pub struct Boot {
    cards: Vec<Function>,
    units: Vec<(String, String)>,
    arguments: Vec<String>,
}

impl Boot {
    /// With a display function in a slot: `1002:731f:ca`.
    ///
    /// # Panics
    /// If it is written wrongly.
    #[must_use]
    pub fn card(mut self, id: &str) -> Self {
        self.cards.push(id.parse().expect("an id of a PCI function"));
        self
    }

    /// With a unit that takes part in the boot.
    #[must_use]
    pub fn unit(mut self, name: &str, text: &str) -> Self {
        self.units.push((name.to_owned(), text.to_owned()));
        self
    }

    /// With more arguments of QEMU.
    #[must_use]
    pub fn qemu(mut self, arguments: &[&str]) -> Self {
        self.arguments.extend(arguments.iter().map(|&argument| argument.to_owned()));
        self
    }

    /// Boots an image, which stays as it is, until everything has started.
    ///
    /// # Panics
    /// If QEMU cannot be run or the guest does not come up.
    pub fn start(self, image: &Image) -> Guest {
        static COUNT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let count = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let console = image.disk.with_extension(format!("{count}.log"));
        let mut command = Command::new(QEMU);
        command.args([
            "-nodefaults",
            "-no-user-config",
            "-display",
            "none",
            "-no-reboot",
            "-cpu",
            "qemu64",
            "-smp",
            "2",
        ]);
        command.arg("-kernel").arg(&image.kernel);
        command.arg("-drive").arg(format!("file={},if=none,id=root,format=raw,snapshot=on", image.disk.display()));
        command.args(["-device", "nvme,drive=root,serial=root"]);
        command.arg("-serial").arg(format!("file:{}", console.display()));
        command.args(["-chardev", "stdio,id=agent,signal=off", "-serial", "chardev:agent"]);
        let agent = "[Service]\nStandardOutput=null\nLoadCredential=rdna1.agent\nExecStart=/bin/sh %d/rdna1.agent\n";
        let mut wants = String::new();
        let mut credential = |name: &str, text: &str| {
            let value = BASE64.encode(text);
            command.arg("-smbios").arg(format!("type=11,value=io.systemd.credential.binary:{name}={value}"));
        };
        credential("rdna1.agent", AGENT);
        let units = self.units.iter().map(|(name, text)| (name.as_str(), text.as_str()));
        for (name, text) in units.chain([("rdna1-agent.service", agent)]) {
            credential(&format!("systemd.extra-unit.{name}"), text);
            let _ = write!(wants, " systemd.wants={name}");
        }
        command.arg("-append").arg(format!("root=/dev/nvme0n1 rw console=ttyS0{QUICKER}{wants}"));
        command.args(&self.arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut qemu = Qemu::start(command, MEMORY, &self.cards).expect("QEMU starts");
        let output = qemu.process().stdout.take().expect("it was piped");
        let (lines, answers) = channel();
        thread::spawn(move || {
            BufReader::new(output).lines().map_while(Result::ok).try_for_each(|line| lines.send(line))
        });
        let guest = Guest { qemu, answers, console };
        let greeting = guest.answer();
        assert!(greeting.ends_with(READY), "{greeting}");
        guest
    }
}

/// A guest that runs; killed when dropped.
#[derive(Debug)]
pub struct Guest {
    qemu: Qemu,
    answers: Receiver<String>,
    console: PathBuf,
}

impl Guest {
    /// Arguments of QEMU that let a guest boot again instead of ending it.
    pub const REBOOTS: [&str; 2] = ["-action", "reboot=reset"];

    /// Runs a shell command inside, with an empty environment but for `PATH`.
    /// What it says on standard error comes among its standard output.
    ///
    /// # Panics
    /// If the guest does not answer.
    pub fn run(&mut self, script: &str) -> Output {
        let line = BASE64.encode(script) + "\n";
        assert!(line.len() < LONGEST_LINE, "too long for the serial port: {script}");
        let input = self.qemu.process().stdin.as_mut().expect("it was piped");
        input.write_all(line.as_bytes()).and_then(|()| input.flush()).expect("the guest listens");
        let answer = BASE64.decode(self.answer().trim()).expect("the agent answers in base64");
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let (text, status) = answer.rsplit_once('\n').expect("the agent ends with a status");
        let status = ExitStatus::from_raw(status.parse::<i32>().expect("a number") << 8);
        Output { status, stdout: text.as_bytes().to_vec(), stderr: Vec::new() }
    }

    /// Boots again, with what has been changed on the disk since the first time;
    /// only for a guest that was started with [`Guest::REBOOTS`].
    ///
    /// # Panics
    /// If the guest does not come up again.
    pub fn reboot(&mut self) {
        let line = BASE64.encode("sync; systemctl reboot --no-block") + "\n";
        let input = self.qemu.process().stdin.as_mut().expect("it was piped");
        input.write_all(line.as_bytes()).and_then(|()| input.flush()).expect("the guest listens");
        // The agent may be ended before it has answered.
        while !self.answer().ends_with(READY) {}
    }

    /// Plugs a display function in; returns its name.
    ///
    /// # Panics
    /// If QEMU refuses.
    pub fn plug(&mut self, id: &str) -> String {
        self.qemu.plug(id.parse().expect("an id of a PCI function")).expect("QEMU takes it")
    }

    /// Asks the guest to give it up.
    ///
    /// # Panics
    /// If QEMU refuses.
    pub fn unplug(&mut self, name: &str) {
        self.qemu.unplug(name).expect("QEMU gives it");
    }

    fn answer(&self) -> String {
        self.answers.recv_timeout(PATIENCE).unwrap_or_else(|_| {
            let log = std::fs::read_to_string(&self.console).unwrap_or_default();
            let tail: Vec<&str> = log.lines().rev().take(60).collect();
            panic!(
                "the guest is silent; the end of its console:\n{}",
                tail.into_iter().rev().collect::<Vec<_>>().join("\n")
            )
        })
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        if !thread::panicking() {
            let _ = std::fs::remove_file(&self.console);
        }
    }
}
