// SPDX-License-Identifier: MIT OR Apache-2.0
//! Maintainer scripts: when which fragment runs.
//!
//! An upgrade keeps the environment: only removal takes it out of force, and
//! only after the programs are gone, so that nothing can bring it back.

use rdna1_core::policy::Policy;
use rdna1_payload::Layout;
use rdna1_payload::scripts::Fragment;
use rdna1_payload::template::Renderer;
use serde::Serialize;

use crate::DebError;

/// A maintainer script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Script {
    /// Its name in the control archive.
    pub name: &'static str,
    /// Its text.
    pub text: String,
}

const TEMPLATES: [(&str, &str); 3] = [
    ("postinst", include_str!("../templates/postinst.sh.hbs")),
    ("postrm", include_str!("../templates/postrm.sh.hbs")),
    ("prerm", include_str!("../templates/prerm.sh.hbs")),
];

/// The scripts of the finished package: as debhelper leaves them where it has
/// nothing to add.
pub(crate) fn all(policy: &Policy) -> Result<Vec<Script>, DebError> {
    render(policy, "\n\n")
}

/// The scripts of `debian/`, which debhelper may add to.
pub(crate) fn for_debhelper(policy: &Policy) -> Result<Vec<Script>, DebError> {
    render(policy, "#DEBHELPER#\n\n")
}

fn render(policy: &Policy, debhelper: &str) -> Result<Vec<Script>, DebError> {
    #[derive(Serialize)]
    struct Data<'a> {
        activate: String,
        stop: String,
        deactivate: String,
        purge: String,
        debhelper: &'a str,
    }
    let renderer = Renderer::new();
    let fragment = |fragment: Fragment| fragment.render(&renderer, policy, Layout::Deb);
    let data = Data {
        activate: fragment(Fragment::Activate)?,
        stop: fragment(Fragment::Stop)?,
        deactivate: fragment(Fragment::Deactivate)?,
        purge: fragment(Fragment::Purge)?,
        debhelper,
    };
    let script =
        |(name, template): &(&'static str, &str)| Ok(Script { name, text: renderer.render(name, template, &data)? });
    TEMPLATES.iter().map(script).collect()
}
