// SPDX-License-Identifier: MIT OR Apache-2.0
//! Machines of the RPM family and what dnf installs on them.
//!
//! The machine is the Debian root with the real dnf and rpm, on an empty RPM
//! database: a package stands for what a distribution of the family provides.
//! So scriptlets really run, against a real systemd.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use rdna1_tests::container::{Container, debian_root};
use rdna1_tests::program::{top, xtask};
use rdna1_tests::tools;

use super::{REPO, fresh_dir, must, new_key, package};

/// Makes the repository known to dnf.
pub const SET_UP: &str = "cp /srv/repo/inside.repo /etc/yum.repos.d/rdna1-rocm-fix.repo";

/// Installs the package by its name.
pub const INSTALL: &str = "dnf-strict install rdna1-rocm-fix";

/// Removes it.
pub const REMOVE: &str = "dnf-strict remove rdna1-rocm-fix";

/// Upgrades from the newer repository.
pub const UPGRADE: &str =
    "sed -i s,/srv/repo,/srv/newer, /etc/yum.repos.d/rdna1-rocm-fix.repo && dnf-strict upgrade --refresh";

/// Prints the version that is there.
pub const VERSION: &str = "rpm --query --queryformat '%{VERSION}' rdna1-rocm-fix";

/// dnf succeeds when a scriptlet failed, and only says so. Not so here.
const STRICT: &str = "#!/bin/bash\n\
    dnf --assumeyes \"$@\" >/var/tmp/dnf.log 2>&1; code=$?\n\
    cat /var/tmp/dnf.log\n\
    if grep -iE 'scriptlet.*failed|error in|^error|warning' /var/tmp/dnf.log >/dev/null; then exit 9; fi\n\
    exit $code\n";

/// As the family's own /etc/csh.login does.
const CSH_LOGIN: &str = "foreach i ( /etc/profile.d/*.csh )\n    if ( -r $i ) source $i\nend\n";

/// Packages and repositories, made once for all tests.
pub struct Made {
    /// The package under test, not signed.
    pub rpm: PathBuf,
    /// A repository with it.
    pub repo: PathBuf,
    /// A repository with an older version of it.
    pub older: PathBuf,
    /// The home of the key that signed both.
    pub key: PathBuf,
    /// Where they lie.
    pub dir: PathBuf,
}

pub fn made() -> &'static Made {
    static MADE: OnceLock<Made> = OnceLock::new();
    MADE.get_or_init(|| {
        let dir = fresh_dir("rpm-test");
        let rpm = package("rpm");
        let key = new_key(&dir.join("key"));
        distribution(&dir.join("distribution"), &rpm);
        let repo = repository(&dir.join("repo"), &rpm, &key);
        let older = repository(&dir.join("older"), &older_package(&dir.join("older-build"), &rpm), &key);
        Made { rpm, repo, older, key, dir }
    })
}

/// Runs rpmbuild on a spec file; returns the one package that it makes.
pub fn rpmbuild(dir: &Path, spec: &str) -> PathBuf {
    std::fs::create_dir_all(dir).expect("target is writable");
    std::fs::write(dir.join("package.spec"), spec).expect("target is writable");
    let top = format!("_topdir {}", dir.canonicalize().expect("it was just made").display());
    // Fedora's choice, which is ours; Debian's rpmbuild takes gzip by itself.
    let payload = "_binary_payload w9.zstdio";
    let build = Command::new("rpmbuild")
        .args(["-bb", "--nodeps", "--define", payload, "--define", &top])
        .arg("package.spec")
        .current_dir(dir)
        .output();
    must(build);
    let packages = walkdir::WalkDir::new(dir.join("RPMS")).into_iter().flatten().map(walkdir::DirEntry::into_path);
    let mut packages = packages.filter(|path| path.extension().is_some_and(|e| e == "rpm"));
    packages.next().expect("rpmbuild made a package")
}

/// A package that has what a distribution provides and ours needs.
fn distribution(dir: &Path, rpm: &Path) {
    let listing = must(Command::new("rpm").args(["--query", "--requires", "--package"]).arg(rpm).output());
    let others = listing.lines().filter(|line| !line.starts_with("rpmlib(") && !line.starts_with("config("));
    let provides: String =
        others.collect::<BTreeSet<_>>().into_iter().map(|line| format!("Provides: {line}\n")).collect();
    // The first belongs to every distribution of the family, the second to its
    // fish, as it belongs to Debian's here.
    let dirs = "/usr/share/licenses /usr/share/fish/vendor_completions.d";
    let made = dirs.split(' ').map(|dir| format!("mkdir -p %{{buildroot}}{dir}\n")).collect::<String>();
    let owned = dirs.split(' ').map(|dir| format!("%dir {dir}\n")).collect::<String>();
    let spec = format!(
        "Name: distribution\nVersion: 1\nRelease: 1\nSummary: What a distribution has\nLicense: MIT\nBuildArch: noarch\n\
         {provides}Provides: system-release = 1\n%description\nWhat a distribution has.\n\
         %install\n{made}%files\n{owned}"
    );
    let built = rpmbuild(&dir.join("build"), &spec);
    std::fs::copy(built, dir.join("distribution.rpm")).expect("target is writable");
}

/// The committed spec file with another source of its files: a tree that is
/// there already.
pub fn spec_with_tree(tree: &Path) -> String {
    let spec = std::fs::read_to_string(top().join("rpm/rdna1-rocm-fix.spec")).expect("it is committed");
    let (head, rest) = spec.split_once("%prep\n").expect("the spec file prepares");
    let (_, tail) = rest.split_once("%preun\n").expect("the spec file has scriptlets");
    format!("{head}%install\ncp -a {}/. %{{buildroot}}\n\n%preun\n{tail}", tree.display())
}

/// Unpacks a package.
pub fn unpack(rpm: &Path, tree: &Path) {
    std::fs::create_dir_all(tree).expect("target is writable");
    let script = "rpm2archive - <\"$1\" | tar --extract --gzip --directory \"$2\"";
    must(Command::new("sh").args(["-ec", script, "sh"]).arg(rpm).arg(tree).output());
}

/// The same package under a smaller version number, with another default
/// configuration: what an upgrade starts from.
fn older_package(dir: &Path, rpm: &Path) -> PathBuf {
    let tree = dir.join("tree");
    unpack(rpm, &tree);
    let config = tree.join("etc/rdna1-rocm-fix/config.yaml");
    let text = std::fs::read_to_string(&config).expect("the package has a configuration");
    std::fs::write(config, format!("# as an older release shipped it\n{text}")).expect("it is our copy");
    let spec = spec_with_tree(&tree);
    let older: Vec<&str> =
        spec.lines().map(|line| if line.starts_with("Version:") { "Version: 0.0.1" } else { line }).collect();
    rpmbuild(dir, &(older.join("\n") + "\n"))
}

/// A signed repository of one package, with the entry that a container needs.
pub fn repository(out: &Path, rpm: &Path, key: &Path) -> PathBuf {
    must(xtask().arg("repo").arg("--rpm").arg(rpm).arg("--out").arg(out).arg("--gnupg-home").arg(key).output());
    let repo = out.join("rpm");
    let text = std::fs::read_to_string(repo.join("rdna1-rocm-fix.repo")).expect("repo writes it");
    let here = repo.canonicalize().expect("it is there").display().to_string();
    assert!(text.contains(&here), "{text}");
    std::fs::write(repo.join("inside.repo"), text.replace(&here, REPO)).expect("it is ours");
    repo
}

/// A machine that has a repository but nothing of ours yet; reports the skip
/// where something is missing.
pub fn machine(repo: impl FnOnce(&Made) -> PathBuf) -> Option<Container> {
    let root = debian_root()?;
    if !tools::available(&["createrepo_c", "gpg", "rpm", "rpm2archive", "rpmbuild", "rpmsign"]) {
        return None;
    }
    if !root.join("usr/bin/dnf").exists() {
        tools::skip("the Debian root has no dnf (cargo xtask test makes one that has)");
        return None;
    }
    let container = Container::new(&root)
        .with_bind(repo(made()), REPO)
        .with_bind(made().dir.join("distribution"), "/srv/distribution");
    let strict = container.root().join("usr/local/bin/dnf-strict");
    std::fs::write(&strict, STRICT).expect("the overlay is writable");
    std::fs::write(container.root().join("etc/csh.login"), CSH_LOGIN).expect("the overlay is writable");
    must(Ok(container.run(
        "chmod 755 /usr/local/bin/dnf-strict && mkdir -p /etc/yum.repos.d \
         && rpm --install --nosignature /srv/distribution/distribution.rpm",
    )));
    Some(container)
}
