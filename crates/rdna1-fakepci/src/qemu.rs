// SPDX-License-Identifier: MIT OR Apache-2.0
//! A QEMU with such functions, and how they come and go while it runs.

use std::io::{BufRead, BufReader, IoSlice, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command};
use std::thread;
use std::time::Duration;

use anyhow::{Context, bail};
use rustix::io::{FdFlags, fcntl_setfd};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use serde_json::{Value, json};

use crate::{Function, serve};

/// How long QEMU may take to answer; without it a dead QEMU would hold its caller.
const PATIENCE: Duration = Duration::from_secs(20);

/// The first slot of the root bus that we use; the ones before hold what the
/// machine brings.
const FIRST_SLOT: usize = 0x10;

/// A running QEMU; killed when dropped.
#[derive(Debug)]
pub struct Qemu {
    child: Child,
    control: BufReader<UnixStream>,
    cards: usize,
}

impl Qemu {
    /// Starts a QEMU whose guest finds these functions when it starts.
    ///
    /// `command` is the program with the caller's arguments; memory, machine
    /// and these devices are added. The machine is `pc` under TCG: its slots
    /// take and give devices while the guest runs, and KVM is not everywhere.
    ///
    /// # Errors
    /// QEMU cannot be started or does not answer.
    pub fn start(mut command: Command, memory_mib: u32, cards: &[Function]) -> anyhow::Result<Self> {
        let (control, theirs) = UnixStream::pair().context("cannot make a socket")?;
        // QEMU ends are dropped only after the start: it inherits them.
        let mut inherited = vec![inheritable(theirs)?];
        command
            // The proxy hands the guest's memory on, which takes memory with a file behind it.
            .args(["-object", &format!("memory-backend-memfd,id=ram,size={memory_mib}M")])
            .args(["-m", &format!("{memory_mib}M"), "-machine", "pc,accel=tcg,memory-backend=ram"])
            .args(["-chardev", &format!("socket,id=control,fd={}", inherited[0].as_raw_fd())])
            .args(["-mon", "chardev=control,mode=control"]);
        for (i, card) in cards.iter().enumerate() {
            let socket = inheritable(played(card.clone())?)?;
            let (fd, slot) = (socket.as_raw_fd(), FIRST_SLOT + i);
            command.args(["-device", &format!("x-pci-proxy-dev,id=card{i},fd={fd},addr={slot:#x}")]);
            inherited.push(socket);
        }
        let name = command.get_program().to_string_lossy().into_owned();
        let child = command.spawn().with_context(|| format!("cannot run {name}"))?;
        drop(inherited);
        control.set_read_timeout(Some(PATIENCE)).context("cannot limit a socket's time")?;
        let mut qemu = Self { child, control: BufReader::new(control), cards: cards.len() };
        qemu.message().context("QEMU does not greet")?;
        qemu.ask("qmp_capabilities", &json!({}))?;
        Ok(qemu)
    }

    /// Plugs a function in while the guest runs; returns its name.
    ///
    /// # Errors
    /// QEMU refuses it.
    pub fn plug(&mut self, card: Function) -> anyhow::Result<String> {
        let socket = played(card)?;
        let name = format!("card{}", self.cards);
        let slot = format!("{:#x}", FIRST_SLOT + self.cards);
        self.cards += 1;
        self.send("getfd", &json!({ "fdname": name }), Some(socket))?;
        self.answer().context("QEMU does not take a socket")?;
        self.ask("device_add", &json!({ "driver": "x-pci-proxy-dev", "id": name, "fd": name, "addr": slot }))?;
        Ok(name)
    }

    /// Asks the guest to give a function up, as the button at a slot does; the
    /// guest needs a moment for it.
    ///
    /// # Errors
    /// QEMU refuses, or there is no such function.
    pub fn unplug(&mut self, name: &str) -> anyhow::Result<()> {
        self.ask("device_del", &json!({ "id": name }))
    }

    /// The process; its end is the guest's.
    pub fn process(&mut self) -> &mut Child {
        &mut self.child
    }

    fn ask(&mut self, command: &str, arguments: &Value) -> anyhow::Result<()> {
        self.send(command, arguments, None)?;
        self.answer().with_context(|| format!("QEMU does not do {command} {arguments}"))
    }

    fn send(&mut self, command: &str, arguments: &Value, with: Option<OwnedFd>) -> anyhow::Result<()> {
        let line = json!({ "execute": command, "arguments": arguments }).to_string() + "\n";
        let Some(fd) = with else {
            return self.control.get_mut().write_all(line.as_bytes()).context("QEMU has hung up");
        };
        let fds = [fd.as_fd()];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        ancillary.push(SendAncillaryMessage::ScmRights(&fds));
        let sent =
            sendmsg(self.control.get_ref(), &[IoSlice::new(line.as_bytes())], &mut ancillary, SendFlags::empty())
                .context("QEMU has hung up")?;
        anyhow::ensure!(sent == line.len(), "QEMU's control socket is full");
        Ok(())
    }

    /// The answer to the last question; events in between are passed over.
    fn answer(&mut self) -> anyhow::Result<()> {
        loop {
            let message = self.message()?;
            if message.get("return").is_some() {
                return Ok(());
            }
            if let Some(error) = message.get("error") {
                bail!("{}", error["desc"].as_str().unwrap_or("it says nothing more"));
            }
        }
    }

    fn message(&mut self) -> anyhow::Result<Value> {
        let mut line = String::new();
        let length = self.control.read_line(&mut line).context("QEMU does not answer")?;
        anyhow::ensure!(length > 0, "QEMU has hung up");
        serde_json::from_str(&line).context("QEMU says what is no JSON")
    }
}

impl Drop for Qemu {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Plays a function in a thread that ends with QEMU; returns QEMU's end.
fn played(card: Function) -> anyhow::Result<OwnedFd> {
    let (ours, theirs) = UnixStream::pair().context("cannot make a socket")?;
    // An error means that QEMU goes down, which its caller sees.
    thread::spawn(move || serve(ours, card));
    Ok(theirs.into())
}

/// Lets child processes have a descriptor. Others that start at the same moment
/// get it too, which does them no harm.
fn inheritable(fd: impl Into<OwnedFd>) -> anyhow::Result<OwnedFd> {
    let fd = fd.into();
    fcntl_setfd(&fd, FdFlags::empty()).context("cannot pass a socket on")?;
    Ok(fd)
}
