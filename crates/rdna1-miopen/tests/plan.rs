// SPDX-License-Identifier: MIT OR Apache-2.0
//! Plans from the rules alone.

use rdna1_core::policy::Policy;
use rdna1_miopen::plan::{self, Options, Report, Subject, Verdict};
use rdna1_miopen::{Direction, Layout, models};

fn policy() -> Policy {
    Policy::embedded().expect("it is tested in its own crate")
}

fn models(names: &[&str]) -> Subject {
    Subject::Models(names.iter().map(|name| (*name).to_owned()).collect())
}

fn options(subject: Subject) -> Options {
    Options::new(subject, "gfx1010".parse().expect("a target"))
}

fn plan(options: &Options) -> Report {
    plan::run(&policy(), options).expect("a plan")
}

#[test]
fn every_model_is_served_by_gemm() {
    for name in models::NAMES {
        for profile in ["gemm", "gemm-naive"] {
            let report = plan(&Options { profile: Some(profile.into()), batch: 16, ..options(models(&[name])) });
            assert!(report.all_served(), "{}", report.to_text());
            assert_eq!(report.summary.by_verdict.keys().collect::<Vec<_>>(), [&Verdict::Gemm], "{name}");
            let layers = models::model(name).expect("it is there").layers.len() as u64;
            assert_eq!(report.summary.steps, 3 * layers);
        }
    }
}

#[test]
fn what_fails_says_why_and_what_helps() {
    let vae = "MIOpenDriver conv -n 1 -c 256 -H 1024 -W 1024 -k 256 -y 3 -x 3 -p 1 -q 1 -F 1";
    let dilated = "MIOpenDriver conv -n 1 -c 64 -H 33 -W 33 -k 64 -y 3 -x 3 -p 2 -q 2 -l 2 -j 2 -F 1";
    let last = "MIOpenDriver conv -n 1 -c 64 -H 33 -W 33 -k 64 -y 3 -x 3 --in_layout NHWC -F 1";
    let step = |text: &str, benchmark: bool, profile: &str| {
        let subject = Subject::Commands { file: "log".into(), text: text.into() };
        let report = plan(&Options { profile: Some(profile.into()), benchmark, ..options(subject) });
        assert_eq!(report.entries.len(), 1);
        report.entries[0].steps[0].clone()
    };
    let refused = step(vae, false, "gemm");
    assert_eq!((refused.verdict, refused.served_by.as_deref()), (Verdict::Refused, Some("gemm-naive")));
    assert!(refused.why.as_ref().is_some_and(|why| why.contains("9.00 GiB")), "{refused:?}");
    assert_eq!(step(vae, false, "gemm-naive").verdict, Verdict::Naive);

    assert_eq!(step(dilated, false, "gemm").verdict, Verdict::Gemm);
    let refused = step(dilated, true, "gemm");
    assert_eq!((refused.verdict, refused.served_by.as_deref()), (Verdict::Refused, Some("gemm-naive")));
    assert_eq!(step(dilated, true, "gemm-naive").verdict, Verdict::Naive);
    assert_eq!(step(dilated, false, "bypass").verdict, Verdict::Pytorch);

    assert_eq!(step(last, false, "gemm").verdict, Verdict::Refused);
    assert_eq!(step(last, false, "gemm-naive").verdict, Verdict::Naive);
    assert_eq!(step(last, false, "implicit-gemm").verdict, Verdict::Refused);
    assert_eq!(step(dilated, false, "stock").verdict, Verdict::Tried);
}

#[test]
fn memory_counts() {
    let small = Options { vram: Some(1 << 30), batch: 256, ..options(models(&["vgg16"])) };
    let report = plan(&small);
    assert!(!report.all_served());
    assert!(report.summary.by_verdict.contains_key(&Verdict::OutOfMemory));
    let half = Options { directions: vec![Direction::Forward], ..options(models(&["vgg16"])) };
    assert_eq!(plan(&half).summary.steps, 13);
}

#[test]
fn both_forms_of_the_report() {
    let report = plan(&Options { layout: Layout::ChannelsLast, ..options(models(&["resnet18", "vgg16"])) });
    let text = report.to_text();
    assert!(text.contains("refused: GEMM takes the ordinary layout only (served by gemm-naive)"), "{text}");
    let json: serde_json::Value = serde_json::from_str(&report.to_json()).expect("JSON");
    assert_eq!(json["version"], 1);
    assert_eq!(json["summary"]["by_verdict"]["refused"], json["summary"]["steps"]);
    assert_eq!(json["entries"][0]["convolution"]["data_type"], "f32");
}

#[test]
fn wrong_questions() {
    let wrong = |options: &Options| plan::run(&policy(), options).expect_err("wrong").to_string();
    assert!(wrong(&options(models(&["resnet19"]))).contains("resnet18"));
    assert!(wrong(&Options { profile: Some("fast".into()), ..options(Subject::Suite) }).contains("gemm-naive"));
    let empty = Subject::Commands { file: "log".into(), text: "nothing".into() };
    assert!(wrong(&options(empty)).starts_with("log: "));
    let nowhere = Options { miopen: Some("/nonexistent".into()), ..options(Subject::Suite) };
    assert!(wrong(&nowhere).contains("cannot find /nonexistent"));
    let empty = assert_fs::TempDir::new().expect("a temporary directory");
    let nothing = Options { miopen: Some(empty.path().into()), ..options(Subject::Suite) };
    assert!(wrong(&nothing).contains("there is no libMIOpen"));
}

/// A model's plan from the rules takes well under the 100 ms that are promised,
/// even without optimisation.
#[test]
fn plans_are_quick() {
    let start = std::time::Instant::now();
    let report = plan(&options(models(&models::NAMES)));
    assert!(report.entries.len() > 100);
    assert!(start.elapsed().as_millis() < 1000, "{:?} for six models, unoptimised", start.elapsed());
}
