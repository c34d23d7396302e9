// SPDX-License-Identifier: MIT OR Apache-2.0
//! `run` on a terminal: the command has it as if it had been started there.

use std::process::Command;

use rdna1_tests::program::{bin_dir, case};
use rdna1_tests::tools;

/// Starts a command line on a terminal of its own, says what happens there, and
/// how it ended. The session leader is the command itself, so that Ctrl-C goes
/// to it by way of the terminal.
const ON_A_TERMINAL: &str = r#"
import fcntl, os, pty, select, struct, sys, termios, time
pid, fd = pty.fork()
if pid == 0:
    os.execv(sys.argv[1], sys.argv[1:])
fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", 17, 93, 0, 0))
seen = b""
def until(text):
    global seen
    end = time.monotonic() + 60
    while text not in seen:
        if not select.select([fd], [], [], max(0, end - time.monotonic()))[0]:
            os.kill(pid, 9)
            sys.exit(f"no {text} in {seen}")
        seen += os.read(fd, 4096)
until(b"ready\r\n")
fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
until(b"resized 120 40\r\n")
os.write(fd, b"\x03")
until(b"interrupted\r\n")
os.write(fd, b"a line\n")
until(b"read: a line\r\n")
_, status = os.waitpid(pid, 0)
print(seen.decode().replace("\r", ""))
print("pid", pid, "status", os.waitstatus_to_exitcode(status))
"#;

/// Says what it has: process, group in the foreground, terminal, size, signals.
/// Each line by one system call, as `print` makes two and a signal may come between
/// them; and a descriptor to wake up by, as one may come just before a read.
const COMMAND: &str = r#"
import os, select, signal
def say(*words): os.write(1, (' '.join(map(str, words)) + '\n').encode())
signal.signal(signal.SIGWINCH, lambda *_: say("resized", *os.get_terminal_size()))
signal.signal(signal.SIGINT, lambda *_: say("interrupted"))
say("process", os.getpid(), "foreground", os.tcgetpgrp(0), "terminals", [os.isatty(n) for n in range(3)])
say("open files", sorted(int(n) for n in os.listdir("/proc/self/fd"))[:-1])
say("masked", signal.pthread_sigmask(signal.SIG_BLOCK, []), "ignored", [s.name for s in signal.valid_signals() if s != signal.SIGXFSZ and isinstance(s, signal.Signals) and signal.getsignal(s) == signal.SIG_IGN])
wake, told = os.pipe()
os.set_blocking(told, False)
signal.set_wakeup_fd(told)
say("ready")
while 0 not in select.select([0, wake], [], [])[0]:
    os.read(wake, 64)
say("read:", os.read(0, 99).decode().strip())
os.kill(os.getpid(), signal.SIGUSR1)
"#;

/// With `run` everything is as without, its own process included.
#[test]
fn run_leaves_the_terminal_to_the_command() {
    if !tools::available(&["python3"]) {
        return;
    }
    let start = |line: &[&str]| {
        let mut command = Command::new("python3");
        command.args(["-c", ON_A_TERMINAL]).args(line).env_remove("RDNA1_ROOT");
        let output = command.output().expect("python3 runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text")
    };
    let program = bin_dir().join("rdna1-rocm-fix");
    let (program, root) = (program.display().to_string(), case("02-rx5600xt-ready").display().to_string());
    let bare = start(&["/usr/bin/env", "python3", "-c", COMMAND]);
    let ours = start(&[&program, "--root", &root, "run", "--", "python3", "-c", COMMAND]);
    let number = |text: &str, after: &str| -> String {
        let rest = text.split_once(after).unwrap_or_else(|| panic!("no {after:?} in {text}")).1;
        rest.chars().take_while(char::is_ascii_digit).collect()
    };
    for text in [&bare, &ours] {
        // No process between the terminal and the command: it is the one that was started.
        assert_eq!(number(text, "process "), number(text, "\npid "), "{text}");
        assert_eq!(number(text, "foreground "), number(text, "\npid "), "{text}");
        for part in ["terminals [True, True, True]", "resized 120 40", "interrupted", "read: a line", "status -10"] {
            assert!(text.contains(part), "no {part:?} in {text}");
        }
    }
    // As the kernel sees it, before an interpreter has its own way with signals.
    let grep = ["grep", "^Sig", "/proc/self/status"];
    let inherited = start_plain(&grep);
    assert_eq!(start_plain(&[&[program.as_str(), "--root", &root, "run", "--"], &grep[..]].concat()), inherited);
    let without_numbers = |text: &str| text.replace(&number(text, "\npid "), "PID");
    assert_eq!(without_numbers(&ours), without_numbers(&bare));
}

fn start_plain(line: &[&str]) -> String {
    let output = Command::new("/usr/bin/env").args(line).env_remove("RDNA1_ROOT").output().expect("env runs");
    String::from_utf8(output.stdout).expect("text")
}
