# SPDX-License-Identifier: MIT OR Apache-2.0
# Rendered by `cargo xtask generate` from policy/rdna1.yaml and crates/rdna1-nix.
# A booted NixOS, first without the card, then with it. The card is a directory
# of PCI attributes over the kernel's own, as in tests/suite/boot.rs.
{ testers }:
testers.runNixOSTest {
  name = "rdna1-rocm-fix";
  globalTimeout = 5 * 60;

  nodes.machine = {
    imports = [ ../module.nix ];
    hardware.rdna1-rocm-fix.enable = true;
    programs.fish.enable = true;
    programs.zsh.enable = true;
    users.users.alice = {
      isNormalUser = true;
      uid = 1000;
    };
  };

  testScript = ''
    SET = "MIOPEN_DEBUG_CONV_GEMM=1"
    SHELLS = ["bash", "zsh", "fish"]


    def login(shell):
        path = f"/run/current-system/sw/bin/{shell}"
        return machine.succeed(f"env -i HOME=/tmp USER=root {path} --login -c env")


    machine.wait_for_unit("multi-user.target")

    with subtest("no card, no variable"):
        t.assertNotIn("MIOPEN_DEBUG_CONV_GEMM", machine.succeed("systemctl show-environment"))
        machine.fail("test -e /run/rdna1-rocm-fix")
        for shell in SHELLS:
            t.assertNotIn("MIOPEN_DEBUG_CONV_GEMM", login(shell))

    with subtest("what is installed"):
        machine.succeed("rdna1-rocm-fix --version")
        machine.succeed("test -e /etc/udev/rules.d/90-rocm-rdna1.rules")
        machine.succeed("systemctl cat rdna1-rocm-fix.service")

    card = "/tmp/pci/0000:03:00.0"
    machine.succeed(f"mkdir -p {card}")
    for name, value in [
        ("vendor", "0x1002"),
        ("device", "0x7310"),
        ("class", "0x030000"),
    ]:
        machine.succeed(f"echo {value} > {card}/{name}")
    machine.succeed("mount --bind /tmp/pci /sys/bus/pci/devices")
    machine.succeed("systemctl daemon-reload")

    with subtest("with a card, services have it"):
        t.assertIn(SET, machine.succeed("systemctl show-environment"))
        t.assertIn(SET, machine.succeed("systemd-run --pipe --wait --quiet env"))

    with subtest("with a card, login shells have it"):
        for shell in SHELLS:
            t.assertIn(SET, login(shell))

    with subtest("with a card, a user's session has it"):
        machine.succeed("loginctl enable-linger alice")
        machine.wait_for_unit("user@1000.service")
        _, environment = machine.systemctl("show-environment", "alice")
        t.assertIn(SET, environment)

    with subtest("what the user has set stays"):
        bash = "/run/current-system/sw/bin/bash"
        kept = machine.succeed(f"env -i HSA_OVERRIDE_GFX_VERSION=9.9.9 {bash} --login -c env")
        t.assertIn("HSA_OVERRIDE_GFX_VERSION=9.9.9", kept)

    with subtest("the unit works"):
        machine.succeed("systemctl start rdna1-rocm-fix.service")
        print(machine.execute("rdna1-rocm-fix status")[1])
  '';
}
