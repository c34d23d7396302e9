// SPDX-License-Identifier: MIT OR Apache-2.0
//! Writes the files that the fuzzer begins with: `seeds DIR`.

#[path = "../../tests/seeds/mod.rs"]
mod seeds;

fn main() -> std::io::Result<()> {
    let dir = std::env::args_os().nth(1).map(std::path::PathBuf::from);
    let dir = dir.ok_or_else(|| std::io::Error::other("usage: seeds DIR"))?;
    std::fs::create_dir_all(&dir)?;
    for (name, bytes) in seeds::seeds() {
        std::fs::write(dir.join(name), bytes)?;
    }
    Ok(())
}
