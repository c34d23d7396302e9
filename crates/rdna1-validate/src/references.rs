// SPDX-License-Identifier: MIT OR Apache-2.0
//! The float64 references, computed on the CPU by processes of their own while
//! the device works. Equal computations share one.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::cases::{Case, Work};
use crate::worker::protocol::{Question, Referenced};
use crate::worker::{Exchange, Lost, Reply, Spec, Supervised};

/// References that may lie ready and unused, so that they do not fill the disk.
const AHEAD: usize = 32;

/// What became of a reference.
#[derive(Debug, Clone)]
pub enum Reference {
    /// It is in this file.
    Ready(PathBuf),
    /// There is none: the machine's PyTorch does not do this, and why.
    Unsupported(String),
    /// There is none, and there should be.
    Failed(String),
}

/// What came of computing one.
enum Computed {
    /// A reference, or that there is none; and the seconds in PyTorch.
    Done(Reference, f64),
    /// Nobody wants it any more.
    Stopped,
}

/// References for a list of cases.
#[derive(Debug)]
pub struct References {
    shelf: Arc<Shelf>,
    /// Of each case, its place in the list of references.
    places: Vec<Option<usize>>,
    /// How many cases still need each.
    users: Vec<usize>,
    threads: Vec<JoinHandle<u32>>,
}

#[derive(Debug)]
struct Shelf {
    state: Mutex<State>,
    changed: Condvar,
    queues: Queues,
    works: Vec<Work>,
    dir: PathBuf,
    interrupted: Arc<AtomicBool>,
    /// Ends whatever is being computed, at once.
    stopped: Arc<AtomicBool>,
}

/// What is still to be computed: single computations, in the order of the cases,
/// and models, which take longest and come last.
#[derive(Debug, Default)]
struct Queues {
    single: Queue,
    models: Queue,
}

#[derive(Debug, Default)]
struct Queue {
    places: Vec<usize>,
    next: AtomicUsize,
}

impl Queue {
    fn take(&self) -> Option<usize> {
        self.places.get(self.next.fetch_add(1, Ordering::Relaxed)).copied()
    }
}

impl Queues {
    fn of(works: &[Work]) -> Self {
        let is_model = |place: &usize| matches!(works[*place], Work::ModelInference(_));
        let (models, single) = (0..works.len()).partition(is_model);
        let queue = |places| Queue { places, next: AtomicUsize::new(0) };
        Self { single: queue(single), models: queue(models) }
    }

    /// The next one. Of several processes one begins with the models, so that
    /// they are ready when the device comes to them.
    fn take(&self, models_first: bool) -> Option<usize> {
        let (first, second) = if models_first { (&self.models, &self.single) } else { (&self.single, &self.models) };
        first.take().or_else(|| second.take())
    }
}

#[derive(Debug, Default)]
struct State {
    done: HashMap<usize, Reference>,
    /// The furthest reference that somebody has asked for.
    wanted: usize,
    /// Seconds in PyTorch.
    seconds: f64,
}

impl Shelf {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        // Wakes up by itself, because the user's interruption changes no state here.
        let waited = self.changed.wait_timeout(state, Duration::from_millis(50));
        waited.unwrap_or_else(PoisonError::into_inner).0
    }

    fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed) || self.interrupted.load(Ordering::Relaxed)
    }
}

/// CPU processes and threads for references, and their time limits.
#[derive(Debug, Clone, Copy)]
pub struct Effort {
    /// Processes.
    pub processes: usize,
    /// Threads of each.
    pub threads: usize,
    /// How long the start of a process may take.
    pub start_limit: Duration,
    /// How long a reference may take.
    pub limit: Duration,
}

impl References {
    /// Starts to compute, in the order of the cases.
    pub fn start(cases: &[Case], spec: &Spec, dir: &Path, effort: Effort, interrupted: &Arc<AtomicBool>) -> Self {
        let mut known: HashMap<String, usize> = HashMap::new();
        let mut works = Vec::new();
        let mut users = Vec::new();
        let places = cases.iter().map(|case| {
            let work = case.work.reference()?;
            // Serialised, it is the computation and nothing else.
            let key = serde_json::to_string(&work).unwrap_or_default();
            let place = *known.entry(key).or_insert_with(|| {
                works.push(work);
                users.push(0);
                works.len() - 1
            });
            users[place] += 1;
            Some(place)
        });
        let places: Vec<Option<usize>> = places.collect();
        let processes = effort.processes.min(works.len());
        let shelf = Arc::new(Shelf {
            state: Mutex::default(),
            changed: Condvar::new(),
            queues: Queues::of(&works),
            works,
            dir: dir.to_owned(),
            interrupted: Arc::clone(interrupted),
            stopped: Arc::default(),
        });
        let thread = |number: usize| {
            let (shelf, spec) = (Arc::clone(&shelf), spec.clone());
            let models_first = processes > 1 && number == 0;
            std::thread::spawn(move || compute(&shelf, spec, effort, models_first))
        };
        let threads = (0..processes).map(thread).collect();
        Self { shelf, places, users, threads }
    }

    /// The reference of a case, and how long it had to be waited for; `None`
    /// where the case needs none, or the user has interrupted.
    pub fn take(&self, case: usize) -> (Option<Reference>, Duration) {
        let Some(place) = self.places[case] else { return (None, Duration::ZERO) };
        let begin = Instant::now();
        let mut state = self.shelf.state();
        state.wanted = state.wanted.max(place);
        self.shelf.changed.notify_all();
        loop {
            if let Some(done) = state.done.get(&place) {
                return (Some(done.clone()), begin.elapsed());
            }
            if self.shelf.is_stopped() {
                return (None, begin.elapsed());
            }
            state = self.shelf.wait(state);
        }
    }

    /// A case is done with its reference; the last one removes the file.
    pub fn release(&mut self, case: usize) {
        let Some(place) = self.places[case] else { return };
        self.users[place] -= 1;
        if self.users[place] == 0
            && let Some(Reference::Ready(file)) = self.shelf.state().done.get(&place)
        {
            // The directory goes as a whole at the end.
            let _ = std::fs::remove_file(file);
        }
    }

    /// Stops computing, also what has been begun; returns the seconds in PyTorch
    /// and the processes started.
    pub fn stop(self) -> (f64, u32) {
        self.shelf.stopped.store(true, Ordering::Relaxed);
        self.shelf.changed.notify_all();
        let starts = self.threads.into_iter().map(|thread| thread.join().unwrap_or(0)).sum();
        (self.shelf.state().seconds, starts)
    }
}

/// One process: takes the next reference until there is none left.
fn compute(shelf: &Shelf, spec: Spec, effort: Effort, models_first: bool) -> u32 {
    let mut worker = Supervised::new(spec, Arc::clone(&shelf.interrupted)).stopped_by(Arc::clone(&shelf.stopped));
    while let Some(place) = shelf.queues.take(models_first) {
        let work = &shelf.works[place];
        // A model's answer is small, and whoever waits here with one would compute no more.
        let is_small = matches!(work, Work::ModelInference(_));
        let mut state = shelf.state();
        while !is_small && place > state.wanted + AHEAD && !shelf.is_stopped() {
            state = shelf.wait(state);
        }
        if shelf.is_stopped() {
            break;
        }
        drop(state);
        let file = shelf.dir.join(format!("reference-{place}.pt"));
        let Computed::Done(reference, seconds) = one(&mut worker, work, &file, effort) else { break };
        let mut state = shelf.state();
        state.seconds += seconds;
        state.done.insert(place, reference);
        shelf.changed.notify_all();
    }
    worker.close();
    worker.starts
}

fn one(worker: &mut Supervised, work: &Work, file: &Path, effort: Effort) -> Computed {
    if !worker.is_running() {
        let start = Question::Start { threads: effort.threads, torchvision: false, variables: Vec::new() };
        let started = worker.ask(&start, effort.start_limit);
        if !matches!(started.outcome, Ok(Reply::Answer(_))) {
            return failed(&started);
        }
    }
    let name = file.to_string_lossy();
    let exchange = worker.ask(&Question::Reference { work, file: &name }, effort.limit);
    let answer = match &exchange.outcome {
        Ok(Reply::Answer(answer)) => serde_json::from_value::<Referenced>(answer.clone()).ok(),
        _ => None,
    };
    match answer {
        Some(answer) => Computed::Done(Reference::Ready(file.to_owned()), answer.torch_seconds),
        None => failed(&exchange),
    }
}

fn failed(exchange: &Exchange) -> Computed {
    let reference = match &exchange.outcome {
        Ok(Reply::Failed(failure)) if failure.unsupported => Reference::Unsupported(failure.message.clone()),
        Ok(Reply::Failed(failure)) => Reference::Failed(failure.message.clone()),
        Ok(Reply::Answer(_)) => Reference::Failed("the worker's answer is none".into()),
        Err(Lost::Interrupted) => return Computed::Stopped,
        Err(lost) => Reference::Failed(crate::judge::explain(lost).1),
    };
    Computed::Done(reference, exchange.seconds)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cases::Model;

    #[test]
    fn each_is_taken_once_and_one_process_begins_with_the_models() {
        let model = || Work::ModelInference(Model::of_user("a:b"));
        let works = [Work::Copy { elements: 1 }, model(), Work::Copy { elements: 2 }, model()];
        let taken = |first: &[bool]| {
            let queues = Queues::of(&works);
            let mut taken: Vec<usize> = first.iter().map_while(|&first| queues.take(first)).collect();
            taken.extend(std::iter::from_fn(|| queues.take(false)));
            taken
        };
        assert_eq!(taken(&[]), [0, 2, 1, 3], "alone: as the device comes to them");
        assert_eq!(taken(&[true, false, true, true]), [1, 0, 3, 2]);
        assert_eq!(taken(&[true; 9]), [1, 3, 0, 2]);
    }
}
