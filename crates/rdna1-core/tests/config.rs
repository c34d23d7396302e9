// SPDX-License-Identifier: MIT OR Apache-2.0
//! The administrator's configuration, with the policy that ships.

use assert_fs::TempDir;
use assert_fs::prelude::*;
use rdna1_core::config::{Config, ConfigFile, DROP_INS, FILE};
use rdna1_core::policy::Policy;
use rdna1_core::root::{FILE_MAX, Root};
use rdna1_core::yaml::YamlError;

fn policy() -> Policy {
    Policy::embedded().expect("the embedded policy parses")
}

/// Reads the configuration of a machine that has these files.
fn read(files: &[(&str, &str)]) -> Result<Config, YamlError> {
    let machine = machine(files);
    Config::read(&Root::new(machine.path()), &policy())
}

fn machine(files: &[(&str, &str)]) -> TempDir {
    let machine = TempDir::new().expect("a temporary directory");
    for (path, text) in files {
        machine.child(path.trim_start_matches('/')).write_str(text).expect("a file of the fixture");
    }
    machine
}

fn drop_in(name: &str) -> String {
    format!("{DROP_INS}/{name}")
}

/// The message with which one file is refused.
fn refused(text: &str) -> String {
    ConfigFile::parse("config.yaml", text, &policy()).map(|_| ()).expect_err(text).to_string()
}

// Merging -------------------------------------------------------------------

#[test]
fn no_files_and_empty_files_configure_nothing() {
    assert_eq!(read(&[]), Ok(Config::default()));
    assert_eq!(read(&[(FILE, ""), (&drop_in("a.yaml"), "# nothing\n")]), Ok(Config::default()));
}

#[test]
fn each_setting_remembers_its_file() {
    let a = drop_in("10-a.yaml");
    let config = read(&[
        (FILE, "enabled: true\nprofile: gemm\ngfx: \"10.3.0\"\n"),
        (&a, "profile: gemm-naive\nvariables:\n  MIOPEN_LOG_LEVEL: 5\nsuppress: [HIP_FORCE_COARSE_GRAIN]\n"),
    ])
    .expect("a good configuration");
    assert_eq!(config.enabled.map(|f| (f.value, f.file)), Some((true, FILE.to_owned())));
    assert_eq!(config.profile.map(|f| (f.value, f.file)), Some(("gemm-naive".to_owned(), a.clone())));
    assert_eq!(config.gfx.map(|f| (f.value.to_string(), f.file)), Some(("10.3.0".to_owned(), FILE.to_owned())));
    let level = config.variables.get("MIOPEN_LOG_LEVEL").map(|f| (f.value.as_str(), f.file.as_str()));
    assert_eq!(level, Some(("5", a.as_str())));
    assert_eq!(config.suppress.get("HIP_FORCE_COARSE_GRAIN"), Some(&a));
}

#[test]
fn later_files_win_in_order_of_name() {
    let config = read(&[
        (&drop_in("20-b.yaml"), "profile: stock\n"),
        (&drop_in("10-a.yaml"), "profile: gemm\ngfx: native\n"),
        (FILE, "profile: gemm-naive\ngfx: auto\nenabled: false\n"),
    ])
    .expect("a good configuration");
    assert_eq!(config.profile.map(|f| f.value), Some("stock".into()));
    assert_eq!(config.gfx.map(|f| f.value.to_string()), Some("native".into()));
    // What later files do not mention stays.
    assert_eq!(config.enabled.map(|f| f.value), Some(false));
}

#[test]
fn variables_add_up_and_the_later_of_set_and_suppress_wins() {
    let set = "variables:\n  HSA_ENABLE_SDMA: 0\n  MIOPEN_FIND_MODE: \"2\"\n";
    let suppress = "suppress:\n  - HSA_ENABLE_SDMA\nvariables:\n  AMD_LOG_LEVEL: 3\n";
    let (first, second) = (drop_in("1.yaml"), drop_in("2.yaml"));
    let config = read(&[(&first, set), (&second, suppress)]).expect("a good configuration");
    let names: Vec<&str> = config.variables.keys().map(|name| name.as_str()).collect();
    assert_eq!(names, ["AMD_LOG_LEVEL", "MIOPEN_FIND_MODE"]);
    assert_eq!(config.suppress.get("HSA_ENABLE_SDMA"), Some(&second));

    let config = read(&[(&first, suppress), (&second, set)]).expect("a good configuration");
    assert_eq!(config.variables.get("HSA_ENABLE_SDMA").map(|f| f.file.as_str()), Some(second.as_str()));
    assert!(config.suppress.is_empty());
}

#[test]
fn leftovers_of_editors_and_packages_are_no_drop_ins() {
    let bad = "no such key: 1\n";
    for name in ["a.yaml~", ".a.yaml.swp", ".a.yaml", "#a.yaml#", "a.yaml.dpkg-old", "a.yaml.rpmnew", "a.yml", "README"]
    {
        assert_eq!(read(&[(&drop_in(name), bad)]), Ok(Config::default()), "{name}");
    }
    assert!(read(&[(&drop_in("a.yaml"), bad)]).is_err());
}

// Values --------------------------------------------------------------------

#[test]
fn whole_numbers_need_no_quotes() {
    let text = "variables: {MIOPEN_FIND_MODE: 2, HIP_FORCE_COARSE_GRAIN: 0, MIOPEN_DEBUG_CONV_FFT: \"off\"}\n";
    let file = ConfigFile::parse("config.yaml", text, &policy()).expect("numbers are allowed");
    let values: Vec<String> = file.variables.iter().map(|(name, value)| format!("{name}={}", value.0)).collect();
    assert_eq!(values, ["HIP_FORCE_COARSE_GRAIN=0", "MIOPEN_DEBUG_CONV_FFT=off", "MIOPEN_FIND_MODE=2"]);
}

#[test]
fn variables_that_the_policy_does_not_know_need_a_known_beginning() {
    let ok = "variables:\n  ROCBLAS_SOMETHING_NEW: yes please\n";
    assert!(ConfigFile::parse("config.yaml", ok, &policy()).is_ok());
    for name in ["LD_PRELOAD", "PATH", "rocblas_layer", "HSA"] {
        let error = refused(&format!("variables:\n  {name}: \"1\"\n"));
        assert!(error.starts_with("config.yaml:2: variables."), "{error}");
        assert!(error.contains("is none of ROCm's") && error.contains("MIOPEN_"), "{error}");
    }
}

// Refusals: a text, the line, and what the message says.
const REFUSED: &[(&str, usize, &[&str])] = &[
    ("profile: gemm\nprofil: x\n", 2, &["unknown field `profil`", "`profile`", "`suppress`"]),
    ("\nenabled: maybe\n", 2, &["enabled", "expected a boolean"]),
    ("variables:\n  MIOPEN_FIND_MODE: true\n", 2, &["variables.MIOPEN_FIND_MODE", "boolean", "in quotes"]),
    ("variables:\n  MIOPEN_FIND_MODE: 2.5\n", 2, &["floating point", "in quotes or a whole number"]),
    ("variables:\n  MIOPEN_FIND_MODE: -1\n", 2, &["-1", "in quotes or a whole number"]),
    ("variables:\n  MIOPEN_FIND_MODE:\n", 2, &["in quotes or a whole number"]),
    ("variables:\n  MIOPEN_FIND_MODE: 4\n", 2, &["value \"4\" is not allowed: one of 1, 2, 3, 5"]),
    ("variables:\n  MIOPEN_DEBUG_CONV_FFT: nope\n", 2, &["value \"nope\" is not allowed: 0 or 1"]),
    ("variables:\n  MIOPEN_DEBUG_CONV_FFT: \"\"\n", 2, &["value \"\" is not allowed"]),
    ("variables:\n  ROCBLAS_NEW: \"\"\n", 2, &["a text that is not empty"]),
    ("variables:\n  MIOPEN_USER_DB_PATH: cache\n", 2, &["an absolute path, or one that starts with ~/"]),
    ("variables:\n  \"A B\": 1\n", 2, &["`A B` is not a variable name"]),
    ("variables:\n  MIOPEN_FIND_ENFORCE: 1\n", 2, &["`MIOPEN_FIND_ENFORCE` is never set:", "looks like a hang"]),
    ("variables:\n  PYTORCH_ROCM_ARCH: gfx1010\n", 2, &["`PYTORCH_ROCM_ARCH` is never set:", "compiling"]),
    (
        "variables:\n  HSA_OVERRIDE_GFX_VERSION: 10.3.0\n",
        2,
        &["`HSA_OVERRIDE_GFX_VERSION` follows from the gfx choice", "write `gfx: \"10.3.0\"` instead"],
    ),
    ("variables:\n  HSA_OVERRIDE_GFX_VERSION_1: 10.3.0\n", 2, &["follows from the gfx choice"]),
    ("profile: bypass\n", 1, &["single processes only", "rdna1-rocm-fix run --profile bypass -- COMMAND"]),
    ("profile: gem\n", 1, &["there is no profile `gem`; allowed are gemm, gemm-naive, stock, implicit-gemm"]),
    ("gfx: 11.0.0\n", 1, &["there is no gfx choice `11.0.0`; allowed are auto, native, 10.1.0, 10.3.0"]),
    ("gfx: 10.3\n", 1, &["gfx", "floating point", "in quotes"]),
    ("gfx: gfx1030\n", 1, &["`gfx1030` is not a gfx version such as 10.3.0, nor `native`, nor `auto`"]),
    ("suppress:\n  - LD_PRELOAD\n", 2, &["suppress[0]", "`LD_PRELOAD` is in no profile"]),
    (
        "suppress: [HSA_XNACK]\nvariables:\n  HSA_XNACK: 0\n",
        1,
        &["suppress[0]", "also under `variables`; remove one of the two"],
    ),
    ("profile: gemm\nprofile: stock\n", 1, &["duplicate field `profile`"]),
    ("- profile\n", 1, &["expected struct"]),
];

#[test]
fn mistakes_are_named_with_their_line() {
    for (text, line, says) in REFUSED {
        let error = refused(text);
        let right = error.starts_with(&format!("config.yaml:{line}:")) && says.iter().all(|s| error.contains(s));
        assert!(right, "{text:?}: expected line {line}, {says:?}\ngot {error}");
    }
}

// Files ---------------------------------------------------------------------

#[test]
fn a_mistake_in_a_drop_in_names_the_drop_in() {
    let error =
        read(&[(FILE, "profile: gemm\n"), (&drop_in("x.yaml"), "\ngfx: \"9.9.9\"\n")]).expect_err("a bad drop-in");
    assert!(error.to_string().starts_with("/etc/rdna1-rocm-fix/config.d/x.yaml:2: gfx:"), "{error}");
}

#[test]
fn what_cannot_be_read_is_an_error_and_not_ignored() {
    let read =
        |machine: &TempDir| Config::read(&Root::new(machine.path()), &policy()).expect_err("unreadable").to_string();

    let directory = TempDir::new().expect("a temporary directory");
    directory.child(FILE.trim_start_matches('/')).create_dir_all().expect("a directory");
    assert_eq!(read(&directory), format!("{FILE}: is no regular file"));

    let large = machine(&[(FILE, &"# filler\n".repeat(FILE_MAX / 9 + 1))]);
    assert_eq!(read(&large), format!("{FILE}: is larger than {FILE_MAX} bytes"));

    let binary = TempDir::new().expect("a temporary directory");
    binary.child(FILE.trim_start_matches('/')).write_binary(&[0xff, 0xfe, 0]).expect("a file");
    assert_eq!(read(&binary), format!("{FILE}: is not UTF-8 text"));

    let drop_ins = machine(&[(DROP_INS, "a file where the directory should be\n")]);
    assert!(read(&drop_ins).starts_with(&format!("{DROP_INS}: cannot be opened: ")), "{}", read(&drop_ins));
}

#[cfg(unix)]
#[test]
fn an_unreadable_file_is_an_error() {
    use std::os::unix::fs::{PermissionsExt, symlink};

    let machine = machine(&[(FILE, "profile: stock\n")]);
    let file = machine.child(FILE.trim_start_matches('/'));
    std::fs::set_permissions(file.path(), std::fs::Permissions::from_mode(0o000)).expect("chmod");
    // root reads everything; then there is nothing to see here.
    if std::fs::read(file.path()).is_err() {
        let error = Config::read(&Root::new(machine.path()), &policy()).expect_err("no permission");
        assert_eq!(error.to_string(), format!("{FILE}: cannot be opened: Permission denied (os error 13)"));
    }

    let looped = self::machine(&[(&drop_in("a.yaml"), "")]);
    let link = looped.child(FILE.trim_start_matches('/'));
    symlink("config.yaml", link.path()).expect("a link to itself");
    let error = Config::read(&Root::new(looped.path()), &policy()).expect_err("a loop");
    assert!(error.to_string().starts_with(&format!("{FILE}: cannot be opened: ")), "{error}");
}
