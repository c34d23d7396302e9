// SPDX-License-Identifier: MIT OR Apache-2.0
//! The one table of what is looked for.
//!
//! What a chip lacks and which of its bugs need a workaround is read off LLVM,
//! whose AMDGPU back end is written by AMD: `AMDGPU.td` lists instruction sets
//! and bugs per chip, `GCNHazardRecognizer.cpp` the condition of each hazard
//! and what the compiler inserts. Versions: LLVM 19.1.7, and a later state of
//! the same files read in 2026.

use serde::{Serialize, Serializer};

use crate::target::Target;

/// What a hit amounts to, the worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// The chip has no such instruction, or another one in its place.
    Illegal,
    /// The chip computes something else each time that the place is reached.
    Wrong,
    /// The chip may stop.
    Hang,
    /// The chip goes wrong only when events meet in time.
    Timing,
}

impl Severity {
    /// All of them, the worst first.
    pub const ALL: [Self; 4] = [Self::Illegal, Self::Wrong, Self::Hang, Self::Timing];

    /// What it means, in a sentence.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Illegal => "an instruction that the card lacks: expected to fail whenever it is reached",
            Self::Wrong => "by LLVM's description the card computes something else whenever it is reached",
            Self::Hang => "by LLVM's description the card can stop there",
            Self::Timing => "can go wrong when two events meet in time; how often is unknown",
        }
    }
}

/// How sure a hit is, apart from what it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Certainty {
    /// Read off single instructions; several assemblers agree.
    Encoding,
    /// A pattern over possible paths through the code, impossible ones included;
    /// the compiler decides on the same grounds.
    Paths,
}

/// A rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Rule {
    /// An opcode that the card lacks.
    MissingInstruction,
    /// An opcode that is another operation on the card.
    ChangedInstruction,
    /// A hardware register that the card lacks.
    MissingRegister,
    /// A flat access with an offset.
    FlatOffset,
    /// A scratch access with a negative, unaligned offset.
    ScratchOffset,
    /// `s_inst_prefetch`.
    InstPrefetch,
    /// A branch over 0x3f words.
    Branch3f,
    /// An image access with an address list in a clause.
    NsaClause,
    /// Scalar write after a vector memory read of the same register.
    VmemScalarWrite,
    /// Vector write of a scalar register after a scalar memory read of it.
    SmemVectorWrite,
    /// `v_cmpx` after a read of EXEC.
    CmpxExecWar,
    /// `v_permlane` after `v_cmpx`.
    CmpxPermlane,
    /// LDS and memory access on two sides of a branch.
    LdsBranchVmem,
    /// A buffer access straight after an image access with an address list.
    NsaVmem,
}

/// Number of rules.
pub const RULES: usize = 14;

/// What is known of a rule.
#[derive(Debug, Clone, Copy, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Info {
    /// Its name.
    pub id: &'static str,
    /// In a few words.
    pub title: &'static str,
    /// What the code does, what goes wrong, and what a compiler does about it.
    pub meaning: &'static str,
    /// What a hit amounts to.
    pub severity: Severity,
    /// How sure a hit is.
    pub certainty: Certainty,
    /// Where LLVM has it.
    pub source: &'static str,
}

impl Rule {
    /// All rules, the worst first.
    pub const ALL: [Self; RULES] = [
        Self::MissingInstruction,
        Self::ChangedInstruction,
        Self::MissingRegister,
        Self::FlatOffset,
        Self::ScratchOffset,
        Self::InstPrefetch,
        Self::Branch3f,
        Self::NsaClause,
        Self::VmemScalarWrite,
        Self::SmemVectorWrite,
        Self::CmpxExecWar,
        Self::CmpxPermlane,
        Self::LdsBranchVmem,
        Self::NsaVmem,
    ];

    /// What is known of it.
    pub fn info(self) -> &'static Info {
        &TABLE[self as usize]
    }

    /// Whether a hit matters on a target: only RDNA1 has these bugs, and RDNA2
    /// lacks some of RDNA1's instructions.
    pub fn concerns(self, target: Target) -> bool {
        target.is_rdna1() || matches!(self, Self::MissingInstruction | Self::ChangedInstruction)
    }
}

impl Serialize for Rule {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.info().id)
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Rule {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Rule".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "enum": Self::ALL.map(|rule| rule.info().id) })
    }
}

const TABLE: [Info; RULES] = [
    Info {
        id: "missing-instruction",
        title: "instruction that the card lacks",
        meaning: "The opcode is not assigned on the card. What the chip does with it (a trap, a stop, or garbage) \
                  is not documented.",
        severity: Severity::Illegal,
        certainty: Certainty::Encoding,
        source: "AMDGPU.td: FeatureISAVersion10_1_0 to _10_1_3 and _10_3_0 (FeatureDot*Insts, FeatureGFX10_AEncoding, \
                 FeatureGFX10_BEncoding)",
    },
    Info {
        id: "changed-instruction",
        title: "instruction that is another operation on the card",
        meaning: "The opcode is a multiply-add with one rounding on one generation and with two on the other: \
                  the last bits of results differ.",
        severity: Severity::Wrong,
        certainty: Certainty::Encoding,
        source: "VOP2Instructions.td, VOP3Instructions.td: v_fmac_legacy_f32 and v_fma_legacy_f32 (FeatureGFX10_BEncoding) \
                 have the opcodes of v_mac_legacy_f32 and v_mad_legacy_f32",
    },
    Info {
        id: "missing-register",
        title: "hardware register that the card lacks",
        meaning: "s_getreg_b32 of SHADER_CYCLES (register 29), which came with gfx10.3.",
        severity: Severity::Wrong,
        certainty: Certainty::Encoding,
        source: "AMDGPU.td: FeatureShaderCyclesRegister",
    },
    Info {
        id: "flat-offset",
        title: "flat access with an offset",
        meaning: "The card ignores the offset of a FLAT instruction when the address lies in global memory: the \
                  access goes to another place. The compiler for gfx10.1 adds the offset to the address instead.",
        severity: Severity::Wrong,
        certainty: Certainty::Encoding,
        source: "AMDGPU.td: FeatureFlatSegmentOffsetBug",
    },
    Info {
        id: "scratch-offset",
        title: "scratch access with a negative unaligned offset",
        meaning: "With the address in a vector register and a negative offset that is no multiple of 4, the card \
                  reads other memory. The compiler for gfx10.1 does not use such offsets.",
        severity: Severity::Wrong,
        certainty: Certainty::Encoding,
        source: "AMDGPU.td: FeatureNegativeUnalignedScratchOffsetBug",
    },
    Info {
        id: "inst-prefetch",
        title: "s_inst_prefetch",
        meaning: "The instruction stops the shader. The compiler for gfx10.1 never emits it.",
        severity: Severity::Hang,
        certainty: Certainty::Encoding,
        source: "AMDGPU.td: FeatureInstFwdPrefetchBug",
    },
    Info {
        id: "branch-3f",
        title: "branch over exactly 0x3f words",
        meaning: "A branch whose distance field is 0x3f meets a hardware bug. The assembler for gfx10.1 puts an \
                  s_nop in the way.",
        severity: Severity::Hang,
        certainty: Certainty::Encoding,
        source: "AMDGPU.td: FeatureOffset3fBug; AMDGPUMCCodeEmitter and AMDGPUAsmBackend pad the branch",
    },
    Info {
        id: "nsa-clause",
        title: "image access with an address list in a clause",
        meaning: "An image instruction in NSA form within s_clause has unpredictable results. The compiler for \
                  gfx10.1 ends the clause before it.",
        severity: Severity::Wrong,
        certainty: Certainty::Encoding,
        source: "AMDGPU.td: FeatureNSAClauseBug",
    },
    Info {
        id: "vmem-scalar-write",
        title: "scalar write after a memory instruction that reads the register",
        meaning: "A scalar instruction overwrites a scalar register, EXEC or M0 that an earlier vector memory, flat \
                  or LDS instruction may not have read yet. A vector ALU instruction, s_waitcnt 0 or \
                  s_waitcnt_depctr with vm_vsrc(0) between them prevents it; the compiler for gfx10.1 inserts the last.",
        severity: Severity::Timing,
        certainty: Certainty::Paths,
        source: "GCNHazardRecognizer.cpp: fixVMEMtoScalarWriteHazards; AMDGPU.td: FeatureVMEMtoScalarWriteHazard",
    },
    Info {
        id: "smem-vector-write",
        title: "vector write of a scalar register after a scalar load that reads it",
        meaning: "A vector instruction writes a scalar register that an earlier scalar memory instruction may not \
                  have read yet; LLVM: page faults. A scalar ALU instruction or a wait for lgkmcnt 0 between them \
                  prevents it; the compiler for gfx10.1 inserts s_mov_b32 null, 0.",
        severity: Severity::Timing,
        certainty: Certainty::Paths,
        source: "GCNHazardRecognizer.cpp: fixSMEMtoVectorWriteHazards; AMDGPU.td: FeatureSMEMtoVectorWriteHazard",
    },
    Info {
        id: "cmpx-exec-war",
        title: "v_cmpx after an instruction that reads EXEC",
        meaning: "v_cmpx writes EXEC while an earlier instruction outside the vector ALU may not have read it. A \
                  vector instruction that writes a scalar register or s_waitcnt_depctr with sa_sdst(0) between them \
                  prevents it.",
        severity: Severity::Timing,
        certainty: Certainty::Paths,
        source: "GCNHazardRecognizer.cpp: fixVcmpxExecWARHazard; AMDGPU.td: FeatureVcmpxExecWARHazard",
    },
    Info {
        id: "cmpx-permlane",
        title: "v_permlane after v_cmpx",
        meaning: "v_permlane16 or v_permlanex16 follows v_cmpx with no vector ALU instruction but v_nop between them.",
        severity: Severity::Timing,
        certainty: Certainty::Paths,
        source: "GCNHazardRecognizer.cpp: fixVcmpxPermlaneHazards; AMDGPU.td: FeatureVcmpxPermlaneHazard",
    },
    Info {
        id: "lds-branch-vmem",
        title: "LDS and memory access on two sides of a branch",
        meaning: "An LDS access and a buffer, image, global or scratch access follow one another with a branch and \
                  no s_waitcnt_vscnt null, 0 between them. The compiler for gfx10.1 inserts that wait.",
        severity: Severity::Timing,
        certainty: Certainty::Paths,
        source: "GCNHazardRecognizer.cpp: fixLdsBranchVmemWARHazard; AMDGPU.td: FeatureLdsBranchVmemWARHazard",
    },
    Info {
        id: "nsa-vmem",
        title: "buffer access straight after an image access with an address list",
        meaning: "A buffer instruction with bit 1 or 2 of its offset set comes straight after an image instruction \
                  in NSA form of 16 bytes or more; it fails when half of EXEC is zero.",
        severity: Severity::Timing,
        certainty: Certainty::Paths,
        source: "GCNHazardRecognizer.cpp: checkNSAtoVMEMHazard; AMDGPU.td: FeatureNSAtoVMEMBug",
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_complete() {
        for (index, rule) in Rule::ALL.into_iter().enumerate() {
            assert_eq!(rule as usize, index);
            let info = rule.info();
            assert!(info.meaning.ends_with('.') && !info.source.is_empty(), "{}", info.id);
        }
        let mut ids = Rule::ALL.map(|rule| rule.info().id);
        ids.sort_unstable();
        assert!(ids.windows(2).all(|pair| pair[0] != pair[1]));
    }
}
