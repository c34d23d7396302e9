// SPDX-License-Identifier: MIT OR Apache-2.0
//! One function: its instructions, its blocks, what reaches each block, and
//! what runs into what.
//!
//! The method is the compiler's own turned round: where LLVM walks back from an
//! instruction over all predecessors until something ends the hazard, this
//! carries what is pending forward to a fixed point.

mod jumps;
mod origin;
mod state;

pub use origin::{Origin, origin};

use crate::decode::{self, Flow, Format, Inst, Wave};
use crate::rules::{RULES, Rule};
use crate::target::Target;
use state::{Overlook, State, Transfer};

/// Mitigations to be overlooked: the instruction behind one is judged as if it
/// were not there, those that follow as if it were. That tells whether a compiler
/// put them where a hazard is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ignore {
    /// `s_waitcnt_depctr` with vm_vsrc(0).
    pub vm_vsrc: bool,
    /// `s_waitcnt_depctr` with sa_sdst(0).
    pub sa_sdst: bool,
    /// `s_mov_b32 null, 0`.
    pub null_move: bool,
    /// `s_waitcnt_vscnt null, 0`.
    pub vscnt: bool,
    /// Overlook them for all that follows, not only for the instruction behind.
    pub throughout: bool,
}

/// What code is judged by.
#[derive(Debug, Clone, Copy)]
pub struct Question {
    /// The target that the code was built for.
    pub code: Target,
    /// The target that runs it.
    pub on: Target,
    /// Mitigations to overlook.
    pub ignore: Ignore,
}

/// A place that a rule names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Site {
    /// Offset in bytes from the start of the function.
    pub offset: u32,
    /// The rule.
    pub rule: Rule,
}

/// What was found in a function.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Analysis {
    /// Sites per rule.
    pub counts: [u32; RULES],
    /// Instructions.
    pub instructions: u32,
    /// Words that are no instruction of the target that the code was built for.
    pub undecoded: u32,
    /// Jumps whose target is not known (returns of device functions are such), and
    /// calls: what the called function leaves pending is not known either.
    pub unresolved: u32,
    /// Branches to a place that is no instruction of the function.
    pub bad_branches: u32,
}

impl Analysis {
    /// Whether a rule has a site.
    pub fn has(&self, rule: Rule) -> bool {
        self.counts[rule as usize] > 0
    }
}

/// Who is told about hits.
pub(crate) trait Found {
    /// The instruction at hand runs into a rule.
    fn hit(&mut self, rule: Rule);
}

/// Nobody.
struct Ignored;

impl Found for Ignored {
    fn hit(&mut self, _: Rule) {}
}

/// Counts hits and hands them on.
struct Report<'a, S> {
    counts: &'a mut [u32; RULES],
    offset: u32,
    sink: &'a mut S,
}

impl<S: FnMut(Site)> Found for Report<'_, S> {
    fn hit(&mut self, rule: Rule) {
        self.counts[rule as usize] += 1;
        (self.sink)(Site { offset: self.offset, rule });
    }
}

/// An instruction's place and what decoding it again would give.
#[derive(Debug, Clone, Copy)]
struct At {
    word: u32,
    op: u16,
    format: Format,
    words: u8,
}

impl At {
    #[inline]
    fn inst(self, code: &[u8]) -> Inst {
        let index = self.word as usize;
        let w1 = if self.words > 1 { decode::word(code, index + 1) } else { 0 };
        Inst { w0: decode::word(code, index), w1, op: self.op, format: self.format, words: self.words }
    }

    fn end(self) -> u32 {
        self.word + u32::from(self.words)
    }
}

/// Instructions without a branch into or out of their midst.
#[derive(Debug, Clone, Copy)]
struct Block {
    /// First instruction.
    first: u32,
    /// The one after the last.
    end: u32,
    /// Where the last one branches to, as a block.
    target: Option<u32>,
    /// Whether the next block follows.
    falls_through: bool,
    /// What is pending at its start.
    before: State,
    transfer: Transfer,
    /// Whether it is on the list of those whose successors have to be told.
    dirty: bool,
}

/// Analyses functions one after the other; keeps its memory between them.
#[derive(Debug, Default)]
pub struct Analyser {
    insts: Vec<At>,
    leaders: Vec<u32>,
    blocks: Vec<Block>,
    work: Vec<u32>,
}

impl Analyser {
    /// Analyses the code of one function; `sink` is told of every site in order
    /// of address within a block.
    pub fn run(&mut self, code: &[u8], wave: Wave, question: &Question, mut sink: impl FnMut(Site)) -> Analysis {
        let mut analysis = Analysis::default();
        self.decode(code, &mut analysis);
        self.find_leaders(code);
        if Overlook::is_needed(question.ignore) {
            self.make_blocks::<true>(code, wave, question.ignore, &mut analysis);
            self.spread();
            self.report::<true>(code, wave, question, &mut analysis, &mut sink);
        } else {
            self.make_blocks::<false>(code, wave, question.ignore, &mut analysis);
            self.spread();
            self.report::<false>(code, wave, question, &mut analysis, &mut sink);
        }
        analysis
    }

    /// Offsets of the instructions around one of the last analysed function, in order.
    pub fn around(&self, offset: u32, count: usize) -> Vec<u32> {
        let Ok(index) = self.insts.binary_search_by_key(&(offset / 4), |at| at.word) else { return Vec::new() };
        let range = index.saturating_sub(count)..self.insts.len().min(index + count + 1);
        self.insts[range].iter().map(|at| at.word * 4).collect()
    }

    fn decode(&mut self, code: &[u8], analysis: &mut Analysis) {
        self.insts.clear();
        let length = code.len() / 4;
        let mut index = 0;
        while index < length {
            let inst = decode::decode(code, index);
            let words = usize::from(inst.words);
            // An instruction that the function's end cuts off is none.
            let fits = index + words <= length;
            let at = At {
                word: index as u32,
                op: inst.op,
                format: if fits { inst.format } else { Format::Unknown },
                words: if fits { inst.words } else { 1 },
            };
            self.insts.push(at);
            analysis.unresolved += u32::from(fits && inst.is_call());
            index += usize::from(at.words);
        }
        analysis.instructions = self.insts.len() as u32;
    }

    /// Where the blocks begin, as instruction indices.
    fn find_leaders(&mut self, code: &[u8]) {
        self.leaders.clear();
        if self.insts.is_empty() {
            return;
        }
        self.leaders.push(0);
        for index in 0..self.insts.len() {
            let inst = self.insts[index].inst(code);
            if inst.flow() == Flow::Next {
                continue;
            }
            if index + 1 < self.insts.len() {
                self.leaders.push(index as u32 + 1);
            }
            if let Some(target) = self.target(code, index, &inst) {
                self.leaders.push(target);
            }
        }
        self.leaders.sort_unstable();
        self.leaders.dedup();
    }

    /// The instruction that a branch or jump leads to.
    fn target(&self, code: &[u8], index: usize, inst: &Inst) -> Option<u32> {
        let word = match inst.flow() {
            Flow::Branch { offset, .. } => i64::from(self.insts[index].end()) + i64::from(offset),
            Flow::Jump { register } => jumps::resolve(code, &self.insts, index, register)?,
            Flow::Next | Flow::End => return None,
        };
        let word = u32::try_from(word).ok()?;
        self.insts.binary_search_by_key(&word, |at| at.word).ok().map(|found| found as u32)
    }

    fn make_blocks<const OVERLOOK: bool>(&mut self, code: &[u8], wave: Wave, ignore: Ignore, analysis: &mut Analysis) {
        self.blocks.clear();
        for (number, &first) in self.leaders.iter().enumerate() {
            let end = self.leaders.get(number + 1).copied().unwrap_or(self.insts.len() as u32);
            let mut state = State::default();
            let mut transfer = Transfer::default();
            let mut overlook = Overlook::new(ignore);
            for at in &self.insts[first as usize..end as usize] {
                state.step::<OVERLOOK>(&at.inst(code), wave, &mut overlook, &mut transfer, &mut Ignored);
            }
            let last = end as usize - 1;
            let inst = self.insts[last].inst(code);
            let flow = inst.flow();
            let target = self.target(code, last, &inst);
            match flow {
                Flow::Branch { .. } if target.is_none() => analysis.bad_branches += 1,
                Flow::Jump { .. } if target.is_none() => analysis.unresolved += 1,
                _ => {}
            }
            self.blocks.push(Block {
                first,
                end,
                target: target.and_then(|target| self.leaders.binary_search(&target).ok()).map(|block| block as u32),
                falls_through: matches!(flow, Flow::Next | Flow::Branch { conditional: true, .. }),
                before: State::default(),
                transfer: transfer.finish(state),
                dirty: true,
            });
        }
    }

    /// Carries states along the edges until nothing changes. A state only grows,
    /// so that a block is visited once and once more for each time that it does:
    /// at most some hundred times, whatever the branches. All blocks are on the
    /// list at first, in order of address, and a backward branch is followed at once.
    fn spread(&mut self) {
        self.work.clear();
        self.work.extend((0..self.blocks.len() as u32).rev());
        while let Some(number) = self.work.pop() {
            let block = &mut self.blocks[number as usize];
            block.dirty = false;
            let after = block.transfer.apply(&block.before);
            let next = block.falls_through.then_some(number + 1);
            for successor in [next, block.target].into_iter().flatten() {
                let Some(block) = self.blocks.get_mut(successor as usize) else { continue };
                if block.before.join(&after) && !std::mem::replace(&mut block.dirty, true) {
                    self.work.push(successor);
                }
            }
        }
    }

    fn report<const OVERLOOK: bool>(
        &self,
        code: &[u8],
        wave: Wave,
        question: &Question,
        analysis: &mut Analysis,
        sink: &mut impl FnMut(Site),
    ) {
        let here = decode::Defined::on(question.on);
        let there = decode::Defined::on(question.code);
        let bugs = question.on.is_rdna1();
        let Analysis { counts, undecoded, .. } = analysis;
        let mut found = Report { counts, offset: 0, sink };
        let mut unused = Transfer::default();
        for block in &self.blocks {
            let mut state = block.before;
            let mut overlook = Overlook::new(question.ignore);
            let insts = &self.insts[block.first as usize..block.end as usize];
            for (index, at) in insts.iter().enumerate() {
                let inst = at.inst(code);
                found.offset = at.word * 4;
                if !here.has(&inst) {
                    if there.has(&inst) {
                        found.hit(Rule::MissingInstruction);
                    } else {
                        *undecoded += 1;
                    }
                } else if decode::changed(&inst, question.code, question.on) {
                    found.hit(Rule::ChangedInstruction);
                }
                if bugs {
                    single(&inst, &insts[index + 1..], code, &mut found);
                    state.step::<OVERLOOK>(&inst, wave, &mut overlook, &mut unused, &mut found);
                }
            }
        }
    }
}

/// The rules about an instruction by itself, and clauses.
#[inline]
fn single(inst: &Inst, rest: &[At], code: &[u8], found: &mut impl Found) {
    match inst.format {
        Format::Flat if inst.flat_offset() != 0 => found.hit(Rule::FlatOffset),
        Format::Scratch => {
            // No scalar address: the address is in a vector register.
            let by_vector = matches!(inst.w1 >> 16 & 0x7f, 0x7d | 0x7f);
            if by_vector && inst.flat_offset() < 0 && inst.flat_offset() % 4 != 0 {
                found.hit(Rule::ScratchOffset);
            }
        }
        Format::Sopp => match inst.op {
            0x20 => found.hit(Rule::InstPrefetch),
            // s_clause: the field is the number of instructions less one.
            0x21 => {
                let members = rest.iter().take(usize::from(inst.simm16() & 0x3f) + 1);
                if members.into_iter().any(|at| at.inst(code).is_nsa()) {
                    found.hit(Rule::NsaClause);
                }
            }
            _ if inst.simm16() == 0x3f && inst.is_sopp_branch() => found.hit(Rule::Branch3f),
            _ => {}
        },
        // s_getreg_b32; the low six bits are the register.
        Format::Sopk if inst.op == 0x12 && inst.simm16() & 0x3f == 29 => found.hit(Rule::MissingRegister),
        _ => {}
    }
}
