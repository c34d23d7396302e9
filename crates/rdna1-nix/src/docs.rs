// SPDX-License-Identifier: MIT OR Apache-2.0
//! `nix/options.md`: the options for people.

use crate::options::{Kind, NixOption};

/// The documentation of the options.
pub(crate) fn render(options: &[NixOption]) -> String {
    let mut text = String::from(
        "<!-- Rendered by `cargo xtask generate` from the options of nix/module.nix. -->\n\
         # Options of the NixOS module\n\n\
         How to use it: [docs/nixos.md](../docs/nixos.md).\n",
    );
    for option in options {
        text += &format!("\n## hardware.rdna1-rocm-fix.{}\n\n", option.name);
        for line in option.description_lines(79) {
            text += &format!("{line}\n");
        }
        text += &format!("\n*Type:* {}\n", option.type_text);
        let (default, example) = match &option.kind {
            Kind::Enable(_) => ("false".to_owned(), Some("true".to_owned())),
            Kind::Option { default, example, .. } => {
                (default.render(0), example.as_ref().map(|example| example.render(0)))
            }
        };
        text += &format!("\n*Default:*\n\n{}", code(&default));
        if let Some(example) = example {
            text += &format!("\n*Example:*\n\n{}", code(&example));
        }
    }
    text
}

fn code(text: &str) -> String {
    format!("```nix\n{text}\n```\n")
}
