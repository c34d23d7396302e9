// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the module sets where its options are good.

use assert_fs::TempDir;
use rdna1_core::config::{ConfigFile, Value as Setting};
use rdna1_core::policy::Scope;
use rdna1_tests::program::{copy_case, program};
use rdna1_tests::tree::policy;
use serde_json::{Value, json};

use super::{configured, enabled, nix, nixpkgs, quoted};

/// The machine that the configurations are tried on: an RX 5600 XT.
const MACHINE: &str = "02-rx5600xt-ready";

#[test]
fn disabled_it_changes_nothing() {
    if !nix() {
        return;
    }
    for nixpkgs in nixpkgs() {
        for modules in ["", "{ hardware.rdna1-rocm-fix = { profile = \"nonsense\"; }; }"] {
            let nixos = configured(nixpkgs, modules).expect("it evaluates");
            assert_eq!(nixos["configuration"], Value::Null);
            assert_eq!(nixos["links"], json!({}));
            assert_eq!([&nixos["udev"], &nixos["units"], &nixos["path"]], [&json!(false); 3]);
            assert_eq!(nixos["refused"], json!([]));
            assert!(!nixos["shells"].to_string().contains("rdna1"), "{}", nixos["shells"]);
        }
    }
}

#[test]
fn enabled_it_reaches_services_sessions_and_shells() {
    if !nix() {
        return;
    }
    let generator = "systemd/system-environment-generators/90-rdna1-rocm-fix";
    let shells = ["profile.d/rocm-rdna1.sh", "fish/conf.d/rocm-rdna1.fish"];
    for nixpkgs in nixpkgs() {
        for (scope, in_services, in_shells) in [
            ("", true, true),
            ("scope = [ \"services\" ];", true, false),
            ("scope = [ \"shells\" ];", false, true),
            ("scope = [ ];", false, false),
        ] {
            let nixos = configured(nixpkgs, &enabled(scope)).expect("it evaluates");
            let link = |name: &str| nixos["links"][name].as_str().map(str::to_owned);
            assert_eq!(link(generator), in_services.then(|| format!("PACKAGE/lib/{generator}")), "{scope}");
            for name in shells {
                assert_eq!(link(name), in_shells.then(|| format!("PACKAGE/etc/{name}")), "{scope}");
            }
            for shell in ["bash", "zsh"] {
                let init = nixos["shells"][shell].as_str().expect("a text");
                assert_eq!(init.contains(". /etc/profile.d/rocm-rdna1.sh"), in_shells, "{scope}");
            }
            let hotplug = json!(in_services || in_shells);
            assert_eq!([&nixos["udev"], &nixos["units"], &nixos["path"]], [&hotplug, &hotplug, &json!(true)]);
            assert_eq!(nixos["refused"], json!([]));
        }
    }
}

/// The environment that the program makes of a configuration file.
fn environment(configuration: &str) -> String {
    let machine = TempDir::new().expect("a temporary directory");
    copy_case(MACHINE, machine.path());
    let etc = machine.path().join("etc/rdna1-rocm-fix");
    std::fs::create_dir_all(&etc).expect("the copy is writable");
    std::fs::write(etc.join("config.yaml"), configuration).expect("the copy is writable");
    let run = |arguments: &[&str]| {
        let mut command = program("rdna1-rocm-fix");
        let output = command.arg("--root").arg(machine.path()).args(arguments).output().expect("it runs");
        String::from_utf8(output.stdout).expect("it prints text")
    };
    let status = run(&["status"]);
    assert!(!status.contains("nothing is set, because"), "{configuration}\n{status}");
    run(&["env", "--format", "json"])
}

#[test]
fn each_profile_and_gfx_choice_resolves_as_on_debian() {
    if !nix() {
        return;
    }
    let policy = policy();
    let mut seen = std::collections::BTreeSet::new();
    for profile in policy.profiles.iter().filter(|profile| profile.scope == Scope::System) {
        let choices = profile.gfx_choices.iter().map(ToString::to_string).chain(["auto".to_owned()]);
        for gfx in choices {
            let debian = environment(&format!("profile: {}\ngfx: \"{gfx}\"\n", profile.id));
            assert!(debian.starts_with('{'), "{debian}");
            let settings = format!("profile = {}; gfxOverride = {};", quoted(&profile.id), quoted(&gfx));
            for nixpkgs in nixpkgs() {
                let nixos = configured(nixpkgs, &enabled(&settings)).expect("it evaluates");
                assert_eq!(nixos["refused"], json!([]), "{settings}");
                let yaml = nixos["configuration"].as_str().expect("a text");
                assert_eq!(environment(yaml), debian, "{settings}");
            }
            seen.insert(debian);
        }
    }
    // The machine is one that tells them apart: `auto` is one of the others.
    assert!(seen.len() > policy.profiles.len(), "{seen:#?}");
}

#[test]
fn what_is_left_open_is_left_to_the_machine() {
    if !nix() {
        return;
    }
    for nixpkgs in nixpkgs() {
        let nixos = configured(nixpkgs, &enabled("")).expect("it evaluates");
        let yaml = nixos["configuration"].as_str().expect("a text");
        let config = ConfigFile::parse("config.yaml", yaml, &policy()).expect("it is good");
        assert_eq!(config, ConfigFile::default(), "{yaml}");
    }
}

#[test]
fn the_definitions_of_several_modules_merge() {
    if !nix() {
        return;
    }
    let modules = [
        &enabled("variables = { MIOPEN_LOG_LEVEL = lib.mkDefault 3; AMD_LOG_LEVEL = 1; };"),
        "{ hardware.rdna1-rocm-fix.variables.MIOPEN_LOG_LEVEL = 5; }",
        "{ hardware.rdna1-rocm-fix.variables.AMD_LOG_LEVEL = lib.mkForce \"2\"; }",
        "{ hardware.rdna1-rocm-fix.variables.HSA_XNACK = lib.mkIf false \"1\"; }",
        "({ config, lib, ... }: { config = lib.mkIf config.hardware.rdna1-rocm-fix.enable (lib.mkMerge [ \
         { hardware.rdna1-rocm-fix.suppress = [ \"HIP_FORCE_COARSE_GRAIN\" ]; } \
         { hardware.rdna1-rocm-fix.profile = lib.mkDefault \"stock\"; } ]); })",
        "{ hardware.rdna1-rocm-fix = { suppress = [ \"MIOPEN_FIND_MODE\" \"HIP_FORCE_COARSE_GRAIN\" ]; \
         profile = \"gemm\"; }; }",
    ];
    for nixpkgs in nixpkgs() {
        let nixos = configured(nixpkgs, &modules.join(" ")).expect("it evaluates");
        assert_eq!(nixos["refused"], json!([]));
        let yaml = nixos["configuration"].as_str().expect("a text");
        let config = ConfigFile::parse("config.yaml", yaml, &policy()).expect("it is good");
        let variables: Vec<_> = config.variables.iter().map(|(name, value)| (name.as_str(), &value.0[..])).collect();
        assert_eq!(variables, [("AMD_LOG_LEVEL", "2"), ("MIOPEN_LOG_LEVEL", "5")]);
        let mut suppressed: Vec<&str> = config.suppress.iter().map(|name| name.as_str()).collect();
        suppressed.sort_unstable();
        assert_eq!(suppressed, ["HIP_FORCE_COARSE_GRAIN", "MIOPEN_FIND_MODE"]);
        assert_eq!(config.profile.as_deref(), Some("gemm"));
    }
}

#[test]
fn values_arrive_as_they_were_written() {
    if !nix() {
        return;
    }
    let values = [
        "plain",
        "a b",
        "a: b",
        "# c",
        " x ",
        "it's",
        "say \"x\"",
        "back\\slash",
        "$HOME",
        "${HOME}",
        "''",
        "a\nb",
        "\ttab",
        "ü→😀",
        "yes",
        "0x10",
        "~",
        "[x",
        "{x",
        "&a",
        "*a",
        "!t",
        "%d",
        "@x",
        "`x`",
        "|",
        "- x",
        "del\u{7f}",
        "c1 \u{80}\u{85}\u{9f}\u{a0}",
        "\u{2028}",
    ];
    // A name that the policy does not describe: any text is good.
    let name = |i: usize| format!("MIOPEN_TEST_{i:02}");
    let code: String = values.iter().enumerate().map(|(i, v)| format!("{} = {}; ", name(i), quoted(v))).collect();
    for nixpkgs in nixpkgs() {
        let nixos = configured(nixpkgs, &enabled(&format!("variables = {{ {code} }};"))).expect("it evaluates");
        assert_eq!(nixos["refused"], json!([]));
        let yaml = nixos["configuration"].as_str().expect("a text");
        let config = ConfigFile::parse("config.yaml", yaml, &policy()).unwrap_or_else(|e| panic!("{e}\n{yaml}"));
        let found: Vec<&Setting> = config.variables.values().collect();
        assert_eq!(found, values.map(|value| Setting(value.to_owned())).iter().collect::<Vec<_>>());
    }
}

#[test]
fn the_stand_in_refuses_what_nixpkgs_refuses() {
    if !nix() {
        return;
    }
    for nixpkgs in nixpkgs() {
        for (modules, message) in [
            (enabled("gfxOverride = 10;"), "is not of type"),
            (enabled("variables = [ ];"), "is not of type"),
            (enabled("variables.MIOPEN_LOG_LEVEL = true;"), "is not of type"),
            (enabled("variables.MIOPEN_LOG_LEVEL = null;"), "is not of type"),
            (enabled("scope = [ \"moon\" ];"), "is not of type"),
            (enabled("profil = \"gemm\";"), "does not exist"),
            (enabled("profile = \"gemm\";") + &enabled("profile = \"stock\";"), "conflicting definition"),
        ] {
            let error = configured(nixpkgs, &modules).expect_err(&modules);
            assert!(error.contains(message), "{modules}: {error}");
        }
    }
}

#[test]
fn the_documentation_is_that_of_the_options() {
    if !nix() {
        return;
    }
    let text = std::fs::read_to_string(rdna1_tests::program::top().join("nix/options.md")).expect("it is there");
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    for nixpkgs in nixpkgs() {
        let nixos = configured(nixpkgs, "").expect("it evaluates");
        let options = nixos["options"].as_object().expect("a set");
        let sections: Vec<&str> = text.split("\n## hardware.rdna1-rocm-fix.").skip(1).collect();
        assert_eq!(sections.len(), options.len());
        for section in sections {
            let (name, section) = section.split_once('\n').expect("a title");
            let option = &options[name];
            let has = |key: &str| option[key].as_str().unwrap_or_else(|| panic!("{name} has no {key}"));
            assert!(words(section).starts_with(&words(has("description"))), "{name}");
            assert!(section.contains(&format!("*Type:* {}\n", has("type"))), "{name}: {}", has("type"));
            // Default and example are Nix code.
            let blocks: Vec<&str> =
                section.split("```nix\n").skip(1).map(|block| block.split("```").next().unwrap_or("")).collect();
            if name == "package" {
                assert_eq!(blocks.iter().map(|block| block.trim()).collect::<Vec<_>>(), [has("default")]);
                continue;
            }
            let code: Vec<String> = blocks.iter().map(|block| format!("({block})")).collect();
            let values = super::evaluate(&format!("[ {} ]", code.join(" "))).expect("documented values are Nix");
            assert_eq!(values, json!([option["default"], option["example"]]), "{name}");
        }
    }
}
