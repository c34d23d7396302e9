// SPDX-License-Identifier: MIT OR Apache-2.0
//! The .rpm file. The only module that knows the `rpm` crate, whose interface
//! changes with most of its releases.

use std::collections::BTreeSet;

use rdna1_payload::{Entry, EntryKind, Payload};
use rpm::{BuildConfig, CompressionWithLevel, Dependency, DependencyFlags, FileOptions, PackageBuilder};

use crate::scripts::Scripts;
use crate::{ENHANCES, RELEASE, RpmError, SUGGESTS, changelog, description, vendor, version};

/// Every rpm of the last years reads zstd, Fedora's own choice; its encoder is
/// the same on every CPU. Each level above costs much time and saves little.
const COMPRESSION: CompressionWithLevel = CompressionWithLevel::Zstd(9);

/// Named instead of the machine that built it.
const BUILD_HOST: &str = "localhost";

impl From<rpm::Error> for RpmError {
    fn from(error: rpm::Error) -> Self {
        Self::Write(error.to_string())
    }
}

fn seconds(seconds: u64) -> Result<u32, RpmError> {
    u32::try_from(seconds).map_err(|_| RpmError::Date(seconds))
}

/// Writes the package.
pub(crate) fn write(
    payload: &Payload,
    license: &str,
    architecture: &str,
    requires: &BTreeSet<String>,
    scripts: &Scripts,
) -> Result<Vec<u8>, RpmError> {
    let metadata = &payload.metadata;
    let date = seconds(metadata.epoch)?;
    let version = version(metadata.version);
    let mut builder = PackageBuilder::new(metadata.name, &version, license, architecture, metadata.summary);
    builder
        .using_config(BuildConfig::v4().source_date(date).compression(COMPRESSION))
        .release(RELEASE)
        .description(description(metadata))
        .vendor(vendor(metadata))
        .packager(metadata.maintainer)
        .build_host(BUILD_HOST)
        .pre_uninstall_script(scripts.preun.as_str())
        .post_uninstall_script(scripts.postun.as_str())
        .post_trans_script(scripts.posttrans.as_str());
    for requirement in requires {
        // Marked as found in the files, as rpmbuild does.
        let flags = DependencyFlags::FIND_REQUIRES;
        builder.requires(Dependency { name: requirement.clone(), flags, version: String::new() });
    }
    for package in SUGGESTS {
        builder.suggests(Dependency::any(package));
    }
    for package in ENHANCES {
        builder.enhances(Dependency::any(package));
    }
    for release in changelog::entries(metadata) {
        builder.add_changelog_entry(release.title, release.text, seconds(release.seconds)?);
    }
    for entry in payload.entries() {
        add(&mut builder, entry)?;
    }
    let package = builder.build()?;
    // The crate takes the clock's time where the date is still to come, and the
    // package would be another one every second.
    if package.metadata.get_build_time()? != u64::from(date) {
        return Err(RpmError::Future(metadata.epoch));
    }
    let mut bytes = Vec::new();
    package.write(&mut bytes)?;
    Ok(bytes)
}

/// Adds an entry as its kind asks for. All belong to root.
fn add(builder: &mut PackageBuilder, entry: &Entry) -> Result<(), RpmError> {
    // Payload::new lets only permission bits through.
    let mode = u16::try_from(entry.mode).unwrap_or_default();
    let file = || FileOptions::new(&entry.path).user("root").group("root").permissions(mode);
    match entry.kind {
        EntryKind::Dir => {
            builder.with_dir_entry(FileOptions::dir(&entry.path).user("root").group("root").permissions(mode))?
        }
        EntryKind::Symlink => {
            let target = String::from_utf8_lossy(&entry.bytes);
            builder.with_symlink(FileOptions::symlink(&entry.path, target).user("root").group("root"))?
        }
        EntryKind::File => builder.with_file_contents(entry.bytes.clone(), file())?,
        EntryKind::Config => builder.with_file_contents(entry.bytes.clone(), file().config().noreplace())?,
        EntryKind::Doc => builder.with_file_contents(entry.bytes.clone(), file().doc())?,
        EntryKind::License => builder.with_file_contents(entry.bytes.clone(), file().license())?,
    };
    Ok(())
}
