// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the module refuses, and that it is what the program would refuse.

use std::collections::BTreeSet;

use rdna1_core::config::ConfigFile;
use rdna1_core::policy::Emit;
use rdna1_tests::tree::policy;
use serde_json::json;

use super::{configured, configured_code, enabled, evaluate, nix, nixpkgs, quoted, texts};

#[test]
fn bad_values_are_refused_in_our_words() {
    if !nix() {
        return;
    }
    for (settings, expected) in [
        (
            "profile = \"gem\";",
            "profile: there is no profile `gem`; allowed are gemm, gemm-naive, implicit-gemm, stock",
        ),
        ("profile = \"\";", "profile: there is no profile ``; allowed are "),
        (
            "profile = \"bypass\";",
            "profile: profile `bypass` works for single processes only: rdna1-rocm-fix run --profile bypass -- COMMAND",
        ),
        (
            "gfxOverride = \"10.3\";",
            "gfxOverride: there is no gfx choice `10.3`; allowed are auto, native, 10.1.0, 10.3.0",
        ),
        ("gfxOverride = \"gfx1030\";", "gfxOverride: there is no gfx choice `gfx1030`; allowed are auto, native"),
        (
            "profile = \"implicit-gemm\"; gfxOverride = \"native\";",
            "gfxOverride: profile `implicit-gemm` does not work under `native`, only under 10.3.0; choose another profile",
        ),
        ("variables.MIOPEN_FIND_ENFORCE = 3;", "variables: `MIOPEN_FIND_ENFORCE` is never set: "),
        ("variables.MIOPEN_LOG_LEVEL = \"\";", "variables: `MIOPEN_LOG_LEVEL` is empty, which breaks ROCm's start"),
        (
            "variables.HSA_OVERRIDE_GFX_VERSION = \"10.3.0\";",
            "variables: `HSA_OVERRIDE_GFX_VERSION` follows from the gfx choice; \
             write `hardware.rdna1-rocm-fix.gfxOverride = \"10.3.0\"` instead",
        ),
        (
            "variables.HSA_OVERRIDE_GFX_VERSION_1 = \"10.1.0\";",
            "variables: `HSA_OVERRIDE_GFX_VERSION_1` follows from the gfx choice",
        ),
        (
            "variables.MIOPEN_FIND_MODE = 2; suppress = [ \"MIOPEN_FIND_MODE\" ];",
            "variables: `MIOPEN_FIND_MODE` is also under `suppress`; remove one of the two",
        ),
        ("variables.MIOPEN_LOG_LEVEL = 8;", "variables: `MIOPEN_LOG_LEVEL`: value \"8\" is not allowed: "),
        ("variables.LD_PRELOAD = \"x\";", "variables: `LD_PRELOAD` is none of ROCm's: allowed are the policy's "),
        ("variables.\"MIOPEN X\" = \"x\";", "variables: `MIOPEN X` is not a variable name"),
        ("variables.\"0\" = \"x\";", "variables: `0` is not a variable name"),
        ("suppress = [ \"PATH\" ];", "suppress: `PATH` is in no profile of the policy"),
    ] {
        for nixpkgs in nixpkgs() {
            let nixos = configured(nixpkgs, &enabled(settings)).expect("a refusal is an assertion, not a crash");
            let refused = texts(&nixos["refused"]);
            let expected = format!("hardware.rdna1-rocm-fix.{expected}");
            assert!(refused.len() == 1 && refused[0].starts_with(&expected), "{settings}\n{refused:#?}");
        }
    }
}

#[test]
fn several_mistakes_are_told_at_once() {
    if !nix() {
        return;
    }
    let settings = "profile = \"x\"; gfxOverride = \"x\"; suppress = [ \"A\" \"B\" ]; variables.X = \"1\";";
    for nixpkgs in nixpkgs() {
        let nixos = configured(nixpkgs, &enabled(settings)).expect("it evaluates");
        let options: Vec<&str> = texts(&nixos["refused"]).iter().filter_map(|text| text.split(':').next()).collect();
        let expected = ["profile", "gfxOverride", "variables", "suppress", "suppress"];
        assert_eq!(options, expected.map(|option| format!("hardware.rdna1-rocm-fix.{option}")));
    }
}

/// Values at which the kinds of variables differ.
const VALUES: [&str; 22] = [
    "",
    "0",
    "1",
    "2",
    "3",
    "5",
    "7",
    "8",
    "007",
    "010",
    "00",
    "-1",
    "+1",
    "1 ",
    "1024",
    "99999999999999999999",
    "on",
    "ENABLED",
    "nope",
    "/x",
    "~/x",
    "10.3.0",
];

#[test]
fn module_and_program_refuse_the_same() {
    if !nix() {
        return;
    }
    let policy = policy();
    let mut names: Vec<&str> = policy.variables.iter().map(|variable| variable.name.as_str()).collect();
    names.extend(["MIOPEN_UNLISTED", "HSA_OVERRIDE_GFX_VERSION_7", "HSA_OVERRIDE_GFX_VERSION_x", "PATH", "lower"]);
    let finds: Vec<&str> =
        policy.variables.iter().flat_map(|v| v.hazard.iter().flat_map(|h| &h.values)).map(|v| &v[..]).collect();
    let values: BTreeSet<&str> = VALUES.into_iter().chain(finds).collect();
    for nixpkgs in nixpkgs() {
        // All variables at once: each has its own message.
        let configurations: Vec<String> = values
            .iter()
            .map(|value| {
                let variables: String = names.iter().map(|name| format!("{name} = {}; ", quoted(value))).collect();
                format!("({}).refused", configured_code(nixpkgs, &enabled(&format!("variables = {{ {variables} }};"))))
            })
            .collect();
        let answers = evaluate(&format!("[ {} ]", configurations.join(" "))).expect("it evaluates");
        let mut accepted = 0;
        for (value, answer) in values.iter().zip(answers.as_array().expect("a list")) {
            let refused = texts(answer);
            for name in &names {
                let by_module = refused.iter().any(|text| text.contains(&format!(" `{name}`")));
                let yaml = format!("variables: {}\n", json!({ *name: value }));
                let by_program = ConfigFile::parse("config.yaml", &yaml, &policy).err();
                assert_eq!(by_module, by_program.is_some(), "{name}={value:?}: {by_program:?}");
                accepted += usize::from(!by_module);
            }
        }
        assert!(accepted > 300, "only {accepted} were accepted");
        // Suppressed may be what the policy describes.
        let list: Vec<String> = names.iter().map(|name| quoted(name)).collect();
        let nixos =
            configured(nixpkgs, &enabled(&format!("suppress = [ {} ];", list.join(" ")))).expect("it evaluates");
        let refused = texts(&nixos["refused"]);
        for name in &names {
            let by_program = ConfigFile::parse("config.yaml", &format!("suppress: [{name}]\n"), &policy).is_err();
            assert_eq!(refused.iter().any(|text| text.contains(&format!(" `{name}`"))), by_program, "{name}");
        }
    }
    assert!(policy.variables.iter().any(|variable| variable.emit == Emit::Never), "nothing tests `never`");
}
