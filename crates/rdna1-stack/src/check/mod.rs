// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the static check of device code (`rdna1-isa`) found in a stack, by data
//! type, and where that is kept: whoever wants to know need not read gigabytes
//! again. The check says what the code is, not that a run will fail.

mod cache;
mod files;

pub use cache::Cache;

use std::collections::BTreeMap;

use rdna1_core::gfx::GfxChoice;
use rdna1_core::ids::GfxTarget;
use rdna1_core::policy::GfxChoiceFact;
use rdna1_core::root::Problem;
use rdna1_isa::rules::Severity;
use rdna1_isa::{Options, Report, Target, scan};
use serde::{Deserialize, Serialize};

use crate::model::Stack;
use crate::place::Place;

/// The version of a record, and of the rules that it was made by: raised with
/// either, so that what an older program found no longer counts.
pub const VERSION: u32 = 2;

/// What was found in a stack for one card.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Checked {
    /// [`VERSION`].
    pub version: u32,
    /// The card's target.
    pub on: String,
    /// By the target of the code, those that the card can be made to run.
    pub code: BTreeMap<String, Vec<DataType>>,
    /// Files that could not be read to the end.
    pub unreadable: u32,
}

/// The functions of one data type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct DataType {
    /// Its name; `other` where names of functions do not tell.
    pub name: String,
    /// Functions.
    pub functions: u32,
    /// Functions with an instruction that the card lacks.
    pub illegal: u32,
    /// Functions that by LLVM's description compute something else on the card.
    pub wrong: u32,
    /// Functions at which by LLVM's description the card can stop.
    pub hang: u32,
    /// Functions that go wrong only when events meet in time.
    pub timing: u32,
    /// Functions that could not be decoded throughout and run into nothing.
    pub unclear: u32,
    /// Functions that run into nothing.
    pub clean: u32,
}

/// The worst that is known of code, the best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Risk {
    /// No function runs into anything.
    Clean,
    /// Nothing was found, but not all could be read.
    Unclear,
    /// Some go wrong only when events meet in time.
    Timing,
    /// At some the card can stop.
    Hang,
    /// Some compute something else.
    Wrong,
    /// Some have an instruction that the card lacks.
    Illegal,
    /// There is no such code.
    NoCode,
}

impl DataType {
    /// The worst of it.
    pub fn risk(&self) -> Risk {
        let worst = [
            (self.illegal, Risk::Illegal),
            (self.wrong, Risk::Wrong),
            (self.hang, Risk::Hang),
            (self.timing, Risk::Timing),
            (self.unclear, Risk::Unclear),
        ];
        worst.into_iter().find(|(count, _)| *count > 0).map_or(Risk::Clean, |(_, risk)| risk)
    }

    /// In words: `fp16 with fp32 sums: 1272 of 1336 with instructions that the card lacks`.
    pub fn describe(&self) -> String {
        let what = [
            (self.illegal, "with instructions that the card lacks"),
            (self.wrong, "that compute something else on it"),
            (self.hang, "at which it can stop"),
            (self.timing, "without RDNA1's workarounds"),
            (self.unclear, "that could not be decoded throughout"),
        ];
        // The last kinds say little beside worse ones.
        let kinds: Vec<String> = what
            .into_iter()
            .filter(|(count, _)| *count > 0)
            .take(2)
            .map(|(count, what)| format!("{count} {what}"))
            .collect();
        let kinds = if kinds.is_empty() { "nothing found".to_owned() } else { kinds.join(", ") };
        format!("{}: of {} functions {kinds}", self.name, self.functions)
    }
}

/// The target whose code a card runs under a gfx choice.
pub fn code_under(choice: GfxChoice, card: GfxTarget) -> GfxTarget {
    match choice {
        GfxChoice::Native => card,
        GfxChoice::Override(v) => GfxTarget { major: v.major, minor: v.minor, stepping: v.stepping },
    }
}

impl Checked {
    /// What was found in the code that a card runs under a gfx choice; `None`
    /// where the stack has none.
    pub fn under(&self, choice: GfxChoice, card: GfxTarget) -> Option<&[DataType]> {
        self.code.get(&code_under(choice, card).to_string()).map(Vec::as_slice)
    }

    /// The worst of that code, functions whose names tell no data type included:
    /// PyTorch's own kernels are such. Where a file could not be read to the end,
    /// nothing is called clean or missing.
    pub fn risk(&self, choice: GfxChoice, card: GfxTarget) -> Risk {
        let types = self.under(choice, card).unwrap_or_default();
        match types.iter().map(DataType::risk).max() {
            None | Some(Risk::Clean) if self.unreadable > 0 => Risk::Unclear,
            worst => worst.unwrap_or(Risk::NoCode),
        }
    }

    /// With what was found in another stack that the same program uses.
    #[must_use]
    pub fn merged(mut self, other: Self) -> Self {
        for (target, types) in other.code {
            let all = self.code.entry(target).or_default();
            for found in types {
                match all.iter_mut().find(|known| known.name == found.name) {
                    Some(known) => known.add(&found),
                    None => all.push(found),
                }
            }
        }
        self.unreadable = self.unreadable.saturating_add(other.unreadable);
        self
    }

    fn new(on: Target, report: &Report) -> Self {
        let mut code = BTreeMap::new();
        for part in &report.total {
            let types = part.by_data_type().into_iter().map(|(name, counts)| {
                let of = |severity| counts.severities.get(&severity).copied().unwrap_or(0);
                DataType {
                    name: name.to_owned(),
                    functions: counts.functions,
                    illegal: counts.illegal,
                    wrong: of(Severity::Wrong),
                    hang: of(Severity::Hang),
                    timing: of(Severity::Timing),
                    unclear: counts.unclear,
                    clean: counts.clean,
                }
            });
            code.insert(part.target.to_string(), types.collect());
        }
        let unreadable = u32::try_from(report.problems.len()).unwrap_or(u32::MAX);
        Self { version: VERSION, on: on.to_string(), code, unreadable }
    }
}

/// The data type of functions whose names do not tell one.
pub const OTHER: &str = "other";

impl DataType {
    fn add(&mut self, other: &Self) {
        self.functions += other.functions;
        self.illegal += other.illegal;
        self.wrong += other.wrong;
        self.hang += other.hang;
        self.timing += other.timing;
        self.unclear += other.unclear;
        self.clean += other.clean;
    }
}

/// A check that was just made.
#[derive(Debug)]
pub struct Check {
    /// What is kept of it.
    pub checked: Checked,
    /// All of it.
    pub report: Report,
    /// The sum over the files before they were read.
    key: Option<String>,
}

/// Reads all device code of a stack that a card can be made to run: seconds for
/// gigabytes. `None` where the card is none whose hazards are known.
pub fn check(place: Place<'_>, stack: &Stack, card: GfxTarget) -> Option<Check> {
    let on: Target = card.to_string().parse().ok()?;
    let files = files::of(place, stack);
    let key = files::key_of(place, &files, card);
    let paths: Vec<_> = files.iter().map(|path| place.0.join(path)).collect();
    let report = scan(&paths, &Options::for_card(on));
    Some(Check { checked: Checked::new(on, &report), report, key })
}

/// Puts the gfx choices whose code is known to be the safer first, and leaves
/// the others in their order. What was not checked changes nothing, and neither
/// is a choice under which the card runs another chip's code put before one
/// under which it runs its own: what the check does not know of is in both.
pub fn safer_first(choices: &mut [&GfxChoiceFact], checked: Option<&Checked>, card: GfxTarget) {
    if let Some(checked) = checked {
        choices.sort_by_key(|fact| (!fact.code_fits_card, checked.risk(fact.id, card)));
    }
}

/// The files of a stack that can hold device code for a card: in them the check looks.
pub fn files(place: Place<'_>, stack: &Stack) -> Vec<String> {
    files::of(place, stack)
}

/// A stack's record for a card, from wherever it is kept; a record that cannot
/// be read, or of other files than the stack has now, is none.
pub fn known(place: Place<'_>, cache: &Cache, stack: &Stack, card: GfxTarget) -> Option<Checked> {
    if cache.is_empty() {
        // The stack's files need not be looked at.
        return None;
    }
    cache.load(&files::key(place, stack, card)?)
}

/// Keeps a record.
///
/// # Errors
/// If it cannot be written, or if the stack's files have changed since they were read.
pub fn keep(place: Place<'_>, cache: &Cache, stack: &Stack, card: GfxTarget, check: &Check) -> Result<(), Problem> {
    let key = files::key(place, stack, card);
    if key != check.key {
        let problem = "changed while it was read; run the check once more".to_owned();
        return Err(Problem { path: stack.path.clone(), problem });
    }
    match key {
        Some(key) => cache.store(&key, &check.checked),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(name: &str, [illegal, wrong, hang, timing]: [u32; 4]) -> DataType {
        DataType { name: name.into(), functions: 10, illegal, wrong, hang, timing, unclear: 0, clean: 0 }
    }

    fn checked() -> Checked {
        let gfx1030 = vec![found("fp32", [0, 0, 0, 10])];
        let code = [("gfx1030".to_owned(), gfx1030), ("gfx1010".to_owned(), vec![found("fp32", [0; 4])])];
        Checked { version: VERSION, on: "gfx1012".into(), code: code.into(), unreadable: 0 }
    }

    #[test]
    fn the_safer_choice_comes_first() {
        let card: GfxTarget = "gfx1012".parse().expect("a target");
        let policy = rdna1_core::policy::Policy::embedded().expect("the policy is sound");
        let names = |facts: &[&GfxChoiceFact]| facts.iter().map(|fact| fact.id.to_string()).collect::<Vec<_>>();
        let in_order = |checked: Option<&Checked>| {
            let mut choices: Vec<&GfxChoiceFact> = policy.gfx.choices.iter().collect();
            safer_first(&mut choices, checked, card);
            names(&choices)
        };
        assert_eq!(in_order(None), ["native", "10.1.0", "10.3.0"], "nothing is known");
        assert_eq!(in_order(Some(&checked())), ["10.1.0", "native", "10.3.0"], "there is no code for gfx1012");
        // Another chip's code never goes first, however clean it looks beside the card's own.
        let mut strange = checked();
        let types = |risk| vec![found("fp32", risk)];
        strange.code = [("gfx1030", [0; 4]), ("gfx1012", [1, 0, 0, 0]), ("gfx1010", [0, 0, 1, 0])]
            .map(|(target, risk)| (target.to_owned(), types(risk)))
            .into();
        assert_eq!(in_order(Some(&strange)), ["10.1.0", "native", "10.3.0"]);
        // Where not all could be read, no code is not known to be missing.
        let mut broken = checked();
        broken.unreadable = 1;
        assert_eq!(in_order(Some(&broken)), ["native", "10.1.0", "10.3.0"]);
        assert_eq!(broken.risk(policy.gfx.choices[0].id, card), Risk::Unclear);
    }

    #[test]
    fn kernels_without_a_data_type_count_and_so_does_what_was_not_decoded() {
        let card: GfxTarget = "gfx1010".parse().expect("a target");
        let native = GfxChoice::Native;
        let checked = checked();
        assert_eq!(checked.risk(native, card), Risk::Clean);
        let other =
            Checked { code: [("gfx1010".to_owned(), vec![found(OTHER, [1, 0, 0, 0])])].into(), ..checked.clone() };
        assert_eq!(checked.merged(other).risk(native, card), Risk::Illegal);
        let unclear = DataType { unclear: 2, ..found("fp32", [0; 4]) };
        assert_eq!(unclear.describe(), "fp32: of 10 functions 2 that could not be decoded throughout");
        assert_eq!(unclear.risk(), Risk::Unclear);
    }

    #[test]
    fn words() {
        assert_eq!(
            found("int8", [10, 0, 2, 10]).describe(),
            "int8: of 10 functions 10 with instructions that the card lacks, 2 at which it can stop"
        );
        assert_eq!(found("fp32", [0; 4]).describe(), "fp32: of 10 functions nothing found");
    }
}
