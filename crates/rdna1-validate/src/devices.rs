// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which of the GPUs that PyTorch sees is the card. With another AMD GPU beside
//! it that need not be the first one, and a report about the wrong GPU is worse
//! than none.

use rdna1_core::ids::GfxTarget;
use rdna1_core::machine::Card;

use crate::worker::protocol::Visible;

/// The place of the card among the devices, in PyTorch's order. `seen_as` are
/// the targets that an override makes ROCm see in place of the card's own;
/// `alone` says that the machine has no other AMD GPU that it could be.
///
/// # Errors
/// In words, if none is the card, or it cannot be told which.
pub fn card(devices: &[Visible], cards: &[&Card], seen_as: &[GfxTarget], alone: bool) -> Result<usize, String> {
    // Where PyTorch says where its devices sit, there is no doubt.
    if devices.iter().all(|device| device.pci.is_some()) {
        let is_at = |device: &Visible| cards.iter().any(|card| sits_at(card, device));
        return devices.iter().position(is_at).ok_or_else(|| none(devices, cards));
    }
    let candidates: Vec<usize> = (0..devices.len()).filter(|&at| may_be(&devices[at], cards, seen_as)).collect();
    let Some(&first) = candidates.first() else { return Err(none(devices, cards)) };
    // No other AMD GPU has the card's own target. Of several cards each will do.
    if let Some(&own) = candidates.iter().find(|&&at| devices[at].arch.is_some() && may_be(&devices[at], cards, &[])) {
        return Ok(own);
    }
    if alone && candidates.len() <= cards.len() {
        return Ok(first);
    }
    let named = |at: &&usize| cards.iter().any(|card| is_named(&devices[**at], card));
    candidates.iter().find(named).copied().ok_or_else(|| {
        let those: Vec<String> = candidates.iter().map(|&at| name(at, &devices[at])).collect();
        format!("it cannot be told whether one of these is the card, and which: {}", those.join(", "))
    })
}

fn none(devices: &[Visible], cards: &[&Card]) -> String {
    let seen: Vec<String> = devices.iter().enumerate().map(|(at, device)| name(at, device)).collect();
    let cards: Vec<&str> = cards.iter().map(|card| card.name.as_str()).collect();
    format!("none of the GPUs that PyTorch sees ({}) is the card, {}", seen.join(", "), cards.join(", "))
}

/// `1: AMD Radeon RX 6800 (gfx1030)`
fn name(at: usize, device: &Visible) -> String {
    let arch = device.arch.as_ref().map(|arch| format!(" ({arch})")).unwrap_or_default();
    format!("{at}: {}{arch}", device.name)
}

fn sits_at(card: &Card, device: &Visible) -> bool {
    let address = card.pci.address.to_string();
    // PyTorch knows no function; a GPU's display function is its first.
    let slot = |text: &str| text.split('.').next().unwrap_or_default().to_ascii_lowercase();
    device.pci.as_deref().is_some_and(|pci| slot(pci) == slot(&address))
}

/// Whether a device has a target that the card may be seen with. Old releases
/// of PyTorch do not tell.
fn may_be(device: &Visible, cards: &[&Card], seen_as: &[GfxTarget]) -> bool {
    let Some(arch) = device.arch.as_deref().and_then(|arch| arch.split(':').next()) else { return true };
    let own = cards.iter().map(|card| card.gfx);
    own.chain(seen_as.iter().copied()).any(|target| target.to_string() == arch)
}

/// Whether a device has the card's marketing name. `Radeon RX 5700` does not
/// stand for a 5700 XT.
fn is_named(device: &Visible, card: &Card) -> bool {
    let plain = |text: &str| text.to_ascii_lowercase().replace("amd ", "").replace("(tm)", "").trim().to_owned();
    let (theirs, ours) = (plain(&device.name), plain(&card.name));
    // One id often stands for several names: `Radeon RX 5600 OEM/5600 XT/5700/5700 XT`.
    !theirs.is_empty() && (theirs == ours || ours.split('/').any(|part| theirs.ends_with(part.trim())))
}

#[cfg(test)]
mod tests {
    use rdna1_core::machine::Machine;
    use rdna1_core::policy::Policy;
    use rdna1_core::root::Root;

    use super::*;

    fn device(name: &str, arch: Option<&str>, pci: Option<&str>) -> Visible {
        let (arch, pci) = (arch.map(str::to_owned), pci.map(str::to_owned));
        Visible { name: name.into(), arch, pci, memory_bytes: None }
    }

    fn machine(case: &str) -> Machine {
        let root = format!("{}/../../tests/cases/{case}/root", env!("CARGO_MANIFEST_DIR"));
        Machine::detect(&Root::new(root), &Policy::embedded().expect("it is sound"))
    }

    #[test]
    fn the_card_is_found_beside_another_gpu() {
        let machine = machine("02-rx5600xt-ready");
        let cards: Vec<&Card> = machine.active_cards().collect();
        let address = cards[0].pci.address.to_string();
        let gfx1030: GfxTarget = "gfx1030".parse().expect("a target");
        let (name, big) = (format!("AMD {}", cards[0].name), "AMD Radeon RX 6800");
        let find = |devices: &[Visible], seen_as: &[GfxTarget]| card(devices, &cards, seen_as, false);
        let alone = |device: Visible, seen_as: &[GfxTarget]| card(&[device], &cards, seen_as, true);
        // By address, whatever else is alike.
        let beside =
            [device(big, Some("gfx1030"), Some("0000:7f:00.0")), device(&name, Some("gfx1030"), Some(&address))];
        assert_eq!(find(&beside, &[gfx1030]), Ok(1));
        assert!(find(&beside[..1], &[gfx1030]).expect_err("it is another").contains("RX 6800 (gfx1030)"));
        // By target.
        let beside =
            [device("Instinct", Some("gfx90a:sramecc+:xnack-"), None), device("", Some("gfx1010:xnack-"), None)];
        assert_eq!(find(&beside, &[]), Ok(1));
        assert!(find(&beside[..1], &[gfx1030]).is_err());
        assert_eq!(alone(device("", Some("gfx1030"), None), &[gfx1030]), Ok(0), "under an override");
        assert!(alone(device("", Some("gfx1030"), None), &[]).is_err(), "a real one without an override");
        assert!(find(&[device(big, Some("gfx1030"), None)], &[gfx1030]).is_err(), "the card is hidden");
        // By name, where an override makes both alike.
        let beside = [device(big, Some("gfx1030"), None), device(&name, Some("gfx1030"), None)];
        assert_eq!(find(&beside, &[gfx1030]), Ok(1));
        let unnamed = [device(big, Some("gfx1030"), None), device("AMD Radeon Graphics", Some("gfx1030"), None)];
        assert!(find(&unnamed, &[gfx1030]).expect_err("nobody knows").contains("cannot be told"));
        // PyTorch 1.13 tells no target.
        assert_eq!(alone(device("AMD Radeon Graphics", None, None), &[]), Ok(0), "the only one");
        assert!(find(&[device("AMD Radeon Graphics", None, None)], &[]).is_err(), "the card may be hidden");
        assert_eq!(find(&[device(big, None, None), device(&name, None, None)], &[]), Ok(1));
        assert!(find(&[device(big, None, None), device("x", None, None)], &[]).is_err());
        assert!(find(&[], &[]).is_err());
    }

    #[test]
    fn of_two_equal_cards_the_first_will_do() {
        let machine = machine("08-two-equal-cards");
        let cards: Vec<&Card> = machine.active_cards().collect();
        let both = [
            device("AMD Radeon Graphics", Some("gfx1010"), None),
            device("AMD Radeon Graphics", Some("gfx1010"), None),
        ];
        assert_eq!(card(&both, &cards, &[], true), Ok(0));
    }
}
