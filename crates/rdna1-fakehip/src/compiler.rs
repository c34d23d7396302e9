// SPDX-License-Identifier: MIT OR Apache-2.0
//! The compiler that MIOpen believes it starts.
//!
//! To find a kernel MIOpen builds its candidates with clang, through `popen`,
//! and a candidate that does not build is none. There is no clang for AMD GPUs
//! here, and Debian's MIOpen looks for one of them in a directory of Debian's
//! build machine. So a build succeeds and leaves a file that nobody will run.
//! What fails in truth for want of a compiler is therefore not seen here.

use std::ffi::{CStr, c_char, c_int, c_void};

use crate::trace;

/// What a built kernel consists of.
const OBJECT: &[u8] = b"rdna1-fakehip: not a kernel\n";

unsafe extern "C" {
    fn fopen(path: *const c_char, mode: *const c_char) -> *mut c_void;
    fn fclose(stream: *mut c_void) -> c_int;
}

/// The file that a compiler's command line names as its output.
fn output(command: &str) -> Option<&str> {
    let (_, rest) = command.split_once(" -o ")?;
    let rest = rest.trim_start();
    match rest.strip_prefix(['"', '\'']) {
        Some(quoted) => quoted.split(['"', '\'']).next(),
        None => rest.split_ascii_whitespace().next(),
    }
}

/// The directory that a command changes to first.
fn directory(command: &str) -> Option<&str> {
    let rest = command.trim_start().strip_prefix("cd ")?;
    Some(rest.split([';', '&']).next()?.trim().trim_matches(['"', '\'']))
}

/// Writes what the command would have built; false if it builds nothing.
fn build(command: &str) -> bool {
    let Some(file) = output(command) else { return false };
    let path = std::path::Path::new(directory(command).unwrap_or(".")).join(file);
    std::fs::write(path, OBJECT).is_ok()
}

/// Overrides the C library's: the command is not started.
// SAFETY: same signature and contract as popen(3); it is preloaded on purpose.
#[unsafe(no_mangle)]
extern "C" fn popen(command: *const c_char, _mode: *const c_char) -> *mut c_void {
    // SAFETY: popen asks for a string that ends in a zero byte.
    let text = if command.is_null() { c"" } else { unsafe { CStr::from_ptr(command) } };
    let text = text.to_string_lossy();
    let built = build(&text);
    trace::call("popen", format_args!("{text:?}"), i32::from(built));
    if !built {
        trace::say(&format!("popen was called and is not simulated for: {text}"));
        return std::ptr::null_mut();
    }
    // The compiler prints nothing.
    // SAFETY: both are strings that end in a zero byte.
    unsafe { fopen(c"/dev/null".as_ptr(), c"r".as_ptr()) }
}

/// Overrides the C library's, for streams of our `popen`.
// SAFETY: same signature and contract as pclose(3).
#[unsafe(no_mangle)]
extern "C" fn pclose(stream: *mut c_void) -> c_int {
    // SAFETY: the stream came from our popen, so from fopen, and a caller
    // closes it once.
    unsafe { fclose(stream) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_output() {
        assert_eq!(output("/usr/bin/clang++-21 -O3 -o '/tmp/a b/x.o' x.cpp"), Some("/tmp/a b/x.o"));
        assert_eq!(output("cd /tmp/m; clang -x cl -o y.o y.cl"), Some("y.o"));
        assert_eq!(output("clang --version"), None);
        assert_eq!(directory("cd /tmp/m; clang -o y.o"), Some("/tmp/m"));
        assert_eq!(directory("clang -o y.o"), None);
    }
}
