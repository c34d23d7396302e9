// SPDX-License-Identifier: MIT OR Apache-2.0
//! The policy against the real MIOpen of Debian unstable, on simulated cards.
//!
//! `RDNA1_DEB_CACHE` names a folder with the packages; otherwise apt fetches
//! them. Only invariants are asserted, no lists of solvers, so that a newer
//! MIOpen does not break the tests; what was counted is printed.

mod bad;
mod evidence;
mod planned;
mod proof;
mod values;

use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Duration;

use rdna1_core::policy::Policy;
use rdna1_miopen::card::Target;
use rdna1_miopen::query::{self, Answers, Question, Setting};
use rdna1_miopen::{Card, Convolution, FindMode, Library, Runtime, Suite, debian, switches};
use rdna1_tests::program::top;
use rdna1_tests::tools;

/// The cards: two native RDNA1 targets, and what the override 10.3.0 makes of any.
const TARGETS: [&str; 3] = ["gfx1010", "gfx1012", "gfx1030"];

/// What every test needs.
struct World {
    root: PathBuf,
    runtime: Runtime,
    library: Library,
    policy: Policy,
    suite: Suite,
}

/// MIOpen, unpacked; `None`, and the skip reported, where it cannot be had.
fn world() -> Option<&'static World> {
    static WORLD: OnceLock<Option<World>> = OnceLock::new();
    let made = WORLD.get_or_init(|| {
        let cache = std::env::var_os(debian::CACHE).map(PathBuf::from);
        let root = match debian::unpacked(cache.as_deref(), &top().join("target")) {
            Ok(root) => root,
            Err(error) => {
                tools::skip(&error.to_string());
                return None;
            }
        };
        let library = Library::open(&root).expect("Debian's MIOpen can be asked");
        Some(World {
            root,
            runtime: Runtime::new().expect("a temporary directory"),
            library,
            policy: Policy::embedded().expect("it is tested in its own crate"),
            suite: Suite::embedded().expect("it is tested in its own crate"),
        })
    });
    made.as_ref()
}

/// The gfx targets of [`TARGETS`].
fn cards() -> Vec<Target> {
    TARGETS.iter().map(|target| target.parse().expect("a gfx target")).collect()
}

fn card(target: &str) -> Card {
    Card::of(target.parse().expect("a gfx target"))
}

impl World {
    /// The variables of a profile of the real policy.
    fn variables(&self, profile: &str, mode: Option<FindMode>) -> Vec<(String, String)> {
        let profile = self.policy.profile(profile).expect("the policy has it");
        let mut variables = switches::variables(profile);
        if let Some(mode) = mode {
            variables.retain(|(name, _)| name != "MIOPEN_FIND_MODE");
            variables.push(("MIOPEN_FIND_MODE".into(), mode.number().to_string()));
        }
        variables.extend(query::for_speed());
        variables
    }

    fn ask<'a>(
        &self,
        target: &str,
        variables: Vec<(String, String)>,
        convolutions: impl IntoIterator<Item = &'a Convolution>,
        question: &Question,
    ) -> Answers {
        // Generous: these tests run beside others, on small machines too.
        let setting = Setting { limit: Duration::from_secs(300), ..Setting::new(card(target), variables) };
        query::ask(&self.runtime, &self.library, &setting, convolutions, question).expect("MIOpen answers")
    }
}

fn set(variables: &[(&str, &str)]) -> Vec<(String, String)> {
    let own = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    own.chain(query::for_speed()).collect()
}

/// Prints a result, to be seen with `--nocapture`.
#[allow(clippy::print_stderr, reason = "this is how a test reports")]
fn report(line: &str) {
    eprintln!("miopen: {line}");
}
