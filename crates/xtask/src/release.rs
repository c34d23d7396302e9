// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a release carries besides the packages: sources, bill of materials,
//! notes, repositories and signatures.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use rdna1_payload::{Layout, Metadata, NAME};

use crate::artifacts::{self, Kit};
use crate::dist::SUMS;
use crate::repo::{self, KeyArgs, Plan, Signer};
use crate::{sbom, source};

/// Makes sources, bill of materials and notes; returns their paths. The bytes
/// follow from the checkout and the compiler alone.
pub fn make(top: &Path, out: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let kit = Kit::without_programs(top)?;
    let inputs = kit.inputs(Layout::Rpm);
    let metadata = inputs.metadata;
    let save = |name: String, text: String| {
        let path = out.join(name);
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        Ok::<_, anyhow::Error>(path)
    };
    let bill = sbom::document(top, metadata, inputs.artifacts.license()?)?;
    Ok(vec![
        source::make(top, out)?,
        source::nix(top, out)?,
        save(format!("{NAME}-{}.cdx.json", metadata.version), artifacts::pretty(&bill)?)?,
        save("RELEASE-NOTES.md".into(), notes(metadata))?,
    ])
}

/// The newest release of the changelog, and how to check what was downloaded.
fn notes(metadata: &Metadata) -> String {
    let mut text = format!("# {NAME} {}\n", metadata.version);
    if let Some(release) = metadata.changelog.first() {
        text += &format!("\nReleased on {}.\n", release.date);
        for section in &release.sections {
            text += &format!("\n## {}\n\n", section.title);
            for item in &section.items {
                let lines = rdna1_payload::template::wrap(item, 77);
                text += &format!("- {}\n", lines.join("\n  "));
            }
        }
    }
    let key = key_name();
    text + &format!(
        "\n## Verify\n\n\
         The key is `{key}`; compare its fingerprint with one that you have from elsewhere.\n\n\
         ```sh\n\
         gpg --import {key}\n\
         gpg --verify {SUMS}.asc {SUMS} && sha256sum --check {SUMS}\n\
         ```\n\n\
         The same commit makes the same packages: `cargo xtask dist` in a checkout of it ends\n\
         with the sums of `{SUMS}`.\n"
    )
}

/// The public key's file beside the sums.
fn key_name() -> String {
    format!("{NAME}-signing-key.asc")
}

/// Signs the sums, and makes signed repositories of the packages.
#[allow(clippy::print_stdout, reason = "a task for people reports what it did")]
pub fn sign(out: &Path, files: &[PathBuf], key: &KeyArgs, base_url: Option<&str>) -> anyhow::Result<()> {
    let signer = Signer::new(key)?;
    let sums = out.join(SUMS);
    signer.sign("--detach-sign", &sums, &out.join(format!("{SUMS}.asc")))?;
    signer.export(&out.join(key_name()))?;
    let of = |extension: &str| {
        let files = files.iter().filter(|path| path.extension().is_some_and(|found| found == extension));
        files.cloned().collect::<Vec<_>>()
    };
    let (debs, rpms) = repo::that_can_be_indexed(of("deb"), of("rpm"));
    let metadata = Kit::without_programs(&crate::checkout::top())?;
    let epoch = Some(metadata.inputs(Layout::Rpm).metadata.epoch);
    repo::make(Plan { debs: &debs, rpms: &rpms, base_url, epoch }, &out.join("repo"), &signer)?;
    println!("signed by:      {}", signer.describe()?);
    Ok(())
}
