// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which part of the stack is broken: the controls, from the bottom up.

use std::collections::BTreeMap;

use crate::report::{CaseResult, Diagnosis, Layer, Verdict};

/// How the cases of a layer came out.
#[derive(Debug, Clone, Copy, Default)]
struct Tally {
    passed: usize,
    failed: usize,
}

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

/// Concludes from the verdicts. A layer that fails explains the failures of
/// those that rest on it; one that passes clears itself. `libraries` are the
/// ones that PyTorch computes with on the device.
pub fn diagnose(cases: &[CaseResult], device: &str, libraries: Libraries) -> Diagnosis {
    let Libraries { driver, products, convolution } = libraries;
    let mut layers: BTreeMap<Layer, Tally> = BTreeMap::new();
    for case in cases {
        let tally = layers.entry(case.layer).or_default();
        tally.passed += usize::from(case.verdict == Verdict::Pass);
        tally.failed += usize::from(case.verdict.blames_device());
    }
    let tally = |layer: Layer| layers.get(&layer).copied().unwrap_or_default();
    let broken = layers.iter().find(|(_, tally)| tally.failed > 0).map(|(layer, _)| *layer);
    let mut reasons: Vec<String> = layers
        .iter()
        .map(|(layer, tally)| format!("{}: {} passed, {} failed", layer.name(), tally.passed, tally.failed))
        .collect();
    let ran = layers.values().any(|tally| tally.passed + tally.failed > 0);
    let summary = match broken {
        None if !ran => "nothing was computed".to_owned(),
        None if device == "cpu" => "everything is right on the CPU; this says nothing about the card".to_owned(),
        None => "everything that was computed is right".to_owned(),
        Some(Layer::Hip) => {
            format!("the driver, {driver} or PyTorch's device code is broken: not even arithmetic works")
        }
        Some(Layer::Rocblas) => format!("{products} is broken: plain arithmetic works, matrix products do not"),
        Some(Layer::Native) => {
            format!(
                "convolution is broken without {convolution} as well: PyTorch's own kernels, or {products} in some shapes"
            )
        }
        Some(Layer::MiopenBatchNorm) if tally(Layer::Convolution).failed == 0 => {
            "batch normalisation in training is broken; convolution is right".to_owned()
        }
        Some(Layer::MiopenBatchNorm | Layer::Convolution) if tally(Layer::Native).passed > 0 && device != "cpu" => {
            format!("{convolution} is broken: plain convolutions are right without it")
        }
        Some(Layer::MiopenBatchNorm | Layer::Convolution) => "convolution is broken".to_owned(),
        Some(Layer::Model) => "single computations are right, whole models are not".to_owned(),
    };
    if broken.is_some_and(|layer| layer >= Layer::MiopenBatchNorm) && device != "cpu" {
        reasons.extend(kinds(cases));
        if tally(Layer::Native).failed == 0 && tally(Layer::Native).passed > 0 {
            let helps = "rdna1-validate --profile bypass shows whether it helps";
            reasons.push(format!("profile bypass avoids {convolution}: {helps}"));
        }
    }
    Diagnosis { broken, summary, reasons }
}

/// For which kinds of convolution it does not work, and in which direction.
fn kinds(cases: &[CaseResult]) -> Vec<String> {
    let mut families: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    let mut directions: BTreeMap<String, usize> = BTreeMap::new();
    for case in cases.iter().filter(|case| case.layer == Layer::Convolution) {
        let entry = families.entry(&case.family).or_default();
        entry.1 += 1;
        if case.verdict.blames_device() {
            entry.0 += 1;
            let lost = case.phase.iter().filter(|_| case.verdict.lost_the_worker()).cloned();
            let wrong = case.checks.iter().filter(|check| !check.passed).map(|check| check.quantity.clone());
            for direction in lost.chain(wrong) {
                *directions.entry(direction).or_default() += 1;
            }
        }
    }
    let failed = families.iter().filter(|(_, (failed, _))| *failed > 0);
    let mut lines: Vec<String> =
        failed.map(|(family, (failed, all))| format!("{family}: {failed} of {all} fail")).collect();
    lines.extend(directions.iter().map(|(direction, count)| format!("{direction} fails in {count} cases")));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

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
        // What the CPU could not compute says nothing of the device.
        let unknown = diagnose(
            &[case(Rocblas, Verdict::NoReference), case(Convolution, Verdict::Pass)],
            "cuda",
            Libraries::of(true),
        );
        assert_eq!(unknown.broken, None);
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
}
