// SPDX-License-Identifier: MIT OR Apache-2.0
//! The payload as a whole.

use rdna1_core::config::ConfigFile;
use rdna1_core::policy::Policy;

use crate::*;

const CHANGELOG: &str = include_str!("../../../CHANGELOG.md");

fn artifacts() -> Artifacts {
    let mut artifacts = Artifacts::new();
    for name in Program::ALL.into_iter().flat_map(Program::artifacts) {
        artifacts.insert(name.clone(), name);
    }
    artifacts.insert("THIRD-PARTY-NOTICES", "Notices\n\nSPDX-License-Identifier: MIT AND Zlib\n");
    for name in [
        "man/rdna1-rocm-fix-run.1",
        "doc/README.md",
        "LICENSE-MIT",
        "LICENSE-APACHE",
        "CHANGELOG.md",
        "policy.schema.json",
        "config.schema.json",
    ] {
        artifacts.insert(name, name);
    }
    artifacts
}

fn build(artifacts: &Artifacts, layout: Layout) -> Result<Payload, PayloadError> {
    let policy = Policy::embedded().expect("the embedded policy is sound");
    let metadata = Metadata::new(CHANGELOG, None)?;
    Payload::build(Inputs { policy: &policy, artifacts, metadata: &metadata, layout })
}

fn text<'a>(payload: &'a Payload, path: &str) -> &'a str {
    let entry = payload.get(path).unwrap_or_else(|| panic!("{path} is not there"));
    std::str::from_utf8(&entry.bytes).expect("it is text")
}

#[test]
fn the_tree_has_these_entries() {
    let payload = build(&artifacts(), Layout::Deb).expect("it builds");
    let lines = |payload: &Payload| {
        let line = |e: &Entry| format!("{:o} {} {}", e.mode, e.kind.as_str(), e.path);
        payload.entries().iter().map(line).collect::<Vec<_>>()
    };
    let deb = lines(&payload);
    assert_eq!(
        deb,
        [
            "644 config /etc/csh/login.d/rocm-rdna1.csh",
            "644 config /etc/profile.d/rocm-rdna1.sh",
            "755 dir /etc/rdna1-rocm-fix",
            "755 dir /etc/rdna1-rocm-fix/config.d",
            "644 config /etc/rdna1-rocm-fix/config.yaml",
            "755 file /usr/bin/rdna1-rocm-fix",
            "755 file /usr/bin/rdna1-validate",
            "755 file /usr/lib/systemd/system-environment-generators/90-rdna1-rocm-fix",
            "644 file /usr/lib/systemd/system/rdna1-rocm-fix.service",
            "644 file /usr/lib/udev/rules.d/90-rocm-rdna1.rules",
            "644 file /usr/share/bash-completion/completions/rdna1-rocm-fix",
            "644 file /usr/share/bash-completion/completions/rdna1-validate",
            "755 dir /usr/share/doc/rdna1-rocm-fix",
            "644 doc /usr/share/doc/rdna1-rocm-fix/README.md",
            "644 license /usr/share/doc/rdna1-rocm-fix/THIRD-PARTY-NOTICES",
            "644 file /usr/share/fish/vendor_completions.d/rdna1-rocm-fix.fish",
            "644 file /usr/share/fish/vendor_completions.d/rdna1-validate.fish",
            "644 file /usr/share/fish/vendor_conf.d/rocm-rdna1.fish",
            "644 doc /usr/share/man/man1/rdna1-rocm-fix-run.1.gz",
            "644 doc /usr/share/man/man1/rdna1-rocm-fix.1.gz",
            "644 doc /usr/share/man/man1/rdna1-validate.1.gz",
            "755 dir /usr/share/rdna1-rocm-fix",
            "644 file /usr/share/rdna1-rocm-fix/config.schema.json",
            "644 file /usr/share/rdna1-rocm-fix/policy.schema.json",
            "644 file /usr/share/rdna1-rocm-fix/policy.yaml",
            "644 file /usr/share/zsh/vendor-completions/_rdna1-rocm-fix",
            "644 file /usr/share/zsh/vendor-completions/_rdna1-validate",
        ]
    );
    let rpm = lines(&build(&artifacts(), Layout::Rpm).expect("it builds"));
    let only: Vec<_> = rpm.iter().filter(|line| !deb.contains(line)).collect();
    assert_eq!(
        only,
        [
            "644 config /etc/profile.d/rocm-rdna1.csh",
            "644 doc /usr/share/doc/rdna1-rocm-fix/CHANGELOG.md",
            "755 dir /usr/share/licenses/rdna1-rocm-fix",
            "644 license /usr/share/licenses/rdna1-rocm-fix/LICENSE-APACHE",
            "644 license /usr/share/licenses/rdna1-rocm-fix/LICENSE-MIT",
            "644 license /usr/share/licenses/rdna1-rocm-fix/THIRD-PARTY-NOTICES",
            "644 file /usr/share/zsh/site-functions/_rdna1-rocm-fix",
            "644 file /usr/share/zsh/site-functions/_rdna1-validate",
        ]
    );
}

#[test]
fn the_tree_of_a_nix_package_lies_in_the_store_and_configures_nothing() {
    let payload = build(&artifacts(), Layout::Nix).expect("it builds");
    for entry in payload.entries() {
        assert!(!entry.path.starts_with("/usr"), "{}", entry.path);
        let text = String::from_utf8_lossy(&entry.bytes);
        // Only texts that are installed as they are elsewhere may name places of other systems.
        let names_usr = text.lines().any(|line| !line.trim_start().starts_with('#') && line.contains("/usr/"));
        assert!(!names_usr || entry.path.starts_with("/share/"), "{}: {text}", entry.path);
    }
    let etc: Vec<&str> = payload.of_kind(EntryKind::Config).map(|entry| entry.path.as_str()).collect();
    let shells = ["csh", "sh"].map(|shell| format!("/etc/profile.d/rocm-rdna1.{shell}"));
    assert_eq!(etc, ["/etc/fish/conf.d/rocm-rdna1.fish", &shells[0], &shells[1]]);
    let unit = text(&payload, "/lib/systemd/system/rdna1-rocm-fix.service");
    assert!(unit.contains(&format!("ExecStart={OUT}/bin/rdna1-rocm-fix refresh\n")), "{unit}");
    assert!(payload.get("/bin/rdna1-rocm-fix").is_some_and(|entry| entry.mode == 0o755));
    let rules = text(&payload, "/lib/udev/rules.d/90-rocm-rdna1.rules");
    assert!(rules.contains("RUN+=\"/run/current-system/systemd/bin/systemctl "), "{rules}");
}

#[test]
fn python_modules_lie_in_a_place_of_their_own_and_may_be_empty_markers() {
    let mut some = artifacts();
    some.insert("python/hook/sitecustomize.py", "import x\n");
    some.insert("python/rdna1/__init__.py", "");
    for (layout, prefix) in [(Layout::Deb, "/usr"), (Layout::Rpm, "/usr"), (Layout::Nix, "")] {
        let payload = build(&some, layout).expect("it builds");
        for module in ["hook/sitecustomize.py", "rdna1/__init__.py"] {
            let entry = payload.get(&format!("{prefix}/lib/rdna1-rocm-fix/python/{module}")).expect(module);
            assert_eq!((entry.kind, entry.mode), (EntryKind::File, 0o644));
        }
    }
    some.insert("python/rdna1/lost.py", "");
    assert!(build(&some, Layout::Deb).expect_err("it has no content").to_string().ends_with("lost.py: is empty"));
}

#[test]
fn a_missing_artifact_is_an_error_that_says_what_to_do() {
    for name in ["bin/rdna1-rocm-fix", "bin/rdna1-rocm-fix-generator", "man/rdna1-rocm-fix.1", "LICENSE-MIT"] {
        let mut some = artifacts();
        some.insert(name, "");
        let error = build(&some, Layout::Deb).expect_err(name).to_string();
        assert!(error.starts_with(&format!("{name} is missing: ")), "{error}");
    }
    let mut some = artifacts();
    assert_eq!(some.license().ok(), Some("MIT AND Zlib"));
    for (text, name) in [("", "THIRD-PARTY-NOTICES is"), ("x", "the SPDX-License-Identifier in THIRD-PARTY-NOTICES is")]
    {
        some.insert("THIRD-PARTY-NOTICES", text);
        let error = some.license().expect_err(name).to_string();
        assert!(error.starts_with(name) && error.contains("xtask generate"), "{error}");
    }
    let error = build(&Artifacts::new(), Layout::Deb).expect_err("nothing was given").to_string();
    assert!(error.contains("cargo build --release"), "{error}");
}

#[test]
fn the_udev_rule_names_exactly_the_cards_of_the_policy() {
    let payload = build(&artifacts(), Layout::Deb).expect("it builds");
    let rules = text(&payload, "/usr/lib/udev/rules.d/90-rocm-rdna1.rules");
    let policy = Policy::embedded().expect("the embedded policy is sound");
    let mut expected: Vec<String> = policy.cards.iter().map(|card| card.device.to_string()).collect();
    expected.sort();
    for key in ["ATTR{device}==\"", "ATTRS{device}==\""] {
        let (_, rest) = rules.split_once(key).expect(key);
        let (ids, _) = rest.split_once('"').expect("a closing quote");
        assert_eq!(ids.split('|').collect::<Vec<_>>(), expected, "{key}");
    }
    let code: Vec<&str> = rules.lines().filter(|line| !line.starts_with('#')).collect();
    assert!(!code.iter().any(|line| line.contains("HSA_") || line.contains("MIOPEN_")), "{rules}");
    assert!(rules.lines().filter(|line| line.starts_with('#')).all(|line| line.len() <= 79), "{rules}");
}

#[test]
fn the_installed_configuration_says_nothing_and_each_of_its_examples_is_valid() {
    let payload = build(&artifacts(), Layout::Deb).expect("it builds");
    let policy = Policy::embedded().expect("the embedded policy is sound");
    let yaml = text(&payload, rdna1_core::config::FILE);
    assert!(yaml.lines().all(|line| line.is_empty() || line.starts_with('#') && line.len() <= 79), "{yaml}");
    let parse = |text: &str| ConfigFile::parse("config.yaml", text, &policy);
    assert_eq!(parse(yaml).expect("comments are no error"), ConfigFile::default());
    // In each paragraph the prose comes first; what has no blank after `#`,
    // and whatever follows it, is an example.
    let mut examples = String::new();
    for paragraph in yaml.split("\n\n") {
        let example = paragraph.lines().skip_while(|line| line.starts_with("# ") || *line == "#");
        examples.extend(example.map(|line| format!("{}\n", &line[1..])));
    }
    let config = parse(&examples).unwrap_or_else(|error| panic!("{error}\n{examples}"));
    assert!(config.enabled.is_some() && config.profile.is_some() && config.gfx.is_some(), "{examples}");
    assert!(!config.variables.is_empty() && !config.suppress.is_empty(), "{examples}");
    for profile in &policy.profiles {
        assert!(yaml.contains(&format!("# - {}", profile.id)), "{} is not explained", profile.id);
    }
}

#[test]
fn contradictory_entries_are_refused() {
    let metadata = Metadata::new(CHANGELOG, None).expect("the changelog is sound");
    let refused = |entries: Vec<Entry>| Payload::new(metadata.clone(), entries).is_err();
    assert!(refused(vec![Entry::file("/usr/a", "x"), Entry::file("/usr/a", "y")]));
    for bad in [
        Entry::file("usr/a", "x"),
        Entry::file("/usr/../a", "x"),
        Entry::file("/usr/a/", "x"),
        Entry::file("/usr/a b", "x"),
        Entry::file("/usr/a", ""),
        Entry::file("/etc/a", "x"),
        Entry::config("/usr/a", "x"),
        Entry { mode: 0o664, ..Entry::file("/usr/a", "x") },
        Entry { mode: 0o4755, ..Entry::file("/usr/a", "x") },
    ] {
        let path = bad.path.clone();
        assert!(refused(vec![bad]), "{path:?} was accepted");
    }
    let tree = [Entry::symlink("/usr/lib/b", "a"), Entry::dir("/usr/lib"), Entry::file("/usr/lib/x/a", "x")];
    let payload = Payload::new(metadata.clone(), tree.to_vec()).expect("it is sound");
    assert_eq!(payload.parent_dirs().into_iter().collect::<Vec<_>>(), ["/usr", "/usr/lib/x"]);
    let manifest = payload.manifest();
    let sum = "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881";
    assert!(manifest.contains(&format!("0644 file    {sum} /usr/lib/x/a\n")), "{manifest}");
    assert!(manifest.contains("/usr/lib/b -> a\n"), "{manifest}");
}

#[test]
fn building_twice_gives_the_same_bytes() {
    let build = || build(&artifacts(), Layout::Deb).expect("it builds");
    assert_eq!(build().manifest(), build().manifest());
    let page = gzip(b"x");
    // No name, no time, made under Unix.
    assert_eq!((&page[..8], page[9]), (&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0][..], 3));
}

#[test]
fn the_description_fits_package_lists() {
    let metadata = Metadata::new(CHANGELOG, None).expect("the changelog is sound");
    assert!(metadata.summary.len() < 80 && !metadata.summary.ends_with('.'));
    assert!(metadata.description_lines(79).iter().flatten().all(|line| line.len() <= 79));
    assert_eq!(metadata.epoch, metadata.changelog[0].date.epoch());
    assert_eq!(Metadata::new(CHANGELOG, Some(7)).map(|m| m.epoch).ok(), Some(7));
    let error = Metadata::new("## [9.9.9] - 2026-11-24\n", None).expect_err("another version").to_string();
    assert!(error.contains("9.9.9") && error.contains(metadata.version), "{error}");
}
