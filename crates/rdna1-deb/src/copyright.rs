// SPDX-License-Identifier: MIT OR Apache-2.0
//! The machine-readable copyright file (DEP-5).

use rdna1_payload::template::{Renderer, wrap};
use rdna1_payload::{Inputs, names};
use serde::Serialize;

use crate::DebError;

/// The text of `debian/copyright`. The MIT licence is quoted from the
/// project's own file; Debian has the Apache licence on every machine.
pub(crate) fn text(inputs: Inputs<'_>) -> Result<String, DebError> {
    #[derive(Serialize)]
    struct Data<'a> {
        name: &'a str,
        maintainer: &'a str,
        copyright: &'a str,
        notices: &'a str,
        terms: Vec<String>,
        mit: String,
    }
    let mit = String::from_utf8_lossy(inputs.artifacts.required(names::LICENSE_MIT)?).into_owned();
    let copyright = mit.lines().find_map(|line| line.strip_prefix("Copyright (c) ")).unwrap_or_default();
    // The field's first line names the licence; its title and the copyright
    // line are said elsewhere in this file.
    let body = mit.lines().skip_while(|line| !line.starts_with("Permission")).map(|line| match line {
        "" => " .\n".to_owned(),
        line => format!(" {line}\n"),
    });
    let data = Data {
        name: inputs.metadata.name,
        maintainer: inputs.metadata.maintainer,
        copyright,
        notices: names::NOTICES,
        terms: wrap(inputs.artifacts.license()?, 76),
        mit: body.collect::<String>().trim_end().to_owned(),
    };
    Ok(Renderer::new().render("copyright", include_str!("../templates/copyright.hbs"), &data)?)
}
