// SPDX-License-Identifier: MIT OR Apache-2.0
//! The finished package, read again by the archive crates and, where they are
//! installed, by Debian's own tools.

use std::collections::BTreeMap;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use assert_fs::TempDir;
use flate2::read::GzDecoder;
use rdna1_core::policy::Policy;
use rdna1_deb::Deb;
use rdna1_payload::elf::Elf;
use rdna1_payload::{Artifacts, EntryKind, Inputs, Layout, Metadata, Program};
use rdna1_tests::tools::available;

const MIT: &str = include_str!("../../../LICENSE-MIT");
const CHANGELOG: &str = include_str!("../../../CHANGELOG.md");

/// Any ELF file of this machine; it is the archive that is tested.
fn program() -> Vec<u8> {
    std::fs::read("/bin/true").expect("every machine has it")
}

fn artifacts() -> Artifacts {
    let mut artifacts = Artifacts::new();
    for name in Program::ALL.into_iter().flat_map(Program::artifacts) {
        let bytes = if name.starts_with("bin/") { program() } else { name.clone().into_bytes() };
        artifacts.insert(name, bytes);
    }
    for name in ["doc/README.md", "LICENSE-APACHE", "policy.schema.json", "config.schema.json"] {
        artifacts.insert(name, format!("{name}\n"));
    }
    artifacts.insert("LICENSE-MIT", MIT);
    artifacts.insert("THIRD-PARTY-NOTICES", "SPDX-License-Identifier: MIT\n");
    artifacts.insert("CHANGELOG.md", CHANGELOG);
    artifacts
}

fn with_inputs<T>(artifacts: &Artifacts, f: impl FnOnce(Inputs<'_>) -> T) -> T {
    let policy = Policy::embedded().expect("the embedded policy is sound");
    let metadata = Metadata::new(CHANGELOG, None).expect("the changelog is sound");
    f(Inputs { policy: &policy, artifacts, metadata: &metadata, layout: Layout::Deb })
}

fn build() -> Deb {
    with_inputs(&artifacts(), |inputs| rdna1_deb::build(inputs).expect("it builds"))
}

/// The archive's members, in order.
fn members(deb: &Deb) -> Vec<(String, ar::Header, Vec<u8>)> {
    let mut archive = ar::Archive::new(&deb.bytes[..]);
    let mut members = Vec::new();
    while let Some(member) = archive.next_entry() {
        let mut member = member.expect("a sound archive");
        let mut bytes = Vec::new();
        member.read_to_end(&mut bytes).expect("a whole member");
        let header = member.header().clone();
        members.push((String::from_utf8_lossy(header.identifier()).into_owned(), header, bytes));
    }
    members
}

/// A tar archive's entries: name, header, content.
fn entries(compressed: &[u8]) -> Vec<(String, tar::Header, Vec<u8>)> {
    let mut archive = tar::Archive::new(GzDecoder::new(compressed));
    let entry = |entry: std::io::Result<tar::Entry<'_, _>>| {
        let mut entry = entry.expect("a sound archive");
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).expect("a whole entry");
        (String::from_utf8_lossy(&entry.path_bytes()).into_owned(), entry.header().clone(), bytes)
    };
    archive.entries().expect("a sound archive").map(entry).collect()
}

fn control_file(deb: &Deb, name: &str) -> String {
    let files = entries(&members(deb)[1].2);
    let (_, _, bytes) = files.iter().find(|(file, _, _)| file == &format!("./{name}")).expect(name);
    String::from_utf8(bytes.clone()).expect("text")
}

#[test]
fn the_archive_has_the_form_of_deb_5() {
    let deb = build();
    let members = members(&deb);
    let names: Vec<&str> = members.iter().map(|(name, _, _)| name.as_str()).collect();
    assert_eq!(names, ["debian-binary", "control.tar.gz", "data.tar.gz"]);
    assert_eq!(members[0].2, b"2.0\n");
    let epoch = deb.payload.metadata.epoch;
    assert!(members.iter().all(|(_, header, _)| header.mtime() == epoch && header.uid() == 0 && header.gid() == 0));
    for (name, header, _) in members[1..].iter().flat_map(|(_, _, bytes)| entries(bytes)) {
        assert_eq!(header.mtime().ok(), Some(epoch), "{name}");
        assert_eq!((header.uid().ok(), header.gid().ok()), (Some(0), Some(0)), "{name}");
        assert_eq!((header.username(), header.groupname()), (Ok(Some("root")), Ok(Some("root"))), "{name}");
        assert!(name.starts_with("./"), "{name}");
    }
    assert_eq!(deb.file_name, format!("rdna1-rocm-fix_{}_{}.deb", env!("CARGO_PKG_VERSION"), arch()));
}

fn arch() -> &'static str {
    if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" }
}

#[test]
fn the_data_are_those_of_the_payload_and_directories_come_first() {
    let deb = build();
    let data = entries(&members(&deb)[2].2);
    let mut seen: Vec<&str> = Vec::new();
    for (name, header, _) in &data {
        let parent = name.trim_end_matches('/').rsplit_once('/').map(|(parent, _)| format!("{parent}/"));
        assert!(parent.is_none_or(|parent| seen.contains(&parent.as_str())), "{name} comes before its directory");
        assert_eq!(header.entry_type().is_dir(), name.ends_with('/'), "{name}");
        seen.push(name);
    }
    let files: BTreeMap<&str, (u32, &[u8])> = data
        .iter()
        .filter(|(_, header, _)| header.entry_type().is_file())
        .map(|(name, header, bytes)| (&name[1..], (header.mode().expect("a mode"), bytes.as_slice())))
        .collect();
    let expected = deb.payload.entries().iter().filter(|entry| entry.kind.is_regular());
    let expected: BTreeMap<&str, (u32, &[u8])> =
        expected.map(|entry| (entry.path.as_str(), (entry.mode, entry.bytes.as_slice()))).collect();
    assert_eq!(files, expected);
}

#[test]
fn conffiles_and_checksums_follow_from_the_kinds() {
    let deb = build();
    let conffiles = control_file(&deb, "conffiles");
    assert_eq!(
        conffiles.lines().collect::<Vec<_>>(),
        ["/etc/csh/login.d/rocm-rdna1.csh", "/etc/profile.d/rocm-rdna1.sh", "/etc/rdna1-rocm-fix/config.yaml"]
    );
    let sums = control_file(&deb, "md5sums");
    let summed: Vec<String> = sums.lines().map(|line| format!("/{}", &line[34..])).collect();
    let regular = deb.payload.entries().iter().filter(|entry| entry.kind.is_regular());
    let expected: Vec<&str> =
        regular.filter(|entry| entry.kind != EntryKind::Config).map(|entry| entry.path.as_str()).collect();
    assert_eq!(summed, expected);
}

#[test]
fn the_control_file_says_what_dpkg_wants_to_know() {
    let control = control_file(&build(), "control");
    for field in ["Package: rdna1-rocm-fix\n", "Depends: libc6 (>= ", "Priority: optional\n", "Section: admin\n"] {
        assert!(control.contains(field), "{field} is not in\n{control}");
    }
    assert!(control.contains(&format!("Architecture: {}\n", arch())), "{control}");
    let (_, description) = control.split_once("Description: ").expect("a description");
    assert!(description.lines().skip(1).all(|line| line.starts_with(' ') && line.len() <= 80), "{description}");
}

#[test]
fn a_package_of_no_program_or_an_unknown_one_is_refused() {
    let mut some = artifacts();
    for program in Program::ALL {
        some.insert(format!("bin/{}", program.name), "#!/bin/sh\n");
    }
    let error = with_inputs(&some, |inputs| rdna1_deb::build(inputs).expect_err("no program"));
    assert!(error.to_string().contains("no program in ELF form"), "{error}");
    for cut in [5, 64, 1000] {
        assert!(Elf::parse("x", &program()[..cut]).is_err(), "cut at {cut}");
    }
    let mut damaged = program();
    // e_machine, to something that is no machine.
    damaged[18..20].copy_from_slice(&[0xff, 0xff]);
    let error = Elf::parse("/usr/bin/x", &damaged).expect_err("no machine").to_string();
    assert!(error.contains("/usr/bin/x") && error.contains("machine"), "{error}");
}

/// Builds in a process of its own: under another umask, directory and time zone.
#[test]
fn the_bytes_do_not_depend_on_who_builds() {
    const OUT: &str = "RDNA1_DEB_TEST_OUT";
    if let Some(out) = std::env::var_os(OUT) {
        std::fs::write(out, build().bytes).expect("it can be written");
        return;
    }
    let dir = TempDir::new().expect("a temporary directory");
    let test = std::env::current_exe().expect("a test has a path");
    let mut made = Vec::new();
    for (i, (umask, cwd, zone)) in
        [("022", dir.path(), "UTC"), ("077", Path::new("/"), "Asia/Tokyo"), ("000", Path::new("/tmp"), "UTC")]
            .into_iter()
            .enumerate()
    {
        let out = dir.path().join(i.to_string());
        let status = Command::new("sh")
            .args(["-c", &format!("umask {umask} && exec \"$0\" --exact the_bytes_do_not_depend_on_who_builds")])
            .arg(&test)
            .current_dir(cwd)
            .env(OUT, &out)
            .env("TZ", zone)
            .env("LC_ALL", if i == 0 { "C" } else { "C.UTF-8" })
            .stdout(Stdio::null())
            .status();
        assert!(status.expect("sh runs").success());
        made.push(std::fs::read(out).expect("it was written"));
    }
    assert!(made.iter().all(|bytes| *bytes == made[0] && !bytes.is_empty()));
}

fn stdout(command: &mut Command) -> String {
    let output = command.env("LC_ALL", "C.UTF-8").output().expect("it runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

#[test]
fn dpkg_deb_reads_what_was_written() {
    if !available(&["dpkg-deb", "tar"]) {
        return;
    }
    let dir = TempDir::new().expect("a temporary directory");
    let deb = build();
    let file = dir.path().join(&deb.file_name);
    std::fs::write(&file, &deb.bytes).expect("it can be written");
    let dpkg = |option: &str| stdout(Command::new("dpkg-deb").arg(option).arg(&file));
    assert_eq!(dpkg("--field"), deb.control);
    assert!(dpkg("--info").contains(&format!("size {} bytes", deb.bytes.len())));
    let listing = dpkg("--contents");
    for entry in deb.payload.entries() {
        let name = format!(".{}{}", entry.path, if entry.kind == EntryKind::Dir { "/" } else { "" });
        let line = listing.lines().find(|line| line.ends_with(&format!(" {name}"))).expect(&name);
        let mode = match (entry.kind, entry.mode) {
            (EntryKind::Dir, _) => "drwxr-xr-x root/root",
            (_, 0o755) => "-rwxr-xr-x root/root",
            _ => "-rw-r--r-- root/root",
        };
        assert!(line.starts_with(mode), "{line}");
    }
    let control = dir.path().join("control");
    stdout(Command::new("dpkg-deb").arg("--control").arg(&file).arg(&control));
    for script in ["postinst", "prerm", "postrm"] {
        let mode = std::fs::metadata(control.join(script)).expect(script).permissions().mode();
        assert_eq!(mode & 0o777, 0o755, "{script}");
    }
    let tree = dir.path().join("tree");
    stdout(Command::new("dpkg-deb").arg("--extract").arg(&file).arg(&tree));
    let sums =
        Command::new("md5sum").args(["--check", "--quiet"]).arg(control.join("md5sums")).current_dir(&tree).status();
    assert!(sums.expect("md5sum runs").success());
}

/// The maintainer scripts as a shell reads them.
#[test]
fn shellcheck_finds_nothing_in_the_scripts() {
    if !available(&["shellcheck"]) {
        return;
    }
    let dir = TempDir::new().expect("a temporary directory");
    let deb = build();
    let scripts = ["postinst", "prerm", "postrm"].map(|name| (name, control_file(&deb, name)));
    let profile = deb.payload.get("/etc/profile.d/rocm-rdna1.sh").expect("it is there");
    let profile = ("profile.sh", format!("#!/bin/sh\n{}", String::from_utf8_lossy(&profile.bytes)));
    for (name, text) in scripts.into_iter().chain([profile]) {
        let file = dir.path().join(name);
        std::fs::write(&file, text).expect("it can be written");
        // The file below /run is not there to be followed.
        stdout(Command::new("shellcheck").args(["--enable=all", "--exclude=SC1091,SC2310,SC2312"]).arg(&file));
    }
}

#[test]
fn the_scripts_know_every_call_of_dpkg_and_refuse_others() {
    // With a root that does not exist there is nothing that they could change.
    let dir = TempDir::new().expect("a temporary directory");
    let deb = build();
    for (name, calls) in [
        ("postinst", &["configure", "abort-upgrade", "abort-remove", "abort-deconfigure"][..]),
        ("prerm", &["remove", "upgrade", "deconfigure", "failed-upgrade"]),
        ("postrm", &["remove", "purge", "upgrade", "failed-upgrade", "abort-install", "abort-upgrade", "disappear"]),
    ] {
        let file = dir.path().join(name);
        std::fs::write(&file, control_file(&deb, name)).expect("it can be written");
        let run = |call: &str| {
            let mut sh = Command::new("sh");
            sh.arg(&file).arg(call).env("DPKG_ROOT", dir.path()).output().expect("sh runs")
        };
        for call in calls {
            for _ in 0..2 {
                let output = run(call);
                assert!(output.status.success() && output.stderr.is_empty(), "{name} {call}: {output:?}");
            }
        }
        assert!(!run("nonsense").status.success(), "{name}");
    }
}

#[test]
fn an_upgrade_keeps_the_environment_and_a_removal_ends_it() {
    let dir = TempDir::new().expect("a temporary directory");
    let deb = build();
    let postrm = dir.path().join("postrm");
    std::fs::write(&postrm, control_file(&deb, "postrm")).expect("it can be written");
    let state = dir.path().join("run/rdna1-rocm-fix/env.sh");
    let config = dir.path().join("etc/rdna1-rocm-fix/config.d/90-mine.yaml");
    let recorded = dir.path().join("var/lib/rdna1-rocm-fix/selection.yaml");
    for file in [&state, &config, &recorded] {
        std::fs::create_dir_all(file.parent().expect("a directory")).expect("it can be made");
        std::fs::write(file, "x").expect("it can be written");
    }
    let run = |call: &str| {
        let status = Command::new("sh").arg(&postrm).arg(call).env("DPKG_ROOT", dir.path()).status();
        assert!(status.expect("sh runs").success());
        [&state, &config, &recorded].map(|file| file.exists())
    };
    for call in ["upgrade", "failed-upgrade", "abort-upgrade", "abort-install"] {
        assert_eq!(run(call), [true, true, true], "{call}");
    }
    assert_eq!(run("remove"), [false, true, true]);
    assert_eq!(run("purge"), [false, false, false]);
    let etc = std::fs::read_dir(dir.path().join("etc")).expect("it is there").count();
    assert_eq!(etc, 0, "purge leaves something in /etc");
}

#[test]
fn a_removal_takes_what_python_compiled_beside_our_modules() {
    let dir = TempDir::new().expect("a temporary directory");
    let prerm = dir.path().join("prerm");
    std::fs::write(&prerm, control_file(&build(), "prerm")).expect("it can be written");
    let modules = dir.path().join("usr/lib/rdna1-rocm-fix/python");
    let cache = modules.join("hook/__pycache__");
    std::fs::create_dir_all(&cache).expect("it can be made");
    for file in [cache.join("x.cpython-313.pyc"), modules.join("hook/x.py")] {
        std::fs::write(file, "x").expect("it can be written");
    }
    for (call, stays) in [("upgrade", true), ("remove", false)] {
        let status = Command::new("sh").arg(&prerm).arg(call).env("DPKG_ROOT", dir.path()).status();
        assert!(status.expect("sh runs").success());
        assert_eq!((cache.exists(), modules.join("hook/x.py").exists()), (stays, true), "{call}");
    }
}

/// What rdna1-deb concludes from the ELF file is what dpkg-shlibdeps does.
#[test]
fn dependencies_are_those_of_dpkg_shlibdeps() {
    if !available(&["dpkg-shlibdeps"]) {
        return;
    }
    let dir = TempDir::new().expect("a temporary directory");
    std::fs::create_dir(dir.path().join("debian")).expect("it can be made");
    std::fs::write(dir.path().join("debian/control"), "Source: x\n\nPackage: x\nArchitecture: any\n").expect("written");
    // A C program and a Rust program, which needs libgcc_s as well.
    let test = std::env::current_exe().expect("a test has a path");
    for file in [Path::new("/bin/true"), &test] {
        let said = Command::new("dpkg-shlibdeps")
            .arg("-O")
            .arg(format!("-e{}", file.display()))
            .current_dir(dir.path())
            .output();
        let said = String::from_utf8(said.expect("it runs").stdout).expect("text");
        let mut theirs: Vec<&str> = said.trim().trim_start_matches("shlibs:Depends=").split(", ").collect();
        theirs.sort_unstable();
        let elf = Elf::parse("x", &std::fs::read(file).expect("it can be read")).expect("it is one");
        let ours = rdna1_deb::depends(&[elf]).expect("all are known");
        assert_eq!(ours.split(", ").collect::<Vec<_>>(), theirs, "{}", file.display());
    }
}

#[test]
fn the_sources_hold_what_the_package_holds() {
    let artifacts = artifacts();
    let sources = with_inputs(&artifacts, |inputs| rdna1_deb::sources::debian(inputs).expect("they render"));
    let deb = build();
    for (source, installed) in [
        ("rdna1-rocm-fix.service", "/usr/lib/systemd/system/rdna1-rocm-fix.service"),
        ("rdna1-rocm-fix.rocm-rdna1.udev", "/usr/lib/udev/rules.d/90-rocm-rdna1.rules"),
        ("rdna1-rocm-fix.lintian-overrides", "/usr/share/lintian/overrides/rdna1-rocm-fix"),
        ("copyright", "/usr/share/doc/rdna1-rocm-fix/copyright"),
    ] {
        let entry = deb.payload.get(installed).expect(installed);
        assert_eq!(sources[source].text.as_bytes(), entry.bytes, "{source}");
    }
    for script in ["postinst", "prerm", "postrm"] {
        let source = &sources[&format!("rdna1-rocm-fix.{script}")].text;
        assert_eq!(source.replace("#DEBHELPER#", ""), control_file(&deb, script), "{script}");
    }
    assert_eq!(sources["rules"].mode, 0o755);
    assert!(sources["changelog"].text.starts_with("rdna1-rocm-fix (0.1.0) unstable; urgency=medium\n"));
    assert!(sources.values().all(|file| file.text.ends_with('\n') && !file.text.contains("{{")));
}
