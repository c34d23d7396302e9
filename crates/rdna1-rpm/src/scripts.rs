// SPDX-License-Identifier: MIT OR Apache-2.0
//! Scriptlets: when which fragment runs.
//!
//! rpm does not look into them for macros when it installs, so there are none.
//! `$1` is how many versions of the package will be there afterwards: an
//! upgrade erases the older version when the newer one is already active, and
//! must leave the environment in force.

use rdna1_core::policy::Policy;
use rdna1_payload::Layout;
use rdna1_payload::scripts::Fragment;
use rdna1_payload::template::Renderer;
use serde::Serialize;

use crate::RpmError;

/// The package's scriptlets, without a final line break.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Scripts {
    /// Before the files go.
    pub preun: String,
    /// After the files are gone.
    pub postun: String,
    /// When all packages of the transaction are in place and the files of older
    /// versions are gone, so that no older generator has a say any more.
    pub posttrans: String,
}

/// The scriptlets of the package and of the spec file.
pub(crate) fn all(policy: &Policy) -> Result<Scripts, RpmError> {
    #[derive(Serialize)]
    struct Data {
        name: &'static str,
        activate: String,
        stop: String,
        deactivate: String,
    }
    let renderer = Renderer::new();
    let fragment = |fragment: Fragment| fragment.render(&renderer, policy, Layout::Rpm);
    let data = Data {
        name: rdna1_payload::NAME,
        // It stands in no `if`.
        activate: fragment(Fragment::Activate)?.replace("\n    ", "\n").trim_start().to_owned(),
        stop: fragment(Fragment::Stop)?,
        deactivate: fragment(Fragment::Deactivate)?,
    };
    let script = |name, template| Ok::<_, RpmError>(renderer.render(name, template, &data)?.trim_end().to_owned());
    Ok(Scripts {
        preun: script("preun", include_str!("../templates/preun.sh.hbs"))?,
        postun: script("postun", include_str!("../templates/postun.sh.hbs"))?,
        posttrans: script("posttrans", include_str!("../templates/posttrans.sh.hbs"))?,
    })
}
