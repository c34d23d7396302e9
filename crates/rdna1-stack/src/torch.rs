// SPDX-License-Identifier: MIT OR Apache-2.0
//! PyTorch and ROCm's own packages in a directory of Python modules.

use rdna1_core::ids::Version;
use rdna1_core::root::Problem;

use crate::code;
use crate::fingerprint::Fingerprint;
use crate::model::{Code, Pytorch, Stack, StackKind};
use crate::place::Place;

/// The libraries that compute, as wheels name them.
const LIBRARIES: [&str; 6] =
    ["libtorch_hip.so", "libMIOpen.so", "librocblas.so", "libamdhip64.so", "libhsa-runtime64.so", "libhipblaslt.so"];

/// What a directory of modules holds; `None` if nothing of ROCm or PyTorch.
pub(crate) fn in_modules(place: Place<'_>, site: &str, problems: &mut Vec<Problem>) -> Option<Stack> {
    let torch = format!("{site}/torch");
    let names = place.names(site);
    let sdk: Vec<&String> = names.iter().filter(|name| is_sdk(name)).collect();
    if !place.is_dir(&torch) && sdk.is_empty() {
        return None;
    }
    let mut note = |problem: Problem| problems.push(problem);
    let pytorch = pytorch(place, &torch, &names, &mut note);
    let mut homes = vec![format!("{torch}/lib")];
    homes.extend(sdk.iter().filter(|name| name.starts_with('_')).map(|name| format!("{site}/{name}/lib")));
    let packages: Vec<String> = names.iter().filter_map(|name| package(name)).collect();
    let rocm = packages
        .iter()
        .find_map(|package| package.strip_prefix("rocm_sdk_core ")?.parse().ok())
        .or_else(|| pytorch.as_ref().and_then(rocm_of));
    let rocblas = homes.iter().flat_map(|home| code::of_rocblas(place, &format!("{home}/rocblas/library"))).collect();
    let has_miopen = homes.iter().any(|home| !library(place, home, "libMIOpen.so").is_empty());
    let mut sum = Fingerprint::new();
    if let Some(pytorch) = &pytorch {
        sum.fact("torch", &pytorch.version);
        sum.fact("hip", pytorch.hip.as_deref().unwrap_or_default());
    }
    for package in &packages {
        sum.fact("package", package);
    }
    for home in &homes {
        for name in LIBRARIES {
            for path in library(place, home, name) {
                sum.library(place, &path);
            }
        }
    }
    if pytorch.is_none() && packages.is_empty() {
        return None;
    }
    Some(Stack {
        kind: StackKind::Python,
        path: site.to_owned(),
        libraries: homes.into_iter().filter(|home| place.is_dir(home)).collect(),
        rocm,
        pytorch,
        miopen: has_miopen.then(|| "present".to_owned()),
        rocblas,
        packages,
        fingerprint: sum.finish(),
    })
}

/// The files of a library: wheels have `libMIOpen.so`, some `libMIOpen.so.1`.
fn library(place: Place<'_>, dir: &str, name: &str) -> Vec<String> {
    let names = place.names(dir);
    let of = |other: &&String| other.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
    // Where there are links, one name is enough.
    names.iter().filter(of).take(1).map(|name| format!("{dir}/{name}")).collect()
}

/// ROCm's own packages and their metadata.
fn is_sdk(name: &str) -> bool {
    name.starts_with("rocm_sdk_") || name.starts_with("_rocm_sdk_")
}

/// Name and version by the name of a metadata directory, for ROCm's packages
/// and those with PyTorch's device code.
fn package(name: &str) -> Option<String> {
    let (package, version) = name.strip_suffix(".dist-info")?.split_once('-')?;
    let package = package.replace('-', "_");
    let ours = package.starts_with("rocm_sdk_") || package.contains("_device_gfx");
    ours.then(|| format!("{package} {version}"))
}

fn pytorch(place: Place<'_>, dir: &str, names: &[String], note: &mut dyn FnMut(Problem)) -> Option<Pytorch> {
    if !place.is_dir(dir) {
        return None;
    }
    let path = format!("{dir}/version.py");
    let text = match place.text(&path) {
        Ok(Some(text)) => text,
        Ok(None) => {
            note(Problem { path, problem: "is missing: this PyTorch is half removed, or no PyTorch".into() });
            return None;
        }
        Err(problem) => {
            note(problem);
            return None;
        }
    };
    let Some(version) = assigned(&text, "__version__") else {
        note(Problem { path, problem: "names no version".into() });
        return None;
    };
    let (hip, cuda) = (assigned(&text, "hip"), assigned(&text, "cuda"));
    let code = hip.as_ref().and_then(|_| device_code(place, dir, names, note));
    Some(Pytorch { version, hip, cuda, code })
}

fn device_code(place: Place<'_>, dir: &str, names: &[String], note: &mut dyn FnMut(Problem)) -> Option<Code> {
    let library = format!("{dir}/lib/libtorch_hip.so");
    let mut code = Code::default();
    match code::of_library(place, &library) {
        Ok(Some(found)) => {
            code.targets.extend(found.names);
            code.seen_in.push(library);
        }
        Ok(None) if !place.is_file(&library) => {
            let problem = "is missing although this PyTorch is for ROCm: it is half removed".to_owned();
            note(Problem { path: library, problem });
        }
        // Newer builds keep it in a package for each target.
        Ok(None) => {}
        Err(problem) => note(problem),
    }
    for package in names.iter().filter_map(|name| package(name)).filter(|package| package.contains("_device_gfx")) {
        code.targets.extend(package.split(' ').next().and_then(code::in_name));
        code.seen_in.push(package);
    }
    (!code.seen_in.is_empty()).then_some(code)
}

/// The text that a line `name = 'text'` or `name: type = 'text'` gives to a name.
fn assigned(text: &str, name: &str) -> Option<String> {
    text.lines().find_map(|line| {
        let rest = line.strip_prefix(name)?;
        let rest = rest.trim_start();
        let (before, value) = rest.split_once('=')?;
        if !(before.is_empty() || before.starts_with(':')) {
            return None;
        }
        let value = value.trim();
        let quote = value.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
        let value = value.get(1..)?.split(quote).next()?;
        (!value.is_empty()).then(|| value.to_owned())
    })
}

/// ROCm's version by the wheel's own tag (`2.6.0+rocm6.1`), which is exact, or
/// by HIP's, which begins with ROCm's.
fn rocm_of(pytorch: &Pytorch) -> Option<Version> {
    let hip = pytorch.hip.as_ref()?;
    let tag = pytorch.version.split_once("+rocm").and_then(|(_, tag)| tag.parse().ok());
    tag.or_else(|| {
        let numbers: Vec<&str> = hip.split('.').take(2).collect();
        numbers.join(".").parse().ok()
    })
}

#[cfg(test)]
mod tests {
    use super::assigned;

    #[test]
    fn a_version_file_is_read_in_all_its_forms() {
        let text = "from typing import Optional\n__version__ = '2.6.0+rocm6.1'\ndebug = False\ncuda: Optional[str] = None\nhip: Optional[str] = '6.1.40091-a8dbc0c19'\n";
        assert_eq!(assigned(text, "__version__").as_deref(), Some("2.6.0+rocm6.1"));
        assert_eq!(assigned(text, "hip").as_deref(), Some("6.1.40091-a8dbc0c19"));
        assert_eq!(assigned(text, "cuda"), None);
        assert_eq!(assigned("hipster = 'x'\n", "hip"), None);
        assert_eq!(assigned("hip = ''\nhip", "hip"), None);
    }
}
