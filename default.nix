# SPDX-License-Identifier: MIT OR Apache-2.0
# Rendered by `cargo xtask generate` from policy/rdna1.yaml and crates/rdna1-nix.
# Without flakes: `nix-build -A rdna1-rocm-fix`, or in configuration.nix
# `imports = [ (import ./path/to/here { }).nixosModules.default ];`.
{
  pkgs ? import <nixpkgs> { },
}:
{
  rdna1-rocm-fix = pkgs.callPackage ./nix/package.nix { };

  overlays.default = import ./nix/overlay.nix;

  # A path, so that importing it twice is importing it once.
  nixosModules.default = ./nix/module.nix;

  tests.vm = pkgs.callPackage ./nix/tests/vm.nix { };
}
