// SPDX-License-Identifier: MIT OR Apache-2.0
//! The other half of a hit: the earlier instruction that the one at the site
//! runs into. Only a listing asks, so this may cost something.

use std::collections::HashSet;

use super::state::{Overlook, State, Transfer};
use super::{Analyser, Site};
use crate::decode::{Inst, Wave};
use crate::rules::Rule;

/// The earlier instruction of a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin {
    /// Offset in bytes from the start of the function.
    pub offset: u32,
    /// Instructions between the two on the path that was followed.
    pub distance: u32,
}

/// Looks for rules at one instruction.
struct Seen(Rule, bool);

impl super::Found for Seen {
    fn hit(&mut self, rule: Rule) {
        self.1 |= rule == self.0;
    }
}

/// Finds the nearest earlier instruction after which the site is hit, walking
/// back over all paths; `None` for rules about single instructions.
pub fn origin(analyser: &Analyser, code: &[u8], wave: Wave, site: Site) -> Option<Origin> {
    let find = |word: u32| analyser.insts.binary_search_by_key(&word, |at| at.word).ok();
    let last = find(site.offset / 4)?;
    let site_inst = analyser.insts[last].inst(code);
    let mut predecessors: Vec<Vec<u32>> = vec![Vec::new(); analyser.blocks.len()];
    for (number, block) in analyser.blocks.iter().enumerate() {
        let next = block.falls_through.then_some(number + 1).filter(|&next| next < analyser.blocks.len());
        for successor in [next, block.target.map(|target| target as usize)].into_iter().flatten() {
            predecessors[successor].push(number as u32);
        }
    }
    // Breadth first, so that the first origin found is a nearest one. The path from
    // an instruction to the site is short: it is replayed for each candidate.
    let mut seen = HashSet::new();
    let mut front = vec![(last as u32, Vec::<Inst>::new())];
    for distance in 0..MAX_DISTANCE {
        let mut next = Vec::new();
        for (index, path) in front {
            for before in before(analyser, &predecessors, index) {
                if !seen.insert(before) {
                    continue;
                }
                let at = analyser.insts[before as usize];
                let inst = at.inst(code);
                let mut longer = Vec::with_capacity(path.len() + 1);
                longer.push(inst);
                longer.extend_from_slice(&path);
                if replays(&longer, &site_inst, wave, site.rule) {
                    return Some(Origin { offset: at.word * 4, distance });
                }
                next.push((before, longer));
            }
        }
        front = next;
        if front.is_empty() || front.len() > MAX_FRONT {
            break;
        }
    }
    None
}

/// How far back to look, in instructions.
const MAX_DISTANCE: u32 = 400;
/// How many paths to follow at once.
const MAX_FRONT: usize = 256;

fn replays(path: &[Inst], site: &Inst, wave: Wave, rule: Rule) -> bool {
    let mut state = State::default();
    let mut seen = Seen(rule, false);
    let mut unused = Transfer::default();
    let mut overlook = Overlook::default();
    for inst in path {
        state.step::<false>(inst, wave, &mut overlook, &mut unused, &mut Seen(rule, false));
    }
    state.step::<false>(site, wave, &mut overlook, &mut unused, &mut seen);
    seen.1
}

/// The instructions that can come directly before one.
fn before(analyser: &Analyser, predecessors: &[Vec<u32>], index: u32) -> Vec<u32> {
    match analyser.blocks.binary_search_by_key(&index, |block| block.first) {
        Ok(block) => predecessors[block].iter().map(|&number| analyser.blocks[number as usize].end - 1).collect(),
        Err(_) => index.checked_sub(1).into_iter().collect(),
    }
}
