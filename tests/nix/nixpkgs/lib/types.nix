# SPDX-License-Identifier: MIT OR Apache-2.0
# Option types: what a value must be, and how several definitions become one.
lib:
let
  inherit (lib) showOption;
  fail = loc: problem: throw "The option `${showOption loc}' ${problem}";

  # All definitions must be the same.
  equal =
    loc: values:
    if lib.all (value: value == lib.head values) values then
      lib.head values
    else
      fail loc "has conflicting definition values";
  one =
    loc: values:
    if lib.length values == 1 then lib.head values else fail loc "is defined multiple times";
  simple = name: description: check: {
    inherit name description check;
    merge = equal;
  };

  # The description of a part, in parentheses where it has an `or` of its own.
  part = type: if type.conjunction or false then "(${type.description})" else type.description;

  isDerivation = value: lib.isAttrs value && value.type or null == "derivation";
  isStorePath = value: lib.isString value && lib.hasPrefix builtins.storeDir value;
in
rec {
  bool = simple "bool" "boolean" lib.isBool;
  int = simple "int" "signed integer" lib.isInt;
  str = simple "str" "string" lib.isString;
  lines = simple "lines" "strings concatenated with \"\\n\"" lib.isString // {
    merge = _: lib.concatStringsSep "\n";
  };
  path = simple "path" "absolute path" (
    value:
    builtins.isPath value || isDerivation value || (lib.isString value && lib.hasPrefix "/" value)
  );
  package = simple "package" "package" (value: isDerivation value || isStorePath value) // {
    merge = one;
  };
  unspecified = simple "unspecified" "unspecified value" (_: true) // {
    merge = one;
  };
  enum =
    values:
    simple "enum" "one of ${lib.concatStringsSep ", " (map builtins.toJSON values)}" (
      value: lib.elem value values
    )
    // {
      conjunction = lib.length values > 1;
    };
  nullOr = type: {
    name = "nullOr";
    description = "null or ${part type}";
    conjunction = true;
    check = value: value == null || type.check value;
    merge =
      loc: values:
      if lib.all (value: value == null) values then
        null
      else if lib.any (value: value == null) values then
        fail loc "is defined both null and not null"
      else
        type.merge loc values;
  };
  either = a: b: {
    name = "either";
    description = "${part a} or ${part b}";
    conjunction = true;
    check = value: a.check value || b.check value;
    merge =
      loc: values:
      if lib.all a.check values then
        a.merge loc values
      else if lib.all b.check values then
        b.merge loc values
      else
        one loc values;
  };
  listOf = type: {
    name = "listOf";
    description = "list of ${part type}";
    check = lib.isList;
    merge =
      loc: lists:
      lib.concatMap (
        definition: (lib.mergeDefinitions (loc ++ [ "[definition]" ]) type [ definition ]).values
      ) (lib.concatLists lists);
  };
  attrsOf = type: {
    name = "attrsOf";
    description = "attribute set of ${part type}";
    check = lib.isAttrs;
    merge =
      loc: sets:
      let
        names = lib.unique (lib.concatMap lib.attrNames sets);
        definitions = name: map (set: set.${name}) (lib.filter (set: set ? ${name}) sets);
        merged = lib.genAttrs names (name: lib.mergeDefinitions (loc ++ [ name ]) type (definitions name));
        # What is defined under a false condition only is not there.
        present = lib.filter (name: merged.${name}.values != [ ]) names;
      in
      lib.genAttrs present (name: lib.head merged.${name}.values);
  };
  submodule = module: {
    name = "submodule";
    description = "submodule";
    check = value: lib.isAttrs value || lib.isFunction value;
    merge =
      loc: definitions:
      (lib.evalModules {
        modules = [ module ] ++ definitions;
        specialArgs.name = builtins.elemAt loc (lib.length loc - 1);
        prefix = loc;
      }).config;
  };
}
