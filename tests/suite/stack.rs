// SPDX-License-Identifier: MIT OR Apache-2.0
//! Stacks found by their files, and the interpreter of a command.
//!
//! The trees are as the facts describe the installations; the libraries in them
//! hold nothing but the headers that are read.

mod decisions;

use std::path::Path;
use std::process::{Command, Output};

use rdna1_core::ids::GfxTarget;
use rdna1_core::root::Root;
use rdna1_stack::command::interpreter;
use rdna1_stack::python::Variables;
use rdna1_stack::{Fit, Stack, StackKind, Survey};
use rdna1_tests::archive;
use rdna1_tests::program::{copy_case, program};
use rdna1_tests::tree::{Tree, policy};
use rdna1_tests::wheel::{ROCM, THEROCK, bundle, library, packed, venv, version_py};

fn system_python(tree: &Tree) {
    executable(tree, "usr/bin/python3.12", "\x7fELF");
    tree.link("usr/bin/python3", "python3.12");
    executable(tree, "usr/bin/env", "\x7fELF");
}

fn executable(tree: &Tree, path: &str, content: &str) {
    use std::os::unix::fs::PermissionsExt;
    tree.write(path, content);
    let made = std::fs::set_permissions(tree.at(path), std::fs::Permissions::from_mode(0o755));
    made.expect("it is ours");
}

fn variables(list: &[(&str, &str)]) -> Variables {
    list.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// One line for each stack: what it is, and what it is to gfx1010, gfx1012 and gfx1013.
fn table(stacks: &[Stack]) -> Vec<String> {
    let policy = policy();
    let fit = |stack: &Stack, card: &str| {
        let card: GfxTarget = card.parse().expect("a target");
        match stack.fit(&policy, card) {
            Fit::Native => "native",
            Fit::Compatible => "compatible",
            Fit::Foreign => "foreign",
            Fit::Unknown => "unknown",
        }
    };
    let line = |stack: &Stack| {
        let rocm = stack.rocm.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string);
        let torch = stack.pytorch.as_ref().map_or("-", |torch| torch.version.as_str());
        let fits: Vec<&str> = ["gfx1010", "gfx1012", "gfx1013"].iter().map(|card| fit(stack, card)).collect();
        format!("{} {rocm} {torch} {}", stack.path, fits.join(" "))
    };
    stacks.iter().map(line).collect()
}

#[test]
fn every_layout_is_found_and_judged() {
    let tree = Tree::new();
    system_python(&tree);
    // AMD's packages, and the link of every day.
    tree.write("opt/rocm-6.4.2/.info/version", "6.4.2-120\n");
    tree.write("opt/rocm-6.4.2/lib/libMIOpen.so.1.0.60402", "\x7fELF");
    tree.write(
        "opt/rocm-6.4.2/include/miopen/version.h",
        "#define MIOPEN_VERSION_MAJOR 3\n#define MIOPEN_VERSION_MINOR 4\n#define MIOPEN_VERSION_PATCH 0\n",
    );
    for target in ["gfx1010", "gfx1030"] {
        tree.write(format!("opt/rocm-6.4.2/lib/rocblas/library/TensileLibrary_lazy_{target}.dat"), "");
    }
    tree.link("opt/rocm", "rocm-6.4.2");
    // Fedora.
    tree.write("usr/lib64/libamdhip64.so.6.3.42134", "\x7fELF");
    tree.write("usr/lib64/rocblas/library/Kernels.so-000-gfx1100.hsaco", "");
    // Debian's PyTorch is for the CPU.
    tree.write("usr/lib/python3/dist-packages/torch/version.py", version_py("1.13.1", "None"));
    // A path of the Nix store, and what only looks like one.
    tree.write("nix/store/abc-clr-6.4.3/lib/libamdhip64.so.6", "\x7fELF");
    tree.write("nix/store/abc-clr-6.4.3-icd/lib/libamdhip64.so.6", "\x7fELF");
    // Environments.
    venv(&tree, "home/u/.pyenv/versions/a", "1.13.1+rocm5.2", "'5.2.21151-afdc89f8'", &bundle(ROCM));
    venv(&tree, "home/u/.pyenv/versions/b", "2.6.0+rocm6.1", "'6.1.40091-a8dbc0c19'", &packed(ROCM));
    venv(&tree, "home/u/.pyenv/versions/c", "2.9.1", "'6.4.43484'", &packed(&["gfx1010"]));
    venv(&tree, "work/.venv", "2.11.0+rocm7.13.0", "'7.13.26190'", &[bundle(&["gfx1030"]), packed(THEROCK)].concat());
    let variables = variables(&[("HOME", "/home/u"), ("PATH", "/usr/bin")]);
    let survey = Survey::of_machine(&tree.root(), &variables, Some("/work"));
    assert_eq!(survey.problems, []);
    assert_eq!(
        table(&survey.stacks),
        [
            "/opt/rocm-6.4.2 6.4.2 - native compatible compatible",
            "/usr 6.3 - foreign foreign foreign",
            "/nix/store/abc-clr-6.4.3 6.4.3 - unknown unknown unknown",
            "/usr/lib/python3/dist-packages - 1.13.1 unknown unknown unknown",
            "/work/.venv/lib/python3.12/site-packages 7.13.0 2.11.0+rocm7.13.0 native native compatible",
            "/home/u/.pyenv/versions/a/lib/python3.12/site-packages 5.2 1.13.1+rocm5.2 foreign foreign foreign",
            "/home/u/.pyenv/versions/b/lib/python3.12/site-packages 6.1 2.6.0+rocm6.1 foreign foreign foreign",
            "/home/u/.pyenv/versions/c/lib/python3.12/site-packages 6.4 2.9.1 native compatible compatible",
        ]
    );
    let system = &survey.stacks[0];
    assert_eq!((system.kind, system.miopen.as_deref()), (StackKind::System, Some("3.4.0")));
}

#[test]
fn rocms_own_python_packages_are_a_stack() {
    let tree = Tree::new();
    let site = "venv/lib/python3.12/site-packages";
    tree.write(format!("{site}/torch/version.py"), version_py("2.11.0a0+rocm7.13.0", "'7.13.26190'"));
    // Device code in packages of its own; the library has none.
    tree.write(format!("{site}/torch/lib/libtorch_hip.so"), library(b""));
    tree.write(format!("{site}/amd_torch_device_gfx1012-2.11.0.dist-info/METADATA"), "");
    tree.write(format!("{site}/rocm_sdk_core-7.13.0.dist-info/METADATA"), "");
    tree.write(format!("{site}/_rocm_sdk_libraries_gfx101X_dgpu/lib/libMIOpen.so.1"), "\x7fELF");
    let kernels = format!("{site}/_rocm_sdk_libraries_gfx101X_dgpu/lib/rocblas/library");
    tree.write(format!("{kernels}/TensileLibrary_lazy_gfx1012.dat"), "");
    let survey = Survey::of_machine(&tree.root(), &variables(&[("VIRTUAL_ENV", "/venv")]), None);
    assert_eq!(survey.problems, []);
    assert_eq!(table(&survey.stacks), [format!("/{site} 7.13.0 2.11.0a0+rocm7.13.0 foreign native foreign")]);
    let stack = &survey.stacks[0];
    assert_eq!(stack.packages, ["amd_torch_device_gfx1012 2.11.0", "rocm_sdk_core 7.13.0"]);
    assert_eq!(stack.miopen.as_deref(), Some("present"));
    assert!(stack.rocblas.contains("gfx1012"), "{:?}", stack.rocblas);
}

#[test]
fn a_fingerprint_is_of_the_content() {
    let made = |fatbin: &[u8], prefix: &str| {
        let tree = Tree::new();
        venv(&tree, prefix, "2.6.0+rocm6.1", "'6.1.1'", fatbin);
        let prefix = format!("/{prefix}");
        let survey = Survey::of_machine(&tree.root(), &variables(&[("VIRTUAL_ENV", &prefix)]), None);
        survey.stacks[0].fingerprint.clone()
    };
    let first = made(&bundle(ROCM), "a");
    assert_eq!(first, made(&bundle(ROCM), "b"), "the place counts");
    assert_ne!(first, made(&bundle(THEROCK), "a"), "the code does not count");
    assert_eq!(first.len(), 32);
}

#[test]
fn damage_is_reported_and_nothing_more() {
    let tree = Tree::new();
    let site = |name: &str| format!("home/u/.pyenv/versions/{name}/lib/python3.12/site-packages");
    let whole = library(&bundle(ROCM));
    let torch = |name: &str, content: &[u8]| {
        tree.write(format!("{}/torch/version.py", site(name)), version_py("2.6.0+rocm6.1", "'6.1.1'"));
        tree.write(format!("{}/torch/lib/libtorch_hip.so", site(name)), content);
    };
    torch("a-cut", &whole[..whole.len() - 4000]);
    torch("b-noise", &[0x7f, b'E', b'L', b'F', 2, 1, 1, 0xff, 0xff, 0xff].repeat(40));
    torch("c-empty", b"");
    // Terabytes, of which nothing is stored.
    torch("d-huge", &whole);
    let huge =
        std::fs::OpenOptions::new().append(true).open(tree.at(format!("{}/torch/lib/libtorch_hip.so", site("d-huge"))));
    let _ = huge.expect("it is ours").set_len(1 << 40);
    // Half removed.
    tree.write(format!("{}/torch/lib/libtorch_cpu.so", site("e-half")), "");
    tree.write(format!("{}/torch/version.py", site("f-half")), version_py("2.6.0+rocm6.1", "'6.1.1'"));
    tree.write(format!("{}/torch/version.py", site("g-junk")), [0xff, 0xfe, 0]);
    // Circles.
    tree.link(format!("{}/torch", site("h-circle")), "torch");
    tree.link("opt/rocm", "rocm-1");
    tree.link("opt/rocm-1", "rocm");
    tree.link("home/u/.pyenv/versions/i-circle/lib", "../i-circle/lib");
    // A pipe that nobody writes to.
    std::fs::create_dir_all(tree.at(format!("{}/torch/x", site("j-pipe")))).expect("it is ours");
    let pipe = tree.at(format!("{}/torch/version.py", site("j-pipe")));
    assert!(Command::new("mkfifo").arg(pipe).status().expect("mkfifo runs").success());
    let survey = Survey::of_machine(&tree.root(), &variables(&[("HOME", "/home/u")]), None);
    let problems: Vec<String> = survey
        .problems
        .iter()
        .map(|problem| format!("{}: {}", problem.path.split('/').nth(5).unwrap_or_default(), problem.problem))
        .collect();
    for name in ["a-cut", "b-noise", "e-half", "f-half", "g-junk", "j-pipe"] {
        assert!(problems.iter().any(|problem| problem.starts_with(name)), "{name}: {problems:#?}");
    }
    let code = |name: &str| {
        let stack = survey.stacks.iter().find(|stack| stack.path.contains(name));
        stack.and_then(|stack| stack.deciding_code()).unwrap_or_default()
    };
    assert!(!code("d-huge").is_empty());
    assert!(code("a-cut").is_empty() && code("c-empty").is_empty() && code("f-half").is_empty());
}

/// A library whose section of device code is terabytes long, of which nothing
/// but its beginning is stored: to read it to its end would take half an hour.
fn endless(tree: &Tree, path: &str, beginning: &[u8]) {
    const LENGTH: u64 = 4 << 40;
    // As tests/src/wheel.rs builds it: the section starts at 8192; behind it are the
    // headers, the empty one first, each with the size at its byte 32.
    let mut bytes = library(beginning);
    let size_at = 8192 + beginning.len() + 64 + 32;
    bytes[size_at..size_at + 8].copy_from_slice(&LENGTH.to_le_bytes());
    tree.write(path, bytes);
    let file = std::fs::OpenOptions::new().write(true).open(tree.at(path)).expect("it is ours");
    file.set_len(8192 + LENGTH).expect("the file system has sparse files");
}

/// `status` and `run` end on it, say that it is no library, and use what it
/// starts with.
#[test]
fn a_section_without_end_is_given_up() {
    let tree = Tree::new();
    copy_case("02-rx5600xt-ready", tree.root().path());
    let dir = tree.root().path().to_owned();
    system_python(&tree);
    venv(&tree, "usr/local", "2.11.0", "'7.12.1'", b"");
    let library = "usr/local/lib/python3.12/site-packages/torch/lib/libtorch_hip.so";
    executable(&tree, "usr/bin/printenv", "#!/usr/local/bin/python\n");
    let overridden = || {
        let output = run(&dir, &dir, &["--", "printenv"]);
        assert!(output.status.success(), "{output:?}");
        String::from_utf8_lossy(&output.stdout).contains("HSA_OVERRIDE_GFX_VERSION=")
    };
    let unreadable = || {
        let findings = status(&dir)["findings"].as_array().expect("a list").clone();
        let of_it = findings.iter().filter(|finding| finding["id"] == "unreadable-stack");
        of_it.map(|finding| finding["what"].as_str().expect("a text").to_owned()).collect::<Vec<_>>()
    };
    endless(&tree, library, &[0; 4096]);
    let problems = unreadable();
    assert!(problems.len() == 1 && problems[0].contains("with none in its first 64 MiB"), "{problems:?}");
    assert!(overridden(), "nothing is known of it");
    endless(&tree, library, &bundle(THEROCK));
    assert_eq!(unreadable(), Vec::<String>::new());
    assert!(!overridden(), "it starts with native code");
}

/// The interpreter's path and whether it was found.
fn asked(tree: &Tree, line: &str, set: &[(&str, &str)]) -> Option<String> {
    let line: Vec<String> = line.split(' ').map(str::to_owned).collect();
    interpreter(&tree.root(), &line, &variables(set), "/work/deep").interpreter.map(|found| found.path)
}

#[test]
fn the_interpreter_of_a_command_is_told_without_running_it() {
    let tree = Tree::new();
    system_python(&tree);
    for dir in ["work/.venv", "opt/venv", "home/u/miniconda3/envs/ml"] {
        tree.write(format!("{dir}/pyvenv.cfg"), "home = /usr/bin\n");
        tree.link(format!("{dir}/bin/python"), "/usr/bin/python3.12");
        tree.link(format!("{dir}/bin/python3"), "python");
        executable(&tree, &format!("{dir}/bin/torchrun"), &format!("#!/{dir}/bin/python3\nimport x\n"));
    }
    for tool in ["uv", "conda", "nice", "timeout", "bash", "make"] {
        executable(&tree, &format!("usr/bin/{tool}"), "\x7fELF");
    }
    executable(&tree, "usr/bin/hello", "#!/usr/bin/env python3\n");
    executable(&tree, "usr/bin/split", "#!/usr/bin/env -S FOO=1 python3 -u\n");
    executable(&tree, "usr/bin/wrapped", "#!/usr/bin/bash\nexec python3\n");
    executable(&tree, "usr/bin/loop", "#!/usr/bin/loop\n");
    tree.write("usr/bin/noise", [0xff; 9]);
    tree.write("work/deep/x.py", "");
    let shims = "home/u/.pyenv/shims";
    executable(&tree, &format!("{shims}/python"), "#!/usr/bin/env bash\nexec pyenv exec\n");
    executable(&tree, "home/u/.pyenv/versions/3.12.7/bin/python", "\x7fELF");
    executable(&tree, "home/u/.pyenv/versions/3.12.11/bin/python", "\x7fELF");
    tree.write("home/u/.pyenv/version", "3.12\n");
    let usual = &[("PATH", "/usr/bin"), ("HOME", "/home/u")][..];
    for (line, expected) in [
        ("python3 x.py", Some("/usr/bin/python3")),
        ("/opt/venv/bin/python -m pytest", Some("/opt/venv/bin/python")),
        ("../.venv/bin/python x.py", Some("/work/deep/../.venv/bin/python")),
        ("hello", Some("/usr/bin/python3")),
        ("split", Some("/usr/bin/python3")),
        ("env A=1 PATH=/opt/venv/bin python", Some("/opt/venv/bin/python")),
        ("env -u A -S python3", Some("/usr/bin/python3")),
        ("nice -n 5 timeout 60 python3", Some("/usr/bin/python3")),
        ("/opt/venv/bin/torchrun x.py", Some("/opt/venv/bin/python3")),
        ("uv run x.py", Some("/work/.venv/bin/python")),
        ("uv run python -c 1", Some("/work/.venv/bin/python")),
        ("uv run -m http.server", Some("/work/.venv/bin/python")),
        ("uv run torchrun x", Some("/work/.venv/bin/python3")),
        ("uv run --with torch x.py", None),
        ("conda run -n ml python x", Some("/home/u/miniconda3/envs/ml/bin/python")),
        ("conda run --no-capture-output -p /opt/venv torchrun", Some("/opt/venv/bin/python3")),
        ("conda run -n none python", None),
        ("wrapped", None),
        ("make", None),
        ("loop", None),
        ("noise", None),
        ("/usr/bin", None),
        ("nothing", None),
    ] {
        assert_eq!(asked(&tree, line, usual).as_deref(), expected, "{line}");
    }
    let path = format!("/{shims}:/usr/bin");
    let newest = asked(&tree, "python x.py", &[("PATH", &path), ("HOME", "/home/u")]);
    assert_eq!(newest.as_deref(), Some("/home/u/.pyenv/versions/3.12.11/bin/python"));
}

/// `uv run` by what makes uv choose: the project, what is active, and what makes
/// an environment of its own.
#[test]
fn what_uv_run_will_use_is_told_or_said_to_be_out_of_reach() {
    let tree = Tree::new();
    system_python(&tree);
    executable(&tree, "usr/bin/uv", "\x7fELF");
    for dir in ["work/.venv", "work/deep/p/.venv", "work/deep/w/.venv", "opt/active", "opt/named"] {
        tree.write(format!("{dir}/pyvenv.cfg"), "home = /usr/bin\n");
        tree.link(format!("{dir}/bin/python"), "/usr/bin/python3.12");
    }
    executable(&tree, "opt/conda/bin/python", "\x7fELF");
    let project = "[project]\nname = \"p\"\n";
    tree.write("work/deep/p/pyproject.toml", project);
    tree.write("work/deep/new/pyproject.toml", project);
    tree.write("work/deep/none/pyproject.toml", "[tool.ruff]\n");
    tree.write("work/deep/w/pyproject.toml", "[tool.uv.workspace]\nmembers = [\"in/*\"]\n");
    tree.write("work/deep/w/in/a/pyproject.toml", project);
    tree.write("work/deep/w/out/pyproject.toml", project);
    tree.write("work/deep/pinned/.python-version", "3.12\n");
    for dir in ["work/deep", "work/deep/p"] {
        tree.write(format!("{dir}/x.py"), "import torch\n");
        tree.write(
            format!("{dir}/own.py"),
            "#!/usr/bin/env python3\n# /// script\n# dependencies = [\"torch\"]\n# ///\n",
        );
    }
    tree.write("work/deep/package/__main__.py", "");
    let usual = &[("PATH", "/usr/bin"), ("HOME", "/home/u")][..];
    let near = Some("/work/.venv/bin/python");
    let of_project = Some("/work/deep/p/.venv/bin/python");
    let of_workspace = Some("/work/deep/w/.venv/bin/python");
    let (active, conda) = (("VIRTUAL_ENV", "/opt/active"), ("CONDA_PREFIX", "/opt/conda"));
    for (line, set, expected) in [
        // Outside a project.
        ("uv run x.py", &[][..], near),
        ("uv run x.py", &[active], Some("/opt/active/bin/python")),
        ("uv run python x.py", &[active, conda], Some("/opt/active/bin/python")),
        ("uv run x.py", &[conda], Some("/opt/conda/bin/python")),
        ("uv run x.py", &[conda, ("CONDA_DEFAULT_ENV", "base")], near),
        ("uv run x.py", &[("VIRTUAL_ENV", "/opt/gone")], near),
        ("uv run package", &[], near),
        ("uv run --frozen -q --extra a --env-file=b x.py", &[], near),
        ("uv run --directory pinned python", &[], None),
        ("uv run --directory / python", &[], None),
        // In one.
        ("uv run --project p python", &[active], of_project),
        ("uv run --directory p x.py", &[active], of_project),
        ("uv run --directory=p --active x.py", &[active], Some("/opt/active/bin/python")),
        ("uv run --directory p x.py", &[("UV_PROJECT_ENVIRONMENT", "/opt/named")], Some("/opt/named/bin/python")),
        ("uv run --directory p x.py", &[("UV_PROJECT_ENVIRONMENT", "gone")], None),
        // The project has no environment yet; the one above is not its own.
        ("uv run --directory new python", &[active], None),
        ("uv run --directory none python", &[], None),
        // A workspace's members share its environment; what is no member has its own.
        ("uv run --directory w/in/a python", &[], of_workspace),
        ("uv run --directory w python", &[], of_workspace),
        ("uv run --directory w/out python", &[], None),
        // uv makes an environment.
        ("uv run own.py", &[active], None),
        ("uv run --directory p own.py", &[], None),
        ("uv run --script x.py", &[], None),
        ("uv run -p3.12 x.py", &[], None),
        ("uv run -w numpy x.py", &[], None),
        ("uv run --an-option-to-come x.py", &[], None),
        ("uv run -", &[], None),
        ("uv run https://example.org/x.py", &[], None),
        ("uv run x.py", &[("UV_PYTHON", "3.12")], None),
        // A program of that name runs in the project's; its metadata are not asked for.
        ("uv run python own.py", &[], near),
    ] {
        let set: Vec<(&str, &str)> = usual.iter().chain(set).copied().collect();
        assert_eq!(asked(&tree, line, &set).as_deref(), expected, "{line} {set:?}");
    }
}

/// `env` as its manual has it: what it takes away, and where it goes.
#[test]
fn env_is_read_as_it_reads_itself() {
    let tree = Tree::new();
    system_python(&tree);
    tree.write("work/deep/venv/pyvenv.cfg", "home = /usr/bin\n");
    tree.link("work/deep/venv/bin/python", "/usr/bin/python3.12");
    let found = |line: &str| {
        let line: Vec<String> = line.split('|').map(str::to_owned).collect();
        let answer = interpreter(&tree.root(), &line, &variables(&[("PATH", "/usr/bin")]), "/work");
        (answer.interpreter.map(|found| found.path), answer.clears_environment)
    };
    let venv = Some("/work/deep/venv/bin/python".to_owned());
    let system = Some("/usr/bin/python3".to_owned());
    for there in ["-C|deep", "-Cdeep", "--chdir=deep", "--chdir|deep", "--ch=deep", "-vCdeep"] {
        assert_eq!(found(&format!("env|{there}|venv/bin/python")), (venv.clone(), false), "{there}");
    }
    for kept in ["-uFOO", "--unset=FOO", "--split-string=FOO='a b'", "-SFOO=1", "-vS FOO=1", "--", "FOO=1", "-a|x"] {
        assert_eq!(found(&format!("env|{kept}|python3")), (system.clone(), false), "{kept}");
    }
    for lost in [
        "-uPYTHONPATH",
        "-u|PYTHONPATH",
        "--unset=PYTHONPATH",
        "--uns|RDNA1_BYPASS",
        "-vuPYTHONPATH",
        "PYTHONPATH=/x",
        "-SPYTHONPATH=/x",
        "-uFOO|-uPYTHONPATH",
    ] {
        assert_eq!(found(&format!("env|{lost}|python3")), (system.clone(), true), "{lost}");
    }
    // Without PATH it looks where execvp(3) does.
    for cleared in ["-i", "-", "--ignore-env", "-iv", "-ivS A=1"] {
        assert_eq!(found(&format!("env|{cleared}|python3")), (system.clone(), true), "{cleared}");
    }
    for out_of_reach in ["-x", "--no-such", "-S${HOME}/python", "--"] {
        let line = format!("env|{out_of_reach}|nothing");
        assert_eq!(found(&line).0, None, "{line}");
    }
}

fn run(root: &Path, dir: &Path, line: &[&str]) -> Output {
    let mut command = program("rdna1-rocm-fix");
    command.arg("--root").arg(root).arg("run").args(line).current_dir(dir).output().expect("the program runs")
}

/// The program itself: the same card, three commands, three environments.
#[test]
fn run_chooses_by_what_the_interpreter_will_import() {
    let tree = Tree::new();
    copy_case("02-rx5600xt-ready", tree.root().path());
    let dir = tree.root().path().to_owned();
    // The program runs the real `env`; the machine's is what decides.
    executable(&tree, "usr/bin/env", "#!/native/bin/python\n");
    system_python(&tree);
    venv(&tree, "native", "2.11.0", "'7.12.1'", &bundle(THEROCK));
    venv(&tree, "foreign", "2.6.0+rocm6.1", "'6.1.1'", &bundle(ROCM));
    for (prefix, expected) in [("native", None), ("foreign", Some("HSA_OVERRIDE_GFX_VERSION=10.3.0"))] {
        let script = format!("printf '#!/{prefix}/bin/python\\n'");
        let made = Command::new("sh").arg("-c").arg(script).output().expect("sh runs").stdout;
        // Of this name the machine has a script for that Python, the running system the real printenv.
        executable(&tree, "usr/bin/printenv", &String::from_utf8(made).expect("text"));
        let output = run(&dir, &dir, &["--explain", "--", "printenv"]);
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        let set = out.lines().find(|line| line.starts_with("HSA_OVERRIDE_GFX_VERSION"));
        assert_eq!(set, expected, "{out}{err}");
        assert!(err.contains(&format!("/{prefix}/bin/python uses torch 2.")), "{err}");
    }
}

#[test]
fn bypass_gives_the_hook_to_one_process_or_says_why_not() {
    let tree = Tree::new();
    copy_case("02-rx5600xt-ready", tree.root().path());
    system_python(&tree);
    let dir = tree.root().path().to_owned();
    let bypass = |line: &[&str]| run(&dir, &dir, &[&["--profile", "bypass", "--"], line].concat());
    let missing = bypass(&["printenv"]);
    assert_eq!(missing.status.code(), Some(125));
    assert!(String::from_utf8_lossy(&missing.stderr).contains("reinstall"), "{missing:?}");
    let hook = "usr/lib/rdna1-rocm-fix/python/hook";
    tree.write(format!("{hook}/sitecustomize.py"), "");
    let set = String::from_utf8(bypass(&["printenv"]).stdout).expect("text");
    let path = dir.join(hook);
    assert!(set.contains(&format!("PYTHONPATH={}\n", path.display())), "{set}");
    assert!(set.contains("RDNA1_BYPASS=1\n"), "{set}");
    let mut kept = program("rdna1-rocm-fix");
    kept.arg("--root").arg(&dir).args(["run", "--profile", "bypass", "--", "printenv", "PYTHONPATH"]);
    let kept = kept.env("PYTHONPATH", "/mine:/other").output().expect("the program runs");
    assert_eq!(String::from_utf8_lossy(&kept.stdout), format!("{}:/mine:/other\n", path.display()));
    for line in [
        &["python3", "-I", "x"][..],
        &["python3", "-uE", "x"],
        &["python3", "-S"],
        &["env", "-i", "python3"],
        &["env", "-uPYTHONPATH", "python3"],
        &["env", "PYTHONPATH=/x", "python3"],
    ] {
        let refused = bypass(line);
        assert_eq!(refused.status.code(), Some(125), "{line:?}: {refused:?}");
    }
}

/// What `status --json` says of a machine.
fn status(root: &Path) -> serde_json::Value {
    let output = program("rdna1-rocm-fix").arg("--root").arg(root).args(["status", "--json"]).output();
    serde_json::from_slice(&output.expect("the program runs").stdout).expect("it prints JSON")
}

#[test]
fn status_ends_with_the_way_to_a_pytorch() {
    let tree = Tree::new();
    let dir = tree.root().path().to_owned();
    let guidance = |case: &str, prepare: &dyn Fn()| {
        let _ = std::fs::remove_dir_all(&dir);
        std::fs::create_dir_all(&dir).expect("it is ours");
        copy_case(case, &dir);
        prepare();
        let document = status(&dir);
        document["guidance"]["id"].as_str().map(str::to_owned)
    };
    let wheel = |fatbin: Vec<u8>| {
        venv(&tree, "usr/local", "2.9.1", "'6.4.43484'", &fatbin);
    };
    let (ready, rx5500) = ("02-rx5600xt-ready", "04-rx5500xt-kernel-6.12-rocm-7.13");
    assert_eq!(guidance(ready, &|| ()).as_deref(), Some("therock"));
    assert_eq!(guidance(ready, &|| wheel(bundle(ROCM))).as_deref(), Some("therock"));
    assert_eq!(guidance(ready, &|| wheel(packed(THEROCK))).as_deref(), Some("native"));
    assert_eq!(guidance(rx5500, &|| ()).as_deref(), Some("new-rocm-on-gfx1012"));
    assert_eq!(guidance(rx5500, &|| wheel(bundle(&["gfx1010"]))).as_deref(), Some("compatible"));
    assert_eq!(guidance("07-bc250", &|| ()).as_deref(), Some("gfx1013"));
    assert_eq!(guidance("26-nvidia-only", &|| ()), None);
}

/// Where a finding says that no kernel starts, the advice may not be to start one.
#[test]
fn guidance_does_not_contradict_what_is_found() {
    let machine = |case: &str, kernel: &str, wheels: &[(&str, &str, &[&str])]| {
        let tree = Tree::new();
        copy_case(case, tree.root().path());
        tree.write("proc/sys/kernel/osrelease", format!("{kernel}\n"));
        for (prefix, rocm, code) in wheels {
            venv(&tree, prefix, &format!("2.11.0+rocm{rocm}"), &format!("'{rocm}'"), &bundle(code));
        }
        let document = status(tree.root().path());
        let findings = document["findings"].as_array().expect("a list");
        let fails = findings.iter().any(|finding| finding["id"] == "cwsr-size-gfx1012" && finding["level"] == "error");
        (
            document["guidance"]["id"].as_str().expect("a name").to_owned(),
            document["guidance"]["steps"].to_string(),
            fails,
        )
    };
    let (rx5500, rx5600, v520) = ("04-rx5500xt-kernel-6.12-rocm-7.13", "02-rx5600xt-ready", "06-v520-ready");
    let new = ("usr/local", "7.13.0", THEROCK);
    let (id, steps, fails) = machine(rx5500, "6.12.0", &[new]);
    assert_eq!((id.as_str(), fails), ("too-new-rocm-on-gfx1012", true));
    assert!(steps.contains("older than 7.13") && steps.contains("/usr/local/lib/python3.12/site-packages"), "{steps}");
    // Code for a relative does not help, and neither does foreign code beside it.
    let compatible = ("usr/local", "7.13.0", &["gfx1010"][..]);
    assert_eq!(machine(rx5500, "6.12.0", &[compatible]).0, "too-new-rocm-on-gfx1012");
    assert_eq!(machine(rx5500, "6.12.0", &[new, ("usr", "6.4.0", ROCM)]).0, "too-new-rocm-on-gfx1012");
    // One that works, even if it is only compatible, is the one to advise on.
    let (id, steps, _) = machine(rx5500, "6.12.0", &[new, ("usr", "6.4.0", &["gfx1010"])]);
    assert_eq!(id, "compatible");
    assert!(steps.contains("use /usr/lib/python3.12/site-packages with"), "{steps}");
    // Either condition alone is no trouble.
    let (id, _, fails) = machine(rx5500, "6.11.9", &[new]);
    assert_eq!((id.as_str(), fails), ("native", false));
    assert_eq!(machine(rx5500, "6.12.0", &[("usr/local", "7.12.0", THEROCK)]).0, "native");
    // For the other cards it is arithmetic: they are told what to look for.
    for case in [rx5600, v520] {
        let (id, steps, _) = machine(case, "6.12.0", &[new]);
        assert_eq!(id, "new-rocm");
        assert!(steps.contains("HSA_STATUS_ERROR_OUT_OF_RESOURCES"), "{steps}");
        assert_eq!(machine(case, "6.11.9", &[new]).0, "native");
    }
}

#[test]
fn every_advisory_has_a_truth_value_and_a_wheel_decides_some() {
    let tree = Tree::new();
    let dir = tree.root().path().to_owned();
    copy_case("02-rx5600xt-ready", &dir);
    let truth = |id: &str| {
        let document = status(&dir);
        let advisories = document["advisories"].as_array().expect("a list").clone();
        assert_eq!(advisories.len(), policy().advisories.len());
        let found = advisories.iter().find(|advisory| advisory["id"] == id).expect("it is there");
        found["truth"].as_str().expect("a word").to_owned()
    };
    assert_eq!(truth("wheels-5.3-to-6.1"), "unknown");
    venv(&tree, "usr/local", "2.6.0+rocm6.1", "'6.1.1'", &bundle(ROCM));
    assert_eq!(truth("wheels-5.3-to-6.1"), "yes");
    assert_eq!(truth("gfx1013-wrong-results"), "no");
}

#[test]
fn variables_in_files_that_do_harm_are_found() {
    let tree = Tree::new();
    let dir = tree.root().path().to_owned();
    copy_case("02-rx5600xt-ready", &dir);
    tree.write("etc/profile.d/old.sh", "# HSA_OVERRIDE_GFX_VERSION=\nexport HSA_OVERRIDE_GFX_VERSION=\n");
    tree.write("etc/systemd/system/x.service.d/a.conf", "[Service]\nEnvironment=\"MIOPEN_FIND_ENFORCE=3\"\n");
    tree.write("etc/environment", "MIOPEN_FIND_MODE=2\n");
    let document = status(&dir);
    let findings = document["findings"].as_array().expect("a list");
    let mut stray: Vec<&str> = findings
        .iter()
        .filter(|finding| finding["id"] == "stray-variable")
        .filter_map(|finding| finding["what"].as_str())
        .collect();
    stray.sort_unstable();
    let expected = [
        "/etc/profile.d/old.sh:2 sets HSA_OVERRIDE_GFX_VERSION=",
        "/etc/systemd/system/x.service.d/a.conf:2 sets MIOPEN_FIND_ENFORCE=3",
    ];
    assert_eq!(stray, expected);
}

/// Debian's own packages, unpacked.
#[test]
fn debians_libraries() {
    let Some(hip) = archive::unpacked("sid", "libmiopen1") else { return };
    let survey = Survey::of_system(&Root::new(&hip));
    let found: Vec<_> = survey.stacks.iter().map(|stack| (stack.kind, stack.miopen.is_some())).collect();
    assert_eq!(found, [(StackKind::Distribution, true)], "{survey:?}");
    let Some(rocblas) = archive::unpacked("sid", "librocblas4") else { return };
    // It depends on libamdhip64, which is another package; of the kernels, 4 GB,
    // the names alone are read, so that those are what the tree gets.
    let lib = "usr/lib/x86_64-linux-gnu";
    let tree = Tree::new();
    tree.write(format!("{lib}/libamdhip64.so.6.4.43484"), "\x7fELF");
    for entry in walkdir::WalkDir::new(rocblas.join(lib).join("rocblas")) {
        let entry = entry.expect("it is readable");
        if entry.file_type().is_file() {
            tree.write(entry.path().strip_prefix(&rocblas).expect("it lies below"), "");
        }
    }
    let survey = Survey::of_system(&tree.root());
    // Debian has code for gfx1010 and none for its relatives.
    assert_eq!(table(&survey.stacks), ["/usr 6.4 - native compatible compatible"]);
}

/// Debian's PyTorch, which is for the CPU.
#[test]
fn debians_pytorch() {
    let Some(package) = archive::unpacked("sid", "python3-torch") else { return };
    let survey = Survey::of_system(&Root::new(&package));
    let torch = survey.stacks.iter().find(|stack| stack.path == "/usr/lib/python3/dist-packages");
    let torch = torch.and_then(|stack| stack.pytorch.as_ref()).expect("it is found");
    assert_eq!((torch.hip.as_deref(), torch.code.as_ref()), (None, None));
    assert!(torch.version.starts_with(|c: char| c.is_ascii_digit()), "{}", torch.version);
}
