// SPDX-License-Identifier: MIT OR Apache-2.0
//! The policy that ships: that it holds what the design promises, and that a
//! broken one is refused with file, line, key and what is allowed.

use proptest::prelude::*;
use rdna1_core::config::ConfigFile;
use rdna1_core::gfx::GfxChoice;
use rdna1_core::policy::{Emit, Engine, Evidence, GfxCondition, Policy, Profile, Scope};
use serde_json::Value;

const FILE: &str = "rdna1.yaml";

fn text() -> &'static str {
    Policy::embedded_yaml()
}

fn policy() -> Policy {
    Policy::from_yaml(FILE, text()).unwrap_or_else(|error| panic!("the shipped policy is refused:\n{error}"))
}

fn profile(id: &str) -> Profile {
    policy().profile(id).cloned().unwrap_or_else(|| panic!("profile {id} is missing"))
}

fn value_of<'a>(profile: &'a Profile, name: &str) -> Option<&'a str> {
    profile.set.iter().find(|setting| setting.name.as_str() == name).map(|setting| setting.value.as_str())
}

fn choice(text: &str) -> GfxChoice {
    text.parse().expect("a gfx choice")
}

// What ships ----------------------------------------------------------------

#[test]
fn the_embedded_policy_is_the_yaml() {
    let json = |policy: &Policy| -> Value { serde_json::to_value(policy).expect("a policy is representable as JSON") };
    let embedded = Policy::embedded().expect("the embedded policy parses");
    assert_eq!(json(&embedded), json(&policy()));
}

#[test]
fn exactly_the_known_ids_are_cards() {
    let ids: Vec<String> = policy().cards.iter().map(|card| format!("{} {}", card.device, card.gfx)).collect();
    let expected = "
        0x7310 gfx1010, 0x7312 gfx1010, 0x7318 gfx1010, 0x7319 gfx1010, 0x731a gfx1010, 0x731b gfx1010,
        0x731e gfx1010, 0x731f gfx1010,
        0x7360 gfx1011, 0x7362 gfx1011,
        0x7340 gfx1012, 0x7341 gfx1012, 0x7347 gfx1012, 0x734f gfx1012,
        0x13db gfx1013, 0x13f9 gfx1013, 0x13fa gfx1013, 0x13fb gfx1013, 0x13fc gfx1013, 0x13fe gfx1013,
        0x143f gfx1013";
    let expected: Vec<&str> = expected.split(',').map(str::trim).collect();
    assert_eq!(ids, expected);
}

#[test]
fn names_follow_the_revision() {
    let policy = policy();
    for (id, revision, name) in [
        ("0x731f", Some("0xca"), "Radeon RX 5600 XT"),
        ("0x731f", Some("0xc1"), "Radeon RX 5700 XT"),
        ("0x731f", Some("0xff"), "Radeon RX 5600/5700 series"),
        ("0x731f", None, "Radeon RX 5600/5700 series"),
        ("0x7340", Some("0xc7"), "Radeon RX 5500"),
        ("0x7360", Some("0x41"), "Radeon Pro 5600M"),
        ("0x13fe", None, "BC-250"),
    ] {
        let card = policy.card(id.parse().expect(id)).expect(id);
        assert_eq!(card.name_for(revision.map(|r| r.parse().expect(r))), name, "{id} {revision:?}");
    }
}

#[test]
fn neighbours_are_no_cards() {
    let policy = policy();
    // Fiji, the cards' own USB, Arcturus, Navi 21, 22, 23 and 24.
    for id in ["0x7300", "0x7314", "0x7388", "0x73a0", "0x73bf", "0x73df", "0x73e4", "0x73ff", "0x743f", "0x0000"] {
        assert!(policy.card(id.parse().expect(id)).is_none(), "{id}");
    }
}

#[test]
fn gfx1010_is_what_the_chips_have_in_common() {
    let policy = policy();
    let common = "gfx1010".parse().expect("a target");
    for fact in &policy.gfx_targets {
        assert_eq!(fact.runs_code_of.contains(&common), fact.target != common, "{}", fact.target);
    }
    let dot: Vec<String> =
        policy.gfx_targets.iter().filter(|f| f.dot_instructions).map(|f| f.target.to_string()).collect();
    assert_eq!(dot, ["gfx1011", "gfx1012"]);
}

// Invariants of the design --------------------------------------------------

#[test]
fn gemm_is_the_default_and_sets_what_was_asked_for() {
    let policy = policy();
    let gemm = policy.default_profile();
    assert_eq!((gemm.id.as_str(), gemm.scope), ("gemm", Scope::System));
    let set: Vec<String> = gemm.set.iter().map(|s| format!("{}={}", s.name, s.value)).collect();
    assert_eq!(
        set,
        [
            "MIOPEN_DEBUG_CONV_GEMM=1",
            "MIOPEN_DEBUG_CONV_DIRECT=0",
            "MIOPEN_DEBUG_CONV_WINOGRAD=0",
            "MIOPEN_DEBUG_CONV_FFT=0",
            "MIOPEN_DEBUG_CONV_IMPLICIT_GEMM=0",
            "MIOPEN_FIND_MODE=2",
            "MIOPEN_USER_DB_PATH=~/.cache/rdna1-rocm-fix/miopen/gemm",
            "HIP_FORCE_COARSE_GRAIN=1",
        ]
    );
}

#[test]
fn gemm_naive_leaves_direct_on_and_names_every_other_direct_kernel() {
    let policy = policy();
    let profile = profile("gemm-naive");
    assert_eq!(value_of(&profile, "MIOPEN_DEBUG_CONV_DIRECT"), None);
    assert_eq!(value_of(&profile, "MIOPEN_FIND_MODE"), Some("2"));
    let mut switches = 0;
    for variable in &policy.variables {
        let Some(kernel) = variable.name.as_str().strip_prefix("MIOPEN_DEBUG_CONV_DIRECT_") else { continue };
        let expected = (!kernel.starts_with("NAIVE_")).then_some("0");
        assert_eq!(value_of(&profile, variable.name.as_str()), expected, "{}", variable.name);
        switches += 1;
    }
    // Seven OpenCL, seven assembly, five HIP, three naive.
    assert_eq!(switches, 22);
}

#[test]
fn implicit_gemm_exists_under_the_override_only() {
    let profile = profile("implicit-gemm");
    assert_eq!(profile.gfx_choices, [choice("10.3.0")]);
    for (name, value) in [("GEMM", "0"), ("IMPLICIT_GEMM", "1"), ("DIRECT", "0"), ("WINOGRAD", "0"), ("FFT", "0")] {
        assert_eq!(value_of(&profile, &format!("MIOPEN_DEBUG_CONV_{name}")), Some(value), "{name}");
    }
    assert_eq!(value_of(&profile, "MIOPEN_FIND_MODE"), Some("1"));
}

#[test]
fn bypass_is_for_single_processes_and_stock_sets_nothing() {
    let bypass = profile("bypass");
    assert_eq!((bypass.scope, bypass.engine, bypass.set.len()), (Scope::Process, Engine::PythonHook, 0));
    let stock = profile("stock");
    assert_eq!((stock.scope, stock.engine, stock.set.len()), (Scope::System, Engine::Miopen, 0));
    let process: Vec<String> =
        policy().profiles.iter().filter(|p| p.scope == Scope::Process).map(|p| p.id.clone()).collect();
    assert_eq!(process, ["bypass"]);
}

#[test]
fn profiles_set_nothing_that_does_harm() {
    let policy = policy();
    for profile in &policy.profiles {
        for setting in &profile.set {
            let place = format!("{}: {}", profile.id, setting.name);
            assert_ne!(setting.name.as_str(), "MIOPEN_FIND_ENFORCE", "{place}");
            assert!(!setting.value.trim().is_empty(), "{place} is empty");
            assert!(!setting.name.as_str().starts_with("HSA_OVERRIDE"), "{place} is the gfx choice's");
            let variable = policy.variable(setting.name.as_str()).unwrap_or_else(|| panic!("{place} is undescribed"));
            // Whoever sets a variable that nobody reads says so.
            let says_so = variable.effect.starts_with("Nothing");
            assert_eq!(variable.is_inert(), says_so, "{place}");
        }
    }
    for name in ["MIOPEN_FIND_ENFORCE", "MIOPEN_DEVICE_ARCH", "MIOPEN_CONVOLUTION_MAX_WORKSPACE", "PYTORCH_ROCM_ARCH"] {
        assert_eq!(policy.variable(name).map(|v| v.emit), Some(Emit::Never), "{name}");
    }
}

#[test]
fn profiles_do_not_share_records() {
    let mut paths = Vec::new();
    for profile in policy().profiles.iter().filter(|p| !p.set.is_empty()) {
        let path = value_of(profile, "MIOPEN_USER_DB_PATH").map(str::to_owned);
        assert_eq!(path, Some(format!("~/.cache/rdna1-rocm-fix/miopen/{}", profile.id)));
        // MIOpen replaces every ~ and not only the first.
        assert_eq!(path.iter().flat_map(|p| p.matches('~')).count(), 1);
        paths.push(path);
    }
    assert_eq!(paths.len(), 3);
}

#[test]
fn the_rules_stand_in_the_order_of_the_design() {
    let gfx = policy().gfx;
    let rules: Vec<_> = gfx.rules.iter().map(|rule| (rule.when, rule.choose, rule.verified)).collect();
    assert_eq!(
        rules,
        [
            (GfxCondition::Recorded, None, true),
            (GfxCondition::PytorchHasCard, Some(choice("native")), true),
            (GfxCondition::PytorchHasCompatible, Some(choice("10.1.0")), true),
            (GfxCondition::PytorchLacksFallback, Some(choice("native")), false),
            (GfxCondition::Otherwise, Some(choice("10.3.0")), false),
        ]
    );
    let choices: Vec<_> = gfx.choices.iter().map(|fact| (fact.id.to_string(), fact.code_fits_card)).collect();
    assert_eq!(choices, [("native".into(), true), ("10.1.0".into(), true), ("10.3.0".into(), false)]);
}

/// What was found in files is no behaviour of a card, and what users say is not what
/// happens to everybody (facts: isa.md section 2 and 3, rdna1.md section 2.2).
#[test]
fn what_was_not_observed_is_not_said_to_happen() {
    let policy = policy();
    let advisory = |id: &str| policy.advisories.iter().find(|advisory| advisory.id == id).expect("it is there");
    let half = advisory("foreign-code-half");
    assert!(half.happens.contains("What the card does at one was not determined"), "{}", half.happens);
    // Not all of half precision, and not any rocBLAS.
    assert!(half.title.contains("Some half precision") && half.title.contains("may"), "{}", half.title);
    assert!(half.happens.contains("rocBLAS 6.4.4") && half.happens.contains("fp16 with fp16 sums"), "{}", half.happens);
    let native = advisory("override-on-native-stack");
    assert!(native.happens.contains("must not be set") && !native.happens.contains("fail"), "{}", native.happens);
    assert!(native.sources.contains(&"therock-7609".to_owned()), "{:?}", native.sources);
}

#[test]
fn an_advisory_on_a_mere_claim_is_not_called_an_error() {
    let policy = policy();
    for advisory in &policy.advisories {
        let weak = |key: &String| {
            let evidence = policy.sources[key].evidence;
            matches!(evidence, Evidence::Claim | Evidence::Inference)
        };
        let only_claims = advisory.sources.iter().all(weak);
        let is_error = advisory.severity == rdna1_core::policy::Severity::Error;
        // Two parties found gfx1013 wrong by measuring; silence would be worse.
        assert!(!(only_claims && is_error) || advisory.id == "gfx1013-wrong-results", "{}", advisory.id);
    }
}

// Broken policies -----------------------------------------------------------

/// A mistake: what is replaced by what, a text that marks the line that the
/// message must name, and what the message must say.
struct Mistake {
    from: &'static str,
    to: &'static str,
    line: &'static str,
    says: &'static [&'static str],
}

const MISTAKES: &[Mistake] = &[
    Mistake {
        from: "    in_libhsakmt_table: true\n",
        to: "    in_libhsakmt_tabel: true\n",
        line: "in_libhsakmt_tabel",
        says: &["unknown field `in_libhsakmt_tabel`", "in_libhsakmt_table`", "cards[0]"],
    },
    Mistake {
        from: "  base_class: 3\n",
        to: "  base_class: display\n",
        line: "base_class: display",
        says: &["pci.base_class", "invalid type: string \"display\", expected u8"],
    },
    Mistake {
        from: "      kind: miopen-bool\n",
        to: "      kind: boolean\n",
        line: "kind: boolean",
        says: &["unknown variant `boolean`", "miopen-bool", "gfx-version"],
    },
    Mistake {
        from: "      kind: miopen-bool\n",
        to: "      kind: miopen-bool\n      min: 0\n",
        line: "- name: MIOPEN_DEBUG_CONV_GEMM",
        says: &["variables[0]: unknown field `min`"],
    },
    Mistake {
        from: "    sources: [kernel-ids, thunk-table, pci-ids]\n",
        to: "    sources: []\n",
        line: "    sources: []",
        says: &["cards[0].sources", "at least one source"],
    },
    Mistake {
        from: "    sources: [kernel-ids, thunk-table, pci-ids]\n",
        to: "    sources: [kernel-ids, hearsay]\n",
        line: "hearsay",
        says: &["cards[0].sources[1]", "there is no source `hearsay`", "allowed are", "thunk-table"],
    },
    Mistake {
        from: "  - device: \"0x7312\"\n",
        to: "  - device: \"0x7310\"\n",
        line: "second: - device: \"0x7310\"",
        says: &["cards[1].device", "`0x7310` is listed twice"],
    },
    Mistake {
        from: "  - device: \"0x7312\"\n",
        to: "  - device: 0x7312\n",
        line: "  - device: 0x7312",
        says: &["cards[1].device", "invalid type: integer", "expected a text; put it in quotes"],
    },
    Mistake {
        from: "    since_rocm: \"6.3\"\n",
        to: "    since_rocm: 6.10\n",
        line: "since_rocm",
        says: &["gfx.per_node.since_rocm", "invalid type: floating point", "put it in quotes"],
    },
    Mistake {
        from: "  - device: \"0x7312\"\n",
        to: "  - device: \"7312\"\n",
        line: "  - device: \"7312\"",
        says: &["cards[1].device", "`7312` is not a PCI id: 0x and four hexadecimal digits, in quotes"],
    },
    Mistake {
        from: "      state: [no-driver]\n",
        to: "      profile: [gem]\n",
        line: "profile: [gem]",
        says: &["advisories[0].when.profile[0]", "there is no profile `gem`", "gemm, gemm-naive"],
    },
    Mistake {
        from: "    emit: extra\n",
        to: "    emit: never\n",
        line: "emit: never",
        says: &["].emit", "`never` needs a `caution`"],
    },
    Mistake {
        from: "        value: \"1\"\n",
        to: "        value: \"\"\n",
        line: "        value: \"\"",
        says: &["profiles[0].set[0].value", "value \"\" is not allowed", "0 or 1"],
    },
    Mistake {
        from: "        value: \"0\"\n",
        to: "        value: \"none\"\n",
        line: "value: \"none\"",
        says: &["profiles[0].set[1].value", "value \"none\" is not allowed", "0 or 1"],
    },
    Mistake {
        from: "      - name: MIOPEN_DEBUG_CONV_DIRECT\n",
        to: "      - name: MIOPEN_FIND_ENFORCE\n",
        line: "      - name: MIOPEN_FIND_ENFORCE",
        says: &["profiles[0].set[1].name", "`MIOPEN_FIND_ENFORCE` is not `emit: profile`"],
    },
    Mistake {
        from: "      when: otherwise\n",
        to: "      when: pytorch-has-card\n",
        line: "  rules:",
        says: &["gfx.rules", "the last rule must be `when: otherwise`"],
    },
    Mistake {
        from: "      when: pytorch-has-card\n",
        to: "      when: otherwise\n",
        line: "      when: otherwise",
        says: &["gfx.rules[1].when", "no rule after it would ever apply"],
    },
    Mistake {
        from: "    default: true\n",
        to: "",
        line: "profiles:",
        says: &["profiles", "exactly one profile must have `default: true`"],
    },
    Mistake { from: "version: 1\n", to: "version: 2\n", line: "version: 2", says: &["version 2 is not known"] },
    Mistake {
        from: "version: 1\n",
        to: "version: 1\nversion: 1\n",
        line: "version: 1",
        says: &["duplicate field `version`"],
    },
    Mistake { from: "cards:\n", to: "card:\n", line: "card:", says: &["unknown field `card`", "`cards`"] },
];

/// The number of the line that `marker` is on; of the second such line if the marker asks for it.
fn line(text: &str, marker: &str) -> usize {
    let (nth, marker) = marker.strip_prefix("second: ").map_or((0, marker), |marker| (1, marker));
    let mut hits =
        text.lines().enumerate().filter(|(_, line)| line.contains(marker) && !line.trim_start().starts_with('#'));
    hits.nth(nth).unwrap_or_else(|| panic!("no line has {marker:?}")).0 + 1
}

/// The message with which a policy is refused.
fn refused(name: &str, text: &str) -> String {
    // Without the accepted policy, which is long.
    Policy::from_yaml(FILE, text).map(|_| ()).expect_err(name).to_string()
}

#[test]
fn each_mistake_is_named_with_its_line() {
    for mistake in MISTAKES {
        assert!(text().contains(mistake.from), "the policy has changed: no {:?}", mistake.from);
        let broken = text().replacen(mistake.from, mistake.to, 1);
        let error = refused(mistake.to, &broken);
        let place = format!("{FILE}:{}:", line(&broken, mistake.line));
        let right = error.lines().any(|line| line.starts_with(&place) && mistake.says.iter().all(|s| line.contains(s)));
        assert!(right, "{:?}:\nexpected {place} … {:?}\n     got {error}", mistake.to, mistake.says);
    }
}

#[test]
fn all_findings_are_told_at_once() {
    let broken = text().replacen("version: 1\n", "version: 3\n", 1).replacen("    default: true\n", "", 1);
    let error = Policy::from_yaml(FILE, &broken).expect_err("two mistakes");
    assert_eq!(error.0.len(), 2, "{error}");
}

#[test]
fn what_is_no_policy_is_refused_briefly() {
    let aliases: String =
        (1..12).map(|i| format!("      a{i}: &a{i} [{}]\n", vec![format!("*a{}", i - 1); 9].join(", "))).collect();
    let bomb =
        text().replacen("      kind: miopen-bool\n", &format!("      a0: &a0 [x]\n{aliases}      kind: text\n"), 1);
    let cycle = text().replacen("  sources: [kernel-ids, pci-ids]\n", "  sources: &x [*x]\n", 1);
    let long = text().replacen("  base_class: 3\n", &format!("  base_class: {}\n", "9".repeat(10_000)), 1);
    for (name, text) in [
        ("empty", String::new()),
        ("only comments", "# nothing\n".into()),
        ("a list", "- 1\n".into()),
        ("a word", "policy".into()),
        ("two documents", format!("{}\n---\n{}", text(), text())),
        ("deep flow", "[".repeat(100_000)),
        ("deep block", (0..3000).map(|i| format!("{}a:\n", " ".repeat(i))).collect()),
        ("deep in a value", text().replacen("version: 1", &format!("version: {}", "[".repeat(20_000)), 1)),
        ("alias bomb", bomb),
        ("alias cycle", cycle),
        ("a huge number", long),
        ("a tab", text().replacen("  base_class", "\tbase_class", 1)),
        ("binary", "\u{0}\u{1}\u{7f}ELF\u{fffd}\u{feff}".repeat(100)),
        ("cut off", text()[..text().len() / 2].to_owned()),
    ] {
        let error = refused(name, &text);
        assert!(error.starts_with(FILE), "{name}: {error}");
        assert!(error.len() < 20_000, "{name}: a message of {} bytes", error.len());
    }
}

/// Texts that look enough like YAML to come past the first character.
fn yamlish() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("version: 1\n".to_owned()),
        Just("variables:\n".to_owned()),
        Just("  ".to_owned()),
        Just("- ".to_owned()),
        Just("&a ".to_owned()),
        Just("*a ".to_owned()),
        Just("!!binary ".to_owned()),
        Just("? ".to_owned()),
        Just("|\n".to_owned()),
        Just("---\n".to_owned()),
        Just("profile: gemm\n".to_owned()),
        Just("gfx: ".to_owned()),
        "[a-z_]{1,8}: ",
        "[\\[\\]{}:,\"'#\n ]{1,6}",
        "\\PC{0,12}",
    ];
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn no_text_panics(text in prop_oneof![any::<String>(), yamlish()]) {
        let policy = Policy::embedded().expect("the embedded policy parses");
        let _ = Policy::from_yaml(FILE, &text);
        let _ = ConfigFile::parse("config.yaml", &text, &policy);
    }

    #[test]
    fn no_damage_to_the_policy_panics(at in any::<prop::sample::Index>(), len in 0_usize..60, with in "\\PC{0,6}") {
        let text = text();
        let from = text.floor_char_boundary(at.index(text.len()));
        let to = text.floor_char_boundary((from + len).min(text.len())).max(from);
        let _ = Policy::from_yaml(FILE, &format!("{}{with}{}", &text[..from], &text[to..]));
    }
}
