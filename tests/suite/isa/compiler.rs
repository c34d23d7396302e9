// SPDX-License-Identifier: MIT OR Apache-2.0
//! The hazards against LLVM itself, on every sequence of three from lists of
//! instructions, in one block and with a branch in it: the compiler's own pass
//! for gfx1010 puts a workaround into a sequence exactly where the analysis of the
//! same sequence for gfx1030 has a hit.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use rdna1_isa::Target;
use rdna1_isa::analyse::{Analyser, Ignore, Question};
use rdna1_isa::decode::Wave;
use rdna1_tests::tools;

use super::{Objects, have_llvm, must, workdir};

const LLC: &str = "llc-19";

/// What something may still have to read, or what only looks so.
const FIRST: [(&str, &str); 13] = [
    ("buffer", "$vgpr9 = BUFFER_LOAD_DWORD_OFFEN $vgpr1, $sgpr8_sgpr9_sgpr10_sgpr11, 0, 0, 0, 0, implicit $exec"),
    ("saddr", "$vgpr9 = GLOBAL_LOAD_DWORD_SADDR $sgpr8_sgpr9, $vgpr1, 0, 0, implicit $exec"),
    ("global", "$vgpr9 = GLOBAL_LOAD_DWORD $vgpr2_vgpr3, 0, 0, implicit $exec"),
    ("flat", "$vgpr9 = FLAT_LOAD_DWORD $vgpr2_vgpr3, 0, 0, implicit $exec, implicit $flat_scr"),
    ("ds", "$vgpr9 = DS_READ_B32_gfx9 $vgpr1, 0, 0, implicit $exec"),
    ("consume", "$vgpr9 = DS_CONSUME 0, 0, implicit $m0, implicit $exec"),
    ("append", "$vgpr9 = DS_APPEND 0, 0, implicit $m0, implicit $exec"),
    ("sload", "$sgpr20 = S_LOAD_DWORD_IMM $sgpr8_sgpr9, 0, 0"),
    ("sbuffer", "$sgpr20 = S_BUFFER_LOAD_DWORD_IMM $sgpr8_sgpr9_sgpr10_sgpr11, 0, 0"),
    ("execread", "$sgpr20 = S_MOV_B32 $exec_lo"),
    ("saveexec", "$sgpr20 = S_AND_SAVEEXEC_B32 $sgpr21, implicit-def $exec, implicit-def $scc, implicit $exec"),
    ("cmpx", "V_CMPX_EQ_U32_nosdst_e32 $vgpr0, $vgpr1, implicit-def $exec, implicit $exec"),
    ("move", "$vgpr9 = V_MOV_B32_e32 $vgpr1, implicit $exec"),
];

/// What may end it.
const BETWEEN: [(&str, &str); 17] = [
    ("nothing", ""),
    ("vmove", "$vgpr10 = V_MOV_B32_e32 $vgpr1, implicit $exec"),
    ("vnop", "V_NOP_e32 implicit $exec"),
    ("smove", "$sgpr30 = S_MOV_B32 $sgpr31"),
    ("snop", "S_NOP 0"),
    ("wait0", "S_WAITCNT 0"),
    ("waitvm", "S_WAITCNT 16240"),
    ("waitlgkm", "S_WAITCNT 49279"),
    ("vsrc", "S_WAITCNT_DEPCTR 65507"),
    ("sdst", "S_WAITCNT_DEPCTR 65534"),
    ("nullmove", "$sgpr_null = S_MOV_B32 0"),
    ("vscnt", "S_WAITCNT_VSCNT undef $sgpr_null, 0"),
    ("vscnt1", "S_WAITCNT_VSCNT undef $sgpr_null, 1"),
    ("lgkm", "S_WAITCNT_LGKMCNT undef $sgpr_null, 0"),
    ("readlane", "$sgpr30 = V_READFIRSTLANE_B32 $vgpr0, implicit $exec"),
    ("cmpvcc", "V_CMP_EQ_U32_e32 $vgpr0, $vgpr1, implicit-def $vcc, implicit $exec"),
    ("cmp64", "$sgpr30 = V_CMP_EQ_U32_e64 $vgpr0, $vgpr1, implicit $exec"),
];

/// What may run into it.
const SECOND: [(&str, &str); 14] = [
    ("smove", "$sgpr8 = S_MOV_B32 $sgpr31"),
    ("sexec", "$exec_lo = S_MOV_B32 $sgpr31"),
    ("sm0", "$m0 = S_MOV_B32 $sgpr31"),
    ("sadd", "$sgpr9 = S_ADD_U32 $sgpr31, 1, implicit-def $scc"),
    ("sload", "$sgpr8 = S_LOAD_DWORD_IMM $sgpr24_sgpr25, 0, 0"),
    ("readfirst", "$sgpr8 = V_READFIRSTLANE_B32 $vgpr0, implicit $exec"),
    ("readlane", "$sgpr9 = V_READLANE_B32 $vgpr0, 1"),
    ("cmp64", "$sgpr8 = V_CMP_EQ_U32_e64 $vgpr0, $vgpr1, implicit $exec"),
    ("addco", "$vgpr11, $sgpr8 = V_ADD_CO_U32_e64 $vgpr0, $vgpr1, 0, implicit $exec"),
    ("cmpx", "V_CMPX_EQ_U32_nosdst_e32 $vgpr0, $vgpr1, implicit-def $exec, implicit $exec"),
    ("permlane", "$vgpr12 = V_PERMLANE16_B32_e64 0, $vgpr0, 0, $sgpr28, 0, $sgpr29, $vgpr12, 0, implicit $exec"),
    ("ds", "$vgpr13 = DS_READ_B32_gfx9 $vgpr1, 0, 0, implicit $exec"),
    ("global", "$vgpr13 = GLOBAL_LOAD_DWORD $vgpr2_vgpr3, 0, 0, implicit $exec"),
    ("vmove", "$vgpr13 = V_MOV_B32_e32 $vgpr1, implicit $exec"),
];

/// Where the branch is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    Straight,
    /// Behind the first.
    Early,
    /// Before the last.
    Late,
}

/// All sequences as machine code in LLVM's text form, a function each.
fn sequences() -> String {
    let mut text = String::new();
    let branch = "    S_CBRANCH_SCC0 %bb.1, implicit $scc\n\n  bb.1:\n";
    for (first_name, first) in FIRST {
        for (between_name, between) in BETWEEN {
            for (second_name, second) in SECOND {
                for shape in [Shape::Straight, Shape::Early, Shape::Late] {
                    let _ = write!(
                        text,
                        "---\nname: {first_name}_{between_name}_{second_name}_{shape:?}\nbody: |\n  bb.0:\n    {first}\n"
                    );
                    text += if shape == Shape::Early { branch } else { "" };
                    if !between.is_empty() {
                        let _ = writeln!(text, "    {between}");
                    }
                    text += if shape == Shape::Late { branch } else { "" };
                    let _ = write!(text, "    {second}\n    S_ENDPGM 0\n...\n");
                }
            }
        }
    }
    text
}

/// Each function's code.
fn compiled(dir: &Path, source: &Path, target: Target) -> BTreeMap<String, Vec<u8>> {
    let object = dir.join(format!("{target}.o"));
    let mut llc = Command::new(LLC);
    llc.args([
        "-mtriple=amdgcn-amd-amdhsa",
        "-start-before=post-RA-hazard-rec",
        "-filetype=obj",
        "-verify-machineinstrs=0",
    ]);
    // Without the replay of faulting accesses, which no chip here has: for that the
    // compiler parts scalar loads whose registers overlap.
    llc.arg("-mattr=-xnack").arg(format!("-mcpu={target}")).arg(source).arg("-o").arg(&object);
    must(llc.output());
    let objects = Objects::of(&object, &[target]);
    let mut functions = BTreeMap::new();
    for (object, bytes) in objects.parsed() {
        for function in &object.functions {
            let code = bytes[function.offset..function.offset + function.size].to_vec();
            functions.insert(function.name.clone(), code);
        }
    }
    functions
}

/// The rules that a function runs into on a gfx1010.
fn hits(code: &[u8], built_for: Target, ignore: Ignore) -> Vec<&'static str> {
    let question = Question { code: built_for, on: Target::Gfx1010, ignore };
    let mut rules = Vec::new();
    Analyser::default().run(code, Wave::W32, &question, |site| rules.push(site.rule.info().id));
    rules
}

#[test]
fn the_compiler_mends_what_the_analysis_finds_and_nothing_else() {
    if !have_llvm() || !tools::available(&[LLC]) {
        return;
    }
    let dir = workdir("compiler");
    let source = dir.join("sequences.mir");
    std::fs::write(&source, sequences()).expect("target is writable");
    let (with, without) = (compiled(&dir, &source, Target::Gfx1010), compiled(&dir, &source, Target::GFX1030));
    let count = FIRST.len() * BETWEEN.len() * SECOND.len() * 3;
    assert_eq!((with.len(), without.len()), (count, count));
    let overlook = Ignore { vm_vsrc: true, sa_sdst: true, null_move: true, vscnt: true, throughout: false };
    let (mut wrong, mut mended, mut unseen) = (Vec::new(), BTreeMap::<&str, usize>::new(), 0);
    for (name, code) in &without {
        let (found, is_mended) = (hits(code, Target::GFX1030, Ignore::default()), with[name] != *code);
        if found.is_empty() == is_mended {
            wrong.push(format!("{name}: the compiler mends: {is_mended}, hits: {found:?}"));
        }
        for rule in found {
            *mended.entry(rule).or_default() += 1;
        }
        // What the compiler has mended is clean, and its workaround is needed.
        let left = hits(&with[name], Target::Gfx1010, Ignore::default());
        if !left.is_empty() {
            wrong.push(format!("{name}: mended, and yet {left:?}"));
        }
        unseen += usize::from(is_mended && hits(&with[name], Target::Gfx1010, overlook).is_empty());
    }
    assert!(wrong.is_empty(), "{} of {count}:\n{}", wrong.len(), wrong[..wrong.len().min(60)].join("\n"));
    for rule in ["vmem-scalar-write", "smem-vector-write", "cmpx-exec-war", "cmpx-permlane", "lds-branch-vmem"] {
        assert!(mended.get(rule).is_some_and(|count| *count > 20), "{rule}: {mended:?}");
    }
    // v_permlane's workaround is a vector move like any other and cannot be overlooked.
    assert_eq!(unseen, mended["cmpx-permlane"], "{mended:?}");
}
