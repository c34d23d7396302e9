// SPDX-License-Identifier: MIT OR Apache-2.0
//! The program that loads MIOpen and asks it.
//!
//! `rdna1-miopen-query LIBRARY` reads one problem per line from standard input
//! and answers with lines on standard output, each written at once, so that
//! after a crash the last answer tells which problem was next. `rdna1-miopen`
//! is the only one who speaks this language; both are always built together.
//!
//! It has no dependencies and runs under whichever C library MIOpen was built
//! for, started by that library's own loader.

mod abi;
mod ask;
mod request;

use std::io::{BufRead, Write};
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut out = std::io::stdout().lock();
    match run(&mut out) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // Nobody is left to hear of it where standard output is closed.
            let _ = writeln!(out, "E\t{}", failure.replace(['\n', '\t'], " "));
            ExitCode::from(3)
        }
    }
}

fn run(out: &mut dyn Write) -> Result<(), String> {
    let path = std::env::args_os().nth(1).ok_or("no library was named")?;
    let library = abi::Library::load(&path)?;
    let mut session = ask::Session::new(&library)?;
    let say = |out: &mut dyn Write, line: &str| out.write_all(line.as_bytes()).map_err(|e| e.to_string());
    say(out, &format!("V\t{}\n", session.version()?))?;
    let mut answer = String::new();
    for line in std::io::stdin().lock().lines() {
        let line = line.map_err(|e| e.to_string())?;
        let request = request::Request::parse(&line).ok_or_else(|| format!("no request: {line}"))?;
        answer.clear();
        session.answer(&request, &mut answer)?;
        say(out, &answer)?;
    }
    Ok(())
}
