// SPDX-License-Identifier: MIT OR Apache-2.0
//! `cargo xtask dist`: programs and packages.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::Context;
use rdna1_payload::{Layout, Payload, Program};
use sha2::{Digest, Sha256};

use crate::artifacts::Kit;
use crate::{host, show};

/// What to build where.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Where the packages go [default: target/dist].
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Take the programs from here instead of building them.
    #[arg(long, value_name = "DIR")]
    bin_dir: Option<PathBuf>,
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
    write(&out, &products)?;
    for product in &products {
        println!("{}\n{}", product.file_name, product.payload.manifest());
    }
    println!("{}, made in {} ms", out.display(), made_in.as_millis());
    for product in &products {
        println!("  {:>9} bytes  {}  {}", product.bytes.len(), hex_sha256(&product.bytes), product.file_name);
    }
    let product = products.first().context("dist makes at least one package")?;
    show::run(top, &bin_dir, &product.payload)
}

/// Builds everything without a word; returns the files.
pub fn build(top: &Path, out: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let products = products(top, &programs(top)?)?;
    write(out, &products)?;
    Ok(products.iter().map(|product| out.join(&product.file_name)).collect())
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

/// Writes the products and their checksums.
fn write(out: &Path, products: &[Product]) -> anyhow::Result<()> {
    let save = |name: &str, bytes: &[u8]| {
        let path = out.join(name);
        fs::write(&path, bytes).with_context(|| format!("cannot write {}", path.display()))
    };
    fs::create_dir_all(out).with_context(|| format!("cannot make {}", out.display()))?;
    let mut sums = String::new();
    for product in products {
        save(&product.file_name, &product.bytes)?;
        sums += &format!("{}  {}\n", hex_sha256(&product.bytes), product.file_name);
    }
    save("SHA256SUMS", sums.as_bytes())
}

fn hex_sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
