# SPDX-License-Identifier: MIT OR Apache-2.0
# Options of NixOS, with the types that nixpkgs gives them.
{ lib, ... }:
let
  inherit (lib) types;
  option =
    type: default:
    lib.mkOption {
      inherit type default;
      description = "As in nixpkgs.";
    };
  etcFile =
    { name, config, ... }:
    {
      options = {
        enable = option types.bool true;
        target = option types.str name;
        text = option (types.nullOr types.lines) null;
        source = lib.mkOption {
          type = types.path;
          description = "As in nixpkgs.";
        };
        mode = option types.str "symlink";
      };
      config.source = lib.mkIf (config.text != null) (lib.mkDefault "${builtins.storeDir}/etc-${name}");
    };
  shell.loginShellInit = option types.lines "";
  enabled = shell // {
    enable = option types.bool false;
  };
in
{
  options = {
    assertions = option (types.listOf types.unspecified) [ ];
    environment = {
      etc = option (types.attrsOf (types.submodule etcFile)) { };
      systemPackages = option (types.listOf types.package) [ ];
    };
    programs = {
      bash = shell;
      fish = enabled;
      zsh = enabled;
    };
    services.udev.packages = option (types.listOf types.path) [ ];
    systemd.packages = option (types.listOf types.package) [ ];
    users.users = option (types.attrsOf (
      types.submodule {
        options = {
          isNormalUser = option types.bool false;
          uid = option (types.nullOr types.int) null;
        };
      }
    )) { };
  };
}
