# SPDX-License-Identifier: MIT OR Apache-2.0
# Packages that can be instantiated, and not built.
{
  system ? "x86_64-linux",
}:
let
  lib = import ./lib;
  pkgs = {
    inherit lib system;
    stdenv.hostPlatform = {
      inherit system;
      rust.cargoShortTarget = "TARGET";
    };
    nixfmt = stub "nixfmt" { };
    nixfmt-tree = stub "nixfmt-tree" { };
    runCommand =
      name: env: script:
      stub name { inherit env script; };
    callPackage =
      path: overrides:
      let
        f = import path;
        wanted = builtins.functionArgs f;
        missing = lib.filter (name: !wanted.${name} && !(pkgs ? ${name} || overrides ? ${name})) (
          lib.attrNames wanted
        );
      in
      if missing == [ ] then
        f (builtins.intersectAttrs wanted pkgs // overrides)
      else
        throw "no package `${lib.head missing}'";
    rustPlatform.buildRustPackage =
      {
        pname,
        version,
        src,
        cargoLock,
        cargoBuildFlags,
        cargoTestFlags,
        checkType,
        installPhase,
        meta,
      }@args:
      if !(builtins.pathExists cargoLock.lockFile) then
        throw "there is no lock file"
      else
        # Not the source: lib.fileset of nixpkgs asks for a newer Nix than Debian's.
        stub "${pname}-${version}" { inherit installPhase; } // { inherit args meta; };
    testers.runNixOSTest =
      {
        name,
        globalTimeout,
        nodes,
        testScript,
      }:
      let
        node =
          module:
          (import ./nixos/lib/eval-config.nix {
            inherit system;
            modules = [ module ];
          }).config;
      in
      stub "vm-test-run-${name}" { inherit testScript; }
      // {
        nodes = builtins.mapAttrs (_: node) nodes;
        inherit testScript;
      };
  };
  stub =
    name: more:
    derivation {
      inherit name system;
      builder = "/bin/false";
      text = builtins.toJSON more;
    };
in
pkgs
