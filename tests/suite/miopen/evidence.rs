// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the policy says about who reads a variable, against the libraries.

use rdna1_core::policy::Emit;
use rdna1_core::root::Root;
use rdna1_stack::evidence::{self, Evidence, Verdict};
use rdna1_stack::{Place, Survey};
use rdna1_tests::program::program;
use serde_json::Value;

use super::{World, report, world};

/// What Debian's libMIOpen, libamdhip64 and libhsa-runtime64 contain.
pub(super) fn look(world: &World) -> Evidence {
    let root = Root::new(&world.root);
    let survey = Survey::of_machine(&root, &Default::default(), None);
    let [stack] = &survey.stacks[..] else { panic!("one stack is unpacked there: {:?}", survey.stacks) };
    let place = Place(&root);
    evidence::look(&world.policy, place, &evidence::libraries(place, stack)).expect("they are libraries")
}

#[test]
fn real_libraries_contain_what_the_policy_says() {
    let Some(world) = world() else { return };
    let evidence = look(world);
    for name in ["libMIOpen.so", "libamdhip64.so", "libhsa-runtime64.so"] {
        assert!(evidence.libraries.iter().any(|path| path.contains(name)), "{name}: {:?}", evidence.libraries);
    }
    assert_eq!(evidence.libraries.len(), 3, "{:?}", evidence.libraries);
    for variable in &evidence.variables {
        report(&format!("evidence {}: {}", variable.name, variable.verdict.text()));
    }
    let inert = evidence.variable("HIP_FORCE_COARSE_GRAIN").expect("the policy describes it");
    assert_eq!((inert.verdict, inert.found_in.len()), (Verdict::NothingReadsIt, 0));
    for variable in &world.policy.variables {
        let found = evidence.variable(variable.name.as_str()).expect("each is looked for");
        assert_ne!(found.verdict, Verdict::Unexpected, "{}: {:?}", variable.name, found.found_in);
        // What a profile sets is read, unless it is known to come with another version.
        let since = variable.read_by.iter().any(|reader| reader.since.is_some());
        if variable.emit == Emit::Profile && !variable.is_inert() && !since {
            assert_eq!(found.verdict, Verdict::Confirmed, "{}", variable.name);
        }
    }
}

fn explain(arguments: &[&str]) -> (String, String, i32) {
    let output = program("rdna1-rocm-fix").args(arguments).output().expect("the program runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr), output.status.code().unwrap_or(-1))
}

/// As a user asks: by the machine, by the directory of the libraries, by one variable.
#[test]
fn explain_looks_into_a_stack() {
    let Some(world) = world() else { return };
    let root = world.root.display().to_string();
    let libraries = format!("{root}/usr/lib/x86_64-linux-gnu");
    for arguments in [&["--root", &root, "explain", "--stack", "auto"][..], &["explain", "--stack", &libraries]] {
        let (out, err, status) = explain(arguments);
        assert_eq!((status, err.as_str()), (0, ""), "{arguments:?}");
        let (_, inert) = out.split_once("no library here contains it").expect("there are such variables");
        assert!(inert.contains("    HIP_FORCE_COARSE_GRAIN (set by gemm, gemm-naive)\n"), "{arguments:?}: {out}");
        assert!(out.contains("    MIOPEN_FIND_MODE: libMIOpen.so."), "{out}");
    }
    let one = ["--root", &root, "explain", "HIP_FORCE_COARSE_GRAIN", "--stack", "/usr", "--json"];
    let (out, err, status) = explain(&one);
    assert_eq!(status, 0, "{err}");
    let document: Value = serde_json::from_str(&out).expect("it is JSON");
    let variables = &document["stacks"][0]["variables"];
    assert_eq!(variables.as_array().map(Vec::len), Some(1), "{out}");
    assert_eq!(variables[0]["verdict"], "nothing-reads-it");
    assert_eq!(variables[0]["found_in"], serde_json::json!([]));
}

#[test]
fn what_is_no_stack_or_no_library_is_said() {
    let Some(world) = world() else { return };
    let root = Root::new(&world.root);
    let error = evidence::look(&world.policy, Place(&root), &["/packages".into()]).expect_err("a text file");
    assert!(error.problem.contains("no ELF"), "{error:?}");
    for (stack, says) in [("/no/such/dir", "there is no such directory"), ("/usr/share", "neither ROCm")] {
        let (_, err, status) = explain(&["--root", &world.root.display().to_string(), "explain", "--stack", stack]);
        assert_eq!(status, 3, "{stack}");
        assert!(err.contains(says), "{stack}: {err}");
    }
    let (_, err, status) = explain(&["explain", "--json"]);
    assert_eq!(status, 2, "{err}");
}
