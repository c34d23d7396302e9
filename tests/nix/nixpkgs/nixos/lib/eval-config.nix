# SPDX-License-Identifier: MIT OR Apache-2.0
# A NixOS that has the options which our module defines, and no others.
{
  system,
  modules,
}:
let
  lib = import ../../lib;
  pkgs = import ../.. { inherit system; };
in
lib.evalModules {
  modules = [ ../options.nix ] ++ modules;
  specialArgs = { inherit pkgs; };
}
