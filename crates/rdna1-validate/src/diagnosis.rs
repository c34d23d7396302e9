// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which part of the stack is broken: the controls, from the bottom up.

use std::collections::{BTreeMap, BTreeSet};

use crate::report::{CaseResult, Diagnosis, Layer, Shown, Verdict};

/// How the cases of a layer came out.
#[derive(Debug, Clone, Copy, Default)]
struct Tally {
    passed: usize,
    broken: usize,
}

/// What computes convolution where a profile's hook keeps the library out of it.
const ENGINE: &str = "the engine rdna1_gemm, by which this profile computes";

/// What PyTorch computes with.
#[derive(Debug, Clone, Copy)]
pub struct Libraries {
    driver: &'static str,
    products: &'static str,
    convolution: &'static str,
}

impl Libraries {
    /// Those of a PyTorch that is built for ROCm, or for CUDA.
    pub fn of(rocm: bool) -> Self {
        if rocm {
            Self { driver: "HIP", products: "rocBLAS", convolution: "MIOpen" }
        } else {
            Self { driver: "CUDA", products: "cuBLAS", convolution: "cuDNN" }
        }
    }
}

/// What is concluded from.
#[derive(Debug, Clone, Copy)]
pub struct Findings<'a> {
    /// The cases.
    pub cases: &'a [CaseResult],
    /// `cuda` or `cpu`.
    pub device: &'a str,
    /// What PyTorch computes with on the device.
    pub libraries: Libraries,
    /// The profile in force.
    pub profile: Option<&'a str>,
    /// Whether a hook of the profile computes convolution instead of the library.
    pub bypass: bool,
    /// What the profile's obedience was seen by, if it rules solvers out.
    pub shown: Option<Shown>,
}

/// Concludes from the verdicts. A layer that is broken explains the failures of
/// those that rest on it; one that passes clears itself. What is no fault of a
/// layer (late, out of memory, another solver, refused by the profile's rules,
/// no reference) is told apart.
pub fn diagnose(findings: &Findings<'_>) -> Diagnosis {
    let Findings { cases, device, libraries, bypass, .. } = *findings;
    let Libraries { driver, products, convolution } = libraries;
    let mut layers: BTreeMap<Layer, Tally> = BTreeMap::new();
    for case in cases {
        let tally = layers.entry(case.layer).or_default();
        tally.passed += usize::from(case.verdict == Verdict::Pass);
        tally.broken += usize::from(case.verdict.is_broken());
    }
    let tally = |layer: Layer| layers.get(&layer).copied().unwrap_or_default();
    let broken = layers.iter().find(|(_, tally)| tally.broken > 0).map(|(layer, _)| *layer);
    let mut reasons: Vec<String> = layers
        .iter()
        .map(|(layer, tally)| format!("{}: {} passed, {} failed", layer.name(), tally.passed, tally.broken))
        .collect();
    let formats = broken.map(|layer| formats(cases, layer)).unwrap_or_default();
    let some = if formats.is_empty() { String::new() } else { format!(" in {}", words(&formats)) };
    let summary = match broken {
        None => return Diagnosis { broken, summary: unbroken(findings), reasons },
        Some(Layer::Hip) if !some.is_empty() => {
            format!("the driver, {driver} or PyTorch's device code is broken{some}; other arithmetic works")
        }
        Some(Layer::Hip) => {
            format!("the driver, {driver} or PyTorch's device code is broken: not even arithmetic works")
        }
        Some(Layer::Rocblas) if !some.is_empty() => {
            format!("{products} is broken{some}: arithmetic works, and so do its other matrix products")
        }
        Some(Layer::Rocblas) => format!("{products} is broken: plain arithmetic works, matrix products do not"),
        Some(Layer::Native | Layer::Convolution) if bypass && device != "cpu" => {
            format!("convolution is broken{some}: {ENGINE}, or {products} in some shapes")
        }
        Some(Layer::Native) => {
            format!(
                "convolution is broken{some} without {convolution} as well: PyTorch's own kernels, or {products} in some shapes"
            )
        }
        Some(Layer::MiopenBatchNorm) if tally(Layer::Convolution).broken == 0 => {
            "batch normalisation in training is broken; convolution is right".to_owned()
        }
        Some(Layer::MiopenBatchNorm | Layer::Convolution) if tally(Layer::Native).passed > 0 && device != "cpu" => {
            format!("{convolution} is broken{some}: plain convolutions are right without it")
        }
        Some(Layer::MiopenBatchNorm | Layer::Convolution) => "convolution is broken".to_owned(),
        Some(Layer::Model) => "single computations are right, whole models are not".to_owned(),
    };
    let lowest = broken.unwrap_or(Layer::Hip);
    if device != "cpu" {
        reasons.extend(kinds(cases, lowest));
        // What the lower layer does right explains nothing further up.
        let unexplained = |case: &&CaseResult| {
            case.layer == Layer::Convolution && case.verdict.is_broken() && !formats.contains(format_of(case))
        };
        let also = cases.iter().filter(unexplained).count();
        if lowest < Layer::MiopenBatchNorm && !formats.is_empty() && also > 0 {
            reasons.push(format!("that does not explain {also} failures of convolution in other formats"));
        }
        if !bypass
            && lowest >= Layer::MiopenBatchNorm
            && tally(Layer::Native).broken == 0
            && tally(Layer::Native).passed > 0
        {
            let helps = "rdna1-validate --profile bypass shows whether it helps";
            reasons.push(format!("profile bypass avoids {convolution}: {helps}"));
        }
    }
    reasons.extend(besides(findings));
    Diagnosis { broken, summary, reasons }
}

/// The summary where no layer is broken.
fn unbroken(findings: &Findings<'_>) -> String {
    let passed = count(findings.cases, Verdict::Pass);
    let besides = besides(findings);
    let failed = findings.cases.iter().any(|case| case.verdict.is_failure());
    let first = if passed == 0 && besides.is_empty() {
        return "nothing was computed".to_owned();
    } else if failed {
        "no wrong number was found, but not everything is well"
    } else if passed == 0 {
        "nothing was found out"
    } else if findings.device == "cpu" {
        "everything is right on the CPU; this says nothing about the card"
    } else {
        "everything that was computed is right"
    };
    let mut summary = first.to_owned();
    for (n, text) in besides.iter().enumerate() {
        summary += if n == 0 { ": " } else { "; " };
        summary += text;
    }
    summary
}

fn count(cases: &[CaseResult], verdict: Verdict) -> usize {
    cases.iter().filter(|case| case.verdict == verdict).count()
}

/// What speaks against no layer, and should be known all the same.
fn besides(findings: &Findings<'_>) -> Vec<String> {
    let under = findings.profile.map_or_else(String::new, |profile| format!(" under profile {profile}"));
    let mut lines = Vec::new();
    for (verdict, says) in [
        (Verdict::Solver, format!("ran by a solver that is ruled out{under}")),
        (Verdict::Late, "came right, but after the time limit: slow, not hung".to_owned()),
        (Verdict::OutOfMemory, "did not get the memory that they need".to_owned()),
        (Verdict::Refused, format!("refused{under}, as its rules say")),
        (Verdict::NoReference, "could not be checked: the CPU had no reference".to_owned()),
    ] {
        let number = count(findings.cases, verdict);
        if number > 0 {
            lines.push(format!("{number} {says}"));
        }
    }
    match findings.shown {
        Some(Shown { steps: 0, of: 1.. }) => {
            lines.push(format!("MIOpen named no solver, so that nothing shows whether it obeys{under}"));
        }
        Some(Shown { steps, of }) if steps < of => {
            lines.push(format!("by which solver is shown for {steps} of {of} steps"));
        }
        _ => {}
    }
    lines
}

/// The number format that a case computes in, by its description.
fn format_of(case: &CaseResult) -> &'static str {
    let has = |format: &str| case.about.split([' ', ',']).any(|word| word == format);
    // In autocast both are named, and the shorter one computes.
    ["bf16", "f16", "f32"].into_iter().find(|format| has(format)).unwrap_or("")
}

/// The formats that a layer fails in, where it is right in another one.
fn formats(cases: &[CaseResult], layer: Layer) -> BTreeSet<&'static str> {
    let of = |wanted: fn(Verdict) -> bool| {
        let cases = cases.iter().filter(|case| case.layer == layer && wanted(case.verdict));
        cases.map(format_of).collect::<BTreeSet<_>>()
    };
    let (right, broken) = (of(|verdict| verdict == Verdict::Pass), of(Verdict::is_broken));
    let told = broken.iter().all(|format| !format.is_empty() && !right.contains(format));
    if told && right.iter().any(|format| !format.is_empty()) { broken } else { BTreeSet::new() }
}

fn words(formats: &BTreeSet<&str>) -> String {
    formats.iter().copied().collect::<Vec<_>>().join(" and ")
}

/// For which kinds of computation it does not work, from the lowest broken
/// layer on, and in which direction convolution fails.
fn kinds(cases: &[CaseResult], from: Layer) -> Vec<String> {
    let mut families: BTreeMap<(Layer, &str), (usize, usize)> = BTreeMap::new();
    let mut directions: BTreeMap<String, usize> = BTreeMap::new();
    for case in cases.iter().filter(|case| case.layer >= from) {
        let entry = families.entry((case.layer, &case.family)).or_default();
        entry.1 += 1;
        if !case.verdict.is_broken() {
            continue;
        }
        entry.0 += 1;
        if case.layer == Layer::Convolution {
            let lost = case.phase.iter().filter(|_| case.verdict.lost_the_worker()).cloned();
            let wrong = case.checks.iter().filter(|check| !check.passed).map(|check| check.quantity.clone());
            for direction in lost.chain(wrong) {
                *directions.entry(direction).or_default() += 1;
            }
        }
    }
    let failed = families.iter().filter(|(_, (failed, _))| *failed > 0);
    let mut lines: Vec<String> =
        failed.map(|((_, family), (failed, all))| format!("{family}: {failed} of {all} fail")).collect();
    lines.extend(directions.iter().map(|(direction, count)| format!("{direction} fails in {count} cases")));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn diagnose(cases: &[CaseResult], device: &str, libraries: Libraries) -> Diagnosis {
        let profile = Some("gemm");
        super::diagnose(&Findings { cases, device, libraries, profile, bypass: false, shown: None })
    }

    fn case(layer: Layer, verdict: Verdict) -> CaseResult {
        CaseResult {
            name: "f/x".into(),
            family: "f".into(),
            about: String::new(),
            layer,
            verdict,
            detail: None,
            remedy: None,
            phase: Some("grad-weight".into()),
            checks: Vec::new(),
            solvers: Vec::new(),
            seconds: 0.0,
            torch_seconds: 0.0,
            warm_seconds: None,
            printed: None,
        }
    }

    #[test]
    fn the_lowest_layer_that_fails_is_the_broken_one() {
        use Layer::{Convolution, Hip, MiopenBatchNorm, Model, Native, Rocblas};
        for (broken, says) in [
            (vec![], "everything that was computed is right"),
            (vec![Hip, Rocblas, Native, Convolution], "the driver, HIP"),
            (vec![Rocblas, Native, Convolution, Model], "rocBLAS is broken"),
            (vec![Native, Convolution], "without MIOpen as well"),
            (vec![Convolution, Model], "MIOpen is broken"),
            (vec![MiopenBatchNorm], "convolution is right"),
            (vec![Model], "whole models are not"),
        ] {
            let layers = [Hip, Rocblas, Native, MiopenBatchNorm, Convolution, Model];
            let verdict = |layer| if broken.contains(&layer) { Verdict::Timeout } else { Verdict::Pass };
            let cases = layers.map(|layer| case(layer, verdict(layer)));
            let diagnosis = diagnose(&cases, "cuda", Libraries::of(true));
            assert_eq!(diagnosis.broken, broken.first().copied());
            assert!(diagnosis.summary.contains(says), "{broken:?}: {}", diagnosis.summary);
            let avoids = diagnosis.reasons.iter().any(|reason| reason.contains("bypass"));
            assert_eq!(
                avoids,
                diagnosis.summary.contains("MIOpen is broken") || broken == [MiopenBatchNorm] || broken == [Model]
            );
        }
        assert_eq!(
            diagnose(&[case(Convolution, Verdict::Skipped)], "cuda", Libraries::of(true)).summary,
            "nothing was computed"
        );
        assert!(
            diagnose(&[case(Convolution, Verdict::Pass)], "cpu", Libraries::of(true))
                .summary
                .contains("nothing about the card")
        );
    }

    #[test]
    fn another_vendors_library_has_its_own_name() {
        let cases = [case(Layer::Native, Verdict::Pass), case(Layer::Convolution, Verdict::Wrong)];
        let diagnosis = diagnose(&cases, "cuda", Libraries::of(false));
        assert_eq!(diagnosis.summary, "cuDNN is broken: plain convolutions are right without it");
        assert!(!diagnosis.reasons.iter().any(|reason| reason.contains("MIOpen is")), "{:?}", diagnosis.reasons);
    }

    #[test]
    fn directions_that_fail_are_counted() {
        let cases = [case(Layer::Native, Verdict::Pass), case(Layer::Convolution, Verdict::Timeout)];
        let reasons = diagnose(&cases, "cuda", Libraries::of(true)).reasons;
        assert!(reasons.iter().any(|reason| reason == "grad-weight fails in 1 cases"), "{reasons:?}");
        assert!(reasons.iter().any(|reason| reason == "f: 1 of 1 fail"), "{reasons:?}");
    }

    #[test]
    fn what_is_no_fault_of_a_layer_is_told_apart() {
        use Layer::{Convolution, Hip, Native, Rocblas};
        for (verdict, says, passes) in [
            (
                Verdict::Solver,
                "no wrong number was found, but not everything is well: 1 ran by a solver that is ruled out under profile gemm",
                false,
            ),
            (Verdict::Late, "1 came right, but after the time limit", false),
            (Verdict::OutOfMemory, "1 did not get the memory", false),
            (
                Verdict::Refused,
                "everything that was computed is right: 1 refused under profile gemm, as its rules say",
                true,
            ),
            (Verdict::NoReference, "everything that was computed is right: 1 could not be checked", true),
        ] {
            let mut cases = [Hip, Rocblas, Native, Convolution].map(|layer| case(layer, Verdict::Pass)).to_vec();
            cases.push(case(Convolution, verdict));
            let diagnosis = diagnose(&cases, "cuda", Libraries::of(true));
            assert_eq!(diagnosis.broken, None, "{verdict}");
            assert!(diagnosis.summary.contains(says), "{verdict}: {}", diagnosis.summary);
            assert!(!diagnosis.summary.contains("broken"), "{verdict}: {}", diagnosis.summary);
            assert_eq!(diagnosis.summary.starts_with("everything"), passes, "{verdict}");
            // Beside a real fault it is a reason, and the fault has the summary.
            cases.push(case(Convolution, Verdict::Timeout));
            let diagnosis = diagnose(&cases, "cuda", Libraries::of(true));
            assert!(diagnosis.summary.starts_with("MIOpen is broken"), "{}", diagnosis.summary);
            assert!(diagnosis.reasons.iter().any(|reason| reason.starts_with("1 ")), "{:?}", diagnosis.reasons);
        }
        let nothing = diagnose(&[case(Convolution, Verdict::NoReference)], "cuda", Libraries::of(true));
        assert_eq!(nothing.summary, "nothing was found out: 1 could not be checked: the CPU had no reference");
    }

    #[test]
    fn under_bypass_no_library_is_blamed_that_computed_nothing() {
        for (layer, rocm) in [(Layer::Convolution, true), (Layer::Native, true), (Layer::Convolution, false)] {
            let cases =
                [case(Layer::Hip, Verdict::Pass), case(Layer::Rocblas, Verdict::Pass), case(layer, Verdict::Wrong)];
            let libraries = Libraries::of(rocm);
            let profile = Some("bypass");
            let found = Findings { cases: &cases, device: "cuda", libraries, profile, bypass: true, shown: None };
            let diagnosis = super::diagnose(&found);
            assert!(diagnosis.summary.contains("rdna1_gemm"), "{}", diagnosis.summary);
            let all = format!("{} {}", diagnosis.summary, diagnosis.reasons.join(" "));
            assert!(!all.contains("MIOpen is") && !all.contains("cuDNN") && !all.contains("avoids"), "{all}");
        }
    }

    #[test]
    fn solvers_that_nothing_shows_are_not_passed_over() {
        let cases = [case(Layer::Convolution, Verdict::Pass)];
        let says = |steps: usize, of: usize| {
            let shown = Some(Shown { steps, of });
            let libraries = Libraries::of(true);
            let (cases, profile) = (&cases, Some("gemm"));
            super::diagnose(&Findings { cases, device: "cuda", libraries, profile, bypass: false, shown }).summary
        };
        assert!(says(0, 3).contains("nothing shows whether it obeys under profile gemm"), "{}", says(0, 3));
        assert!(says(2, 3).contains("shown for 2 of 3 steps"), "{}", says(2, 3));
        assert_eq!(says(3, 3), "everything that was computed is right");
    }

    #[test]
    fn a_library_that_fails_in_one_format_is_not_broken_as_a_whole() {
        let of = |layer, verdict, about: &str, family: &str| CaseResult {
            about: about.into(),
            family: family.into(),
            ..case(layer, verdict)
        };
        let product = |format: &str, verdict| {
            of(Layer::Rocblas, verdict, &format!("matrix product 512x512 by 512x512, {format}"), "matmul")
        };
        let conv =
            |format: &str, verdict| of(Layer::Convolution, verdict, &format!("Conv2d 1x3, {format}, bias"), "size");
        let mut cases = vec![
            case(Layer::Hip, Verdict::Pass),
            product("f32", Verdict::Pass),
            product("f16", Verdict::Pass),
            product("bf16", Verdict::Wrong),
            conv("bf16", Verdict::Wrong),
        ];
        let diagnosis = diagnose(&cases, "cuda", Libraries::of(true));
        assert_eq!(diagnosis.broken, Some(Layer::Rocblas));
        assert!(diagnosis.summary.starts_with("rocBLAS is broken in bf16: "), "{}", diagnosis.summary);
        for says in ["matmul: 1 of 3 fail", "size: 1 of 1 fail"] {
            assert!(diagnosis.reasons.iter().any(|reason| reason == says), "{says}: {:?}", diagnosis.reasons);
        }
        assert!(!diagnosis.reasons.iter().any(|reason| reason.contains("does not explain")), "{:?}", diagnosis.reasons);
        cases.push(conv("f32", Verdict::Timeout));
        let reasons = diagnose(&cases, "cuda", Libraries::of(true)).reasons;
        assert!(reasons.iter().any(|reason| reason.contains("does not explain 1 failures")), "{reasons:?}");
        // In every format: the whole library.
        let all = [case(Layer::Hip, Verdict::Pass), product("f32", Verdict::Wrong), product("bf16", Verdict::Wrong)];
        let summary = diagnose(&all, "cuda", Libraries::of(true)).summary;
        assert!(summary.contains("matrix products do not"), "{summary}");
    }
}
