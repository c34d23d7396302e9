# SPDX-License-Identifier: MIT OR Apache-2.0
# The part of nixpkgs' lib that this project uses.
let
  lib = builtins // basics // properties // options // modules // { inherit types fileset licenses; };

  basics = rec {
    inherit (builtins)
      all
      any
      attrNames
      attrValues
      concatLists
      concatMap
      concatStringsSep
      elem
      filter
      functionArgs
      genList
      hasAttr
      head
      isAttrs
      isBool
      isFunction
      isInt
      isList
      isString
      length
      listToAttrs
      mapAttrs
      tail
      ;
    concatStrings = concatStringsSep "";
    optional = condition: value: if condition then [ value ] else [ ];
    hasPrefix = prefix: text: builtins.substring 0 (builtins.stringLength prefix) text == prefix;
    mapAttrsToList = f: set: map (name: f name set.${name}) (attrNames set);
    genAttrs =
      names: f:
      listToAttrs (
        map (name: {
          inherit name;
          value = f name;
        }) names
      );
    unique = builtins.foldl' (seen: item: if elem item seen then seen else seen ++ [ item ]) [ ];
    toLower = builtins.replaceStrings (characters "ABCDEFGHIJKLMNOPQRSTUVWXYZ") (
      characters "abcdefghijklmnopqrstuvwxyz"
    );
    characters = text: genList (i: builtins.substring i 1 text) (builtins.stringLength text);
    range = first: last: genList (i: first + i) (last - first + 1);
    toHexString =
      number:
      (if number < 16 then "" else toHexString (number / 16))
      + builtins.elemAt (characters "0123456789ABCDEF") (number - 16 * (number / 16));
    showOption = concatStringsSep ".";
  };

  # What a module may wrap a value in.
  properties = rec {
    mkIf = condition: content: {
      _type = "if";
      inherit condition content;
    };
    mkMerge = contents: {
      _type = "merge";
      inherit contents;
    };
    mkOverride = priority: content: {
      _type = "override";
      inherit priority content;
    };
    mkOptionDefault = mkOverride 1500;
    mkDefault = mkOverride 1000;
    mkForce = mkOverride 50;
  };

  options = {
    mkOption =
      {
        default ? null,
        defaultText ? null,
        example ? null,
        description ? null,
        type ? null,
        apply ? null,
        internal ? null,
        visible ? null,
        readOnly ? null,
        relatedPackages ? null,
      }@attrs:
      if !(attrs ? type && attrs ? description) then
        throw "an option without type or description"
      else
        attrs // { _type = "option"; };
    mkEnableOption =
      what:
      options.mkOption {
        type = types.bool;
        default = false;
        example = true;
        description = "Whether to enable ${what}.";
      };
    literalExpression =
      text:
      if builtins.isString text then
        {
          _type = "literalExpression";
          inherit text;
        }
      else
        throw "literalExpression takes a string";
  };

  modules = import ./modules.nix lib;
  types = import ./types.nix lib;

  # Without looking at files: only that they are there.
  fileset = {
    unions = paths: if builtins.all builtins.pathExists paths then paths else throw "a file is missing";
    toSource = { root, fileset }: builtins.seq (builtins.length fileset) (toString root);
  };

  licenses = {
    mit.spdxId = "MIT";
    asl20.spdxId = "Apache-2.0";
  };
in
lib
