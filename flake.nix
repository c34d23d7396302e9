# SPDX-License-Identifier: MIT OR Apache-2.0
# Rendered by `cargo xtask generate` from policy/rdna1.yaml and crates/rdna1-nix.
{
  description = "ROCm environment for AMD RDNA1 graphics cards";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";

  outputs =
    { self, nixpkgs }:
    let
      inherit (nixpkgs) lib;
      forEachSystem = lib.genAttrs [
        "x86_64-linux"
        "aarch64-linux"
      ];
      pkgsFor = system: nixpkgs.legacyPackages.${system};
    in
    {
      nixosModules = {
        default = self.nixosModules.rdna1-rocm-fix;
        rdna1-rocm-fix =
          { pkgs, ... }:
          {
            imports = [ ./nix/module.nix ];
            hardware.rdna1-rocm-fix.package =
              lib.mkDefault
                self.packages.${pkgs.stdenv.hostPlatform.system}.default;
          };
      };

      overlays.default = import ./nix/overlay.nix;

      packages = forEachSystem (system: {
        default = self.packages.${system}.rdna1-rocm-fix;
        rdna1-rocm-fix = (pkgsFor system).callPackage ./nix/package.nix { };
      });

      checks = forEachSystem (system: {
        package = self.packages.${system}.default;
        vm = (pkgsFor system).callPackage ./nix/tests/vm.nix { };
        format =
          (pkgsFor system).runCommand "rdna1-rocm-fix-format"
            { nativeBuildInputs = [ (pkgsFor system).nixfmt ]; }
            ''
              nixfmt --check ${./flake.nix} ${./default.nix} ${./nix}/*.nix ${./nix}/tests/*.nix
              touch $out
            '';
      });

      formatter = forEachSystem (system: (pkgsFor system).nixfmt-tree);
    };
}
