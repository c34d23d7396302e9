# SPDX-License-Identifier: MIT OR Apache-2.0
# Modules: options, definitions, and how the latter become a configuration.
lib:
let
  inherit (lib) showOption;
  kind = value: if lib.isAttrs value then value._type or null else null;
  known = [
    "if"
    "merge"
    "override"
  ];
  isProperty =
    value:
    let
      type = kind value;
    in
    if type == null || lib.elem type known then
      lib.elem type known
    else
      throw "a definition is of unknown kind `${type}'";

  # The definitions that hold, with their priorities.
  discharge =
    priority: value:
    if !(isProperty value) then
      [ { inherit priority value; } ]
    else
      {
        merge = lib.concatMap (discharge priority) value.contents;
        override = discharge value.priority value.content;
        "if" =
          if !(lib.isBool value.condition) then
            throw "mkIf takes a boolean"
          else if value.condition then
            discharge priority value.content
          else
            [ ];
      }
      .${value._type};

  # The sets that a definition consists of, with conditions and priorities
  # moved to their members, so that names are known before conditions are.
  pushDown =
    value:
    if !(isProperty value) then
      [ value ]
    else
      {
        merge = lib.concatMap pushDown value.contents;
        "if" = map (lib.mapAttrs (_: lib.mkIf value.condition)) (pushDown value.content);
        override = map (lib.mapAttrs (_: lib.mkOverride value.priority)) (pushDown value.content);
      }
      .${value._type};

  # One value from the strongest definitions; `values` is empty without any.
  mergeDefinitions =
    loc: type: definitions:
    let
      all = lib.concatMap (discharge 100) definitions;
      strongest = builtins.foldl' (
        low: definition: if definition.priority < low then definition.priority else low
      ) 10000 all;
      chosen = map (definition: definition.value) (
        lib.filter (definition: definition.priority == strongest) all
      );
      bad = lib.filter (value: !(type.check value)) chosen;
    in
    {
      values =
        if chosen == [ ] then
          [ ]
        else if bad != [ ] then
          throw "A definition for option `${showOption loc}' is not of type `${type.description}'."
        else
          [ (type.merge loc chosen) ];
    };

  evalOption =
    loc: option: definitions:
    let
      default = if option ? default then [ (lib.mkOptionDefault option.default) ] else [ ];
      inherit (mergeDefinitions loc option.type (default ++ definitions)) values;
      value =
        if values == [ ] then
          throw "The option `${showOption loc}' is used but not defined."
        else
          lib.head values;
    in
    if option ? apply then option.apply value else value;

  # A module as written: a path, a function or a set.
  load =
    args: module:
    let
      written = if builtins.isPath module || lib.isString module then import module else module;
      set = if lib.isFunction written then written args else written;
      key = if builtins.isPath module || lib.isString module then toString module else null;
      own = [
        "imports"
        "options"
        "config"
        "meta"
        "_file"
        "key"
      ];
      strange = lib.filter (name: !(lib.elem name own)) (lib.attrNames set);
      plain = !(set ? options) && !(set ? config);
      this =
        if !plain && strange != [ ] then
          throw "Module has an unsupported attribute `${lib.head strange}'"
        else
          {
            inherit key;
            options = set.options or { };
            config =
              if plain then
                builtins.removeAttrs set [
                  "imports"
                  "meta"
                  "_file"
                  "key"
                ]
              else
                set.config or { };
          };
    in
    # Modules that are named by path are there once, however often they are imported.
    lib.concatMap (load args) (set.imports or [ ]) ++ [ this ];

  once =
    modules:
    builtins.foldl' (
      seen: module:
      if module.key != null && lib.any (other: other.key == module.key) seen then
        seen
      else
        seen ++ [ module ]
    ) [ ] modules;

  # The tree of option declarations; two for one option are an error.
  mergeTrees =
    loc: trees:
    lib.genAttrs (lib.unique (lib.concatMap lib.attrNames trees)) (
      name:
      let
        here = map (tree: tree.${name}) (lib.filter (tree: tree ? ${name}) trees);
        at = loc ++ [ name ];
      in
      if lib.any (node: kind node == "option") here then
        if lib.length here == 1 then
          lib.head here
        else
          throw "The option `${showOption at}' is already declared."
      else
        mergeTrees at here
    );

  evalModules =
    {
      modules,
      specialArgs ? { },
      prefix ? [ ],
    }:
    let
      args = specialArgs // {
        inherit lib config options;
      };
      loaded = once (lib.concatMap (load args) modules);
      options = mergeTrees prefix (map (module: module.options) loaded);
      definitions = lib.concatMap (module: pushDown module.config) loaded;

      build =
        loc: tree: sets:
        lib.mapAttrs (
          name: node:
          let
            at = loc ++ [ name ];
            here = map (set: set.${name}) (lib.filter (set: set ? ${name}) sets);
          in
          if kind node == "option" then
            evalOption at node here
          else
            build at node (lib.concatMap pushDown here)
        ) tree;
      config = build prefix options definitions;

      # Definitions of what nobody declared.
      undeclared =
        loc: tree: sets:
        lib.concatMap (
          set:
          lib.concatMap (
            name:
            let
              at = loc ++ [ name ];
            in
            if !(tree ? ${name}) then
              [ (showOption at) ]
            else if kind tree.${name} == "option" then
              [ ]
            else
              undeclared at tree.${name} (pushDown set.${name})
          ) (lib.attrNames set)
        ) sets;
      strange = undeclared prefix options definitions;
    in
    {
      inherit options;
      config =
        if strange == [ ] then config else throw "The option `${lib.head strange}' does not exist.";
    };
in
{
  inherit evalModules mergeDefinitions;
}
