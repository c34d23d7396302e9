// SPDX-License-Identifier: MIT OR Apache-2.0
//! The installed rule on the real udev, for devices that no machine here has:
//! umockdev shows them to `udevadm test` and to nobody else.

use std::process::Command;

use assert_fs::TempDir;
use assert_fs::prelude::*;
use rdna1_tests::tools;

use crate::installed::{deb, must};

const SERVICE: &str = "rdna1-rocm-fix.service";

/// A function and, where it has one, its render node, as umockdev describes devices.
fn device(vendor: &str, device: &str, class: &str) -> String {
    format!(
        "P: /devices/pci0000:00/0000:03:00.0\nE: SUBSYSTEM=pci\n\
         A: vendor={vendor}\\n\nA: device={device}\\n\nA: class={class}\\n\n\n\
         P: /devices/pci0000:00/0000:03:00.0/drm/renderD128\nN: dri/renderD128\nE: SUBSYSTEM=drm\n\
         E: DEVTYPE=drm_minor\nE: DEVNAME=/dev/dri/renderD128\n\n"
    )
}

/// What udev makes of an event: its whole report. `active`: whether something is set.
fn event(dir: &TempDir, mock: &str, action: &str, path: &str, active: bool) -> String {
    dir.child("mock.umockdev").write_str(mock).expect("the directory is writable");
    let file = if active { "touch /run/rdna1-rocm-fix/env" } else { "true" };
    let script = format!(
        "mount -t tmpfs none /run && mkdir -p /run/udev /run/rdna1-rocm-fix /run/systemd/system && {file} \
         && mount --bind package/usr/lib/udev/rules.d /etc/udev/rules.d \
         && umockdev-run --device=mock.umockdev -- udevadm test --action={action} /sys/devices/pci0000:00/0000:03:00.0{path}"
    );
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private", "sh", "-c", &script]).current_dir(dir.path());
    must(command.output())
}

/// A function, whether something is set already, and who then starts the
/// service: the function, its render node.
const ARRIVALS: [(&str, [&str; 3], bool, [bool; 2]); 7] = [
    ("the card", ["0x1002", "0x731f", "0x030000"], false, [true, true]),
    ("the card as a display of another kind", ["0x1002", "0x7340", "0x038000"], false, [true, true]),
    ("the card's audio function", ["0x1002", "0xab38", "0x040300"], true, [false, false]),
    ("another AMD card alone", ["0x1002", "0x73bf", "0x030000"], false, [false, false]),
    ("another AMD card beside it", ["0x1002", "0x73bf", "0x030000"], true, [true, true]),
    ("an accelerator beside it", ["0x1002", "0x74a1", "0x120000"], true, [true, true]),
    ("another vendor's card of that number", ["0x1022", "0x731f", "0x030000"], true, [false, false]),
];

#[test]
fn events_start_the_service_for_the_card_and_for_what_comes_beside_it() {
    if !tools::is_root() || !tools::available(&["umockdev-run", "udevadm", "unshare", "dpkg-deb"]) {
        return;
    }
    let dir = TempDir::new().expect("there is room for a directory");
    must(Command::new("dpkg-deb").arg("--extract").arg(&deb::made().deb).arg(dir.path().join("package")).output());
    for (what, [vendor, id, class], active, starts) in ARRIVALS {
        let mock = device(vendor, id, class);
        for (path, starts) in ["", "/drm/renderD128"].into_iter().zip(starts) {
            let report = event(&dir, &mock, "add", path, active);
            let wants = report.contains(&format!("SYSTEMD_WANTS={SERVICE}"));
            assert_eq!(wants, starts, "{what}{path}: {report}");
            assert!(!report.contains("MODE=") && !report.contains("GROUP="), "{what}: {report}");
        }
    }
}

/// What goes has no attributes any more, only what was recorded of it.
#[test]
fn what_goes_is_known_by_what_was_recorded() {
    if !tools::is_root() || !tools::available(&["umockdev-run", "udevadm", "unshare", "dpkg-deb"]) {
        return;
    }
    let dir = TempDir::new().expect("there is room for a directory");
    must(Command::new("dpkg-deb").arg("--extract").arg(&deb::made().deb).arg(dir.path().join("package")).output());
    for (recorded, starts) in [(SERVICE, true), ("other.service", false)] {
        let mock = format!("P: /devices/pci0000:00/0000:03:00.0\nE: SUBSYSTEM=pci\nE: SYSTEMD_WANTS={recorded}\n\n");
        let report = event(&dir, &mock, "remove", "", false);
        let runs = report.contains(&format!("systemctl --no-block start {SERVICE}"));
        assert_eq!(runs, starts, "{recorded}: {report}");
    }
}
