// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which data type a kernel is for, by the names that rocBLAS's generator gives.

/// What kind of kernel a name belongs to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Family {
    /// Data type as people say it; `other` where the name does not tell.
    pub data_type: &'static str,
    /// Where the kernel comes from.
    pub origin: &'static str,
}

/// A matrix product of rocBLAS written by its generator as assembly.
pub const TUNED: &str = "tuned matrix product";
/// A matrix product of rocBLAS compiled from HIP source.
pub const FALLBACK: &str = "fallback matrix product";
/// Anything else.
pub const OTHER: &str = "other";

/// Generator's letters for inputs, output and sum, and what they mean.
const TYPES: [(&str, &str); 12] = [
    ("SB", "fp32"),
    ("HB", "fp16"),
    ("HHS", "fp16 with fp32 sums"),
    ("HSS", "fp16 to fp32"),
    ("BBS", "bf16 with fp32 sums"),
    ("BSS", "bf16 to fp32"),
    ("BB", "bf16"),
    ("I8II", "int8"),
    ("4xi8II", "int8"),
    ("DB", "fp64"),
    ("CB", "complex fp32"),
    ("ZB", "complex fp64"),
];

/// The family of a kernel. Tensile's kernels are named
/// `Cijk_<A>_<B>_<types>_…`; those written as assembly name the instruction set
/// that they were written for (`ISA1030`), those compiled from source have `ISA000`.
pub fn family(kernel: &str) -> Family {
    let other = Family { data_type: "other", origin: OTHER };
    let Some(rest) = kernel.strip_prefix("Cijk_A") else { return other };
    let Some(types) = rest.split('_').nth(2) else { return other };
    let Some((_, data_type)) = TYPES.iter().find(|(letters, _)| *letters == types) else { return other };
    let origin = if kernel.contains("_ISA000_") { FALLBACK } else { TUNED };
    Family { data_type, origin }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_the_generator() {
        let of = |name| {
            let family = family(name);
            (family.data_type, family.origin)
        };
        assert_eq!(of("Cijk_Ailk_Bjlk_SB_MT64x32x8_ISA1030_SU32"), ("fp32", TUNED));
        assert_eq!(of("Cijk_Alik_Bljk_HHS_BH_MT32x32_ISA000_K1"), ("fp16 with fp32 sums", FALLBACK));
        assert_eq!(of("Cijk_S_GB_PostGSU12"), ("other", OTHER));
        assert_eq!(of("_Z6kernelPf"), ("other", OTHER));
    }
}
