// SPDX-License-Identifier: MIT OR Apache-2.0
//! The targets that libraries have device code for.

use std::collections::BTreeSet;

use rdna1_core::root::Problem;
use rdna1_isa::container::{SEARCH_LIMIT, Targets, targets};

use crate::place::Place;

/// How many bundles are looked at: each source file of a library makes one, and
/// nearly all are built for the same list of targets.
const BUNDLES: usize = 64;

/// The targets of a library's device code; `None` where it has none.
pub(crate) fn of_library(place: Place<'_>, path: &str) -> Result<Option<Targets>, Problem> {
    let Some(file) = place.open(path)? else { return Ok(None) };
    let found = targets(file, BUNDLES);
    let problem = |problem: String| Problem { path: path.to_owned(), problem };
    let found = found.map_err(|error| problem(error.to_string()))?;
    if found.looked_at == 0 && found.more {
        let searched = SEARCH_LIMIT >> 20;
        return Err(problem(format!("has a section for device code with none in its first {searched} MiB")));
    }
    Ok((found.looked_at > 0).then_some(found))
}

/// The targets in the names of rocBLAS's kernel files: `TensileLibrary_lazy_gfx1010.dat`,
/// `Kernels.so-000-gfx1010.hsaco`.
pub(crate) fn of_rocblas(place: Place<'_>, dir: &str) -> BTreeSet<String> {
    let names = place.names(dir);
    let kernels = names.iter().filter(|name| {
        let ends = [".dat", ".co", ".hsaco"];
        ends.iter().any(|end| name.ends_with(end))
    });
    kernels.filter_map(|name| in_name(name)).collect()
}

/// A gfx target within a name.
pub(crate) fn in_name(name: &str) -> Option<String> {
    let start = name.rfind("gfx")?;
    let digits: String = name[start + 3..].chars().take_while(char::is_ascii_hexdigit).collect();
    (3..=4).contains(&digits.len()).then(|| format!("gfx{digits}"))
}
