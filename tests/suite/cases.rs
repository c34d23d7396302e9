// SPDX-License-Identifier: MIT OR Apache-2.0
//! Case folders: `tests/cases/NN-name/` is a machine as a tree and what comes
//! out for it; `tests/cases/README.md` describes the format.
//!
//! `RDNA1_BLESS=1 cargo test -p rdna1-tests cases` writes `expected/` anew;
//! the difference belongs into the review.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use rdna1_core::config::Config;
use rdna1_core::gfx::GfxSetting;
use rdna1_core::ids::VarName;
use rdna1_core::machine::Machine;
use rdna1_core::policy::Policy;
use rdna1_core::render::{Format, Guard, render};
use rdna1_core::resolve::{Applied, Inputs, Request, Resolution, resolve};
use rdna1_core::root::{DeviceNode, Root};
use rdna1_core::selection::{self, Selection};
use rdna1_core::stack::Stacks;
use rdna1_tests::program::{copy_case, program, top};
use serde::{Deserialize, Serialize};
use walkdir::WalkDir;

/// `case.yaml`: what the tree alone cannot say.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    /// What the machine is.
    title: String,
    /// What the case shows.
    shows: String,
    /// The environment that the user has.
    #[serde(default)]
    environment: BTreeMap<String, String>,
    /// What this program had set machine-wide earlier.
    #[serde(default)]
    applied: BTreeMap<VarName, String>,
    #[serde(default)]
    request: CaseRequest,
}

/// What a command line asks for.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct CaseRequest {
    profile: Option<String>,
    gfx: Option<GfxSetting>,
    single_process: bool,
}

/// The files of `expected/`, by name.
type Outcome = BTreeMap<&'static str, String>;

#[test]
fn every_case_comes_out_as_expected() {
    let policy = Policy::embedded().expect("the embedded policy is readable");
    let bless = std::env::var_os("RDNA1_BLESS").is_some();
    let mut wrong = Vec::new();
    let mut numbers = BTreeMap::new();
    let cases = case_folders();
    assert!(!cases.is_empty(), "there are no cases");
    for folder in cases {
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let number = name.split('-').next().unwrap_or_default().to_owned();
        if let Some(other) = numbers.insert(number, name.clone()) {
            wrong.push(format!("{name} and {other} have the same number"));
        }
        wrong.extend(misplaced(&folder).into_iter().map(|problem| format!("{name}: {problem}")));
        match outcome(&policy, &folder) {
            Ok(outcome) if bless => write(&folder.join("expected"), &outcome),
            Ok(outcome) => {
                let differences = compare(&folder.join("expected"), &outcome);
                wrong.extend(differences.into_iter().map(|difference| format!("{name}/expected/{difference}")));
            }
            Err(problem) => wrong.push(format!("{name}: {problem}")),
        }
    }
    assert!(wrong.is_empty(), "{}\n\nRDNA1_BLESS=1 accepts what came out", wrong.join("\n"));
}

/// The boot entry has a shorter policy, without what nobody reads at boot, and
/// sets the same: the real one, run on every case's machine.
#[test]
fn the_boot_entry_sets_what_the_whole_policy_says() {
    let policy = Policy::embedded().expect("the embedded policy is readable");
    let mut with_variables = 0;
    for folder in case_folders() {
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let dir = assert_fs::TempDir::new().expect("a temporary directory");
        copy_case(&name, dir.path());
        let root = Root::new(dir.path());
        // Nobody can ask PID 1 for anything.
        let case = Case { request: CaseRequest::default(), ..read_case(&folder).expect("the case is readable") };
        if !case.applied.is_empty() {
            let run = dir.path().join("run/rdna1-rocm-fix");
            fs::create_dir_all(&run).expect("it is our copy");
            let applied = Applied { variables: case.applied.clone() };
            fs::write(run.join("applied.json"), json(&applied)).expect("it is our copy");
        }
        let expected = resolution(&policy, &root, &Machine::detect(&root, &policy), &case).map(|resolution| {
            render(Format::Systemd, Guard::None, resolution.variables(), &[]).expect("the case can be written")
        });
        let mut generator = program("rdna1-rocm-fix-generator");
        let output = generator.env("RDNA1_ROOT", dir.path()).envs(&case.environment).output();
        let output = output.expect("the program runs");
        assert!(output.status.success(), "{name}: {output:?}");
        assert_eq!(String::from_utf8_lossy(&output.stdout), expected.unwrap_or_default(), "{name}");
        let config = Config::read(&root, &policy).unwrap_or_default();
        with_variables += usize::from(!config.variables.is_empty() || !config.suppress.is_empty());
    }
    assert!(with_variables > 1, "no case's configuration names variables");
}

/// What `snapshot` saves for a bug report is enough to see the same.
#[test]
fn a_snapshot_of_every_case_comes_out_the_same() {
    let policy = Policy::embedded().expect("the embedded policy is readable");
    let dir = assert_fs::TempDir::new().expect("a temporary directory");
    for folder in case_folders() {
        let copy = dir.path().join(folder.file_name().unwrap_or_default());
        let snapshot =
            program("rdna1-rocm-fix").arg("--root").arg(folder.join("root")).arg("snapshot").arg(&copy).output();
        let snapshot = snapshot.expect("the program runs");
        assert!(snapshot.status.success(), "{}: {snapshot:?}", folder.display());
        let case = read_case(&folder).expect("the case is readable");
        let outcome = outcome_at(&policy, &Root::new(&copy), &case);
        assert_eq!(compare(&folder.join("expected"), &outcome), Vec::<String>::new(), "{}", folder.display());
    }
}

fn case_folders() -> Vec<PathBuf> {
    WalkDir::new(top().join("tests/cases"))
        .min_depth(1)
        .max_depth(1)
        .sort_by_file_name()
        .into_iter()
        .map(|entry| entry.expect("the cases are readable"))
        .filter(|entry| entry.file_type().is_dir())
        .map(walkdir::DirEntry::into_path)
        .collect()
}

/// What does not belong into a case, and links that would lead out of its
/// tree and so let the result depend on the machine that runs the test.
fn misplaced(folder: &Path) -> Vec<String> {
    let mut problems = Vec::new();
    for entry in WalkDir::new(folder).min_depth(1) {
        let entry = entry.expect("the case is readable");
        let path = entry.path().strip_prefix(folder).expect("it lies below the folder");
        let known = ["case.yaml", "root", "expected"].iter().any(|known| path.starts_with(known));
        if entry.depth() == 1 && !known {
            problems.push(format!("{} has no meaning here", path.display()));
        }
        if entry.path_is_symlink() {
            let target = fs::read_link(entry.path()).expect("a link has a target");
            let mut depth = entry.depth() - 1;
            let inside = target.components().all(|part| match part {
                // Depth 1 is root/ itself.
                std::path::Component::ParentDir if depth > 1 => {
                    depth -= 1;
                    true
                }
                std::path::Component::Normal(_) => {
                    depth += 1;
                    true
                }
                _ => false,
            });
            if !inside {
                problems.push(format!("{} leads out of root/", path.display()));
            }
        }
    }
    problems
}

fn outcome(policy: &Policy, folder: &Path) -> Result<Outcome, String> {
    Ok(outcome_at(policy, &Root::new(folder.join("root")), &read_case(folder)?))
}

fn read_case(folder: &Path) -> Result<Case, String> {
    let text = fs::read_to_string(folder.join("case.yaml")).map_err(|error| format!("case.yaml: {error}"))?;
    let case: Case = serde_yaml::from_str(&text).map_err(|error| format!("case.yaml: {error}"))?;
    if case.title.trim().is_empty() || case.shows.trim().is_empty() {
        return Err("case.yaml: title and shows must say something".into());
    }
    Ok(case)
}

fn outcome_at(policy: &Policy, root: &Root, case: &Case) -> Outcome {
    let mut machine = Machine::detect(root, policy);
    anonymise(&mut machine);
    let mut outcome = Outcome::from([("machine.json", json(&machine))]);
    match resolution(policy, root, &machine, case) {
        Ok(resolution) => {
            outcome.insert("env.txt", at_a_glance(&resolution));
            outcome.insert("resolution.json", json(&resolution));
        }
        Err(error) => {
            outcome.insert("env.txt", String::new());
            outcome.insert("error.txt", format!("{error}\n"));
        }
    }
    outcome
}

fn resolution(policy: &Policy, root: &Root, machine: &Machine, case: &Case) -> Result<Resolution, String> {
    let config = Config::read(root, policy).map_err(|error| error.to_string())?;
    let selection = Selection::read(root).map_err(|error| error.to_string())?;
    let recorded = selection.and_then(|selection| selection.machine_wide(machine, selection::FILE));
    let request = Request {
        profile: case.request.profile.clone(),
        gfx: case.request.gfx,
        single_process: case.request.single_process,
    };
    Ok(resolve(Inputs {
        policy,
        machine,
        stacks: &Stacks::detect(root),
        config: &config,
        recorded: recorded.as_ref(),
        request: &request,
        environment: &case.environment,
        applied: &case.applied,
    }))
}

/// Owner, group and mode of a device node are those of the checkout, and root
/// may open everything: so they are blanked, and a node counts as accessible
/// if it exists. What they are for is tested in detect.rs.
fn anonymise(machine: &mut Machine) {
    let nodes = machine.cards.iter_mut().filter_map(|card| card.render_node.as_mut());
    for node in nodes.chain([&mut machine.kfd_device]) {
        *node = DeviceNode { mode: None, owner: None, group: None, accessible: node.exists, ..node.clone() };
    }
}

/// The environment as a reader wants to see it: what is set, what is unset.
fn at_a_glance(resolution: &Resolution) -> String {
    let set = resolution.variables().map(|(name, value)| format!("{name}={value}\n"));
    let unset = resolution.unset.iter().map(|name| format!("unset {name}\n"));
    set.chain(unset).collect()
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string_pretty(value).expect("plain data has a JSON form") + "\n"
}

fn write(expected: &Path, outcome: &Outcome) {
    fs::create_dir_all(expected).expect("expected/ can be made");
    for name in names(expected).iter().filter(|name| !outcome.contains_key(name.as_str())) {
        fs::remove_file(expected.join(name)).expect("a file of an earlier outcome can be removed");
    }
    for (name, text) in outcome {
        fs::write(expected.join(name), text).expect("an outcome can be written");
    }
}

fn compare(expected: &Path, outcome: &Outcome) -> Vec<String> {
    let extra = names(expected).into_iter().filter(|name| !outcome.contains_key(name.as_str()));
    let mut differences: Vec<String> = extra.map(|name| format!("{name}: is not produced")).collect();
    for (name, text) in outcome {
        match fs::read_to_string(expected.join(name)) {
            Ok(wanted) if &wanted == text => {}
            Ok(wanted) => differences.push(format!("{name}:\n{}", line_difference(&wanted, text))),
            Err(error) => differences.push(format!("{name}: {error}; it would hold\n{text}")),
        }
    }
    differences
}

/// The lines between the common beginning and the common end.
fn line_difference(wanted: &str, got: &str) -> String {
    let (wanted, got): (Vec<&str>, Vec<&str>) = (wanted.lines().collect(), got.lines().collect());
    let same = |(a, b): &(&&str, &&str)| a == b;
    let start = wanted.iter().zip(&got).take_while(same).count();
    let end = wanted[start..].iter().rev().zip(got[start..].iter().rev()).take_while(same).count();
    let lines = |sign: &str, lines: &[&str]| -> String {
        lines[start..lines.len() - end].iter().map(|line| format!("{sign} {line}\n")).collect()
    };
    format!("  from line {}\n{}{}", start + 1, lines("-", &wanted), lines("+", &got))
}

fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).into_iter().flatten();
    entries.map(|entry| entry.expect("expected/ is readable").file_name().to_string_lossy().into_owned()).collect()
}
