// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which kernels were launched, for whoever asks: a find step names families of
//! algorithms only, and this tells the kernels of one family apart.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{CString, c_char};
use std::sync::{Mutex, PoisonError};

/// Names of functions by handle, and what was launched since it was last asked.
struct Kernels {
    names: BTreeMap<usize, String>,
    launched: BTreeSet<usize>,
    /// What was last told; it has to live until the next question.
    told: Option<CString>,
}

static KERNELS: Mutex<Kernels> = Mutex::new(Kernels { names: BTreeMap::new(), launched: BTreeSet::new(), told: None });

fn with<R>(f: impl FnOnce(&mut Kernels) -> R) -> R {
    f(&mut KERNELS.lock().unwrap_or_else(PoisonError::into_inner))
}

/// A function got a handle.
pub fn named(handle: usize, name: &str) {
    with(|kernels| kernels.names.insert(handle, name.to_owned()));
}

/// The function of a handle was launched.
pub fn launched(handle: usize) {
    with(|kernels| kernels.launched.insert(handle));
}

/// The names of the kernels that were launched since the last call, with commas
/// between them. The text lives until the next call.
// SAFETY: our own name, which nothing else defines.
#[unsafe(no_mangle)]
extern "C" fn rdna1_sim_kernels() -> *const c_char {
    with(|kernels| {
        let names: BTreeSet<&str> =
            kernels.launched.iter().map(|handle| kernels.names.get(handle).map_or("unknown", String::as_str)).collect();
        let names = names.into_iter().collect::<Vec<_>>().join(",");
        kernels.launched.clear();
        // A name comes from a C string, so it holds no zero byte.
        kernels.told = CString::new(names).ok();
        kernels.told.as_ref().map_or(c"".as_ptr(), |told| told.as_ptr())
    })
}

#[cfg(test)]
mod tests {
    use std::ffi::CStr;

    use super::*;

    #[test]
    fn launches_are_told_once() {
        named(32, "im2col");
        named(48, "naive");
        for handle in [48, 32, 48, 64] {
            launched(handle);
        }
        // SAFETY: it returns a string that lives until it is called again.
        let told = || unsafe { CStr::from_ptr(rdna1_sim_kernels()) }.to_string_lossy().into_owned();
        assert_eq!(told(), "im2col,naive,unknown");
        assert_eq!(told(), "");
    }
}
