// SPDX-License-Identifier: MIT OR Apache-2.0
//! Files and directories, and the order in which their code objects are visited.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::{Path, PathBuf};

use super::bundle::{self, Entry};
use super::{Error, Input, MAX_OBJECT, Problem, compressed, library, object, wheel};
use crate::target::Target;

/// What a walk tells.
pub trait Visit {
    /// Whether code objects for a target are to be read.
    fn wants(&self, target: Target) -> bool;

    /// A file is opened; `member` names a member of a wheel.
    fn file(&mut self, path: &Path, member: Option<&str>);

    /// A file carries code for an AMD target, by the name that ELF or the bundle gives it.
    fn target(&mut self, name: &str);

    /// The bytes of a code object.
    fn object(&mut self, bytes: &[u8]);

    /// Something could not be read.
    fn problem(&mut self, problem: Problem);
}

/// How deep directories are followed.
const MAX_DEPTH: usize = 32;
/// How much is searched at once for the next bundle.
const SEARCH: u64 = 1 << 20;

/// Visits the code objects of a file or of all files below a directory that
/// can hold some.
pub fn walk(path: &Path, visit: &mut dyn Visit) {
    let result = match std::fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => {
            let mut files = BTreeSet::new();
            list(path, 0, &mut files, visit);
            for path in files {
                if let Err(error) = file(&path, visit) {
                    visit.problem(Problem { path, error });
                }
            }
            Ok(())
        }
        Ok(_) => file(path, visit),
        Err(error) => Err(error.into()),
    };
    if let Err(error) = result {
        visit.problem(Problem { path: path.to_owned(), error });
    }
}

/// Whether a file can hold device code, by its name: libraries and programs
/// without a suffix are left out in directories, as reading every file of a
/// system takes long.
pub fn can_hold_code(name: &str) -> bool {
    let name = name.rsplit('/').next().unwrap_or(name);
    name.ends_with(".so") || name.contains(".so.") || name.ends_with(".co") || name.ends_with(".hsaco")
}

fn list(dir: &Path, depth: usize, files: &mut BTreeSet<PathBuf>, visit: &mut dyn Visit) {
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) => return visit.problem(Problem { path: dir.to_owned(), error: error.into() }),
    };
    for entry in entries.flatten() {
        // Links are left out: what they lead to is either here as well or not asked for.
        let Ok(kind) = entry.file_type() else { continue };
        let (name, path) = (entry.file_name(), entry.path());
        let name = name.to_string_lossy();
        if kind.is_dir() && depth < MAX_DEPTH {
            list(&path, depth + 1, files, visit);
        } else if kind.is_file() && (can_hold_code(&name) || name.ends_with(".whl")) {
            files.insert(path);
        }
    }
}

fn file(path: &Path, visit: &mut dyn Visit) -> Result<(), Error> {
    let input = Input::file(File::open(path)?)?;
    let start = input.read_up_to(0, 32)?;
    if start.starts_with(wheel::MAGIC) {
        return wheel::members(File::open(path)?, &can_hold_code, &mut |name, unpacked| {
            visit.file(path, Some(name));
            let result = unpacked.and_then(|input| one(&input, path, visit));
            if let Err(error) = result {
                visit.problem(Problem { path: path.join(name), error });
            }
        });
    }
    visit.file(path, None);
    one(&input, path, visit)
}

/// One file that is no archive.
fn one(input: &Input, path: &Path, visit: &mut dyn Visit) -> Result<(), Error> {
    let start = input.read_up_to(0, 32)?;
    if object::is_code_object(&start) {
        return code_object(input, 0, input.length(), None, visit);
    }
    if start.starts_with(bundle::MAGIC) || start.starts_with(compressed::MAGIC) {
        return bundles(input, 0, input.length(), path, visit);
    }
    if start.starts_with(b"\x7fELF\x02\x01") {
        for (from, to) in library::bundle_sections(input)? {
            bundles(input, from, to, path, visit)?;
        }
    }
    Ok(())
}

/// A code object at a place of the input. `name` is what the bundle calls its target.
fn code_object(input: &Input, offset: u64, size: u64, name: Option<&str>, visit: &mut dyn Visit) -> Result<(), Error> {
    let start = input.read("a code object", offset, size.min(64))?;
    let target = object::target(&start).filter(|_| object::is_code_object(&start));
    match (name.map(target_name), target) {
        (Some(name), _) => visit.target(name),
        (None, Some(target)) => visit.target(&target.to_string()),
        (None, None) => {}
    }
    if !target.is_some_and(|target| visit.wants(target)) {
        return Ok(());
    }
    if size > MAX_OBJECT {
        return Err(Error::TooLarge { what: "a code object", size, limit: MAX_OBJECT });
    }
    visit.object(&input.read("a code object", offset, size)?);
    Ok(())
}

/// `gfx1030` of `hipv4-amdgcn-amd-amdhsa--gfx1030:xnack-`.
pub(super) fn target_name(id: &str) -> &str {
    let name = id.rfind("gfx").map_or(id, |at| &id[at..]);
    name.split(':').next().unwrap_or(name)
}

/// The bundles between two places, one after the other with padding between them.
fn bundles(input: &Input, from: u64, to: u64, path: &Path, visit: &mut dyn Visit) -> Result<(), Error> {
    let mut at = from;
    while let Some(Found { offset, is_compressed }) = next_bundle(input, at, to, SEARCH)? {
        let result = if is_compressed {
            compressed_bundle(input, offset, visit)
        } else {
            plain_bundle(input, offset, path, visit)
        };
        // A broken bundle does not end the search; the next magic may still be sound.
        at = match result {
            Ok(end) => end.max(offset + 1),
            Err(error) => {
                visit.problem(Problem { path: path.to_owned(), error });
                let end = if is_compressed { compressed::end(input, offset) } else { None };
                end.unwrap_or(offset).max(offset + 1)
            }
        };
    }
    Ok(())
}

pub(super) fn is_for_gpu(entry: &Entry) -> bool {
    entry.id.contains("amdgcn") && entry.size > 0
}

fn plain_bundle(input: &Input, offset: u64, path: &Path, visit: &mut dyn Visit) -> Result<u64, Error> {
    let entries = bundle::read_table(input, offset)?;
    let mut end = offset + bundle::MAGIC.len() as u64;
    // A made-up table may name the same bytes a thousand times.
    let mut seen = BTreeSet::new();
    for entry in entries {
        if !seen.insert((entry.offset, entry.size)) {
            continue;
        }
        let start = offset.saturating_add(entry.offset);
        end = end.max(start.saturating_add(entry.size)).min(input.length());
        if is_for_gpu(&entry)
            && let Err(error) = code_object(input, start, entry.size, Some(&entry.id), visit)
        {
            visit.problem(Problem { path: path.to_owned(), error });
        }
    }
    Ok(end)
}

fn compressed_bundle(input: &Input, offset: u64, visit: &mut dyn Visit) -> Result<u64, Error> {
    let mut names = Vec::new();
    let mut objects = Vec::new();
    let visit = std::cell::RefCell::new(visit);
    let mut wanted = |entry: &Entry| {
        if is_for_gpu(entry) {
            names.push(target_name(&entry.id).to_owned());
        }
        let target = Target::from_bundle_id(&entry.id);
        is_for_gpu(entry) && target.is_some_and(|target| visit.borrow().wants(target))
    };
    let end = compressed::read(input, offset, &mut wanted, &mut |_, bytes| {
        if object::is_code_object(&bytes) {
            visit.borrow_mut().object(&bytes);
        } else {
            objects.push(bytes.len());
        }
    })?;
    for name in names {
        visit.borrow_mut().target(&name);
    }
    if !objects.is_empty() {
        return Err(Error::Compressed { offset, what: "an entry is no code object".to_owned() });
    }
    Ok(end)
}

/// Where a bundle starts.
pub(super) struct Found {
    pub(super) offset: u64,
    pub(super) is_compressed: bool,
}

/// The next place at which a bundle starts. `near` is how much is read first;
/// it doubles while nothing is found.
pub(super) fn next_bundle(input: &Input, from: u64, to: u64, near: u64) -> Result<Option<Found>, Error> {
    let (mut at, mut size) = (from, near);
    while at < to {
        let chunk = input.read_up_to(at, size.min(to - at))?;
        let plain = memchr::memmem::find(&chunk, bundle::MAGIC).map(|place| (place, false));
        let packed = memchr::memmem::find_iter(&chunk, compressed::MAGIC).find(|&place| is_header(&chunk[place..]));
        if let Some((place, is_compressed)) = [plain, packed.map(|place| (place, true))].into_iter().flatten().min() {
            return Ok(Some(Found { offset: at + place as u64, is_compressed }));
        }
        // A magic may lie across the end of what was read.
        let step = (chunk.len() as u64).saturating_sub(bundle::MAGIC.len() as u64 - 1).max(1);
        at += if chunk.len() as u64 >= to - at { to - at } else { step };
        size = (size * 2).min(SEARCH);
    }
    Ok(None)
}

/// Four letters occur by chance in a gigabyte; version and method must fit as well.
fn is_header(bytes: &[u8]) -> bool {
    matches!(bytes.get(4..8), Some([1..=3, 0, 0..=1, 0]))
}
