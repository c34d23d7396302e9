// SPDX-License-Identifier: MIT OR Apache-2.0
//! The shape of the policy file. Unknown keys are errors.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Domain;
use crate::gfx::GfxChoice;
use crate::ids::{GfxTarget, PciId, PciRevision, VarName, Version};

/// Whether a system-wide channel may carry something, or only a single process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// Every channel: services, sessions, shells, containers, single processes.
    System,
    /// Only `rdna1-rocm-fix run` and the validator.
    Process,
}

/// The whole policy.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// Version of this format; this program reads version 1.
    pub version: u32,
    /// Where facts come from. Every other section names these by key.
    pub sources: BTreeMap<String, Source>,
    /// How an RDNA1 card is recognised among PCI functions.
    pub pci: PciMatch,
    /// The gfx targets of RDNA1, and which of them runs whose code.
    pub gfx_targets: Vec<GfxTargetFact>,
    /// Every RDNA1 display function's PCI device id.
    pub cards: Vec<Card>,
    /// Every environment variable this project sets, advises on or warns of.
    pub variables: Vec<Variable>,
    /// Prefixes of the variables that an administrator may add in config.yaml
    /// although the policy does not describe them.
    pub extra_variable_prefixes: Vec<String>,
    /// Named sets of variables.
    pub profiles: Vec<Profile>,
    /// The gfx choice: its values and the rules behind `auto`.
    pub gfx: GfxPolicy,
    /// Known failures that no variable cures.
    pub advisories: Vec<Advisory>,
    /// The shortest path to a working PyTorch: the first entry that applies.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub guidance: Vec<Guidance>,
}

/// What kind of evidence a source is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Evidence {
    /// Read in source code.
    Code,
    /// Read in documentation or a data file.
    Document,
    /// Read in an issue or pull request.
    Issue,
    /// Measured by this project.
    Measured,
    /// One party's statement that nobody else confirms.
    Claim,
    /// Concluded from other facts, not observed.
    Inference,
    /// Asked for by the person this project serves.
    Request,
}

/// Where a fact comes from.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// What kind of evidence it is.
    pub evidence: Evidence,
    /// Repository, revision, file and lines; or issue number; or how it was measured.
    pub at: String,
}

/// How an RDNA1 card is recognised among PCI functions.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct PciMatch {
    /// AMD's vendor id.
    pub vendor: PciId,
    /// Base class of display controllers, 0x03; it leaves out the cards' own
    /// audio, USB and UCSI functions, whose device ids lie near the GPU's.
    pub base_class: u8,
    /// Keys of `sources`.
    pub sources: Vec<String>,
}

/// What is true of one gfx target.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct GfxTargetFact {
    /// The target.
    pub target: GfxTarget,
    /// The chip's code name.
    pub chip: String,
    /// Other targets whose code objects run on this one unchanged.
    pub runs_code_of: Vec<GfxTarget>,
    /// Whether the chip has the v_dot2/v_dot4 instructions.
    pub dot_instructions: bool,
    /// Keys of `sources`.
    pub sources: Vec<String>,
}

/// One PCI device id of an RDNA1 display function.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Card {
    /// PCI device id.
    pub device: PciId,
    /// Its gfx target.
    pub gfx: GfxTarget,
    /// Name where the revision is not listed.
    pub name: String,
    /// Marketing name by PCI revision byte.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub revisions: BTreeMap<PciRevision, String>,
    /// Whether libhsakmt's own device table has this id. Where it has not,
    /// libhsakmt uses KFD's gfx_target_version, which is no failure.
    pub in_libhsakmt_table: bool,
    /// What else an owner should know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Keys of `sources`.
    pub sources: Vec<String>,
}

/// Who may set a variable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Emit {
    /// Profiles, and the administrator's extra variables.
    Profile,
    /// The gfx choice alone; the administrator sets `gfx:`, not the variable.
    Gfx,
    /// No profile; the administrator's extra variables may.
    Extra,
    /// Nobody: this project refuses to emit it, for the reason in `caution`.
    Never,
}

/// A component that reads a variable.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Reader {
    /// The library or program.
    pub component: String,
    /// First ROCm (or component) version that reads it, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
}

/// What `status` says when it finds a variable set in the user's environment.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Hazard {
    /// The values that are hazardous; none listed means every value.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<String>,
    /// What happens.
    pub happens: String,
    /// What to do.
    #[serde(rename = "do")]
    pub remedy: String,
}

/// One environment variable.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Variable {
    /// Its name.
    pub name: VarName,
    /// What it does, in a sentence or two.
    pub effect: String,
    /// Who reads it; an empty list is the statement that nothing does, and
    /// the variable is labelled inert wherever it is shown.
    pub read_by: Vec<Reader>,
    /// Which values its reader accepts.
    pub value: Domain,
    /// Who may set it.
    pub emit: Emit,
    /// What to beware of; obligatory where `emit` is `never`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caution: Option<String>,
    /// What `status` warns of when the user has set it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hazard: Option<Hazard>,
    /// Keys of `sources`.
    pub sources: Vec<String>,
}

impl Variable {
    /// Whether no ROCm component reads it.
    pub fn is_inert(&self) -> bool {
        self.read_by.is_empty()
    }
}

/// One variable of a profile.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ProfileVariable {
    /// The variable.
    pub name: VarName,
    /// The value, as the process will see it.
    pub value: String,
    /// Why this profile sets it so.
    pub why: String,
    /// Keys of `sources`.
    pub sources: Vec<String>,
}

/// What computes a convolution under a profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Engine {
    /// MIOpen, steered by the profile's variables.
    Miopen,
    /// No MIOpen: a Python hook takes it out of PyTorch's way.
    PythonHook,
}

/// A named set of MIOpen and HIP variables.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// Its name on the command line and in config.yaml.
    pub id: String,
    /// One line for lists.
    pub summary: String,
    /// Whom it is for.
    #[serde(rename = "for")]
    pub audience: String,
    /// Whether it is used where nobody chose; exactly one profile is.
    #[serde(default)]
    pub default: bool,
    /// What computes the convolution.
    pub engine: Engine,
    /// Where it may be applied.
    pub scope: Scope,
    /// The gfx choices under which it works.
    pub gfx_choices: Vec<GfxChoice>,
    /// Its variables, in the order in which they are emitted.
    pub set: Vec<ProfileVariable>,
    /// What it cannot do, for status and documentation.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub limits: Vec<Limit>,
    /// Keys of `sources`.
    pub sources: Vec<String>,
}

/// Something that a profile cannot do.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Limit {
    /// What fails and how it looks.
    pub happens: String,
    /// What to use instead.
    #[serde(rename = "do")]
    pub remedy: String,
    /// Keys of `sources`.
    pub sources: Vec<String>,
}

/// The gfx choice: an axis of its own, independent of the profile.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct GfxPolicy {
    /// The variable that overrides the gfx target of every GPU.
    pub variable: VarName,
    /// The form that overrides it for one KFD node.
    pub per_node: PerNode,
    /// The possible choices.
    pub choices: Vec<GfxChoiceFact>,
    /// What `auto` means: the first rule whose condition holds decides.
    pub rules: Vec<GfxRule>,
}

/// The per-node form of the override.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct PerNode {
    /// The variable's name without the node number.
    pub prefix: VarName,
    /// First ROCm version that reads it.
    pub since_rocm: Version,
    /// Keys of `sources`.
    pub sources: Vec<String>,
}

/// What is true of one gfx choice.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct GfxChoiceFact {
    /// The choice.
    pub id: GfxChoice,
    /// One line for lists.
    pub summary: String,
    /// Whether AMD's compiler made the code that then runs for a chip that
    /// executes it unchanged; if not, status says what is known.
    pub code_fits_card: bool,
    /// Keys of `sources`.
    pub sources: Vec<String>,
}

/// When a rule of the gfx choice applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum GfxCondition {
    /// `rdna1-validate select` recorded a choice for this machine.
    Recorded,
    /// PyTorch carries device code for every RDNA1 card of the machine.
    PytorchHasCard,
    /// PyTorch carries device code that every RDNA1 card runs unchanged,
    /// though not for the card's own target.
    PytorchHasCompatible,
    /// PyTorch carries device code, and none for the target that the last rule
    /// would have the cards pass for.
    PytorchLacksFallback,
    /// Anything else.
    Otherwise,
}

/// One rule of the gfx choice.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct GfxRule {
    /// Its name in explanations.
    pub id: String,
    /// When it applies.
    pub when: GfxCondition,
    /// What it chooses; absent for `recorded`, which brings its own choice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub choose: Option<GfxChoice>,
    /// Why, shown to the user.
    pub why: String,
    /// Whether the choice is known to work; if not, status flags it as
    /// unverified until the validator has measured it.
    pub verified: bool,
    /// Keys of `sources`.
    pub sources: Vec<String>,
}

/// How bad an advisory is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Worth knowing.
    Info,
    /// May fail or give wrong results.
    Warning,
    /// Does not work.
    Error,
}

/// A state of the machine that an advisory can ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Condition {
    /// No driver is bound to the card.
    NoDriver,
    /// The card is bound to a driver other than amdgpu (vfio-pci, radeon).
    OtherDriver,
    /// amdgpu drives the card but KFD has no node for it.
    AmdgpuWithoutKfd,
    /// The machine has AMD GPUs that are not RDNA1 beside the card.
    OtherAmdGpu,
    /// As `other-amd-gpu`, an override was wanted, and it could not be
    /// confined to the card.
    OverrideNotConfinable,
    /// The gfx choice rests on a rule that nobody has verified here.
    GfxUnverified,
    /// The gfx choice makes ROCm run code built for another chip.
    ForeignCode,
    /// Atomic operations of a card do not reach the processor.
    NoPcieAtomics,
    /// The current user may not open the card's devices.
    NoDevicePermission,
    /// Some rocBLAS on this machine has no kernels for a card's own target.
    RocblasLacksCard,
}

/// When an advisory applies: all of the given parts must hold. A part about
/// something that cannot be known (no ROCm found) makes it *possible*.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Predicate {
    /// A card with one of these gfx targets is present.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gfx: Vec<GfxTarget>,
    /// The running kernel is at least this version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kernel_at_least: Option<Version>,
    /// The running kernel is older than this version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kernel_below: Option<Version>,
    /// Some ROCm on this machine is at least this version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rocm_at_least: Option<Version>,
    /// Some ROCm on this machine is older than this version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rocm_below: Option<Version>,
    /// That ROCm came with a PyTorch of at least this version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub torch_at_least: Option<Version>,
    /// That ROCm came with a PyTorch older than this version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub torch_below: Option<Version>,
    /// That ROCm came in a wheel whose version is tagged with it (`+rocm6.1`).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub tagged_wheel: bool,
    /// What the device code of its PyTorch is to the cards.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pytorch: Vec<PytorchFit>,
    /// The C library is at least this version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub glibc_at_least: Option<Version>,
    /// The compute firmware (MEC) of a card is older than this version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mec_firmware_below: Option<u32>,
    /// The kernel was given one of these parameters.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kernel_parameter: Vec<String>,
    /// The kernel was not given all of these parameters.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kernel_parameter_missing: Vec<String>,
    /// One of these variables is set to a value that does harm, in the
    /// environment or in a file that processes get theirs from.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stray_variable: Vec<VarName>,
    /// The profile in force is one of these.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub profile: Vec<String>,
    /// The gfx choice in force is one of these.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gfx_choice: Vec<GfxChoice>,
    /// These states all hold.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub state: Vec<Condition>,
}

/// A known failure that no environment variable cures.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Advisory {
    /// Its name, stable across releases.
    pub id: String,
    /// How bad it is.
    pub severity: Severity,
    /// One line.
    pub title: String,
    /// When it applies.
    pub when: Predicate,
    /// What happens.
    pub happens: String,
    /// What to do.
    #[serde(rename = "do")]
    pub remedy: String,
    /// Keys of `sources`.
    pub sources: Vec<String>,
}

/// What the best of a machine's PyTorch builds for ROCm is to its cards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum PytorchFit {
    /// It carries code for every card's own target.
    Native,
    /// It carries code that every card runs unchanged.
    Compatible,
    /// Its code is for other chips, or could not be read.
    Foreign,
    /// None was found.
    Missing,
}

/// When guidance applies: all of the given parts must be known to hold.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct GuidanceCondition {
    /// A card with one of these gfx targets is present.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gfx: Vec<GfxTarget>,
    /// The running kernel is at least this version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kernel_at_least: Option<Version>,
    /// The PyTorch is one of these.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pytorch: Vec<PytorchFit>,
    /// The ROCm that this PyTorch uses is at least this version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rocm_at_least: Option<Version>,
}

/// A path to a working PyTorch.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Guidance {
    /// Its name, stable across releases.
    pub id: String,
    /// One line.
    pub title: String,
    /// When it applies.
    #[serde(default)]
    pub when: GuidanceCondition,
    /// Whether the PyTorch fails as things are: then another one on the machine
    /// that does not is the one to advise on.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub blocked: bool,
    /// What to do, in order. `{gfx}` stands for the first card's target,
    /// `{path}` for the directory of the PyTorch.
    pub steps: Vec<String>,
    /// How certain it is that this works, in words.
    pub certain: String,
    /// Keys of `sources`.
    pub sources: Vec<String>,
}
