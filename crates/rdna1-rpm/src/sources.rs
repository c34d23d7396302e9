// SPDX-License-Identifier: MIT OR Apache-2.0
//! The packaging sources in `rpm/`, for those who build with rpmbuild.

use std::collections::{BTreeMap, BTreeSet};

use rdna1_payload::template::Renderer;
use rdna1_payload::{Entry, EntryKind, Inputs, Program, names};
use serde::Serialize;

use crate::{ENHANCES, RELEASE, RpmError, SUGGESTS, changelog, description, scripts, tree, vendor, version};

/// What rpmlint finds and is right as it is, each with its reason.
const RPMLINT: &str = include_str!("../templates/rpmlint.toml.hbs");

/// Renders every file below `rpm/`, by its path in there. The artifacts need no
/// programs, but all that is made from their command lines.
///
/// # Errors
/// Templates and data do not fit, or an artifact is missing.
pub fn rpm(inputs: Inputs<'_>) -> Result<BTreeMap<String, String>, RpmError> {
    #[derive(Serialize)]
    struct Data<'a> {
        name: &'a str,
        version: String,
        release: &'a str,
        summary: &'a str,
        license: &'a str,
        licenses: BTreeSet<&'a str>,
        vendor: &'a str,
        packager: &'a str,
        rust_version: &'a str,
        packages: Vec<&'static str>,
        suggests: [&'a str; SUGGESTS.len()],
        enhances: [&'a str; ENHANCES.len()],
        description: String,
        preun: String,
        postun: String,
        posttrans: String,
        files: Vec<String>,
        changelog: String,
    }
    let metadata = inputs.metadata;
    let scripts = scripts::all(inputs.policy)?;
    let changes = changelog::entries(metadata);
    let changes = changes.iter().map(|entry| format!("* {} {}\n{}\n", entry.day, entry.title, entry.text));
    let data = Data {
        name: metadata.name,
        version: version(metadata.version),
        release: RELEASE,
        summary: metadata.summary,
        license: inputs.artifacts.license()?,
        licenses: licenses(inputs.artifacts.license()?),
        vendor: vendor(metadata),
        packager: metadata.maintainer,
        rust_version: metadata.rust_version,
        packages: Program::packages(),
        suggests: SUGGESTS,
        enhances: ENHANCES,
        description: plain(&description(metadata)),
        preun: plain(&scripts.preun),
        postun: plain(&scripts.postun),
        posttrans: plain(&scripts.posttrans),
        files: files(inputs)?,
        changelog: plain(changes.collect::<Vec<_>>().join("\n").trim_end()),
    };
    let renderer = Renderer::new();
    let mut files = BTreeMap::new();
    let readme = renderer.render("README", include_str!("../templates/README.hbs"), &data)?;
    files.insert("README".to_owned(), readme);
    let spec = renderer.render("spec", include_str!("../templates/spec.hbs"), &data)?;
    files.insert(format!("{}.spec", metadata.name), spec);
    files.insert("rpmlint.toml".to_owned(), renderer.render("rpmlint.toml", RPMLINT, &data)?);
    Ok(files)
}

/// The licences that an expression names, exceptions included.
fn licenses(expression: &str) -> BTreeSet<&str> {
    expression.split(" AND ").flat_map(|part| part.split(" OR ")).map(|id| id.trim_matches(['(', ')'])).collect()
}

/// Text in which rpmbuild finds no macro.
fn plain(text: &str) -> String {
    text.replace('%', "%%")
}

/// The lines of `%files`. They name every file: what is installed and not named
/// here, or named and not installed, fails rpmbuild.
fn files(inputs: Inputs<'_>) -> Result<Vec<String>, RpmError> {
    let mut artifacts = inputs.artifacts.clone();
    for program in Program::ALL {
        // Only its path matters.
        artifacts.insert(format!("{}{}", names::BIN, program.name), "not built yet");
    }
    let payload = tree(Inputs { artifacts: &artifacts, ..inputs })?;
    Ok(payload.entries().iter().map(line).collect())
}

fn line(entry: &Entry) -> String {
    let directive = match entry.kind {
        EntryKind::File => "",
        EntryKind::Config => "%config(noreplace) ",
        // A link has no mode of its own.
        EntryKind::Symlink => return with_macros(&entry.path),
        EntryKind::Dir => "%dir ",
        EntryKind::Doc => "%doc ",
        EntryKind::License => "%license ",
    };
    format!("%attr({:04o}, root, root) {directive}{}", entry.mode, with_macros(&entry.path))
}

/// A path as spec files write it. `/usr/lib` is the same for all architectures
/// here, so it is not `%{_libdir}`.
fn with_macros(path: &str) -> String {
    let places = [
        ("/etc/", "%{_sysconfdir}/"),
        ("/usr/bin/", "%{_bindir}/"),
        ("/usr/lib/", "%{_prefix}/lib/"),
        ("/usr/share/man/", "%{_mandir}/"),
        ("/usr/share/", "%{_datadir}/"),
    ];
    let found = places.iter().find_map(|(place, name)| Some(format!("{name}{}", path.strip_prefix(place)?)));
    found.unwrap_or_else(|| path.to_owned())
}
