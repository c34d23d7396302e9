// SPDX-License-Identifier: MIT OR Apache-2.0
//! A comparison as text.

use super::Comparison;

/// Lays a comparison out; runs are named by letters.
pub(super) fn render(comparison: &Comparison) -> String {
    let mut rows = vec![
        ["", "card", "kernel", "ROCm", "torch", "profile", "gfx", "passed", "failed", "time"]
            .map(str::to_owned)
            .to_vec(),
    ];
    for (place, run) in comparison.runs.iter().enumerate() {
        rows.push(vec![
            letter(place),
            run.card.clone(),
            run.kernel.clone(),
            run.rocm.clone(),
            run.torch.clone(),
            run.profile.clone(),
            run.gfx.clone(),
            run.passed.to_string(),
            run.failed.to_string(),
            run.common_seconds.map(|seconds| format!("{seconds:.3} s")).unwrap_or_default(),
        ]);
    }
    let mut out = table(&rows);
    for (place, run) in comparison.runs.iter().enumerate() {
        out += &format!("{} {} of {}: {}\n", letter(place), run.file, run.started, run.diagnosis);
    }
    out += &format!("time: the {} cases that passed in every run, in PyTorch\n", comparison.passed_everywhere);
    if !comparison.differences.is_empty() {
        out += "\nWhat did not pass everywhere\n";
        let mut rows = vec![std::iter::once(String::new()).chain((0..comparison.runs.len()).map(letter)).collect()];
        for difference in &comparison.differences {
            let words = difference.verdicts.iter().map(|verdict| verdict.map_or("-", |verdict| verdict.word()));
            rows.push(std::iter::once(difference.case.clone()).chain(words.map(str::to_owned)).collect());
        }
        out += &table(&rows);
    }
    if comparison.regressions.is_empty() {
        out +=
            "\nNothing that passed in an earlier run of the same card, profile and gfx choice fails in a later one.\n";
    }
    for regression in &comparison.regressions {
        let changed = match regression.changed.as_slice() {
            [] => "nothing that is recorded".to_owned(),
            changed => changed.join(", "),
        };
        out +=
            &format!("\nWorse in {} than in {} (changed: {changed})\n", letter(regression.to), letter(regression.from));
        out += &regression.cases.iter().map(|case| format!("  {case}\n")).collect::<String>();
    }
    out
}

/// A, B, … Z, AA, AB, …
fn letter(mut place: usize) -> String {
    let mut name = String::new();
    loop {
        name.insert(0, char::from(b'A' + u8::try_from(place % 26).unwrap_or(0)));
        if place < 26 {
            return name;
        }
        place = place / 26 - 1;
    }
}

/// Columns as wide as their widest cell.
fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.first().map_or(0, Vec::len);
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
    let line = |row: &Vec<String>| {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        format!("{}\n", cells.join("  ").trim_end())
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::letter;

    #[test]
    fn runs_have_letters() {
        let names: Vec<String> = [0, 1, 25, 26, 27, 51, 52, 701, 702].into_iter().map(letter).collect();
        assert_eq!(names, ["A", "B", "Z", "AA", "AB", "AZ", "BA", "ZZ", "AAA"]);
    }
}
