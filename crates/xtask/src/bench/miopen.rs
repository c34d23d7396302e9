// SPDX-License-Identifier: MIT OR Apache-2.0
//! The proof against the real MIOpen, and plans.

use std::time::Instant;

use anyhow::ensure;
use rdna1_miopen::card::Target;
use rdna1_miopen::plan::{self, Options, Subject};
use rdna1_miopen::proof::{self, Claim, Outcome, Prover};
use rdna1_miopen::{Library, Runtime, Suite, debian};

use super::{Bench, Row, milliseconds};

/// The targets of the proof.
const TARGETS: [&str; 3] = ["gfx1010", "gfx1012", "gfx1030"];

impl Bench {
    /// The proof, in parts: once each, as it is seconds of work of all processors.
    pub(super) fn proof(&self) -> anyhow::Result<Vec<Row>> {
        let cache = std::env::var_os(debian::CACHE).map(std::path::PathBuf::from);
        let root = match debian::unpacked(cache.as_deref(), &self.top.join("target")) {
            Ok(root) => root,
            Err(error) => return Ok(vec![Row::left_out("proof against MIOpen", &error.to_string())]),
        };
        let (runtime, library, suite) = (Runtime::new()?, Library::open(&root)?, Suite::embedded()?);
        let prover = Prover { runtime: &runtime, library: &library, processes: 0 };
        let problems = proof::problems(&suite);
        let claims = proof::claims(&self.policy);
        let targets: Vec<Target> = TARGETS.iter().filter_map(|name| name.parse().ok()).collect();
        let part = |wanted: &dyn Fn(&Claim) -> bool| claims.iter().filter(|c| wanted(c)).cloned().collect::<Vec<_>>();
        let mut rows = Vec::new();
        for (what, claims, goal) in [
            ("gemm, the policy's find mode", part(&|c| c.under == "gemm" && c.mode.is_none()), "under 3 s"),
            ("gemm, every find mode", part(&|c| c.under == "gemm"), "under 3 s"),
            ("everything", claims.clone(), ""),
        ] {
            let start = Instant::now();
            let outcomes = prover.run(&claims, &targets, &problems)?;
            let time = start.elapsed();
            ensure!(outcomes.iter().all(Outcome::holds), "the proof fails; cargo test says where");
            let asked: u64 = outcomes.iter().map(|outcome| outcome.asked).sum();
            rows.push(Row {
                what: format!("proof, {what}"),
                ours: milliseconds(time),
                peer: format!("{asked} computations, {:.0} us each", time.as_secs_f64() * 1e6 / asked as f64),
                ratio: None,
                goal,
            });
        }
        for (what, miopen) in [("from the rules", None), ("from MIOpen", Some(root))] {
            let model = Subject::Models(vec!["resnet50".to_owned()]);
            let options = Options { miopen, ..Options::new(model, targets[0].clone()) };
            let ours = self.median(|| {
                plan::run(&self.policy, &options)?;
                Ok(())
            })?;
            let (peer, goal) = (String::new(), "under 100 ms");
            rows.push(Row {
                what: format!("plan resnet50, {what}"),
                ours: milliseconds(ours),
                peer,
                ratio: None,
                goal,
            });
        }
        Ok(rows)
    }
}
