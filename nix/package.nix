# SPDX-License-Identifier: MIT OR Apache-2.0
# Rendered by `cargo xtask generate` from policy/rdna1.yaml and crates/rdna1-nix.
{
  lib,
  rustPlatform,
  stdenv,
}:
# Needs Rust 1.88.
rustPlatform.buildRustPackage {
  pname = "rdna1-rocm-fix";
  version = "0.1.0";

  src = lib.fileset.toSource {
    root = ../.;
    # The whole workspace, as Cargo.lock is about all of it, and the texts that
    # are installed.
    fileset = lib.fileset.unions [
      ../CHANGELOG.md
      ../Cargo.lock
      ../Cargo.toml
      ../LICENSE-APACHE
      ../LICENSE-MIT
      ../README.md
      ../THIRD-PARTY-NOTICES
      ../crates
      ../policy
      ../python
      ../tests
    ];
  };

  cargoLock.lockFile = ../Cargo.lock;

  # By itself: cargo would give it the features that xtask asks of the same crates.
  cargoBuildFlags = [
    "--package=rdna1-rocm-fix"
    "--package=rdna1-validate"
  ];

  # Optimising the tests takes minutes and shows nothing more.
  checkType = "debug";
  # The project's other tests need network, root and other systems' tools.
  cargoTestFlags = [
    "--package=rdna1-core"
    "--package=rdna1-rocm-fix"
  ];

  # The tree comes whole, as in the other packages: man pages, completions,
  # unit, rule and all.
  installPhase = ''
    runHook preInstall
    # The changelog's date is the date of the man pages, not that of Nix.
    env -u SOURCE_DATE_EPOCH cargo run --offline --locked --quiet --package xtask -- \
      install --layout nix --destdir "$out" \
      --bin-dir "target/${stdenv.hostPlatform.rust.cargoShortTarget}/release"
    runHook postInstall
  '';

  meta = {
    description = "ROCm environment for AMD RDNA1 graphics cards";
    longDescription = ''
      Detects AMD RDNA1 graphics cards (Navi 10, 12 and 14) and sets the
      environment variables with which ROCm programs such as PyTorch compute
      convolutions on them by matrix multiplication, where MIOpen's other
      algorithms fail or hang. It does so at boot, at login and when a card
      appears, for services, sessions and shells, and only on machines that have
      such a card.

      The program rdna1-rocm-fix shows what is set and why, runs single commands
      in that environment, and prints it for containers.
    '';
    license = with lib.licenses; [
      mit
      asl20
    ];
    mainProgram = "rdna1-rocm-fix";
    platforms = [
      "x86_64-linux"
      "aarch64-linux"
    ];
  };
}
