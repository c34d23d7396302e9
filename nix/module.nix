# SPDX-License-Identifier: MIT OR Apache-2.0
# Rendered by `cargo xtask generate` from policy/rdna1.yaml and crates/rdna1-nix.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  cfg = config.hardware.rdna1-rocm-fix;
  policy = import ./policy.nix;

  # What follows refuses, when the system is evaluated, what the program would
  # refuse when the machine boots.
  at = option: problem: "hardware.rdna1-rocm-fix.${option}: ${problem}";
  commas = lib.concatStringsSep ", ";

  systemProfiles = lib.filter (id: policy.profiles.${id}.scope == "system") (
    lib.attrNames policy.profiles
  );
  profile = if cfg.profile == null then policy.defaultProfile else cfg.profile;
  profileProblems =
    if !(policy.profiles ? ${profile}) then
      [ "there is no profile `${profile}`; allowed are ${commas systemProfiles}" ]
    else if !(lib.elem profile systemProfiles) then
      [
        "profile `${profile}` works for single processes only: rdna1-rocm-fix run --profile ${profile} -- COMMAND"
      ]
    else
      [ ];

  gfxProblems =
    if cfg.gfxOverride == "auto" then
      [ ]
    else if !(lib.elem cfg.gfxOverride policy.gfx.choices) then
      [
        "there is no gfx choice `${cfg.gfxOverride}`; allowed are ${
          commas ([ "auto" ] ++ policy.gfx.choices)
        }"
      ]
    else if
      policy.profiles ? ${profile} && !(lib.elem cfg.gfxOverride policy.profiles.${profile}.gfxChoices)
    then
      [
        "profile `${profile}` does not work under `${cfg.gfxOverride}`, only under ${
          commas policy.profiles.${profile}.gfxChoices
        }; choose another profile or leave this at `auto`"
      ]
    else
      [ ];

  # Numbers beyond 18 digits do not fit Nix's own, and nothing accepts them.
  isWithin =
    min: max: text:
    let
      digits = builtins.match "0*([0-9]{1,18})" text;
      number = builtins.fromJSON (lib.head digits);
    in
    digits != null && min <= number && number <= max;
  accepts =
    values: text:
    {
      word = lib.elem (lib.toLower text) (values.words or [ ]);
      one-of = lib.elem text (values.values or [ ]);
      integer = isWithin values.min values.max text;
      path = lib.hasPrefix "/" text || lib.hasPrefix "~/" text;
      text = true;
    }
    .${values.kind};

  # The per-node forms of the override are described as the override.
  isOverride =
    name:
    name == policy.gfx.variable || builtins.match "${policy.gfx.perNodePrefix}[0-9]+" name != null;
  described = name: isOverride name || policy.variables ? ${name};
  isOurs = name: lib.any (prefix: lib.hasPrefix prefix name) policy.extraVariablePrefixes;

  variableProblem =
    name: value:
    let
      text = toString value;
      variable = policy.variables.${name};
    in
    if builtins.match "[A-Za-z_][A-Za-z0-9_]*" name == null then
      "`${name}` is not a variable name: letters, digits and _, no digit first"
    else if isOverride name then
      "`${name}` follows from the gfx choice; write `hardware.rdna1-rocm-fix.gfxOverride = \"${text}\"` instead"
    else if lib.elem name cfg.suppress then
      "`${name}` is also under `suppress`; remove one of the two"
    else if text == "" then
      "`${name}` is empty, which breaks ROCm's start; to leave it unset, put it under `suppress`"
    else if policy.variables ? ${name} then
      if variable.emit == "never" then
        "`${name}` is never set: ${variable.caution}"
      else if !(accepts variable.values text) then
        "`${name}`: value \"${text}\" is not allowed: ${variable.allowed}"
      else
        null
    else if !(isOurs name) then
      "`${name}` is none of ROCm's: allowed are the policy's variables and names that begin with ${commas policy.extraVariablePrefixes}"
    else
      null;
  variableProblems = lib.filter (problem: problem != null) (
    lib.mapAttrsToList variableProblem cfg.variables
  );

  suppressProblems = map (name: "`${name}` is in no profile of the policy") (
    lib.filter (name: !(described name)) cfg.suppress
  );

  problems =
    map (at "profile") profileProblems
    ++ map (at "gfxOverride") gfxProblems
    ++ map (at "variables") variableProblems
    ++ map (at "suppress") suppressProblems;

  # What stands in JSON's quotes is the same in YAML's, but for a few control
  # characters that YAML wants to have escaped.
  escapes = map (code: "\\u00${lib.toLower (lib.toHexString code)}") (lib.range 127 159);
  controls = map (escape: builtins.fromJSON "\"${escape}\"") escapes;
  quote = text: builtins.replaceStrings controls escapes (builtins.toJSON text);
  configuration = lib.concatStrings (
    [ "# Written by NixOS from hardware.rdna1-rocm-fix.\n" ]
    ++ lib.optional (cfg.profile != null) "profile: ${quote cfg.profile}\n"
    ++ lib.optional (cfg.gfxOverride != "auto") "gfx: ${quote cfg.gfxOverride}\n"
    ++ lib.optional (cfg.variables != { }) "variables:\n"
    ++ lib.mapAttrsToList (name: value: "  ${name}: ${quote (toString value)}\n") cfg.variables
    ++ lib.optional (cfg.suppress != [ ]) "suppress:\n"
    ++ map (name: "  - ${quote name}\n") (lib.unique cfg.suppress)
  );

  # One file test and no process where there is no card.
  readProfile = ''
    if [ -r /etc/profile.d/rocm-rdna1.sh ]; then
      . /etc/profile.d/rocm-rdna1.sh
    fi
  '';
  generator = "systemd/system-environment-generators/90-rdna1-rocm-fix";
in
{
  options.hardware.rdna1-rocm-fix = {
    enable = lib.mkEnableOption "the ROCm environment for AMD RDNA1 graphics cards";

    package = lib.mkOption {
      type = lib.types.package;
      default = pkgs.rdna1-rocm-fix or (pkgs.callPackage ./package.nix { });
      defaultText = lib.literalExpression "pkgs.rdna1-rocm-fix or (pkgs.callPackage ./package.nix { })";
      description = ''
        The rdna1-rocm-fix package: the program, its environment generator, unit and
        udev rule.
      '';
    };

    profile = lib.mkOption {
      type = lib.types.nullOr lib.types.str;
      default = null;
      example = "gemm-naive";
      description = ''
        The set of variables for MIOpen. `null` leaves it to what was recorded for the
        machine, else to the policy, which takes `gemm`.

        - `gemm`: GEMM convolution only, or a clear error.
        - `gemm-naive`: GEMM convolution, and the naive kernel where GEMM cannot.
        - `stock`: Nothing for MIOpen.
        - `implicit-gemm`: MIOpen's implicit GEMM kernels only.

        Not here, as they work for single processes only (`rdna1-rocm-fix run
        --profile`): `bypass`.
      '';
    };

    gfxOverride = lib.mkOption {
      type = lib.types.str;
      default = "auto";
      example = "native";
      description = ''
        Which chip ROCm is told the card is (`HSA_OVERRIDE_GFX_VERSION`).

        - `auto`: what was recorded for the machine, else what suits the PyTorch that
          is found. A PyTorch in the Nix store is not found: choose for it here.
        - `native`: No override; for stacks that carry code for the card itself.
        - `10.1.0`: The card runs gfx1010 code, which all RDNA1 chips execute
          unchanged.
        - `10.3.0`: The card runs code for RDNA2, some of which it cannot run
          correctly.
      '';
    };

    variables = lib.mkOption {
      type = lib.types.attrsOf (lib.types.either lib.types.str lib.types.int);
      default = { };
      example = {
        MIOPEN_LOG_LEVEL = 7;
      };
      description = ''
        Variables to set besides the profile's, or with another value; only on machines
        with the card. What several modules define is merged.

        Allowed are the variables that the policy describes (`rdna1-rocm-fix explain
        VARIABLE`) and names that begin with `AMD_`, `AMDGPU_`, `GPU_`, `HIP_`,
        `HIPBLASLT_`, `HSA_`, `HSAKMT_`, `MIOPEN_`, `PYTORCH_`, `ROC_`, `ROCBLAS_`,
        `ROCR_`, `TENSILE_`, `TORCH_`.
      '';
    };

    suppress = lib.mkOption {
      type = lib.types.listOf lib.types.str;
      default = [ ];
      example = [ "HIP_FORCE_COARSE_GRAIN" ];
      description = ''
        Variables of the profile that are not to be set.
      '';
    };

    scope = lib.mkOption {
      type = lib.types.listOf (
        lib.types.enum [
          "services"
          "shells"
        ]
      );
      default = [
        "services"
        "shells"
      ];
      example = [ "services" ];
      description = ''
        Which processes get the environment by themselves.

        - `services`: system services, user services and the sessions that start from
          them, by an environment generator of systemd.
        - `shells`: login shells (bash, zsh, fish), also those that begin without
          systemd.

        With an empty list only `rdna1-rocm-fix run` and `rdna1-rocm-fix env` give it.
        Without `services`, a changed configuration takes effect after `systemctl start
        rdna1-rocm-fix` or a boot.
      '';
    };
  };

  config = lib.mkIf cfg.enable (
    lib.mkMerge [
      {
        assertions = map (message: {
          assertion = false;
          inherit message;
        }) problems;

        environment.etc."rdna1-rocm-fix/config.yaml".text = configuration;
        environment.systemPackages = [ cfg.package ];
      }

      # Cards that appear or go while the machine runs.
      (lib.mkIf (cfg.scope != [ ]) {
        services.udev.packages = [ cfg.package ];
        systemd.packages = [ cfg.package ];
      })

      # NixOS links a package's unit generators, but not those of environments.
      # No environment.variables or systemd.globalEnvironment: those are fixed
      # when the system is built, and would hold on machines without the card.
      (lib.mkIf (lib.elem "services" cfg.scope) {
        environment.etc.${generator}.source = "${cfg.package}/lib/${generator}";
      })

      # Each shell by its own hook: environment.loginShellInit is also
      # translated to fish, in which a file for sh cannot be read.
      (lib.mkIf (lib.elem "shells" cfg.scope) {
        environment.etc."profile.d/rocm-rdna1.sh".source = "${cfg.package}/etc/profile.d/rocm-rdna1.sh";
        environment.etc."fish/conf.d/rocm-rdna1.fish".source =
          "${cfg.package}/etc/fish/conf.d/rocm-rdna1.fish";
        programs.bash.loginShellInit = readProfile;
        programs.zsh.loginShellInit = readProfile;
      })
    ]
  );
}
