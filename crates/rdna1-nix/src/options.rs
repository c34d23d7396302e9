// SPDX-License-Identifier: MIT OR Apache-2.0
//! The module's options, described once: the module's declarations and the
//! documentation are both made from this.

use rdna1_core::policy::{Domain, Emit, Policy, Scope};

use crate::value::Value;

/// How an option is declared.
#[derive(Debug, Clone)]
pub(crate) enum Kind {
    /// `mkEnableOption` with this text.
    Enable(&'static str),
    /// `mkOption`.
    Option {
        /// The type as Nix code.
        type_code: String,
        /// The default.
        default: Value,
        /// Whether the default depends on the machine, so that its code is shown.
        computed: bool,
        /// An example.
        example: Option<Value>,
    },
}

/// An option.
#[derive(Debug, Clone)]
pub(crate) struct NixOption {
    /// Its name below `hardware.rdna1-rocm-fix`.
    pub name: &'static str,
    /// How it is declared.
    pub kind: Kind,
    /// What nixpkgs calls the type.
    pub type_text: String,
    /// Paragraphs and list items, in Markdown, not broken into lines.
    pub description: Vec<String>,
}

/// The channels that `scope` knows, and what each reaches.
const SCOPES: [(&str, &str); 2] = [
    (
        "services",
        "system services, user services and the sessions that start from them, by an environment generator of systemd",
    ),
    ("shells", "login shells (bash, zsh, fish), also those that begin without systemd"),
];

/// Every option.
pub(crate) fn all(policy: &Policy) -> Vec<NixOption> {
    vec![enable(), package(), profile(policy), gfx_override(policy), variables(policy), suppress(policy), scope()]
}

fn enable() -> NixOption {
    NixOption {
        name: "enable",
        kind: Kind::Enable("the ROCm environment for AMD RDNA1 graphics cards"),
        type_text: "boolean".into(),
        description: vec!["Whether to enable the ROCm environment for AMD RDNA1 graphics cards.".into()],
    }
}

fn package() -> NixOption {
    NixOption {
        name: "package",
        kind: Kind::Option {
            type_code: "lib.types.package".into(),
            default: Value::Code("pkgs.rdna1-rocm-fix or (pkgs.callPackage ./package.nix { })"),
            computed: true,
            example: None,
        },
        type_text: "package".into(),
        description: vec![
            "The rdna1-rocm-fix package: the program, its environment generator, unit and udev rule.".into(),
        ],
    }
}

fn profile(policy: &Policy) -> NixOption {
    let system = policy.profiles.iter().filter(|profile| profile.scope == Scope::System);
    let items = system.clone().map(|profile| format!("- `{}`: {}", profile.id, sentence(&profile.summary)));
    let process = policy.profiles.iter().filter(|profile| profile.scope == Scope::Process);
    let process: Vec<String> = process.map(|profile| format!("`{}`", profile.id)).collect();
    let mut description = vec![format!(
        "The set of variables for MIOpen. `null` leaves it to what was recorded for the machine, else to the policy, \
         which takes `{}`.",
        policy.default_profile().id
    )];
    description.extend(items);
    if !process.is_empty() {
        description.push(format!(
            "Not here, as they work for single processes only (`rdna1-rocm-fix run --profile`): {}.",
            process.join(", ")
        ));
    }
    let example = system.clone().find(|profile| !profile.default).map(|profile| Value::str(&profile.id));
    NixOption {
        name: "profile",
        kind: Kind::Option {
            type_code: "lib.types.nullOr lib.types.str".into(),
            default: Value::Code("null"),
            computed: false,
            example,
        },
        type_text: "null or string".into(),
        description,
    }
}

fn gfx_override(policy: &Policy) -> NixOption {
    let mut description = vec![
        format!("Which chip ROCm is told the card is (`{}`).", policy.gfx.variable),
        "- `auto`: what was recorded for the machine, else what suits the PyTorch that is found. A PyTorch in the \
         Nix store is not found: choose for it here."
            .into(),
    ];
    description
        .extend(policy.gfx.choices.iter().map(|choice| format!("- `{}`: {}", choice.id, sentence(&choice.summary))));
    NixOption {
        name: "gfxOverride",
        kind: Kind::Option {
            type_code: "lib.types.str".into(),
            default: Value::str("auto"),
            computed: false,
            example: policy.gfx.choices.first().map(|choice| Value::str(choice.id)),
        },
        type_text: "string".into(),
        description,
    }
}

fn variables(policy: &Policy) -> NixOption {
    // Something that an administrator may well want to set: a small number.
    let example = policy.variables.iter().find_map(|variable| match variable.value {
        Domain::Integer { max, .. } if variable.emit == Emit::Extra && max < 100 => {
            Some(Value::attrs([(variable.name.as_str(), Value::Int(i64::try_from(max).ok()?))]))
        }
        _ => None,
    });
    let prefixes: Vec<String> = policy.extra_variable_prefixes.iter().map(|prefix| format!("`{prefix}`")).collect();
    NixOption {
        name: "variables",
        kind: Kind::Option {
            // Not lazyAttrsOf: there a name under `mkIf false` would be there without a value.
            type_code: "lib.types.attrsOf (lib.types.either lib.types.str lib.types.int)".into(),
            default: Value::attrs::<&str>([]),
            computed: false,
            example,
        },
        type_text: "attribute set of (string or signed integer)".into(),
        description: vec![
            "Variables to set besides the profile's, or with another value; only on machines with the card. \
             What several modules define is merged."
                .into(),
            format!(
                "Allowed are the variables that the policy describes (`rdna1-rocm-fix explain VARIABLE`) and names \
                 that begin with {}.",
                prefixes.join(", ")
            ),
        ],
    }
}

fn suppress(policy: &Policy) -> NixOption {
    NixOption {
        name: "suppress",
        kind: Kind::Option {
            type_code: "lib.types.listOf lib.types.str".into(),
            default: Value::List(Vec::new()),
            computed: false,
            example: policy.default_profile().set.last().map(|set| Value::strs([&set.name])),
        },
        type_text: "list of string".into(),
        description: vec!["Variables of the profile that are not to be set.".into()],
    }
}

fn scope() -> NixOption {
    let names = SCOPES.map(|(name, _)| name);
    let quoted = names.map(|name| format!("\"{name}\""));
    let mut description = vec!["Which processes get the environment by themselves.".to_owned()];
    description.extend(SCOPES.map(|(name, reaches)| format!("- `{name}`: {reaches}.")));
    description.push(
        "With an empty list only `rdna1-rocm-fix run` and `rdna1-rocm-fix env` give it. Without `services`, a changed \
         configuration takes effect after `systemctl start rdna1-rocm-fix` or a boot."
            .into(),
    );
    NixOption {
        name: "scope",
        kind: Kind::Option {
            type_code: format!("lib.types.listOf (\n        lib.types.enum {}\n      )", Value::strs(names).render(8)),
            default: Value::strs(names),
            computed: false,
            example: Some(Value::strs([names[0]])),
        },
        type_text: format!("list of (one of {})", quoted.join(", ")),
        description,
    }
}

/// A text that ends in a full stop.
fn sentence(text: &str) -> String {
    let text = text.trim();
    let end = if text.ends_with(['.', '!', '?']) { "" } else { "." };
    format!("{text}{end}")
}

impl NixOption {
    /// Its declaration in the module, four blanks deep, with a final line break.
    pub fn declaration(&self) -> String {
        let name = self.name;
        let Kind::Option { type_code, default, computed, example } = &self.kind else {
            let Kind::Enable(what) = self.kind else { return String::new() };
            return format!("    {name} = lib.mkEnableOption {};\n\n", Value::str(what).render(4));
        };
        let mut text = format!("    {name} = lib.mkOption {{\n      type = {type_code};\n");
        text += &format!("      default = {};\n", default.render(6));
        if *computed {
            text +=
                &format!("      defaultText = lib.literalExpression {};\n", Value::str(default.render(0)).render(6));
        }
        if let Some(example) = example {
            text += &format!("      example = {};\n", example.render(6));
        }
        text += "      description = ''\n";
        for line in self.description_lines(80) {
            let line = line.replace("''", "'''").replace("${", "''${");
            text += &if line.is_empty() { "\n".to_owned() } else { format!("        {line}\n") };
        }
        text + "      '';\n    };\n\n"
    }

    /// The description, broken into lines; paragraphs are set apart, the items
    /// of a list are not.
    pub fn description_lines(&self, width: usize) -> Vec<String> {
        let mut lines = Vec::new();
        let is_item = |text: &str| text.starts_with("- ");
        for (i, paragraph) in self.description.iter().enumerate() {
            let item = is_item(paragraph);
            if i > 0 && !(item && is_item(&self.description[i - 1])) {
                lines.push(String::new());
            }
            let indent = if item { "  " } else { "" };
            let wrapped = rdna1_payload::template::wrap(paragraph, width - indent.len());
            lines.extend(wrapped.iter().enumerate().map(|(j, line)| match j {
                0 => line.clone(),
                _ => format!("{indent}{line}"),
            }));
        }
        lines
    }
}
