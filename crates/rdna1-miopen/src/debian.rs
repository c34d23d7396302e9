// SPDX-License-Identifier: MIT OR Apache-2.0
//! The real MIOpen of Debian unstable, unpacked into a directory: no root, no
//! chroot, nothing installed.
//!
//! Two sources. A folder of packages with a `SHA256SUMS`, which
//! `RDNA1_DEB_CACHE` names; or the archive, through the machine's own apt in a
//! state of its own, so that the archive's signatures are checked and nothing
//! of the machine is touched. MIOpen alone depends on gigabytes of kernels and
//! compilers; what the simulated runtime replaces is left out.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use sha2::{Digest, Sha256};

use crate::error::{Error, io};

/// Names the folder of packages.
pub const CACHE: &str = "RDNA1_DEB_CACHE";

/// What is asked for: MIOpen, and two libraries to read variables in.
const WANTED: [&str; 3] = ["libmiopen1", "libamdhip64-6", "libhsa-runtime64-1"];

/// Beginnings of the names of packages that MIOpen does without here: what is
/// simulated, the compilers, and what only they need.
const LEFT_OUT: [&str; 11] = [
    "libc-gconv",
    "librocblas",
    "libamdhip64",
    "libhiprtc",
    "libamd-comgr",
    "libroct",
    "libhsa",
    "libclang",
    "llvm",
    "libllvm",
    "rocm",
];

fn failed(message: impl Into<String>) -> Error {
    Error::Packages(message.into())
}

/// A directory with Debian's MIOpen, below `target`: from the folder if there
/// is one, otherwise from the archive. Made once for each set of packages.
///
/// # Errors
/// If a checksum is wrong, or the archive has it not or no longer.
pub fn unpacked(cache: Option<&Path>, target: &Path) -> Result<PathBuf, Error> {
    let base = target.join("miopen");
    fs::create_dir_all(&base).map_err(io("cannot make", &base))?;
    // The loader is given paths from here, whatever its directory is.
    let base = fs::canonicalize(&base).map_err(io("cannot find", &base))?;
    // Fetched once; without this directory it is fetched again.
    let fetched = base.join("fetched");
    let (packages, sums) = match cache {
        Some(folder) => checked(folder)?,
        None => {
            let known = fs::read_to_string(&fetched).map(PathBuf::from);
            if let Some(root) = known.ok().filter(|root| root.exists()) {
                return Ok(root);
            }
            let folder = download(&Archive::of_this_machine()?, &base)?;
            let packages = packages_in(&folder)?;
            let sums = sums_of(&packages)?;
            (packages, sums)
        }
    };
    let key: String = Sha256::digest(&sums).iter().take(8).fold(String::new(), |mut key, byte| {
        let _ = write!(key, "{byte:02x}");
        key
    });
    let root = base.join(key);
    let note = |root: PathBuf| {
        if cache.is_none() {
            fs::write(&fetched, root.as_os_str().as_encoded_bytes()).map_err(io("cannot write", &fetched))?;
        }
        Ok(root)
    };
    if root.exists() {
        return note(root);
    }
    // Made beside its place, so that what is there is whole.
    let partial = tempfile::tempdir_in(&base).map_err(io("cannot make a directory in", &base))?;
    for package in &packages {
        run(Command::new("dpkg-deb").arg("--extract").arg(package).arg(partial.path()), "dpkg-deb cannot unpack it")?;
    }
    let names: Vec<String> =
        packages.iter().filter_map(|p| Some(p.file_name()?.to_string_lossy().into_owned())).collect();
    let list = partial.path().join("packages");
    fs::write(&list, names.join("\n")).map_err(io("cannot write", &list))?;
    let partial = partial.keep();
    if let Err(error) = fs::rename(&partial, &root) {
        // Somebody else was faster.
        let _ = fs::remove_dir_all(&partial);
        if !root.exists() {
            return Err(io("cannot make", &root)(error));
        }
    }
    note(root)
}

/// The packages that a directory was unpacked from, with their versions.
pub fn versions(root: &Path) -> Vec<String> {
    let list = fs::read_to_string(root.join("packages")).unwrap_or_default();
    list.lines().map(str::to_owned).collect()
}

fn packages_in(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let entries = fs::read_dir(folder).map_err(io("cannot read", folder))?;
    let mut packages: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    // The headers are ours for reading, not for running.
    packages.retain(|path| path.extension().is_some_and(|e| e == "deb") && !path.to_string_lossy().contains("-dev_"));
    packages.sort();
    Ok(packages)
}

fn sums_of(packages: &[PathBuf]) -> Result<Vec<u8>, Error> {
    let mut sums = Vec::new();
    for package in packages {
        sums.extend(digest(package)?.bytes());
    }
    Ok(sums)
}

fn digest(path: &Path) -> Result<String, Error> {
    let bytes = fs::read(path).map_err(io("cannot read", path))?;
    Ok(Sha256::digest(bytes).iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    }))
}

/// The packages of a folder, each against its checksum.
fn checked(folder: &Path) -> Result<(Vec<PathBuf>, Vec<u8>), Error> {
    let list = folder.join("SHA256SUMS");
    let sums = fs::read_to_string(&list).map_err(io("cannot read", &list))?;
    let packages = packages_in(folder)?;
    for package in &packages {
        let name = package.file_name().unwrap_or_default().to_string_lossy();
        let line = sums.lines().find_map(|line| {
            let (sum, file) = line.split_once(char::is_whitespace)?;
            (file.trim_start().trim_start_matches(['*']).trim_start_matches("./") == name).then_some(sum)
        });
        let expected = line.ok_or_else(|| failed(format!("{} does not list {name}", list.display())))?;
        if digest(package)? != expected {
            return Err(failed(format!("{} is damaged: its checksum is not the one in SHA256SUMS", package.display())));
        }
    }
    if packages.is_empty() {
        return Err(failed(format!("{} holds no Debian packages", folder.display())));
    }
    Ok((packages, sums.into_bytes()))
}

/// An archive of Debian packages, as apt is told of it.
#[derive(Debug, Clone)]
pub struct Archive {
    /// Its address.
    pub uri: String,
    /// Options of its line in sources.list, in square brackets; empty for none.
    pub options: String,
}

impl Archive {
    /// The one that this machine's apt already uses.
    ///
    /// # Errors
    /// If there is no apt, or it knows no Debian archive.
    pub fn of_this_machine() -> Result<Self, Error> {
        Ok(Self { uri: mirror()?, options: String::new() })
    }
}

/// Fetches the packages of unstable through apt, below `base`; returns their folder.
///
/// # Errors
/// If the archive cannot be read or trusted, has no MIOpen, or names in its
/// index what it no longer has.
pub fn download(archive: &Archive, base: &Path) -> Result<PathBuf, Error> {
    let apt = Apt::new(archive, base)?;
    let folder = base.join("debs");
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).map_err(io("cannot make", &folder))?;
    apt.run("apt-get", &["update"], &folder, "apt cannot read the index of Debian unstable")?;
    let packages = apt.closure(&folder)?;
    let mut arguments = vec!["download"];
    arguments.extend(packages.iter().map(String::as_str));
    let fetched = apt.run("apt-get", &arguments, &folder, "apt cannot fetch MIOpen's packages");
    fetched.map_err(|error| stale(&error).unwrap_or(error))?;
    Ok(folder)
}

/// What it means that apt could not fetch a file which the index names: mirrors
/// of unstable renew the index and the pool at different times.
fn stale(error: &Error) -> Option<Error> {
    let text = error.to_string();
    let gone: Vec<&str> = text
        .split(" | ")
        .filter(|line| line.contains("404") || line.contains("File not found") || line.contains("No such file"))
        .filter_map(|line| line.split_whitespace().find(|word| word.ends_with(".deb")))
        .filter_map(|path| path.rsplit('/').next())
        .collect();
    (!gone.is_empty()).then(|| {
        failed(format!(
            "the archive's index of Debian unstable is older than its pool: it names {}, which is no longer there; \
             try again later, or name a folder that has MIOpen's packages in {CACHE}",
            gone.join(", ")
        ))
    })
}

/// apt with a state of its own.
struct Apt {
    options: Vec<String>,
}

impl Apt {
    fn new(archive: &Archive, base: &Path) -> Result<Self, Error> {
        let state = base.join("apt");
        for dir in ["lists/partial", "cache/archives/partial"] {
            let dir = state.join(dir);
            fs::create_dir_all(&dir).map_err(io("cannot make", &dir))?;
        }
        let sources = state.join("unstable.list");
        let Archive { uri, options } = archive;
        fs::write(&sources, format!("deb {options} {uri} unstable main\n")).map_err(io("cannot write", &sources))?;
        let status = state.join("status");
        fs::write(&status, "").map_err(io("cannot write", &status))?;
        let set = |name: &str, value: &dyn std::fmt::Display| format!("-o{name}={value}");
        Ok(Self {
            options: vec![
                set("Dir::Etc::SourceList", &sources.display()),
                set("Dir::Etc::SourceParts", &"/dev/null"),
                set("Dir::State", &state.display()),
                set("Dir::State::Lists", &state.join("lists").display()),
                set("Dir::State::Status", &status.display()),
                set("Dir::Cache", &state.join("cache").display()),
                set("APT::Architecture", &"amd64"),
                set("APT::Architectures", &"amd64"),
                set("APT::Sandbox::User", &"root"),
                set("Acquire::Languages", &"none"),
                // A mirror that was frozen still serves what Debian signed.
                set("Acquire::Check-Valid-Until", &"false"),
                "-qq".into(),
            ],
        })
    }

    fn run(&self, program: &str, arguments: &[&str], at: &Path, why: &str) -> Result<String, Error> {
        let mut command = Command::new(program);
        command.args(&self.options).args(arguments).current_dir(at).env("LC_ALL", "C.UTF-8");
        let hint = format!("{why}; or name a folder that has them in {CACHE}");
        run(&mut command, &hint)
    }

    /// What has to be there: the wanted packages, and what MIOpen depends on.
    fn closure(&self, at: &Path) -> Result<Vec<String>, Error> {
        let arguments = [
            "depends",
            "--recurse",
            "--no-recommends",
            "--no-suggests",
            "--no-conflicts",
            "--no-breaks",
            "--no-replaces",
        ];
        let mut todo = vec![WANTED[0].to_owned()];
        let mut done: Vec<String> = Vec::new();
        while let Some(package) = todo.pop() {
            if done.contains(&package) {
                continue;
            }
            // Not --recurse over everything: what is left out has large trees.
            let once: Vec<&str> =
                arguments.iter().copied().filter(|a| *a != "--recurse").chain([package.as_str()]).collect();
            let text = self.run("apt-cache", &once, at, "Debian unstable has no MIOpen")?;
            for line in text.lines().filter_map(|line| line.trim().strip_prefix("Depends: ")) {
                let name = line.split(':').next().unwrap_or(line);
                if !name.starts_with('<') && !LEFT_OUT.iter().any(|beginning| name.starts_with(beginning)) {
                    todo.push(name.to_owned());
                }
            }
            done.push(package);
        }
        done.retain(|name| name.starts_with("lib"));
        done.extend(WANTED[1..].iter().map(|&name| name.to_owned()));
        Ok(done)
    }
}

/// The archive that this machine's apt already uses.
fn mirror() -> Result<String, Error> {
    let no_apt = "MIOpen's packages come through apt, which is not here";
    let format = "$(CODENAME) $(COMPONENT) $(ORIGIN) $(REPO_URI)";
    let listing = run(Command::new("apt-get").args(["indextargets", "--format", format]), no_apt)?;
    let main = listing.lines().find_map(|line| match line.split(' ').collect::<Vec<_>>()[..] {
        // Updates and security are other archives under the same name.
        [codename, "main", "Debian", uri] if !codename.contains('-') => Some(uri.to_owned()),
        _ => None,
    });
    main.ok_or_else(|| {
        failed(format!("apt knows no Debian archive (has `apt-get update` run?); name a folder in {CACHE}"))
    })
}

/// Runs a program for its output; says why it was run if it fails.
fn run(command: &mut Command, why: &str) -> Result<String, Error> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.output().map_err(|source| Error::Io { what: format!("{why}: cannot run {name}"), source })?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said: Vec<String> = String::from_utf8_lossy(&output.stderr).lines().map(str::to_owned).collect();
    Err(failed(format!("{why} ({name}: {})", said[said.len().saturating_sub(3)..].join(" | "))))
}
