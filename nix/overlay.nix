# SPDX-License-Identifier: MIT OR Apache-2.0
# Rendered by `cargo xtask generate` from policy/rdna1.yaml and crates/rdna1-nix.
final: _prev: {
  rdna1-rocm-fix = final.callPackage ./package.nix { };
}
