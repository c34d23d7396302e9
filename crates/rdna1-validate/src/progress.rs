// SPDX-License-Identifier: MIT OR Apache-2.0
//! Progress on standard error: a bar on a terminal, nothing elsewhere but the
//! failures, as they are found.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::report::CaseResult;
use crate::session::Observer;

/// How often the bar is drawn although nothing happens.
const TICK: Duration = Duration::from_millis(250);

/// Shows how far a validation is.
#[derive(Debug)]
pub struct Progress {
    bar: ProgressBar,
}

impl Default for Progress {
    fn default() -> Self {
        Self::new()
    }
}

impl Progress {
    /// Shows nothing yet.
    pub fn new() -> Self {
        Self { bar: ProgressBar::hidden() }
    }

    fn line(&self, text: &str) {
        if self.bar.is_hidden() {
            // Whoever does not listen misses nothing that the report lacks.
            let _ = writeln!(anstream::stderr(), "{text}");
        } else {
            self.bar.println(text);
        }
    }
}

impl Observer for Progress {
    fn begin(&mut self, cases: usize) {
        if std::io::stderr().is_terminal() {
            self.bar = ProgressBar::with_draw_target(Some(cases as u64), ProgressDrawTarget::stderr());
            let style = ProgressStyle::with_template("{bar:30} {pos}/{len} {elapsed} {msg}");
            self.bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            // Of many changes in a row the last one may not be drawn; whoever waits for
            // a case that hangs wants to see its name.
            self.bar.enable_steady_tick(TICK);
        }
    }

    fn case(&mut self, name: &str) {
        self.bar.set_message(name.to_owned());
    }

    fn result(&mut self, result: &CaseResult) {
        self.bar.inc(1);
        if result.verdict.is_failure() {
            self.line(&format!("{} {}", result.verdict, result.name));
        }
    }

    fn end(&mut self) {
        self.bar.finish_and_clear();
    }
}
