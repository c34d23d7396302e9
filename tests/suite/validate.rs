// SPDX-License-Identifier: MIT OR Apache-2.0
//! `rdna1-validate` as a user calls it.

mod faults;
mod misbehaving;
mod reports;
mod torch;

use std::process::Output;

use assert_fs::TempDir;
use assert_fs::prelude::*;
use rdna1_tests::program::program;

fn plan(arguments: &[&str]) -> Output {
    program("rdna1-validate").arg("plan").args(arguments).output().expect("the program runs")
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn a_model_is_served_by_gemm_and_benchmark_shows_what_is_not() {
    let served = plan(&["resnet50", "--gfx-target", "gfx1012", "--vram", "4GiB"]);
    assert_eq!(served.status.code(), Some(0), "{}", text(&served));
    assert!(text(&served).contains("GEMM") && !text(&served).contains("refused"), "{}", text(&served));
    let dilated = "MIOpen(HIP): Command [LogCmdFindConvolution] ./bin/MIOpenDriver conv -n 1 -c 64 -H 56 -W 56 -k 64 \
                   -y 3 -x 3 -p 2 -q 2 -u 1 -v 1 -l 2 -j 2 -m conv -g 1 -F 1 -t 1\n";
    let dir = TempDir::new().expect("there is a temporary directory");
    let log = dir.child("log.txt");
    log.write_str(dilated).expect("it is ours");
    let file = log.path().display().to_string();
    assert_eq!(plan(&["--commands", &file]).status.code(), Some(0));
    let refused = plan(&["--commands", &file, "--benchmark"]);
    assert_eq!(refused.status.code(), Some(1), "{}", text(&refused));
    assert!(text(&refused).contains("gemm-naive"), "no remedy: {}", text(&refused));
    assert_eq!(plan(&["--commands", &file, "--benchmark", "--profile", "gemm-naive"]).status.code(), Some(0));
}

#[test]
fn a_list_of_convolutions_is_planned() {
    let dir = TempDir::new().expect("there is a temporary directory");
    let list = dir.child("list.yaml");
    list.write_str(
        "- {id: plain, channels: 64, filters: 64, input: [56, 56], kernel: 3, padding: same}\n\
         - {channels: 64, filters: 64, input: [56, 56], kernel: 3, padding: same, layout: channels-last}\n",
    )
    .expect("it is ours");
    let file = list.path().display().to_string();
    let output = plan(&["--list", &file]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    for part in ["plain", "refused", "served by gemm-naive"] {
        assert!(text(&output).contains(part), "{part}: {}", text(&output));
    }
    assert_eq!(plan(&["--list", &file, "--profile", "gemm-naive"]).status.code(), Some(0));
    list.write_str("- {channels: 64, filters: 64, input: [56, 56], kernal: 3}\n").expect("it is ours");
    let output = plan(&["--list", &file]);
    assert_eq!(output.status.code(), Some(3));
    assert!(text(&output).contains("list.yaml") && text(&output).contains("kernal"), "{}", text(&output));
}

#[test]
fn a_model_in_half_precision_and_channels_last_for_inference() {
    let steps = |arguments: &[&str]| {
        let output = plan(&[&["resnet18", "--json"], arguments].concat());
        serde_json::from_slice::<serde_json::Value>(&output.stdout).expect("it is JSON")["summary"].clone()
    };
    let all = steps(&[]);
    let inference = steps(&["--inference"]);
    assert_eq!(all["steps"].as_u64(), inference["steps"].as_u64().map(|steps| 3 * steps));
    let half = steps(&["--data-type", "f16"]);
    assert!(half["largest_workspace"].as_u64() < all["largest_workspace"].as_u64(), "{half}");
    assert!(steps(&["--channels-last"])["by_verdict"]["refused"].as_u64() > Some(0));
}

#[test]
fn the_json_document_says_the_same() {
    let output = plan(&["resnet18", "--json"]);
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).expect("it is JSON");
    assert_eq!(document["version"], 1);
    assert!(text(&output).contains("\"profile\": \"gemm\""), "{}", text(&output));
}

#[test]
fn wrong_calls_say_what_is_allowed() {
    for (arguments, status, says) in [
        (&["resnet19"][..], 2, "resnet18"),
        (&["--vram", "much"], 2, "6GiB"),
        (&["--gfx-target", "navi10"], 2, "gfx1010"),
        (&["--profile", "gem"], 3, "gemm"),
        (&["--commands", "/no/such/file"], 3, "cannot read"),
        (&["--miopen", "/no/such/dir"], 3, "/no/such/dir"),
    ] {
        let output = plan(arguments);
        assert_eq!(output.status.code(), Some(status), "{arguments:?}: {}", text(&output));
        assert!(text(&output).contains(says), "{arguments:?}: {}", text(&output));
    }
}
