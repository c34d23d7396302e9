// SPDX-License-Identifier: MIT OR Apache-2.0
//! Trees that no kernel makes. A good card beside whatever is bad is found
//! all the same, and what is bad is reported and never a card.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use rdna1_core::machine::{CardState, Machine};
use rdna1_core::root::Problem;
use rdna1_tests::tree::{DEVICES, Tree};

use super::{AMD, DISPLAY, NAVI10};

const GOOD: [&str; 2] = ["0000:01:00.0", "0000:03:00.0"];
const BAD: &str = "0000:02:00.0";

/// A machine with a good card on either side of the place for a bad one.
pub fn with_good_cards() -> Tree {
    let tree = Tree::new();
    for address in GOOD {
        tree.function(address, AMD, NAVI10, DISPLAY[0]);
    }
    tree
}

/// Detects, and fails instead of waiting for ever.
pub fn detect(tree: &Tree) -> Machine {
    let (sender, receiver) = mpsc::channel();
    let root = tree.root();
    std::thread::spawn(move || {
        // Nobody listens any more once the test has failed.
        let _ = sender.send(Machine::detect(&root, &rdna1_tests::tree::policy()));
    });
    receiver.recv_timeout(Duration::from_secs(60)).expect("detection ends")
}

fn cards(machine: &Machine) -> Vec<String> {
    machine.cards.iter().map(|card| card.pci.address.to_string()).collect()
}

/// A way to spoil a file, and whether it is noticed. What is missing cannot be
/// told from a function that has just been unplugged.
type Spoil = (&'static str, fn(&Path), Noticed);

#[derive(Clone, Copy, PartialEq)]
enum Noticed {
    Reported,
    Missing,
}

fn write(path: &Path, content: impl AsRef<[u8]>) {
    fs::write(path, content).expect("a file can be written");
}

fn link(path: &Path, target: &str) {
    std::os::unix::fs::symlink(target, path).expect("a link can be made");
}

pub fn fifo(path: &Path) {
    let mode = rustix::fs::Mode::from_raw_mode(0o644);
    rustix::fs::mknodat(rustix::fs::CWD, path, rustix::fs::FileType::Fifo, mode, 0).expect("a fifo can be made");
}

/// Every way of [`Spoil`] that permissions do not hide.
const SPOILS: [Spoil; 24] = [
    ("missing", |_| {}, Noticed::Missing),
    ("dangling link", |path| link(path, "nowhere"), Noticed::Missing),
    ("loop", |path| link(path, path.file_name().and_then(OsStr::to_str).expect("it has a name")), Noticed::Reported),
    ("directory", |path| fs::create_dir(path).expect("a directory can be made"), Noticed::Reported),
    // Opens, and fails when it is read; also for root.
    ("read error", |path| link(path, "/proc/self/mem"), Noticed::Reported),
    ("endless", |path| link(path, "/dev/zero"), Noticed::Reported),
    ("fifo", fifo, Noticed::Reported),
    ("fifo with a writer", fifo_with_writer, Noticed::Reported),
    ("socket", |path| drop(UnixListener::bind(short(path)).expect("a socket can be made")), Noticed::Reported),
    ("empty", |path| write(path, ""), Noticed::Reported),
    ("line break", |path| write(path, "\n"), Noticed::Reported),
    ("NUL bytes", |path| write(path, [0; 8]), Noticed::Reported),
    ("NUL at the end", |path| write(path, b"0x1002\0\n"), Noticed::Reported),
    ("no UTF-8", |path| write(path, b"0x1002\xff\n"), Noticed::Reported),
    ("all bytes", |path| write(path, (0..=255).collect::<Vec<u8>>()), Noticed::Reported),
    ("10 MB", |path| write(path, "0x1002\n".repeat(1_500_000)), Noticed::Reported),
    ("10 MB of zeros in front", |path| write(path, format!("0x{}1002\n", "0".repeat(10_000_000))), Noticed::Reported),
    ("CRLF", |path| write(path, "0x1002\r\n"), Noticed::Reported),
    ("space in front", |path| write(path, " 0x1002\n"), Noticed::Reported),
    ("two values", |path| write(path, "0x1002\n0x731f\n"), Noticed::Reported),
    ("no prefix", |path| write(path, "1002\n"), Noticed::Reported),
    ("prefix alone", |path| write(path, "0x\n"), Noticed::Reported),
    ("sign", |path| write(path, "0x-731\n"), Noticed::Reported),
    ("too many digits", |path| write(path, "0x00000731f\n"), Noticed::Reported),
];

/// Leaks the writer, so that the fifo stays open and empty.
fn fifo_with_writer(path: &Path) {
    fifo(path);
    std::mem::forget(fs::OpenOptions::new().read(true).write(true).open(path).expect("a fifo can be opened"));
}

/// A socket's path is limited to 108 bytes; through /proc it is short.
fn short(path: &Path) -> std::path::PathBuf {
    let dir = fs::File::open(path.parent().expect("it has a directory")).expect("the directory can be opened");
    let fd = std::os::fd::AsRawFd::as_raw_fd(&dir);
    // Leaked, so that the number stays valid until the socket is made.
    std::mem::forget(dir);
    Path::new("/proc/self/fd").join(fd.to_string()).join(path.file_name().expect("it has a name"))
}

/// A function's three obligatory attributes, each spoilt in every way.
#[test]
fn a_bad_attribute_is_reported_and_costs_no_good_card() {
    for attribute in ["vendor", "class", "device"] {
        for (how, spoil, noticed) in SPOILS {
            let tree = with_good_cards();
            tree.function(BAD, AMD, NAVI10, DISPLAY[0]);
            let file = tree.at(format!("{DEVICES}/{BAD}/{attribute}"));
            fs::remove_file(&file).expect("the good attribute was there");
            spoil(&file);
            let machine = detect(&tree);
            assert_eq!(cards(&machine), GOOD, "{attribute}: {how}");
            assert_eq!(machine.other_gpus, [], "{attribute}: {how}");
            let wanted = format!("/{DEVICES}/{BAD}/{attribute}");
            let reported: Vec<&str> = machine.problems.iter().map(|problem| problem.path.as_str()).collect();
            let wanted = if noticed == Noticed::Reported { vec![wanted.as_str()] } else { vec![] };
            assert_eq!(reported, wanted, "{attribute}: {how}: {:?}", machine.problems);
            assert!(machine.problems.iter().all(is_presentable), "{:?}", machine.problems);
        }
    }
}

/// Short, on one line and without control characters, whatever the file held.
fn is_presentable(problem: &Problem) -> bool {
    let text = &problem.problem;
    !text.is_empty() && text.len() < 600 && !text.contains(char::is_control)
}

/// Attributes that only describe a card: without them it is still one.
#[test]
fn a_bad_description_costs_the_description_only() {
    let described =
        ["revision", "subsystem_vendor", "subsystem_device", "mem_info_vram_total", "driver", "physfn", "drm"];
    for (how, spoil, _) in SPOILS {
        let tree = with_good_cards();
        tree.function(BAD, AMD, NAVI10, DISPLAY[0]);
        for name in described {
            spoil(&tree.at(format!("{DEVICES}/{BAD}/{name}")));
        }
        let machine = detect(&tree);
        assert_eq!(cards(&machine), [GOOD[0], BAD, GOOD[1]], "{how}");
        let pci = &machine.cards[1].pci;
        assert_eq!((pci.revision, pci.subsystem_vendor, pci.subsystem_device), (None, None, None), "{how}");
        // A size has no prefix, so this one is as good as any.
        assert_eq!(pci.vram_bytes, (how == "no prefix").then_some(1002), "{how}");
        assert_eq!((pci.virtual_function_of, &pci.render_node), (None, &None), "{how}");
        assert_eq!(machine.problems, [], "{how}");
    }
}

#[test]
fn what_the_kernel_could_have_written_is_understood() {
    for (vendor, device, class) in [
        ("0x1002", "0x731f", "0x030000"),
        ("0x1002\n\n", "0x731f\n\n", "0x030000\n\n"),
        ("0x1002\n", "0x731F\n", "0x030000\n"),
        ("0x1002\n", "0x731f\n", "0x30000\n"),
    ] {
        let tree = Tree::new();
        for (attribute, text) in [("vendor", vendor), ("device", device), ("class", class)] {
            tree.write(format!("{DEVICES}/{BAD}/{attribute}"), text);
        }
        let machine = detect(&tree);
        assert_eq!((cards(&machine), machine.problems), (vec![BAD.to_owned()], vec![]), "{device:?}");
    }
}

/// Permissions stop everybody but root; for root, other tests have files that
/// fail when they are read.
#[test]
fn unreadable_files_are_reported() {
    let tree = with_good_cards();
    tree.function(BAD, AMD, NAVI10, DISPLAY[0]);
    let closed = |path: &str| {
        fs::set_permissions(tree.at(path), fs::Permissions::from_mode(0o000)).expect("permissions can be changed");
    };
    closed(&format!("{DEVICES}/{BAD}/vendor"));
    if fs::read(tree.at(format!("{DEVICES}/{BAD}/vendor"))).is_ok() {
        return;
    }
    let machine = detect(&tree);
    assert_eq!(cards(&machine), GOOD);
    assert!(machine.problems[0].problem.contains("Permission denied"), "{:?}", machine.problems);
    closed(DEVICES);
    let machine = detect(&tree);
    assert_eq!((machine.cards.len(), machine.problems.len()), (0, 1));
    fs::set_permissions(tree.at(DEVICES), fs::Permissions::from_mode(0o755)).expect("permissions can be changed");
}

/// Owner and mode of a device node are reported; whether it can be opened is
/// a question about the user who asks.
#[test]
fn device_nodes_show_their_mode() {
    let tree = Tree::new();
    tree.write("dev/kfd", "");
    fs::set_permissions(tree.at("dev/kfd"), fs::Permissions::from_mode(0o600)).expect("permissions can be changed");
    let node = detect(&tree).kfd_device;
    assert_eq!((node.exists, node.accessible, node.mode), (true, true, Some(0o600)));
    fs::set_permissions(tree.at("dev/kfd"), fs::Permissions::from_mode(0o000)).expect("permissions can be changed");
    let node = detect(&tree).kfd_device;
    let readable = fs::read(tree.at("dev/kfd")).is_ok();
    assert_eq!((node.exists, node.accessible, node.mode), (true, readable, Some(0)));
}

#[test]
fn machines_without_pci_have_no_card_and_no_problem() {
    let empty = Tree::new();
    let without_functions = Tree::new();
    without_functions.at(format!("{DEVICES}/x"));
    let unplugged = Tree::new();
    unplugged.link(DEVICES, "nowhere");
    for tree in [empty, without_functions, unplugged] {
        let machine = detect(&tree);
        assert_eq!((machine.cards, machine.problems), (vec![], vec![]));
    }
}

#[test]
fn a_bus_that_is_no_directory_is_reported() {
    let spoils: [fn(&Path); 3] = [|path| write(path, "0x1002\n"), fifo, |path| link(path, "devices")];
    for spoil in spoils {
        let tree = Tree::new();
        spoil(&tree.at(DEVICES));
        let machine = detect(&tree);
        assert_eq!(machine.cards, []);
        assert_eq!(machine.problems.iter().map(|p| p.path.as_str()).collect::<Vec<_>>(), [format!("/{DEVICES}")]);
    }
}

#[test]
fn functions_that_are_no_directories_cost_no_good_card() {
    let spoils: [Spoil; 5] = [
        ("vanished", |path| link(path, "../../../devices/pci0000:00/nowhere"), Noticed::Missing),
        ("file", |path| write(path, "0x1002\n"), Noticed::Missing),
        ("fifo", fifo, Noticed::Missing),
        ("empty directory", |path| fs::create_dir(path).expect("a directory can be made"), Noticed::Missing),
        ("loop", |path| link(path, BAD), Noticed::Reported),
    ];
    for (how, spoil, noticed) in spoils {
        let tree = with_good_cards();
        spoil(&tree.at(format!("{DEVICES}/{BAD}")));
        let machine = detect(&tree);
        assert_eq!(cards(&machine), GOOD, "{how}");
        assert_eq!(machine.problems.len(), usize::from(noticed == Noticed::Reported), "{how}");
    }
}

#[test]
fn names_that_are_no_addresses_are_passed_over() {
    let tree = with_good_cards();
    let good = tree.at(format!("{DEVICES}/{}", GOOD[0]));
    let long = "0".repeat(255);
    let names: [&[u8]; 12] = [
        b"0000:02:00",
        b"02:00.0",
        b"0000:02:00.8",
        b"0000:02:20.0",
        b"0000:02:00.0 ",
        b"0000:02:00.0~",
        b"0000:02:00.00",
        b"-000:02:00.0",
        b"0000:02:00.\xff",
        b"\xff\xfe",
        "0000:02:00.\u{ff10}".as_bytes(),
        long.as_bytes(),
    ];
    for name in names {
        std::os::unix::fs::symlink(&good, tree.at(DEVICES).join(OsStr::from_bytes(name))).expect("a link can be made");
    }
    let machine = detect(&tree);
    assert_eq!((cards(&machine), machine.problems), (GOOD.map(str::to_owned).to_vec(), vec![]));
}

/// Thunderbolt: a function is unplugged and plugged in while the bus is read.
#[test]
fn a_function_that_comes_and_goes_is_a_card_or_none() {
    let tree = with_good_cards();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                tree.function(BAD, AMD, NAVI10, DISPLAY[0]);
                fs::remove_dir_all(tree.at(format!("{DEVICES}/{BAD}"))).expect("it was just made");
            }
        });
        let machines: Vec<Machine> = (0..200).map(|_| tree.detect()).collect();
        stop.store(true, Ordering::Relaxed);
        for machine in machines {
            assert!(GOOD.iter().all(|good| cards(&machine).iter().any(|card| card == good)), "{machine:?}");
            assert!(machine.cards.iter().all(|card| card.pci.device.0 == NAVI10));
        }
    });
}

#[test]
fn a_bad_kernel_release_is_reported_and_harmless() {
    let spoils: [fn(&Path); 6] = [
        fifo,
        |path| fs::create_dir(path).expect("a directory can be made"),
        |path| link(path, "osrelease"),
        |path| link(path, "/dev/zero"),
        |path| write(path, b"\xff\xfe"),
        |path| write(path, "6".repeat(10_000_000)),
    ];
    for spoil in spoils {
        let tree = with_good_cards();
        spoil(&tree.at("proc/sys/kernel/osrelease"));
        let machine = detect(&tree);
        assert_eq!(cards(&machine), GOOD);
        assert_eq!((machine.kernel, machine.problems.len()), (None, 1));
    }
}

#[test]
fn drivers_decide_the_state() {
    for (driver, state) in [
        (None, CardState::NoDriver),
        (Some("amdgpu"), CardState::NoCompute),
        (Some("vfio-pci"), CardState::PassedThrough),
        (Some("pci-stub"), CardState::PassedThrough),
        (Some("xen-pciback"), CardState::PassedThrough),
        (Some("radeon"), CardState::OtherDriver),
        (Some("amdgpu\u{1b}[2J"), CardState::OtherDriver),
    ] {
        let tree = Tree::new();
        tree.function(BAD, AMD, NAVI10, DISPLAY[0]);
        if let Some(driver) = driver {
            tree.link(format!("{DEVICES}/{BAD}/driver"), format!("../../../drivers/{driver}"));
        }
        let machine = detect(&tree);
        assert_eq!((machine.cards.len(), machine.cards[0].state), (1, state), "{driver:?}");
        assert_eq!(machine.has_card(), state != CardState::PassedThrough);
    }
}
