// SPDX-License-Identifier: MIT OR Apache-2.0
//! Env files, read by docker, podman and python-dotenv. podman creates a
//! container from an empty root directory; docker's client sends what it read
//! to a daemon, and the daemon here answers just enough to see it.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::thread;

use assert_fs::TempDir;
use assert_fs::prelude::*;
use rdna1_core::render::{Format, Guard};
use rdna1_tests::{program, tools};

use super::{Environment, accepted, assert_carried, command, for_random_batches, named, parse, refuses, values};
use super::{var, written};

/// A reader of env files: the text to the environment, or what went wrong.
type Reader = fn(&str) -> Result<Environment, String>;

fn output(command: &mut Command) -> Result<Vec<u8>, String> {
    let output = command.output().map_err(|e| e.to_string())?;
    let failure = || String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.success() { Ok(output.stdout.clone()) } else { Err(failure()) }
}

/// `["A=1", …]` as container engines print it.
fn from_list(list: &serde_json::Value) -> Environment {
    let entries = list.as_array().into_iter().flatten().filter_map(|entry| entry.as_str());
    entries.filter_map(|entry| entry.split_once('=')).map(|(name, value)| (name.into(), value.into())).collect()
}

fn podman(text: &str) -> Result<Environment, String> {
    let dir = TempDir::new().expect("there is room for a directory");
    dir.child("env").write_str(text).expect("an env file is written");
    dir.child("rootfs").create_dir_all().expect("there is room for a directory");
    let podman = || {
        let mut podman = command("podman");
        podman.current_dir(dir.path()).env("HOME", dir.path()).env("XDG_RUNTIME_DIR", dir.path());
        podman.arg("--root").arg(dir.path().join("storage")).arg("--runroot").arg(dir.path().join("run"));
        podman.args(["--storage-driver=vfs", "--cgroup-manager=cgroupfs", "--events-backend=none"]);
        podman
    };
    output(
        podman()
            .args(["create", "--name=probe", "--env-file=env", "--rootfs"])
            .arg(dir.path().join("rootfs"))
            .arg("true"),
    )?;
    let config = output(podman().args(["inspect", "--format={{json .Config.Env}}", "probe"]))?;
    Ok(from_list(&serde_json::from_slice(&config).expect("podman prints JSON")))
}

/// Answers docker's client until it has asked for a container; returns the request.
fn daemon(listener: &UnixListener) -> io::Result<Vec<u8>> {
    loop {
        let (stream, _) = listener.accept()?;
        if let Some(body) = answer(stream)? {
            return Ok(body);
        }
    }
}

/// The requests of one connection, up to the one that creates a container.
fn answer(mut stream: UnixStream) -> io::Result<Option<Vec<u8>>> {
    let mut reader = BufReader::new(stream.try_clone()?);
    while let Some((request, length)) = head(&mut reader)? {
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        let creates = request.starts_with("POST ") && request.contains("/containers/create");
        let (status, text) =
            if creates { ("201 Created", r#"{"Id":"probe","Warnings":[]}"#) } else { ("200 OK", "OK") };
        write!(stream, "HTTP/1.1 {status}\r\nApi-Version: 1.41\r\nContent-Type: application/json\r\n")?;
        let text = if request.starts_with("HEAD ") { "" } else { text };
        write!(stream, "Content-Length: {}\r\n\r\n{text}", text.len())?;
        if creates {
            return Ok(Some(body));
        }
    }
    Ok(None)
}

/// The first line of a request and the length of its body.
fn head(reader: &mut impl BufRead) -> io::Result<Option<(String, usize)>> {
    let mut lines = reader.lines();
    let Some(request) = lines.next().transpose()? else { return Ok(None) };
    let mut length = 0;
    for line in lines {
        let line = line?.to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        length = line.strip_prefix("content-length:").and_then(|n| n.trim().parse().ok()).unwrap_or(length);
    }
    Ok(Some((request, length)))
}

fn docker(text: &str) -> Result<Environment, String> {
    let dir = TempDir::new().expect("there is room for a directory");
    dir.child("env").write_str(text).expect("an env file is written");
    let socket = dir.path().join("socket");
    let listener = UnixListener::bind(&socket).expect("a socket is made");
    let request = thread::spawn(move || daemon(&listener));
    let mut docker = command("docker");
    docker.arg(format!("--host=unix://{}", socket.display())).args(["create", "--env-file=env", "image"]);
    let said = output(docker.current_dir(dir.path()).env("HOME", dir.path()));
    // Where the client refuses the file it asks for nothing: end the daemon.
    if said.is_err() {
        let mut stream = UnixStream::connect(&socket).expect("the daemon is there");
        stream.write_all(b"POST /containers/create HTTP/1.1\r\n\r\n").expect("the daemon reads");
        io::copy(&mut stream, &mut io::sink()).expect("the daemon answers");
    }
    let body = request.join().expect("the daemon has ended").expect("the daemon could read");
    said.map(|_| {
        let request: serde_json::Value = serde_json::from_slice(&body).expect("docker sends JSON");
        from_list(&request["Env"])
    })
}

fn imports_dotenv(python: &Path) -> bool {
    Command::new(python).args(["-c", "import dotenv"]).output().is_ok_and(|output| output.status.success())
}

/// A Python with python-dotenv: the distribution's, or an environment made once.
fn python() -> Option<&'static PathBuf> {
    static PYTHON: OnceLock<Option<PathBuf>> = OnceLock::new();
    let python = PYTHON.get_or_init(|| {
        let ours = program::top().join("target/python-dotenv/bin/python");
        let theirs = PathBuf::from("/usr/bin/python3");
        if let Some(python) = [&ours, &theirs].into_iter().find(|python| imports_dotenv(python)) {
            return Some(python.clone());
        }
        let venv = ours.parent()?.parent()?;
        let made = Command::new(tools::find("python3")?).args(["-m", "venv"]).arg(venv).output().ok()?;
        let pip = ["-m", "pip", "install", "--quiet", "python-dotenv"];
        (made.status.success() && Command::new(&ours).args(pip).output().ok()?.status.success()).then_some(ours)
    });
    if python.is_none() {
        tools::skip("there is no python-dotenv, and pip cannot install it");
    }
    python.as_ref()
}

fn python_dotenv(text: &str) -> Result<Environment, String> {
    const PRINT: &str = "import sys, dotenv
for name, value in dotenv.dotenv_values(sys.argv[1]).items():
    sys.stdout.buffer.write(f'{name}={value}'.encode() + b'\\0')";
    let dir = TempDir::new().expect("there is room for a directory");
    let file = dir.child("env");
    file.write_str(text).expect("an env file is written");
    let mut python = Command::new(python().expect("the test has asked for it"));
    output(python.env_clear().args(["-c", PRINT]).arg(file.path())).map(|printed| parse(&printed))
}

/// What is installed of the readers; what is not is reported.
fn readers() -> Vec<(&'static str, Reader)> {
    let all: [(&str, Reader); 3] = [("docker", docker), ("podman", podman), ("python-dotenv", python_dotenv)];
    let there = |name: &str| if name == "python-dotenv" { python().is_some() } else { tools::available(&[name]) };
    all.into_iter().filter(|(name, _)| there(name)).collect()
}

fn carries(name: &str, read: Reader, values: &[String]) {
    let text = written(Format::Dotenv, Guard::None, &named(values)).expect("only accepted values come here");
    assert_carried(name, &read(&text).unwrap_or_else(|e| panic!("{name}: {e}")), values);
}

#[test]
fn every_reader_reads_the_same() {
    for (name, read) in readers() {
        carries(name, read, &accepted(Format::Dotenv, values::table()));
        for_random_batches(10, Format::Dotenv, |batch| carries(name, read, batch));
    }
}

/// One reader that mangles it is reason enough.
#[test]
fn what_is_refused_has_to_be() {
    let readers = readers();
    let mangled = [
        ("a\nb", "docker"),
        ("a\rb", "python-dotenv"),
        (" a", "python-dotenv"),
        ("a ", "python-dotenv"),
        ("\ta", "python-dotenv"),
        ("\u{3000}a", "python-dotenv"),
        ("a\u{a0}", "python-dotenv"),
        ("a\u{1c}", "python-dotenv"),
        ("\u{1f}a", "python-dotenv"),
        ("'a'", "python-dotenv"),
        ("\"a\"", "python-dotenv"),
        ("'", "python-dotenv"),
        ("\"a", "python-dotenv"),
        ("${X}", "python-dotenv"),
        ("a #b", "python-dotenv"),
        ("a\t#b", "python-dotenv"),
        ("a\u{1e}#b", "python-dotenv"),
        ("a\u{2028}#", "python-dotenv"),
    ];
    for (value, name) in mangled {
        assert!(refuses(Format::Dotenv, value), "{value:?} is taken");
        if let Some((_, read)) = readers.iter().find(|reader| reader.0 == name) {
            let found = read(&format!("RDNA1_T={value}\n")).ok();
            let found = found.as_ref().and_then(|found| found.get(&b"RDNA1_T"[..]));
            assert_ne!(found.map(Vec::as_slice), Some(value.as_bytes()), "{name} reads {value:?} well");
        }
    }
    // compose alone expands these (compose-go, dotenv/godotenv.go), and Debian 12 has no compose that does.
    for value in ["$X", "$$", "a$"] {
        assert!(refuses(Format::Dotenv, value), "{value:?} is taken");
    }
    for value in ["", "a#b", "#", "a'b", "a'", "a\"", "\\", "\\n", "`id`", "a b", "a\tb", "\u{1b}[1m", "!", "=", "é"] {
        assert!(!refuses(Format::Dotenv, value), "{value:?} is refused");
    }
}

#[test]
fn the_longest_line_is_that_of_docker_and_podman() {
    let longest = "x".repeat(64 * 1024 - 1 - "RDNA1_T=".len());
    let too_long = format!("{longest}x");
    assert!(written(Format::Dotenv, Guard::None, &[(var("RDNA1_T"), &longest)]).is_ok());
    assert!(refuses(Format::Dotenv, &too_long));
    for (name, read) in readers().into_iter().filter(|(name, _)| *name != "python-dotenv") {
        assert!(read(&format!("RDNA1_T={longest}\n")).is_ok(), "{name} does not read what we take");
        let error = read(&format!("RDNA1_T={too_long}\n")).expect_err("it is too long");
        assert!(error.contains("too long"), "{name}: {error}");
    }
}
