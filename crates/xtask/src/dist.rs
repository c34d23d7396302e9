// SPDX-License-Identifier: MIT OR Apache-2.0
//! `cargo xtask dist`: programs, packages, and all that a release carries besides.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::Context;
use rdna1_payload::{Layout, Payload, Program};
use sha2::{Digest, Sha256};

use crate::artifacts::Kit;
use crate::repo::KeyArgs;
use crate::{checkout, host, release, show};

/// What to build where.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Where everything goes [default: target/dist].
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Take the programs from here instead of building them.
    #[arg(long, value_name = "DIR")]
    bin_dir: Option<PathBuf>,
    /// Only the packages: no sources, bill of materials, notes, signatures or repositories.
    #[arg(long)]
    packages: bool,
    /// Whose key signs.
    #[command(flatten)]
    key: KeyArgs,
    /// Where the repositories will be published [default: they are used where they lie].
    #[arg(long, value_name = "URL")]
    base_url: Option<String>,
}

/// A finished file.
pub struct Product {
    pub file_name: String,
    pub bytes: Vec<u8>,
    pub payload: Payload,
}

/// Runs the task.
#[allow(clippy::print_stdout, reason = "a task for people reports what it did")]
pub fn run(top: &Path, args: &Args) -> anyhow::Result<()> {
    let out = args.out.clone().unwrap_or_else(|| top.join("target/dist"));
    let bin_dir = match &args.bin_dir {
        Some(dir) => dir.clone(),
        None => programs(top)?,
    };
    let start = Instant::now();
    let products = products(top, &bin_dir)?;
    let made_in = start.elapsed();
    let packages = write(&out, &products)?;
    for product in &products {
        println!("{}\n{}", product.file_name, product.payload.manifest());
    }
    println!("{}, made in {} ms", out.display(), made_in.as_millis());
    for product in &products {
        println!("  {:>9} bytes  {}  {}", product.bytes.len(), hex_sha256(&product.bytes), product.file_name);
    }
    let mut files = packages;
    if !args.packages {
        files.extend(release::make(top, &out)?);
    }
    fs::write(out.join(SUMS), sums(&files)?)?;
    if !args.packages {
        release::sign(&out, &files, &args.key, args.base_url.as_deref())?;
    }
    let product = products.first().context("dist makes at least one package")?;
    show::run(top, &bin_dir, &product.payload)
}

/// Builds the packages without a word.
pub fn build(top: &Path, out: &Path) -> anyhow::Result<()> {
    let files = write(out, &products(top, &programs(top)?)?)?;
    Ok(fs::write(out.join(SUMS), sums(&files)?)?)
}

/// Builds the programs; returns their directory.
///
/// They are built by themselves, because cargo would give them the features
/// that other crates ask for; and so that no path of this machine gets into
/// them: the same source makes the same programs in any directory and home.
pub fn programs(top: &Path) -> anyhow::Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let target = top.join("target/package");
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cargo")));
    let home = home.context("neither CARGO_HOME nor HOME is set")?;
    let mut build = Command::new(cargo);
    build.args(["build", "--quiet", "--release", "--locked"]);
    build.args(Program::packages().iter().flat_map(|package| ["--package", package]));
    build.arg("--target-dir").arg(&target).current_dir(top);
    // The encoded form takes paths with blanks.
    build.env_remove("RUSTFLAGS").env("CARGO_ENCODED_RUSTFLAGS", without_paths(top, &home));
    host::run_tool(&mut build)?;
    Ok(target.join("release"))
}

/// Has the compiler name crates by `/crates/NAME-VERSION` wherever they lie, as
/// `debian/rules` and the spec file do.
fn without_paths(top: &Path, cargo_home: &Path) -> OsString {
    // One directory for each registry. There is one: this program was built.
    let registries = fs::read_dir(cargo_home.join("registry/src")).into_iter().flatten().flatten();
    let mut dirs: Vec<PathBuf> = registries.map(|entry| entry.path()).collect();
    dirs.push(top.join("vendor"));
    dirs.sort();
    let mut flags = OsString::new();
    for dir in dirs {
        if !flags.is_empty() {
            flags.push("\u{1f}");
        }
        flags.push("--remap-path-prefix=");
        flags.push(&dir);
        flags.push("=/crates");
    }
    flags
}

pub fn products(top: &Path, bin_dir: &Path) -> anyhow::Result<Vec<Product>> {
    let kit = Kit::with_programs(top, bin_dir)?;
    let deb = rdna1_deb::build(kit.inputs(Layout::Deb))?;
    let rpm = rdna1_rpm::build(kit.inputs(Layout::Rpm))?;
    Ok(vec![
        Product { file_name: deb.file_name, bytes: deb.bytes, payload: deb.payload },
        Product { file_name: rpm.file_name, bytes: rpm.bytes, payload: rpm.payload },
    ])
}

/// The list of checksums.
pub const SUMS: &str = "SHA256SUMS";

/// Writes the products; returns their paths. What an earlier run signed counts
/// no more.
fn write(out: &Path, products: &[Product]) -> anyhow::Result<Vec<PathBuf>> {
    fs::create_dir_all(out).with_context(|| format!("cannot make {}", out.display()))?;
    let _ = fs::remove_file(out.join(format!("{SUMS}.asc")));
    let save = |product: &Product| {
        let path = out.join(&product.file_name);
        fs::write(&path, &product.bytes).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(path)
    };
    products.iter().map(save).collect()
}

/// What `sha256sum --check` reads.
fn sums(files: &[PathBuf]) -> anyhow::Result<String> {
    let mut sums = String::new();
    for file in files {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        sums += &format!("{}  {name}\n", hex_sha256(&checkout::read(file)?));
    }
    Ok(sums)
}

fn hex_sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
