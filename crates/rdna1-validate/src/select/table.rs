// SPDX-License-Identifier: MIT OR Apache-2.0
//! What was measured, as a table and as a document.

use rdna1_core::selection::Evidence;
use serde::Serialize;

use super::choose::{Selector, Verdict};

/// What `select --json` prints.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Document {
    /// Version of this document's form; grows when a field changes its meaning or goes.
    pub version: u32,
    /// Version of the program.
    pub program: &'static str,
    /// The PyTorch that was measured.
    pub pytorch: String,
    /// What computed.
    pub device: String,
    /// The running kernel.
    pub kernel: String,
    /// The cases that were tried.
    pub suite: String,
    /// The candidates in the order in which they were looked at.
    pub candidates: Vec<Evidence>,
    /// The best for a single process, as a place in `candidates`.
    pub process: Option<usize>,
    /// The best that the whole machine can have, likewise.
    pub machine: Option<usize>,
    /// The file in which it is recorded; absent where nothing was.
    pub recorded: Option<String>,
    /// Why the rest was not tried, if the GPU was lost.
    pub lost: Option<String>,
}

/// What was found of each candidate.
pub fn evidence(selector: &Selector) -> Vec<Evidence> {
    let row = |(candidate, outcome): &(super::candidates::Candidate, super::choose::Outcome)| Evidence {
        gfx: candidate.gfx,
        profile: candidate.profile.clone(),
        verdict: outcome.verdict.words().to_owned(),
        passed: outcome.passed(),
        tried: outcome.tried,
        seconds: outcome.verdict.is_usable().then(|| selector.seconds(outcome)).flatten(),
        note: outcome.note.clone(),
    };
    selector.results().iter().map(row).collect()
}

impl Document {
    /// The page for people.
    pub fn to_text(&self) -> String {
        let mut out = format!("{} on {}, kernel {}\n\n", self.pytorch, self.device, self.kernel);
        out += &format!("{:8} {:14} {:17} {:>9} {:>11}\n", "gfx", "profile", "verdict", "passed", "time");
        let mut place = 0;
        while let Some(row) = self.candidates.get(place) {
            let alike = self.candidates[place..].iter().take_while(|other| row.is_left_out_like(other)).count();
            out += &self.line(place, alike);
            place += alike.max(1);
        }
        out += "\ntime: once each of the cases that every usable candidate passed, warm\n";
        if let Some(lost) = &self.lost {
            out += &format!("{lost}\n");
        }
        out
    }

    /// A line for a candidate, or for several that were left out for one reason.
    fn line(&self, place: usize, alike: usize) -> String {
        let row = &self.candidates[place];
        let passed = if row.tried == 0 { String::new() } else { format!("{}/{}", row.passed, row.tried) };
        let time = row.seconds.map(|seconds| format!("{:.2} ms", seconds * 1000.0)).unwrap_or_default();
        let mark = match (self.process == Some(place), self.machine == Some(place)) {
            (true, true) => "<- best",
            (true, false) => "<- best for a single program",
            (false, true) => "<- best for the whole machine",
            (false, false) => "",
        };
        let profile = if alike > 1 { format!("{alike} profiles") } else { row.profile.clone() };
        let line = format!("{:8} {profile:14} {:17} {passed:>9} {time:>11}  {mark}", row.gfx.to_string(), row.verdict);
        let note = row.note.as_ref().map(|note| {
            let options = textwrap::Options::new(79).initial_indent("         ").subsequent_indent("         ");
            textwrap::fill(note, options) + "\n"
        });
        format!("{}\n{}", line.trim_end(), note.unwrap_or_default())
    }
}

/// Whether two candidates were left out for the same reason.
trait LeftOut {
    fn is_left_out_like(&self, other: &Self) -> bool;
}

impl LeftOut for Evidence {
    fn is_left_out_like(&self, other: &Self) -> bool {
        let left_out = Verdict::NotTried.words();
        self.verdict == left_out && other.verdict == left_out && (self.gfx, &self.note) == (other.gfx, &other.note)
    }
}
