// SPDX-License-Identifier: MIT OR Apache-2.0
//! What holds for every format, and JSON.

use std::collections::BTreeMap;

use rdna1_core::render::{Format, Guard};
use rdna1_tests::tools;

use super::{accepted, command, named, values, var, written};

#[test]
fn json_carries_everything() {
    let values = accepted(Format::Json, values::table());
    assert_eq!(values, values::table());
    let text = written(Format::Json, Guard::None, &named(&values)).expect("JSON takes what an environment takes");
    let found: BTreeMap<String, String> = serde_json::from_str(&text).expect("it is JSON");
    for (name, value) in named(&values) {
        assert_eq!(found.get(name.as_str()).map(String::as_str), Some(value), "{name}");
    }
}

/// The longest variable that Linux starts a program with is one that we write.
#[test]
fn what_no_environment_can_hold_is_refused_by_every_format() {
    let name = var("RDNA1_T");
    let longest = "x".repeat(128 * 1024 - "RDNA1_T=".len() - 1);
    let too_long = format!("{longest}x");
    for (format, _) in Format::ALL {
        for bad in ["\0", "a\0b", &too_long] {
            assert!(written(format, Guard::None, &[(name.clone(), bad)]).is_err(), "{format} takes {:.4?}", bad);
        }
    }
    if tools::available(&["dash"]) {
        let script = |value: &str| format!("RDNA1_T='{value}'; export RDNA1_T; exec /bin/true");
        let starts = |value: &str| {
            let file = assert_fs::NamedTempFile::new("script").expect("there is room for a file");
            std::fs::write(file.path(), script(value)).expect("a script is written");
            command("dash").arg(file.path()).output().expect("dash starts").status.success()
        };
        assert!(starts(&longest), "Linux refuses what we take");
        assert!(!starts(&too_long), "Linux takes what we refuse");
        assert!(written(Format::Sh, Guard::None, &[(name, &longest)]).is_ok());
    }
}

/// The message names the variable, the format and what is in the way.
#[test]
fn a_refusal_says_what_is_wrong() {
    let error = written(Format::EnvironmentD, Guard::None, &[(var("GOOD"), "1"), (var("BAD"), "a\nb")]);
    let message = error.expect_err("environment.d takes no line breaks").to_string();
    for word in ["BAD", "environment.d", "line breaks"] {
        assert!(message.contains(word), "{message}");
    }
}

#[test]
fn nothing_to_write_is_fine() {
    for (format, _) in Format::ALL {
        let text = written(format, Guard::UnlessSet, &[]).expect("there is nothing to refuse");
        assert_eq!(text, if format == Format::Json { "{}\n" } else { "" });
    }
}
