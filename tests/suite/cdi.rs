// SPDX-License-Identifier: MIT OR Apache-2.0
//! The CDI specification, given to the real podman.

use assert_fs::TempDir;
use assert_fs::prelude::*;
use rdna1_tests::engine;
use rdna1_tests::program::{case, copy_case, program};

use crate::installed::{both, expected, must, rocm};

fn specification(case_name: &str, arguments: &[&str]) -> std::process::Output {
    program("rdna1-rocm-fix").arg("--root").arg(case(case_name)).arg("cdi").args(arguments).output().expect("it runs")
}

/// What a container sees with these devices: the environment and the nodes.
fn inside(specification: &str, devices: &[&str]) -> Result<(Vec<String>, Vec<String>), String> {
    let dir = TempDir::new().expect("there is room for a directory");
    dir.child("cdi.json").write_str(specification).expect("it is writable");
    let output = engine::podman(dir.path(), devices);
    if !output.status.success() {
        return Err(both(&output));
    }
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    Ok((rocm(&text), text.lines().filter(|line| line.starts_with("/dev/")).map(str::to_owned).collect()))
}

#[test]
fn podman_gives_a_container_the_cards_that_it_asks_for_and_their_environment() {
    if !engine::available() {
        return;
    }
    let text = must(Ok(specification("08-two-equal-cards", &[])));
    for (device, nodes) in [
        ("all", vec!["/dev/dri/renderD128", "/dev/dri/renderD129", "/dev/kfd"]),
        ("0", vec!["/dev/dri/renderD128", "/dev/kfd"]),
        ("1", vec!["/dev/dri/renderD129", "/dev/kfd"]),
    ] {
        let (environment, mut seen) =
            inside(&text, &["--device", &format!("rdna1-rocm-fix/gpu={device}")]).expect(device);
        seen.sort();
        assert_eq!(seen, nodes, "{device}");
        assert_eq!(environment, expected(), "{device}");
    }
    let (environment, nodes) = inside(&text, &[]).expect("a container that asks for nothing");
    assert_eq!((environment, nodes), (vec![], vec![]), "it got something all the same");
    let error = inside(&text, &["--device", "rdna1-rocm-fix/gpu=2"]).expect_err("there is no third card");
    assert!(error.contains("rdna1-rocm-fix/gpu=2"), "{error}");
}

/// ROCm numbers only the nodes that a container has, so an override for a node
/// of the machine would miss the card there.
#[test]
fn beside_another_gpu_a_container_has_the_card_alone() {
    let listing = must(
        program("rdna1-rocm-fix")
            .arg("--root")
            .arg(case("15-rdna2-with-kfd"))
            .args(["env", "--format", "json"])
            .output(),
    );
    assert!(listing.contains("HSA_OVERRIDE_GFX_VERSION_"), "the case has an override for a node: {listing}");
    let text = must(Ok(specification("15-rdna2-with-kfd", &[])));
    let json: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(json["devices"].as_array().map(Vec::len), Some(2), "one card, and all: {text}");
    assert!(text.contains("\"HSA_OVERRIDE_GFX_VERSION=10.3.0\""), "{text}");
    let native = must(Ok(specification("15-rdna2-with-kfd", &["--gfx", "native", "--profile", "stock"])));
    assert!(!native.contains("HSA_") && native.contains("\"env\": []"), "{native}");
}

#[test]
fn without_a_card_that_can_be_given_there_is_no_specification() {
    for (name, why) in [
        ("23-only-navi21", "no RDNA1 card"),
        ("20-vfio-only", "no RDNA1 card"),
        ("34-disabled", "switched off in"),
        ("01-rx5600xt-early-boot", "no device node yet"),
    ] {
        let output = specification(name, &[]);
        assert_eq!(output.status.code(), Some(1), "{name}");
        assert!(output.stdout.is_empty(), "{name}: half a specification");
        assert!(String::from_utf8_lossy(&output.stderr).contains(why), "{name}: {}", both(&output));
    }
    let dir = TempDir::new().expect("there is room for a directory");
    copy_case("02-rx5600xt-ready", dir.path());
    dir.child("etc/rdna1-rocm-fix/config.yaml").write_str("profile: [").expect("it is writable");
    let broken = program("rdna1-rocm-fix").arg("--root").arg(dir.path()).arg("cdi").output().expect("it runs");
    assert!(!broken.status.success() && broken.stdout.is_empty(), "{}", both(&broken));
}
