// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which files there are.

use std::io::Write;

use flate2::{Compression, GzBuilder};
use rdna1_core::config;
use rdna1_core::policy::Policy;
use serde::Serialize;

use crate::template::Renderer;
use crate::{Artifacts, Entry, Metadata, NAME, Payload, PayloadError, Program, config_example, names, scripts};

/// The policy that the program has compiled in, for people to read.
pub(crate) const POLICY: &str = "/usr/share/rdna1-rocm-fix/policy.yaml";

/// Where a family of distributions keeps the files that have no common place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// Debian, Ubuntu.
    Deb,
    /// Fedora, openSUSE and others.
    Rpm,
    /// A Nix package: the root is the package's own directory in the store,
    /// which texts name as [`OUT`].
    Nix,
}

/// What stands for the package's directory until it is installed there.
pub const OUT: &str = "@out@";

impl Layout {
    /// Where login shells of csh look.
    fn csh(self) -> &'static str {
        match self {
            // /etc/csh.login sources these for tcsh and bsd-csh alike.
            Self::Deb => "/etc/csh/login.d/rocm-rdna1.csh",
            Self::Rpm | Self::Nix => "/etc/profile.d/rocm-rdna1.csh",
        }
    }

    /// The file that fish reads.
    fn fish(self, text: String) -> Entry {
        match self {
            Self::Deb | Self::Rpm => Entry::file("/usr/share/fish/vendor_conf.d/rocm-rdna1.fish", text),
            // From where the module links it, if it is told to.
            Self::Nix => Entry::config("/etc/fish/conf.d/rocm-rdna1.fish", text),
        }
    }

    /// Where users' programs are.
    fn bin(self) -> String {
        match self {
            Self::Deb | Self::Rpm => "/usr/bin".into(),
            Self::Nix => format!("{OUT}/bin"),
        }
    }

    /// systemctl. NixOS refuses udev rules that run what is not there, and
    /// /usr/bin is not.
    fn systemctl(self) -> &'static str {
        match self {
            Self::Deb | Self::Rpm => "/usr/bin/systemctl",
            Self::Nix => "/run/current-system/systemd/bin/systemctl",
        }
    }

    /// Where an entry of the usual tree lies.
    fn place(self, mut entry: Entry) -> Entry {
        if self == Self::Nix
            && let Some(path) = entry.path.strip_prefix("/usr")
        {
            entry.path = path.to_owned();
        }
        entry
    }

    /// Where zsh looks for the completions of packages.
    fn zsh_completions(self) -> &'static str {
        match self {
            Self::Deb => "/usr/share/zsh/vendor-completions",
            Self::Rpm | Self::Nix => "/usr/share/zsh/site-functions",
        }
    }
}

/// What a payload is made from.
#[derive(Debug, Clone, Copy)]
pub struct Inputs<'a> {
    /// The policy.
    pub policy: &'a Policy,
    /// What others built.
    pub artifacts: &'a Artifacts,
    /// What describes the package.
    pub metadata: &'a Metadata,
    /// Where the distribution keeps things.
    pub layout: Layout,
}

impl Payload {
    /// Makes the file tree that all formats share. The formats add what their
    /// documentation rules ask for.
    ///
    /// # Errors
    /// An artifact is missing, or the templates and the policy do not fit.
    pub fn build(inputs: Inputs<'_>) -> Result<Self, PayloadError> {
        let mut entries = Vec::new();
        programs(inputs, &mut entries)?;
        python(inputs, &mut entries);
        channels(inputs, &mut entries)?;
        configuration(inputs, &mut entries)?;
        documentation(inputs, &mut entries)?;
        Self::new(inputs.metadata.clone(), entries.into_iter().map(|entry| inputs.layout.place(entry)).collect())
    }

    /// The part of the tree that brings the environment to processes. It needs
    /// no artifact, so that packaging sources can hold it.
    ///
    /// # Errors
    /// The templates and the policy do not fit.
    pub fn channels(inputs: Inputs<'_>) -> Result<Vec<Entry>, PayloadError> {
        let mut entries = Vec::new();
        channels(inputs, &mut entries)?;
        Ok(entries.into_iter().map(|entry| inputs.layout.place(entry)).collect())
    }
}

/// The programs, their man pages and completions.
fn programs(inputs: Inputs<'_>, entries: &mut Vec<Entry>) -> Result<(), PayloadError> {
    let artifacts = inputs.artifacts;
    for program in Program::ALL {
        let name = program.name;
        entries.push(Entry::program(program.path, artifacts.required(&format!("{}{name}", names::BIN))?));
        if !program.for_users {
            continue;
        }
        artifacts.required(&format!("{}{name}.1", names::MAN))?;
        let zsh = inputs.layout.zsh_completions();
        for (prefix, path) in [
            (names::BASH, format!("/usr/share/bash-completion/completions/{name}")),
            (names::ZSH, format!("{zsh}/_{name}")),
            (names::FISH, format!("/usr/share/fish/vendor_completions.d/{name}.fish")),
        ] {
            entries.push(Entry::file(path, artifacts.required(&format!("{prefix}{name}"))?));
        }
    }
    for (page, text) in artifacts.below(names::MAN) {
        let section = page.rsplit('.').next().unwrap_or_default();
        entries.push(Entry::doc(format!("/usr/share/man/man{section}/{page}.gz"), gzip(text)));
    }
    Ok(())
}

/// Python modules, in a place of their own: which interpreter will read them
/// is the user's choice, so they belong to none.
fn python(inputs: Inputs<'_>, entries: &mut Vec<Entry>) {
    for (path, text) in inputs.artifacts.below(names::PYTHON) {
        entries.push(Entry::file(format!("{}/{path}", scripts::PYTHON_DIR), text));
    }
}

/// What brings the environment to processes.
fn channels(inputs: Inputs<'_>, entries: &mut Vec<Entry>) -> Result<(), PayloadError> {
    #[derive(Serialize)]
    struct Data {
        name: &'static str,
        vendor: String,
        class: String,
        accelerator: String,
        devices: Vec<String>,
        bin: String,
        systemctl: &'static str,
        /// Whether files below /etc outlive the package.
        stays: bool,
    }
    let policy = inputs.policy;
    let mut devices: Vec<String> = policy.cards.iter().map(|card| card.device.to_string()).collect();
    devices.sort_unstable();
    let data = Data {
        name: NAME,
        vendor: policy.pci.vendor.to_string(),
        class: scripts::class(policy),
        accelerator: format!("{:#04x}", rdna1_core::pci::ACCELERATOR),
        devices,
        bin: inputs.layout.bin(),
        systemctl: inputs.layout.systemctl(),
        stays: inputs.layout != Layout::Nix,
    };
    let renderer = Renderer::new();
    let render = |name: &str, template: &str| renderer.render(name, template, &data);

    let unit = render("service", include_str!("../templates/service.hbs"))?;
    entries.push(Entry::file(format!("/usr/lib/systemd/system/{NAME}.service"), unit));
    let rules = render("rdna1.rules", include_str!("../templates/rdna1.rules.hbs"))?;
    entries.push(Entry::file("/usr/lib/udev/rules.d/90-rocm-rdna1.rules", rules));
    let sh = render("profile.sh", include_str!("../templates/profile.sh.hbs"))?;
    entries.push(Entry::config("/etc/profile.d/rocm-rdna1.sh", sh));
    let csh = render("profile.csh", include_str!("../templates/profile.csh.hbs"))?;
    entries.push(Entry::config(inputs.layout.csh(), csh));
    let fish = render("profile.fish", include_str!("../templates/profile.fish.hbs"))?;
    entries.push(inputs.layout.fish(fish));
    Ok(())
}

/// The administrator's configuration and the policy behind it.
fn configuration(inputs: Inputs<'_>, entries: &mut Vec<Entry>) -> Result<(), PayloadError> {
    // On NixOS the module writes the configuration.
    if inputs.layout != Layout::Nix {
        let example = config_example::text(&Renderer::new(), inputs.policy)?;
        entries.push(Entry::dir(format!("/etc/{NAME}")));
        entries.push(Entry::config(config::FILE, example));
        entries.push(Entry::dir(config::DROP_INS));
    }
    entries.push(Entry::dir(format!("/usr/share/{NAME}")));
    entries.push(Entry::file(POLICY, Policy::embedded_yaml()));
    for name in [names::POLICY_SCHEMA, names::CONFIG_SCHEMA] {
        entries.push(Entry::file(format!("/usr/share/{NAME}/{name}"), inputs.artifacts.required(name)?));
    }
    Ok(())
}

/// README and the like; licences where the format has its own place for them.
fn documentation(inputs: Inputs<'_>, entries: &mut Vec<Entry>) -> Result<(), PayloadError> {
    let doc_dir = format!("/usr/share/doc/{NAME}");
    entries.push(Entry::dir(&doc_dir));
    for (name, text) in inputs.artifacts.below(names::DOC) {
        entries.push(Entry::doc(format!("{doc_dir}/{name}"), text));
    }
    let licenses = [names::LICENSE_MIT, names::LICENSE_APACHE];
    let texts = [inputs.artifacts.required(licenses[0])?, inputs.artifacts.required(licenses[1])?];
    let notices = |dir: &str| {
        let text = inputs.artifacts.required(names::NOTICES)?;
        Ok::<_, PayloadError>(Entry::license(format!("{dir}/{}", names::NOTICES), text))
    };
    match inputs.layout {
        // Debian's `copyright` file, which the deb generator writes, holds or
        // names the project's own, and names the notices.
        Layout::Deb => entries.push(notices(&doc_dir)?),
        Layout::Rpm | Layout::Nix => {
            let dir = format!("/usr/share/licenses/{NAME}");
            entries.push(Entry::dir(&dir));
            entries.push(notices(&dir)?);
            entries
                .extend(licenses.iter().zip(texts).map(|(name, text)| Entry::license(format!("{dir}/{name}"), text)));
            entries.push(Entry::doc(
                format!("{doc_dir}/{}", names::CHANGELOG),
                inputs.artifacts.required(names::CHANGELOG)?,
            ));
        }
    }
    Ok(())
}

/// Compresses as `gzip -9n` does: no name, no time.
pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    // 3 is Unix, what gzip itself writes; flate2's default says "unknown".
    let mut encoder = GzBuilder::new().operating_system(3).write(Vec::new(), Compression::best());
    // Writing into memory has no way to fail.
    let _ = encoder.write_all(bytes);
    encoder.finish().unwrap_or_default()
}
