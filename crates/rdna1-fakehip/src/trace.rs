// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which calls were made: on request, and always where one is not simulated.

use std::fs::File;
use std::io::Write;
use std::sync::OnceLock;

/// Every line that this library writes begins so; `rdna1-miopen` looks for it.
const PREFIX: &str = "rdna1-fakehip: ";

/// Says something on standard error.
pub fn say(message: &str) {
    // Where standard error is closed, nobody wants to know.
    let _ = writeln!(std::io::stderr(), "{PREFIX}{message}");
}

/// Where calls are traced to, if they are.
fn sink() -> Option<&'static File> {
    static SINK: OnceLock<Option<File>> = OnceLock::new();
    let open = || {
        let path = std::env::var_os(crate::device::TRACE)?;
        let path = if path == "-" { "/dev/stderr".into() } else { path };
        let file = File::options().append(true).create(true).open(&path);
        if file.is_err() {
            say(&format!("cannot write the trace to {}", path.display()));
        }
        file.ok()
    };
    SINK.get_or_init(open).as_ref()
}

/// Records a call with its arguments and its result.
pub fn call(name: &str, arguments: std::fmt::Arguments<'_>, result: i32) {
    if let Some(mut file) = sink() {
        // One write, so that lines of several threads do not mix.
        let _ = file.write_all(format!("{name}({arguments}) = {result}\n").as_bytes());
    }
}

/// Says that a call is not simulated.
pub fn missing(name: &str) {
    say(&format!("{name} was called and is not simulated"));
}

/// A function of the C interface: traces itself and returns a status.
macro_rules! api {
    ($($(#[$doc:meta])* fn $name:ident($($argument:ident: $type:ty),* $(,)?) $body:block)*) => { $(
        $(#[$doc])*
        // SAFETY: the name is the one that the library whose part we play
        // gives to a function of this signature; nothing else here defines it.
        #[unsafe(no_mangle)]
        extern "C" fn $name($($argument: $type),*) -> i32 {
            #[allow(clippy::too_many_arguments, reason = "HIP's own signatures")]
            fn body($($argument: $type),*) -> i32 $body
            let status = body($($argument),*);
            $crate::trace::call(
                stringify!($name),
                format_args!(concat!($(stringify!($argument), "={:?} "),*), $($argument),*),
                status,
            );
            status
        }
    )* };
}
pub(crate) use api;

/// Functions that exist because a library binds them at load time, and that
/// fail by name if they are called.
macro_rules! not_simulated {
    ($status:expr, $($name:ident)*) => { $(
        // SAFETY: as in `api!`. The arguments are not looked at, so that the
        // signature does not matter to the C calling convention.
        #[unsafe(no_mangle)]
        extern "C" fn $name() -> i32 {
            $crate::trace::missing(stringify!($name));
            $status
        }
    )* };
}
pub(crate) use not_simulated;

/// Stores a result where the caller wants it.
pub fn put<T>(place: *mut T, value: T) -> bool {
    if place.is_null() || !place.is_aligned() {
        return false;
    }
    // SAFETY: it is neither null nor misaligned, and each function of these
    // interfaces asks its caller for a pointer to memory that may be written.
    unsafe { place.write(value) };
    true
}
