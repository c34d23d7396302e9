// SPDX-License-Identifier: MIT OR Apache-2.0
//! MIOpenDriver's command lines, as MIOpen logs them where
//! `MIOPEN_ENABLE_LOGGING_CMD=1` is set: one for each convolution that it is
//! asked to find (MIOpen@2d1fd997 src/driver_arguments.cpp:116-228).

use std::collections::BTreeSet;

use crate::{Convolution, DataType, Direction, Layout};

/// The program's name in a line.
const PROGRAM: &str = "MIOpenDriver";

/// A convolution and the directions that a line asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// The number of its line, from 1.
    pub line: usize,
    /// The convolution.
    pub convolution: Convolution,
    /// The directions.
    pub directions: Vec<Direction>,
}

/// A line that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{problem}", .line.map(|line| format!("line {line}: ")).unwrap_or_default())]
pub struct CommandError {
    /// Its number; `None` where the text as a whole is meant.
    pub line: Option<usize>,
    /// What is wrong.
    pub problem: String,
}

/// Reads the command lines in a text, which may be a whole log; what is not a
/// command line of MIOpenDriver is passed over, and so are repetitions and the
/// lines of its other operations: a model's log has batch normalisation,
/// activations and pooling between the convolutions.
///
/// # Errors
/// If a convolution's line is none that can be, and if there is none.
pub fn commands(text: &str) -> Result<Vec<Command>, CommandError> {
    let mut all: Vec<Command> = Vec::new();
    let mut others: BTreeSet<&str> = BTreeSet::new();
    for (index, line) in text.lines().enumerate() {
        let Some((_, arguments)) = line.split_once(PROGRAM) else { continue };
        let operation = arguments.split_ascii_whitespace().next().unwrap_or_default();
        if !operation.starts_with("conv") {
            others.insert(operation);
            continue;
        }
        let wrong = |problem| CommandError { line: Some(index + 1), problem };
        let (convolution, directions) = command(arguments).map_err(wrong)?;
        convolution.check().map_err(|e| wrong(e.to_string()))?;
        match all.iter_mut().find(|known| known.convolution == convolution) {
            Some(known) => {
                known.directions.extend(directions);
                known.directions.sort_unstable();
                known.directions.dedup();
            }
            None => all.push(Command { line: index + 1, convolution, directions }),
        }
    }
    if all.is_empty() {
        let problem = if others.is_empty() {
            format!("there is no command line of {PROGRAM} in it; set MIOPEN_ENABLE_LOGGING_CMD=1 to get them")
        } else {
            let others: Vec<&str> = others.into_iter().collect();
            format!("there is no convolution among its command lines of {PROGRAM}, which are for {}", others.join(", "))
        };
        return Err(CommandError { line: None, problem });
    }
    Ok(all)
}

/// The options that name a size, short and long, in the order of [`Sizes`].
const OPTIONS: [(&str, &str); 21] = [
    ("-n", "--batchsize"),
    ("-c", "--in_channels"),
    ("-k", "--out_channels"),
    ("-g", "--group_count"),
    ("-F", "--forw"),
    ("", "--spatial_dim"),
    ("-H", "--in_h"),
    ("-W", "--in_w"),
    ("", "--in_d"),
    ("-y", "--fil_h"),
    ("-x", "--fil_w"),
    ("", "--fil_d"),
    ("-p", "--pad_h"),
    ("-q", "--pad_w"),
    ("", "--pad_d"),
    ("-u", "--conv_stride_h"),
    ("-v", "--conv_stride_w"),
    ("", "--conv_stride_d"),
    ("-l", "--dilation_h"),
    ("-j", "--dilation_w"),
    ("", "--dilation_d"),
];

/// MIOpenDriver's own defaults for these.
const DEFAULTS: [u64; 21] = [100, 3, 32, 1, 0, 2, 32, 32, 32, 3, 3, 3, 0, 0, 0, 1, 1, 1, 1, 1, 1];

fn command(arguments: &str) -> Result<(Convolution, Vec<Direction>), String> {
    let mut words = arguments.split_ascii_whitespace();
    let data_type = match words.next().unwrap_or_default() {
        "conv" => DataType::F32,
        "convfp16" => DataType::F16,
        "convbfp16" => DataType::Bf16,
        other => return Err(format!("`{other}` is not one of conv, convfp16, convbfp16")),
    };
    let mut sizes = DEFAULTS;
    let (mut transposed, mut layout) = (false, Layout::ChannelsFirst);
    while let Some(option) = words.next() {
        let value = words.next().ok_or_else(|| format!("{option} has no value"))?;
        if let Some(at) = OPTIONS.iter().position(|(short, long)| option == *short || option == *long) {
            sizes[at] = value.parse().map_err(|_| format!("{option} {value}: that is no number"))?;
            continue;
        }
        match option {
            "-m" | "--mode" => transposed = value == "trans",
            "--in_layout" | "-I" => {
                layout = if value.ends_with('C') { Layout::ChannelsLast } else { Layout::ChannelsFirst };
            }
            // The rest chooses what is printed, checked, searched.
            _ => {}
        }
    }
    let [batch, channels, filters, groups, directions, dimensions, sizes @ ..] = sizes;
    let spatial = |[height, width, depth]: [u64; 3]| match dimensions {
        3 => vec![depth, height, width],
        _ => vec![height, width],
    };
    let [ih, iw, id, kh, kw, kd, ph, pw, pd, sh, sw, sd, dh, dw, dd] = sizes;
    let convolution = Convolution {
        batch,
        channels,
        filters,
        groups,
        input: spatial([ih, iw, id]),
        kernel: spatial([kh, kw, kd]),
        padding: spatial([ph, pw, pd]),
        stride: spatial([sh, sw, sd]),
        dilation: spatial([dh, dw, dd]),
        transposed,
        data_type,
        layout,
    };
    let asked = Direction::ALL.into_iter().enumerate().filter(|(bit, _)| directions == 0 || directions >> bit & 1 == 1);
    Ok((convolution, asked.map(|(_, direction)| direction).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lines_as_miopen_logs_them() {
        let log = "MIOpen(HIP): Command [LogCmdFindConvolution] ./bin/MIOpenDriver convfp16 -n 16 -c 64 -H 56 -W 57 -k 128 \
                   -y 3 -x 3 -p 1 -q 1 -u 2 -v 2 -l 1 -j 1 --in_layout NHWC --fil_layout NHWC --out_layout NHWC -m conv \
                   -g 2 -F 1 -t 1\nsomething else\n./bin/MIOpenDriver conv -n 1 -c 8 --in_d 4 -H 8 -W 9 -k 8 --fil_d 1 -y 2 \
                   -x 2 --pad_d 0 -p 0 -q 0 --conv_stride_d 1 -u 2 -v 2 --dilation_d 1 -l 1 -j 1 --spatial_dim 3 -m trans -g 1 \
                   -F 2 -t 1";
        let commands = commands(log).expect("two commands");
        let shown: Vec<String> = commands.iter().map(|command| command.convolution.to_string()).collect();
        assert_eq!(shown[0], "16x64x56x57 -> 128, 3x3 s2 p1 g2, f16 NHWC");
        assert_eq!(shown[1], "1x8x4x8x9 -> 8, transposed 1x2x2 s1x2x2, f32 NCDHW");
        assert_eq!(commands[0].directions, [Direction::Forward]);
        assert_eq!((commands[1].line, &commands[1].directions[..]), (3, &[Direction::BackwardData][..]));
    }

    /// What MIOpen logs of a model: two batch normalisations, an activation, a
    /// fused operation and one convolution.
    #[test]
    fn other_operations_are_passed_over() {
        let log = "MIOpen(HIP): Command [LogCmdBNorm] ./bin/MIOpenDriver bnorm -n 2 -c 8 -H 4 -W 4 -m 1 --forw 1 -b 0 -r 1\n\
                   MIOpen(HIP): Command [LogCmdFindConvolution] ./bin/MIOpenDriver conv -n 2 -c 8 -H 4 -W 4 -k 8 -F 1\n\
                   MIOpen(HIP): Command [LogCmdActivation] ./bin/MIOpenDriver activ -n 2 -c 8 -H 4 -W 4 -m 3\n\
                   MIOpen(HIP): Command [LogCmdFusion] ./bin/MIOpenDriver CBAInfer -F 3 -n 2 -c 8\n\
                   MIOpen(HIP): Command [LogCmdBNorm] ./bin/MIOpenDriver bnormfp16 -n 2";
        let commands = commands(log).expect("one convolution");
        assert_eq!(commands.len(), 1);
        assert_eq!(commands[0].line, 2);
    }

    #[test]
    fn mistakes_are_named() {
        let wrong = |text: &str| commands(text).expect_err("wrong").to_string();
        assert!(wrong("no commands here").contains("MIOPEN_ENABLE_LOGGING_CMD"));
        assert!(
            wrong("\nMIOpenDriver pool -n 1")
                .ends_with("no convolution among its command lines of MIOpenDriver, which are for pool")
        );
        assert!(wrong("\nMIOpenDriver convint8 -n 1").starts_with("line 2: `convint8`"));
        assert!(wrong("MIOpenDriver conv -n x").contains("-n x"));
        assert!(wrong("MIOpenDriver conv -n").contains("no value"));
        assert!(wrong("MIOpenDriver conv -H 1 -W 1").contains("larger"));
    }

    proptest! {
        #[test]
        fn nothing_panics(text in "(MIOpenDriver (conv|convfp16)( -[nckgFHWyxpquvljm] [0-9]{1,20}){0,8}\n?){0,3}.{0,40}") {
            let _ = commands(&text);
        }
    }
}
