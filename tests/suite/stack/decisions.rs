// SPDX-License-Identifier: MIT OR Apache-2.0
//! The decision table: which PyTorch is what to which card, and what the real
//! `run` chooses for it. `docs/stacks.md` has it;
//! `RDNA1_BLESS=1 cargo test -p rdna1-tests decisions` writes it anew.

use rdna1_core::ids::GfxTarget;
use rdna1_stack::python::Isolation;
use rdna1_stack::{Environment, Fit, Stack};
use rdna1_tests::program::{copy_case, program, top};
use rdna1_tests::table::Table;
use rdna1_tests::tree::{Tree, policy};
use rdna1_tests::wheel::{ROCM, THEROCK, bundle, library, packed, venv, version_py};

use super::{executable, system_python, variables};

/// The machines, one for each target.
const CARDS: [(&str, &str); 4] = [
    ("gfx1010", "02-rx5600xt-ready"),
    ("gfx1011", "06-v520-ready"),
    ("gfx1012", "04-rx5500xt-kernel-6.12-rocm-7.13"),
    ("gfx1013", "07-bc250"),
];

/// What a PyTorch is and the interpreter that imports it.
type Row = (&'static str, String);

/// Every kind of installation, as the facts describe it.
fn install(tree: &Tree) -> Vec<Row> {
    system_python(tree);
    let mut rows = Vec::new();
    let mut wheel = |what: &'static str, name: &str, version: &str, hip: &str, fatbin: &[u8]| {
        let prefix = format!("home/u/.pyenv/versions/{name}");
        venv(tree, &prefix, version, hip, fatbin);
        rows.push((what, format!("/{prefix}/bin/python")));
    };
    wheel("official wheel, ROCm 5.2", "w52", "1.13.1+rocm5.2", "'5.2.21151-afdc89f8'", &bundle(ROCM));
    wheel("official wheel, ROCm 5.4", "w54", "2.0.1+rocm5.4.2", "'5.4.22803-474e8620'", &bundle(ROCM));
    wheel("official wheel, ROCm 6.1, compressed", "w61", "2.6.0+rocm6.1", "'6.1.40091-a8dbc0c19'", &packed(ROCM));
    wheel("official wheel, ROCm 6.3, compressed", "w63", "2.7.1+rocm6.3", "'6.3.42131-fa1d09cbd'", &packed(ROCM));
    wheel("own build, PYTORCH_ROCM_ARCH=gfx1010", "own", "2.9.1", "'6.4.43484-123eb5128'", &packed(&["gfx1010"]));
    let arch = [bundle(&["gfx906", "gfx1010", "gfx1012", "gfx1030"]), packed(&["gfx1030"])].concat();
    wheel("Arch's list: gfx1010, gfx1012, gfx1030 and others", "arch", "2.5.1", "'6.2.41134-0'", &arch);
    wheel("own build for data centre cards", "dc", "2.9.1", "'6.4.43484-123eb5128'", &packed(&["gfx90a", "gfx942"]));
    let generic = bundle(&["gfx90a", "gfx10-3-generic"]);
    wheel("own build with generic code for RDNA2", "generic", "2.9.1", "'6.4.43484-123eb5128'", &generic);
    wheel("TheRock, one wheel", "rock", "2.11.0+rocm7.12.0", "'7.12.26100'", &packed(THEROCK));
    wheel("damaged library", "damaged", "2.6.0+rocm6.1", "'6.1.1'", b"");
    wheel("CUDA", "cuda", "2.11.0+cu128", "None", b"");
    // TheRock's split packages: device code in a package for each target.
    for device in ["gfx1010", "gfx1012"] {
        let prefix = format!("home/u/miniforge3/envs/{device}");
        let site = format!("{prefix}/lib/python3.12/site-packages");
        tree.write(format!("{site}/torch/version.py"), version_py("2.11.0+rocm7.13.0", "'7.13.26190'"));
        tree.write(format!("{site}/torch/lib/libtorch_hip.so"), library(b""));
        tree.write(format!("{site}/amd_torch_device_{device}-2.11.0.dist-info/METADATA"), "");
        tree.write(format!("{site}/rocm_sdk_core-7.13.0.dist-info/METADATA"), "");
        tree.write(format!("{site}/_rocm_sdk_libraries_gfx101X_dgpu/lib/libMIOpen.so.1"), "\x7fELF");
        executable(tree, &format!("{prefix}/bin/python3.12"), "\x7fELF");
        tree.link(format!("{prefix}/bin/python"), "python3.12");
        let what = if device == "gfx1010" { "TheRock split, device-gfx1010" } else { "TheRock split, device-gfx1012" };
        rows.push((what, format!("/{prefix}/bin/python")));
    }
    // The distribution's, for the CPU.
    tree.write("usr/lib/python3/dist-packages/torch/version.py", version_py("1.13.1", "None"));
    rows.push(("Debian's python3-torch, CPU", "/usr/bin/python3".into()));
    // An environment without any.
    tree.write("opt/empty/pyvenv.cfg", "home = /usr/bin\n");
    tree.link("opt/empty/bin/python", "/usr/bin/python3.12");
    rows.push(("no PyTorch", "/opt/empty/bin/python".into()));
    rows
}

/// What the interpreter will import.
fn imported(tree: &Tree, interpreter: &str) -> Option<Stack> {
    let root = tree.root();
    let environment =
        Environment::of_interpreter(&root, interpreter, &variables(&[("HOME", "/home/u")]), Isolation::default());
    environment.stack(&root, &mut Vec::new())
}

fn fit(stack: Option<&Stack>, card: &str) -> &'static str {
    let card: GfxTarget = card.parse().expect("a target");
    let Some(stack) = stack.filter(|stack| stack.pytorch.as_ref().is_some_and(|torch| torch.hip.is_some())) else {
        return "-";
    };
    match stack.fit(&policy(), card) {
        Fit::Native => "native",
        Fit::Compatible => "compatible",
        Fit::Foreign => "foreign",
        Fit::Unknown => "unknown",
    }
}

/// The gfx choice of `run --explain` for the interpreter.
fn chosen(tree: &Tree, interpreter: &str) -> String {
    let root = tree.root();
    let mut command = program("rdna1-rocm-fix");
    command
        .arg("--root")
        .arg(root.path())
        .args(["run", "--explain", "--", interpreter, "-c", ""])
        .env("HOME", "/home/u");
    let output = command.output().expect("the program runs");
    // The tree's interpreter is not to be found here, unless it has the place of this system's.
    assert!(matches!(output.status.code(), Some(0 | 127)), "{output:?}");
    let text = String::from_utf8_lossy(&output.stderr);
    let choice = text.lines().find_map(|line| line.strip_prefix("gfx choice ")?.split(':').next());
    choice.map(str::to_owned).unwrap_or_else(|| panic!("no choice: {text}"))
}

#[test]
fn the_committed_decision_table_is_what_run_decides() {
    let mut columns: Vec<Vec<String>> = Vec::new();
    let mut heads = Vec::new();
    for (card, case) in CARDS {
        let tree = Tree::new();
        copy_case(case, tree.root().path());
        let rows = install(&tree);
        columns.push(
            rows.iter()
                .map(|(_, interpreter)| {
                    let stack = imported(&tree, interpreter);
                    format!("{}: {}", fit(stack.as_ref(), card), chosen(&tree, interpreter))
                })
                .collect(),
        );
        heads = rows
            .into_iter()
            .map(|(what, interpreter)| {
                let stack = imported(&tree, &interpreter);
                let torch = stack.as_ref().and_then(|stack| stack.pytorch.as_ref());
                let code = torch.and_then(|torch| torch.code.as_ref()).map(|code| {
                    let names: Vec<&str> = code.targets.iter().map(String::as_str).collect();
                    if names.is_empty() { "none".to_owned() } else { names.join(" ") }
                });
                let version = torch.map_or("-", |torch| torch.version.as_str()).to_owned();
                (what, version, code.unwrap_or_else(|| "-".into()))
            })
            .collect();
    }
    // What no blessing can change: native code is never overridden, what cannot be told never passes
    // for it, and a card does not pass for one whose code is not there.
    for (row, cell) in columns.iter().flat_map(|column| column.iter().enumerate()) {
        let (fit, choice) = cell.split_once(": ").expect("two parts");
        let code = &heads[row].2;
        let expected = match fit {
            "native" => "native",
            "compatible" => "10.1.0",
            "foreign" if !code.contains("gfx1030") && !code.contains("gfx10-3-generic") => "native",
            _ => "10.3.0",
        };
        assert_eq!(choice, expected, "{} {cell}", heads[row].0);
    }
    let mut table = Table::new(["PyTorch", "version", "device code"].into_iter().chain(CARDS.map(|(card, _)| card)));
    for (row, (what, version, code)) in heads.iter().enumerate() {
        table.row([*what, version, code].into_iter().chain(columns.iter().map(|cells| cells[row].as_str())));
    }
    table.assert_committed(&top().join("docs/stacks.md"), "rendered: cargo test -p rdna1-tests decisions");
}
