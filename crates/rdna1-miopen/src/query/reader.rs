// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the query program answered, read.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::process::Ended;
use super::{Algorithm, Answer, Answers, Candidate, Offer, Question, Setting, Status};
use crate::{Convolution, Direction, Error, Library};

/// Reads the query program's answers.
pub(super) struct Reader<'a> {
    question: &'a Question,
    version: String,
    refusal: Option<String>,
    names: BTreeMap<u64, Arc<str>>,
    kernels: BTreeMap<u64, Arc<str>>,
    answers: Vec<Answer>,
    damaged: Option<String>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(question: &'a Question) -> Self {
        Self {
            question,
            version: String::new(),
            refusal: None,
            names: BTreeMap::new(),
            kernels: BTreeMap::new(),
            answers: Vec::new(),
            damaged: None,
        }
    }

    pub(super) fn read(&mut self, line: &str) {
        let fields: Vec<&str> = line.split('\t').collect();
        let understood = match fields[..] {
            ["V", version] => {
                version.clone_into(&mut self.version);
                Some(())
            }
            ["E", problem] => {
                self.refusal = Some(problem.to_owned());
                Some(())
            }
            ["N", id, name] => id.parse().ok().map(|id| {
                self.names.insert(id, name.into());
            }),
            ["K", number, name] => number.parse().ok().map(|number| {
                self.kernels.insert(number, name.into());
            }),
            ["D", _, _, status] => status.parse().ok().map(|status| {
                let refused = Status::Description(status);
                let answer = Answer {
                    direction: self.next_direction(),
                    count: self.question.count.then_some(Err(refused)),
                    offers: self.question.offers.then_some(Err(refused)),
                    workspace: self.question.workspace.then_some(Err(refused)),
                    found: self.question.find.then_some(Err(refused)),
                    launched: Vec::new(),
                };
                self.answers.push(answer);
            }),
            ["R", _, ref fields @ ..] => {
                fields.try_into().ok().and_then(|fields| self.result(fields)).map(|answer| self.answers.push(answer))
            }
            _ => None,
        };
        if understood.is_none() && self.damaged.is_none() {
            self.damaged = Some(line.chars().take(200).collect());
        }
    }

    fn next_direction(&self) -> Direction {
        let directions = &self.question.directions;
        directions[self.answers.len() % directions.len()]
    }

    fn result(&self, fields: [&str; 9]) -> Option<Answer> {
        let [count_status, count, status, offers, workspace_status, workspace, found_status, found, launched] = fields;
        let offer = |text: &str| {
            let [id, algorithm, workspace] = numbers(text)?;
            Some(Offer {
                solver: self.names.get(&id)?.clone(),
                algorithm: Algorithm::from_number(i32::try_from(algorithm).ok()?),
                workspace,
            })
        };
        let candidate = |text: &str| {
            let [algorithm, workspace] = numbers(text)?;
            Some(Candidate { algorithm: Algorithm::from_number(i32::try_from(algorithm).ok()?), workspace })
        };
        Some(Answer {
            direction: self.next_direction(),
            count: outcome(count_status, || count.parse().ok())?,
            offers: outcome(status, || list(offers, offer))?,
            workspace: outcome(workspace_status, || workspace.parse().ok())?,
            found: outcome(found_status, || list(found, candidate))?,
            launched: match launched {
                "-" => Vec::new(),
                numbers => list(numbers, |number| self.kernels.get(&number.parse().ok()?).cloned())?,
            },
        })
    }

    pub(super) fn finish(
        self,
        ended: Ended,
        library: &Library,
        setting: &Setting,
        convolutions: &[&Convolution],
    ) -> Result<Answers, Error> {
        let path = library.path.clone();
        let stderr = Vec::from(ended.stderr.lines).join(" | ");
        let per = self.question.directions.len().max(1);
        let at = || match convolutions.get(self.answers.len() / per) {
            Some(convolution) => format!("{convolution}, {}", self.next_direction()),
            None => "the end".into(),
        };
        let Some(status) = ended.status else {
            return Err(Error::TimedOut { path, seconds: setting.limit.as_secs(), at: at() });
        };
        if let Some(problem) = self.refusal {
            return Err(Error::Refused { path, problem, stderr });
        }
        if !ended.stderr.complaints.is_empty() {
            return Err(Error::NotSimulated { path, calls: ended.stderr.complaints });
        }
        if self.version.is_empty() {
            // The loader itself ends so when it cannot start the program.
            return Err(Error::Refused {
                path,
                problem: format!("the query program did not start ({status})"),
                stderr,
            });
        }
        if !status.success() || self.answers.len() != convolutions.len() * per {
            return Err(Error::Crashed { path, how: status.to_string(), at: at(), stderr });
        }
        if let Some(line) = self.damaged {
            return Err(Error::Refused { path, problem: format!("an answer cannot be read: {line}"), stderr });
        }
        let invalid_values = ended.stderr.invalid_values;
        Ok(Answers { version: self.version, answers: self.answers, invalid_values, stderr })
    }
}

/// A status field and what goes with it; the outer `None` is a damaged line.
#[allow(clippy::option_option, reason = "three cases: damaged, not asked, answered")]
fn outcome<T>(status: &str, value: impl FnOnce() -> Option<T>) -> Option<Option<Result<T, Status>>> {
    match status {
        "-" => Some(None),
        "0" => value().map(|value| Some(Ok(value))),
        "no-memory" => Some(Some(Err(Status::OutOfMemory))),
        number => number.parse().ok().map(|number| Some(Err(Status::Miopen(number)))),
    }
}

fn list<T>(text: &str, item: impl Fn(&str) -> Option<T>) -> Option<Vec<T>> {
    if text.is_empty() { Some(Vec::new()) } else { text.split(',').map(item).collect() }
}

fn numbers<const N: usize>(text: &str) -> Option<[u64; N]> {
    let numbers: Option<Vec<u64>> = text.split(':').map(|number| number.parse().ok()).collect();
    numbers?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(lines: &[&str]) -> Reader<'static> {
        let question: &'static Question = Box::leak(Box::new(Question::everything()));
        let mut reader = Reader::new(question);
        for line in lines {
            reader.read(line);
        }
        reader
    }

    #[test]
    fn answers_in_the_query_programs_language() {
        let lines = [
            "V\t3.4.0",
            "N\t91\tGemmFwdRest",
            "K\t0\tim2col",
            "R\tF\t0\t1\t0\t91:0:72\t0\t72\t0\t0:72\t0",
            "D\tB\tcall\t3",
        ];
        let reader = read(&lines);
        assert_eq!((reader.version.as_str(), reader.damaged), ("3.4.0", None));
        let offer = reader.answers[0].first().expect("an offer");
        assert_eq!((&*offer.solver, offer.algorithm, offer.workspace), ("GemmFwdRest", Algorithm::Gemm, 72));
        assert!(reader.answers[0].finds(Algorithm::Gemm));
        assert_eq!(reader.answers[0].launched, ["im2col".into()]);
        assert_eq!(reader.answers[1].direction, Direction::BackwardData);
        assert_eq!(reader.answers[1].workspace, Some(Err(Status::Description(3))));
    }

    #[test]
    fn what_was_not_asked_is_nothing_and_errors_are_errors() {
        let reader = read(&["R\tF\t-\t-\t-\t-\t0\t72\t7\t\t", "R\tB\t6\t0\t6\t\t0\t72\tno-memory\t\t"]);
        assert_eq!((&reader.answers[0].offers, &reader.answers[0].found), (&None, &Some(Err(Status::Miopen(7)))));
        assert_eq!(reader.answers[1].offers, Some(Err(Status::Miopen(6))));
        assert_eq!(reader.answers[1].found, Some(Err(Status::OutOfMemory)));
    }

    #[test]
    fn damaged_lines_are_noticed() {
        let unnamed = ["R\tF\t0\t1\t0\t91:0:72\t0\t72\t0\t0:72\t", "R\tF\t0\t1\t0\t\t0\t72\t0\t0:72\t7"];
        let broken = ["", "X", "R\tF", "N\tx\ty", "K\tx\ty", "R\tF\t0\tx\t0\t\t0\t0\t0\t\t"];
        for line in unnamed.into_iter().chain(broken) {
            assert!(read(&[line]).damaged.is_some(), "{line:?}");
        }
    }
}
