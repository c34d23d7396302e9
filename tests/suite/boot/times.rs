// SPDX-License-Identifier: MIT OR Apache-2.0
//! How long boots take, with the package and without it. No test: nothing here
//! can fail by being slow. `cargo xtask bench --boots` runs it.

use std::time::Duration;

use rdna1_tests::container::{Booted, Container};

use super::broken::Dead;
use super::installed;
use crate::installed::{Family, must};

/// Boots of each kind.
const BOOTS: usize = 9;

/// The times of one kind of boot.
#[derive(Debug, Default)]
pub struct Times(Vec<Duration>);

impl Times {
    pub fn add(&mut self, time: Duration) {
        self.0.push(time);
        self.0.sort_unstable();
    }

    fn at(&self, quarter: usize) -> f64 {
        self.0[(self.0.len() - 1) * quarter / 4].as_secs_f64() * 1e3
    }

    /// Median and the middle half.
    pub fn line(&self, what: &str) -> String {
        format!("{what:52} {:9.1} ms  ({:.1} to {:.1}, {} runs)", self.at(2), self.at(1), self.at(3), self.0.len())
    }

    /// How the medians differ, beside the middle half of the first.
    pub fn against(&self, other: &Self) -> String {
        let (difference, noise) = (self.at(2) - other.at(2), other.at(3) - other.at(1));
        let verdict = if difference.abs() <= noise { "inside" } else { "outside" };
        format!("difference of the medians {difference:+.1} ms, {verdict} the other's middle half of {noise:.1} ms")
    }
}

/// From the start of PID 1 to the end of the last job, as systemd-analyze counts.
fn userspace(booted: &Booted) -> Duration {
    let show = "systemctl show --value --property=UserspaceTimestampMonotonic --property=FinishTimestampMonotonic";
    let wait = "while [ $(systemctl show --value --property=FinishTimestampMonotonic) = 0 ]; do sleep 0.05; done";
    let text = must(Ok(booted.run(&format!("{wait}; {show}"))));
    let times: Vec<u64> = text.split_whitespace().map(|time| time.parse().expect("microseconds")).collect();
    Duration::from_micros(times[0].abs_diff(times[1]))
}

/// Where administrators put generators, and one that does nothing: what it takes
/// is what systemd itself takes to run one.
const NOTHING: &str = "/etc/systemd/system-environment-generators/50-nothing";

/// Ours.
const OURS: &str = "/usr/lib/systemd/system-environment-generators/90-rdna1-rocm-fix";

/// What a generator takes, by the journal: from the line before its start to
/// the line that it has succeeded, in a reload. The times are those at which the
/// kernel took the lines; journald itself may come to them much later.
fn by_journal(booted: &Booted, generator: &str) -> Option<Duration> {
    must(Ok(
        booted.run("systemctl log-level debug; systemctl daemon-reload; systemctl log-level info; journalctl --sync")
    ));
    let name = generator.rsplit('/').next().unwrap_or_default();
    let show =
        "journalctl --boot --output=json --output-fields=MESSAGE,_SOURCE_REALTIME_TIMESTAMP --no-pager | grep --";
    let text = must(Ok(booted.run(&format!("{show} {name}"))));
    let lines: Vec<serde_json::Value> =
        text.lines().map(|line| serde_json::from_str(line).expect("the journal's JSON")).collect();
    let says = |line: &serde_json::Value, what: &str| line["MESSAGE"].as_str().is_some_and(|text| text.contains(what));
    let time = |line: &serde_json::Value| line["_SOURCE_REALTIME_TIMESTAMP"].as_str()?.parse::<u64>().ok();
    let end = lines.iter().rposition(|line| says(line, "succeeded"))?;
    let start = lines[..end].iter().rposition(|line| says(line, "About to execute"))?;
    Some(Duration::from_micros(time(&lines[end])?.checked_sub(time(&lines[start])?)?))
}

/// What it takes if a small shell runs it, often enough for a clock.
fn by_shell(booted: &Booted, generator: &str) -> Duration {
    const TIMES: u32 = 100;
    let run = format!("{generator} >/dev/null");
    let script =
        format!("{run}; a=$(date +%s%N); for i in $(seq {TIMES}); do {run}; done; echo $(($(date +%s%N) - a))");
    let text = must(Ok(booted.run(&script)));
    Duration::from_nanos(text.trim().parse().expect("nanoseconds")) / TIMES
}

/// A bare reload, in nanoseconds: most of what the service takes.
pub const RELOAD: &str = "a=$(date +%s%N); systemctl daemon-reload; echo $(($(date +%s%N) - a))";

/// What it takes to have the service run where it has something to change, from
/// asking systemd to the end of the reload.
fn refresh(booted: &Booted) -> Duration {
    let text = must(Ok(booted.run(
        "rm /run/rdna1-rocm-fix/*; a=$(date +%s%N); systemctl start rdna1-rocm-fix.service; \
         b=$(date +%s%N); [ -e /run/rdna1-rocm-fix/env ] && echo $((b - a))",
    )));
    Duration::from_nanos(text.trim().parse().expect("nanoseconds"))
}

#[test]
#[ignore = "measures for minutes; cargo xtask bench --boots runs it"]
#[allow(clippy::print_stdout, reason = "this is what it is for")]
fn boots_in_a_container() {
    let with_card = || installed(Family::Deb).map(|machine| machine.with_card("0x731f", "0xca"));
    let (Some(with), Some(without)) = (with_card(), with_card()) else { return };
    must(Ok(without.run("DEBIAN_FRONTEND=noninteractive apt-get purge --yes rdna1-rocm-fix")));
    let (Some(broken), Some(hanging)) = (with_card(), with_card()) else { return };
    must(Ok(broken.run("echo 'profile: [' > /etc/rdna1-rocm-fix/config.yaml")));
    let mut times: [Times; 4] = Default::default();
    let boot = |times: &mut Times, machine: &Container| times.add(userspace(&machine.boot()));
    // In turns, so that a busy moment of this machine meets all of them.
    for turn in 0..BOOTS {
        boot(&mut times[0], &without);
        boot(&mut times[1], &with);
        boot(&mut times[2], &broken);
        if turn % 3 == 0 {
            let dead = Dead::mount(&hanging.root().join("etc/rdna1-rocm-fix/config.d"));
            boot(&mut times[3], &hanging);
            drop(dead);
        }
    }
    let names = ["without the package", "with it and the card", "broken configuration", "our program hangs"];
    println!("a container's systemd, from the start of PID 1 to the end of its last job:");
    for (name, of) in names.iter().zip(&times) {
        println!("  {}", of.line(name));
    }
    println!("  with the package: {}", times[1].against(&times[0]));
    println!("  broken configuration: {}", times[2].against(&times[0]));
    in_a_reload(&with.boot());
}

/// Why the generator takes longer in systemd than by itself: one that does
/// nothing beside it.
#[allow(clippy::print_stdout, reason = "this is what it is for")]
fn in_a_reload(booted: &Booted) {
    let (mut journal, mut shell): ([Times; 2], [Times; 2]) = Default::default();
    let (mut refreshed, mut reloaded) = (Times::default(), Times::default());
    must(Ok(booted.run(&format!("install -D /bin/true {NOTHING}"))));
    for _ in 0..BOOTS {
        for (i, generator) in [OURS, NOTHING].into_iter().enumerate() {
            by_journal(booted, generator).into_iter().for_each(|time| journal[i].add(time));
            shell[i].add(by_shell(booted, generator));
        }
        refreshed.add(refresh(booted));
        let text = must(Ok(booted.run(RELOAD)));
        reloaded.add(Duration::from_nanos(text.trim().parse().expect("nanoseconds")));
    }
    println!("a generator in a reload, by systemd's journal, and as a shell's child (means of 100):");
    for (i, name) in ["ours", "one that does nothing (/bin/true)"].iter().enumerate() {
        println!("  {}", journal[i].line(&format!("{name}, journal")));
        println!("  {}", shell[i].line(&format!("{name}, shell")));
    }
    println!("  {}", refreshed.line("the service, from asking for it to the end of its reload"));
    println!("  {}", reloaded.line("a bare reload"));
}
