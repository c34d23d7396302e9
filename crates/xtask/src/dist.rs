// SPDX-License-Identifier: MIT OR Apache-2.0
//! `cargo xtask dist`: programs and packages.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Context;
use rdna1_payload::{Layout, Payload};
use sha2::{Digest, Sha256};

use crate::artifacts::Kit;
use crate::host;

/// What to build where.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Where the packages go [default: dist, at the top of the checkout].
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Take the programs from here instead of building them.
    #[arg(long, value_name = "DIR")]
    bin_dir: Option<PathBuf>,
}

/// A finished file.
struct Product {
    file_name: String,
    bytes: Vec<u8>,
    payload: Payload,
}

/// Runs the task.
#[allow(clippy::print_stdout, reason = "a task for people reports what it did")]
pub fn run(args: &Args) -> anyhow::Result<()> {
    let bin_dir = match &args.bin_dir {
        Some(dir) => dir.clone(),
        None => {
            host::cargo(&["build", "--release", "--locked", "--package", "rdna1-rocm-fix"])?;
            host::release_dir()
        }
    };
    let out = args.out.clone().unwrap_or_else(|| host::top().join("dist"));
    let start = Instant::now();
    let products = products(&bin_dir)?;
    let made_in = start.elapsed();
    write(&out, &products)?;
    for product in &products {
        println!("{}\n{}", product.file_name, product.payload.manifest());
    }
    println!("{}, made in {} ms", out.display(), made_in.as_millis());
    for product in &products {
        println!("  {:>9} bytes  {}  {}", product.bytes.len(), hex_sha256(&product.bytes), product.file_name);
    }
    Ok(())
}

fn products(bin_dir: &Path) -> anyhow::Result<Vec<Product>> {
    let kit = Kit::with_programs(bin_dir)?;
    let deb = rdna1_deb::build(kit.inputs(Layout::Deb))?;
    Ok(vec![Product { file_name: deb.file_name, bytes: deb.bytes, payload: deb.payload }])
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
