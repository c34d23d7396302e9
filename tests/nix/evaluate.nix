# SPDX-License-Identifier: MIT OR Apache-2.0
# What the module makes of a configuration, as the tests ask for it.
{
  nixpkgs,
  modules ? ({ lib }: [ ]),
}:
let
  lib = import (nixpkgs + "/lib");
  # Without contents; its paths are what matters.
  package = derivation {
    name = "rdna1-rocm-fix";
    system = "x86_64-linux";
    builder = "/bin/false";
  };
  nixos = import (nixpkgs + "/nixos/lib/eval-config.nix") {
    system = "x86_64-linux";
    modules = [
      ../../nix/module.nix
      { hardware.rdna1-rocm-fix.package = lib.mkDefault package; }
    ]
    ++ modules { inherit lib; };
  };
  inherit (nixos) config;
  cfg = config.hardware.rdna1-rocm-fix;
  etc = config.environment.etc;
  ours = [
    "rdna1-rocm-fix/config.yaml"
    "systemd/system-environment-generators/90-rdna1-rocm-fix"
    "profile.d/rocm-rdna1.sh"
    "fish/conf.d/rocm-rdna1.fish"
  ];
  within = text: source: builtins.replaceStrings [ "${text}" ] [ "PACKAGE" ] "${source}";
  has = list: lib.any (item: "${toString item}" == "${toString cfg.package}") list;
in
{
  refused = lib.filter (lib.hasPrefix "hardware.rdna1-rocm-fix") (
    map (failed: failed.message) (lib.filter (one: !one.assertion) config.assertions)
  );
  configuration = etc."rdna1-rocm-fix/config.yaml".text or null;
  links = lib.genAttrs (lib.filter (name: etc ? ${name} && etc.${name}.text == null) ours) (
    name: within cfg.package etc.${name}.source
  );
  udev = has config.services.udev.packages;
  units = has config.systemd.packages;
  path = has config.environment.systemPackages;
  shells = lib.genAttrs [ "bash" "zsh" ] (shell: config.programs.${shell}.loginShellInit);
  options = lib.mapAttrs (_: option: {
    type = option.type.description;
    inherit (option) description;
    default = option.defaultText.text or option.default;
    example = option.example or null;
  }) nixos.options.hardware.rdna1-rocm-fix;
}
