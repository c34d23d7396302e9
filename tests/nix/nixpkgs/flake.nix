# SPDX-License-Identifier: MIT OR Apache-2.0
{
  description = "A stand-in for nixpkgs that only evaluates";

  outputs =
    { self }:
    let
      lib = import ./lib;
    in
    {
      inherit lib;
      legacyPackages = lib.genAttrs [ "x86_64-linux" "aarch64-linux" ] (
        system: import self.outPath { inherit system; }
      );
    };
}
