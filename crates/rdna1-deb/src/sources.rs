// SPDX-License-Identifier: MIT OR Apache-2.0
//! The packaging sources in `debian/`, for those who build with Debian's tools.

use std::collections::BTreeMap;

use rdna1_payload::template::Renderer;
use rdna1_payload::{Inputs, Layout, Payload, Program};
use serde::Serialize;

use crate::{DebError, changelog, control, copyright, scripts};

/// What lintian finds and is right as it is, each with its reason.
pub(crate) const LINTIAN_OVERRIDES: &str = include_str!("../templates/lintian-overrides");

/// The architectures for which rdna1-deb knows the libraries' packages.
const ARCHITECTURES: &str = "amd64 arm64";

/// A file of the packaging sources.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceFile {
    /// Permission bits.
    pub mode: u32,
    /// Content.
    pub text: String,
}

/// Renders every file below `debian/`, by its path in there.
///
/// # Errors
/// Templates and data do not fit, or a licence is missing.
pub fn debian(inputs: Inputs<'_>) -> Result<BTreeMap<String, SourceFile>, DebError> {
    #[derive(Serialize)]
    struct Data<'a> {
        name: &'a str,
        section: &'a str,
        maintainer: &'a str,
        rust_version: &'a str,
        architectures: &'a str,
        packages: Vec<&'static str>,
        description: String,
    }
    let inputs = Inputs { layout: Layout::Deb, ..inputs };
    let metadata = inputs.metadata;
    let name = metadata.name;
    let data = Data {
        name,
        section: control::SECTION,
        maintainer: metadata.maintainer,
        rust_version: metadata.rust_version,
        architectures: ARCHITECTURES,
        packages: Program::packages(),
        description: control::description(metadata),
    };
    let renderer = Renderer::new();
    let render = |name: &str, template: &str| renderer.render(name, template, &data);
    let mut files = BTreeMap::new();
    let mut add = |path: String, mode: u32, text: String| files.insert(path, SourceFile { mode, text });

    add("README.source".into(), 0o644, render("README", include_str!("../templates/README.hbs"))?);
    add("changelog".into(), 0o644, changelog::text(metadata));
    add("control".into(), 0o644, render("control", include_str!("../templates/control.hbs"))?);
    add("copyright".into(), 0o644, copyright::text(inputs)?);
    add("rules".into(), 0o755, render("rules", include_str!("../templates/rules.hbs"))?);
    add("source/format".into(), 0o644, "3.0 (native)\n".into());
    add("tests/control".into(), 0o644, render("tests/control", include_str!("../templates/tests-control.hbs"))?);
    for script in scripts::for_debhelper(inputs.policy)? {
        add(format!("{name}.{}", script.name), 0o644, script.text);
    }
    // debhelper knows these by their names.
    let service = format!("{name}.service");
    for entry in Payload::channels(inputs)? {
        let file = match entry.path.rsplit('/').next() {
            Some(file) if file == service => service.clone(),
            Some("90-rocm-rdna1.rules") => format!("{name}.rocm-rdna1.udev"),
            _ => continue,
        };
        add(file, 0o644, String::from_utf8_lossy(&entry.bytes).into_owned());
    }
    add(format!("{name}.lintian-overrides"), 0o644, LINTIAN_OVERRIDES.to_owned());
    Ok(files)
}
