// SPDX-License-Identifier: MIT OR Apache-2.0
//! `cargo xtask source`: the source tarball, with all crates in it, so that
//! packages can be built from it without network.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};
use rdna1_payload::{Layout, NAME};

use crate::artifacts::Kit;
use crate::host::{output, run_tool};

/// Has cargo take the crates from the tarball.
const VENDORED: &str = "
[source.crates-io]
replace-with = \"vendored\"

[source.vendored]
directory = \"vendor\"
";

/// Where to put it.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The directory for the tarball [default: target/dist].
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// Runs the task.
#[allow(clippy::print_stdout, reason = "the answer of the command")]
pub fn run(top: &Path, args: &Args) -> anyhow::Result<()> {
    let out = args.out.clone().unwrap_or_else(|| top.join("target/dist"));
    println!("{}", make(top, &out)?.display());
    Ok(())
}

/// Makes it; returns its path. It holds what git knows of, as it is now.
pub fn make(top: &Path, out: &Path) -> anyhow::Result<PathBuf> {
    let kit = Kit::without_programs(top)?;
    let metadata = kit.inputs(Layout::Rpm).metadata;
    let name = format!("{NAME}-{}", metadata.version);
    pack(top, out, &name, metadata.epoch, |tree| {
        copy(top, tree, &[])?;
        vendor(top, tree)
    })
}

/// Makes the tarball for Nix: what is built from and the Nix files, without
/// crates, as Nix fetches those by itself.
pub fn nix(top: &Path, out: &Path) -> anyhow::Result<PathBuf> {
    let kit = Kit::without_programs(top)?;
    let inputs = kit.inputs(Layout::Nix);
    let name = format!("{NAME}-{}-nix", inputs.metadata.version);
    pack(top, out, &name, inputs.metadata.epoch, |tree| copy(top, tree, &rdna1_nix::release(inputs)))
}

/// Packs a tree of this name that `fill` fills: the same bytes for the same
/// files, whoever packs them when.
fn pack(
    top: &Path,
    out: &Path,
    name: &str,
    epoch: u64,
    fill: impl FnOnce(&Path) -> anyhow::Result<()>,
) -> anyhow::Result<PathBuf> {
    // Several may be at it at once.
    let parent = top.join(format!("target/source/{}", std::process::id()));
    let tree = parent.join(name);
    match fs::remove_dir_all(&tree) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error)?,
        _ => fs::create_dir_all(&tree)?,
    }
    fill(&tree)?;
    fs::create_dir_all(out).with_context(|| format!("cannot make {}", out.display()))?;
    let tarball = fs::canonicalize(out)?.join(format!("{name}.tar.gz"));
    let mut tar = Command::new("tar");
    tar.args(["--create", "--sort=name", "--format=gnu", "--owner=root:0", "--group=root:0", "--mode=u+rw,go=rX"]);
    tar.arg(format!("--mtime=@{epoch}")).args(["--use-compress-program=gzip -n6", "--file"]);
    run_tool(tar.arg(&tarball).arg("--directory").arg(&parent).arg(name))?;
    fs::remove_dir_all(&parent)?;
    Ok(tarball)
}

/// Copies the files that git knows of, all or those below some paths, links as
/// links.
fn copy(top: &Path, tree: &Path, paths: &[&str]) -> anyhow::Result<()> {
    let listing = output(Command::new("git").args(["ls-files", "-z", "--"]).args(paths).current_dir(top))?;
    let mut pack = Command::new("tar");
    pack.args(["--create", "--null", "--no-recursion", "--files-from=-"]).current_dir(top);
    let mut pack = pack.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().context("cannot run tar")?;
    let (stdin, stdout) = (pack.stdin.take(), pack.stdout.take());
    let unpack = Command::new("tar")
        .args(["--extract", "--directory"])
        .arg(tree)
        .stdin(stdout.context("tar has an output")?)
        .spawn()
        .context("cannot run tar")?;
    stdin.context("tar has an input")?.write_all(listing.as_bytes())?;
    for mut tar in [pack, unpack] {
        ensure!(tar.wait()?.success(), "cannot copy the files that git knows of");
    }
    Ok(())
}

/// Adds the crates, and has cargo take them from there.
fn vendor(top: &Path, tree: &Path) -> anyhow::Result<()> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut vendor = Command::new(cargo);
    vendor.args(["vendor", "--quiet", "--locked", "--versioned-dirs", "--manifest-path"]).arg(top.join("Cargo.toml"));
    output(vendor.arg("vendor").current_dir(tree))?;
    let mut file = OpenOptions::new().append(true).create(true).open(tree.join(".cargo/config.toml"))?;
    file.write_all(VENDORED.as_bytes()).context("cannot write .cargo/config.toml")
}
