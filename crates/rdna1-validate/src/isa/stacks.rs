// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where this machine's ROCm libraries are, by the places where AMD,
//! distributions and Python put them.

use std::path::{Path, PathBuf};

/// Directories and files with device code that a program here could load.
pub(super) fn find() -> Vec<PathBuf> {
    let mut found = Vec::new();
    for dir in children(Path::new("/opt"), &|name| name.starts_with("rocm-")) {
        found.push(dir.join("lib"));
    }
    if found.is_empty() {
        found.push(PathBuf::from("/opt/rocm/lib"));
    }
    let distribution = format!("/usr/lib/{}-linux-gnu", std::env::consts::ARCH);
    for dir in ["/usr/lib64", "/usr/lib", &distribution] {
        let is_rocm = |name: &str| {
            let library = ["libroc", "libhip", "libMIOpen", "libmigraphx"].iter().any(|start| name.starts_with(start));
            name == "rocblas" || name == "hipblaslt" || library && name.contains(".so")
        };
        found.extend(children(Path::new(dir), &is_rocm));
    }
    if let Some(environment) = std::env::var_os("VIRTUAL_ENV") {
        for python in children(&Path::new(&environment).join("lib"), &|name| name.starts_with("python3")) {
            found.push(python.join("site-packages/torch/lib"));
        }
    }
    found.retain(|path| path.exists() && !path.is_symlink());
    found
}

fn children(dir: &Path, wanted: &dyn Fn(&str) -> bool) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = std::fs::read_dir(dir)
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| wanted(&entry.file_name().to_string_lossy()))
        .map(|entry| entry.path())
        .collect();
    found.sort();
    found
}
