// SPDX-License-Identifier: MIT OR Apache-2.0
//! `snapshot`: what detection reads, as a directory tree.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use anyhow::{Context as _, bail};
use rdna1_core::root::Root;
use rdna1_core::{config, kfd, pci, selection};

use super::Outcome;
use crate::context::{Context, POLICY_FILE};

pub(super) fn run(context: &Context, dir: &Path) -> anyhow::Result<Outcome> {
    if dir.symlink_metadata().is_ok() {
        bail!("{} exists already; name a directory that does not", dir.display());
    }
    let parent = dir.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // Collected beside its place and moved there at the end: whole or not at all.
    let partial = tempfile::Builder::new()
        .prefix(".snapshot-")
        .tempdir_in(parent)
        .with_context(|| format!("cannot write to {}", parent.display()))?;
    let copy = Copy { from: &context.root, to: Root::new(partial.path().join("root")) };
    fs::create_dir(copy.to.path())?;
    copy.pci()?;
    copy.kfd()?;
    copy.files()?;
    fs::rename(copy.to.path(), dir).with_context(|| format!("cannot make {}", dir.display()))?;
    Ok(Outcome::answer(format!(
        "saved; check it with: rdna1-rocm-fix --root {0} status\nsend it with:  tar -czf snapshot.tar.gz {0}\n",
        dir.display()
    )))
}

struct Copy<'a> {
    from: &'a Root,
    to: Root,
}

impl Copy<'_> {
    fn write(&self, path: &str, text: &str) -> anyhow::Result<()> {
        let to = self.to.join(path);
        fs::create_dir_all(to.parent().unwrap_or(&to))?;
        fs::write(&to, text).with_context(|| format!("cannot write {}", to.display()))
    }

    /// Copies a text file if it is there and readable.
    fn text(&self, path: &str) -> anyhow::Result<()> {
        match self.from.read_text(path) {
            Ok(Some(text)) => self.write(path, &text),
            Ok(None) | Err(_) => Ok(()),
        }
    }

    fn link(&self, path: &str, target: &str) -> anyhow::Result<()> {
        symlink(target, self.to.join(path)).with_context(|| format!("cannot link {path}"))
    }

    fn pci(&self) -> anyhow::Result<()> {
        let Ok(Some(devices)) = self.from.dir(pci::DEVICES) else { return Ok(()) };
        for name in devices.names().unwrap_or_default() {
            let dir = format!("{}/{name}", pci::DEVICES);
            for attribute in pci::ATTRIBUTES {
                if let Ok(Some(text)) = devices.attribute(&format!("{name}/{attribute}")) {
                    self.write(&format!("{dir}/{attribute}"), &(text + "\n"))?;
                }
            }
            for link in pci::LINKS {
                if let Some(target) = devices.link_name(&format!("{name}/{link}")) {
                    self.link(&format!("{dir}/{link}"), &format!("../{target}"))?;
                }
            }
            for node in devices.names_in(&format!("{name}/drm")) {
                fs::create_dir_all(self.to.join(&format!("{dir}/drm/{node}")))?;
                self.device(&format!("/dev/dri/{node}"))?;
            }
        }
        Ok(())
    }

    /// A device node becomes an empty file: that it exists is what counts.
    fn device(&self, path: &str) -> anyhow::Result<()> {
        if self.from.device_node(path).exists { self.write(path, "") } else { Ok(()) }
    }

    fn kfd(&self) -> anyhow::Result<()> {
        self.device(kfd::DEVICE)?;
        for node in self.from.list(kfd::NODES).unwrap_or_default() {
            let dir = format!("{}/{node}", kfd::NODES);
            self.properties(&dir)?;
            for bank in self.from.list(&format!("{dir}/mem_banks")).unwrap_or_default() {
                self.properties(&format!("{dir}/mem_banks/{bank}"))?;
            }
        }
        Ok(())
    }

    /// The lines of a `properties` file that detection uses; others hold a GPU's unique id.
    fn properties(&self, dir: &str) -> anyhow::Result<()> {
        let path = format!("{dir}/properties");
        let Ok(Some(text)) = self.from.read_text(&path) else { return Ok(()) };
        let used = |line: &&str| line.split(' ').next().is_some_and(|key| kfd::PROPERTIES.contains(&key));
        let text: String = text.lines().filter(used).map(|line| format!("{line}\n")).collect();
        self.write(&path, &text)
    }

    fn files(&self) -> anyhow::Result<()> {
        for path in ["/proc/sys/kernel/osrelease", config::FILE, selection::FILE, POLICY_FILE] {
            self.text(path)?;
        }
        for name in self.from.list(config::DROP_INS).unwrap_or_default() {
            self.text(&format!("{}/{name}", config::DROP_INS))?;
        }
        for stack in rdna1_core::stack::Stacks::detect(self.from).found {
            match self.from.read_text(&stack.path) {
                Ok(Some(text)) => self.write(&stack.path, &text)?,
                // A library: its name is what tells its version.
                _ => self.write(&stack.path, "")?,
            }
        }
        Ok(())
    }
}
