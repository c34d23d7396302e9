// SPDX-License-Identifier: MIT OR Apache-2.0
//! A gpg key that signs.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};

use super::{KeyArgs, NAME, quiet};
use crate::host::{self, output};

/// For gpg where nobody can be asked.
const UNATTENDED: [&str; 3] = ["--batch", "--pinentry-mode", "loopback"];

/// A gpg key that signs.
#[derive(Debug)]
pub struct Signer {
    home: Option<PathBuf>,
    key: Option<String>,
    /// Whether it is a key of this checkout, which nobody has a reason to trust.
    pub for_tests: bool,
}

impl Signer {
    /// The key that the arguments name, or one of this checkout.
    pub fn new(args: &KeyArgs) -> anyhow::Result<Self> {
        if args.gnupg_home.is_some() || args.key.is_some() {
            return Ok(Self { home: args.gnupg_home.clone(), key: args.key.clone(), for_tests: false });
        }
        let home = PathBuf::from("target/repo-key");
        let signer = Self { home: Some(home.clone()), key: None, for_tests: true };
        if !home.join("pubring.kbx").exists() {
            fs::create_dir_all(&home)?;
            fs::set_permissions(&home, std::os::unix::fs::PermissionsExt::from_mode(0o700))?;
            let user = format!("{NAME} repository of this checkout");
            quiet(signer.gpg().args(["--passphrase", "", "--quick-generate-key", &user, "ed25519", "sign", "never"]))?;
        }
        Ok(signer)
    }

    fn gpg(&self) -> Command {
        let mut gpg = Command::new("gpg");
        gpg.args(["--quiet", "--yes"]).args(UNATTENDED);
        if let Some(home) = &self.home {
            gpg.arg("--homedir").arg(home);
        }
        gpg
    }

    /// Signs a file, in gpg's mode `--clear-sign` or `--detach-sign`.
    pub fn sign(&self, mode: &str, file: &Path, to: &Path) -> anyhow::Result<()> {
        let mut gpg = self.gpg();
        gpg.args(self.key.iter().flat_map(|key| ["--local-user", key.as_str()]));
        gpg.args(["--armor", "--digest-algo", "SHA512", mode, "--output"]).arg(to);
        quiet(gpg.arg(file))
    }

    /// Signs an RPM package in place.
    pub(super) fn sign_rpm(&self, package: &Path) -> anyhow::Result<()> {
        let gpg = host::find("gpg").context("cannot find gpg")?;
        let mut rpmsign = Command::new("rpmsign");
        // It would look for a terminal on standard input and warn.
        rpmsign.env("GPG_TTY", "");
        // Built in is a full path, which is another one on each distribution.
        rpmsign.args(["--define", &format!("__gpg {}", gpg.display())]);
        rpmsign.args(["--define", &format!("_gpg_name {}", self.fingerprint()?)]);
        rpmsign.args(["--define", &format!("_gpg_sign_cmd_extra_args {}", UNATTENDED.join(" "))]);
        rpmsign.args(["--define", "_gpg_digest_algo sha512"]);
        if let Some(home) = &self.home {
            let home = fs::canonicalize(home).with_context(|| format!("cannot find {}", home.display()))?;
            rpmsign.args(["--define", &format!("_gpg_path {}", home.display())]);
        }
        quiet(rpmsign.arg("--addsign").arg(package))
    }

    /// The key that gpg signs with; rpmsign does not take gpg's default.
    fn fingerprint(&self) -> anyhow::Result<String> {
        let listing = output(self.gpg().args(["--with-colons", "--list-secret-keys"]).args(&self.key))?;
        let found =
            listing.lines().find_map(|line| line.strip_prefix("fpr:")?.split(':').find(|part| !part.is_empty()));
        Ok(found.context("gpg has no secret key to sign with")?.to_owned())
    }

    /// The key, and what it is worth.
    pub fn describe(&self) -> anyhow::Result<String> {
        let worth = if self.for_tests { ", a test key of this checkout: name yours with --key" } else { "" };
        Ok(format!("{}{worth}", self.fingerprint()?))
    }

    /// Writes the public key.
    pub fn export(&self, to: &Path) -> anyhow::Result<()> {
        quiet(self.gpg().args(["--armor", "--output"]).arg(to).arg("--export").args(&self.key))?;
        ensure!(fs::metadata(to).is_ok_and(|m| m.len() > 0), "gpg exported no public key");
        Ok(())
    }
}
