//! Foreign sense data.

use outboard_scsi::Sense;
use outboard_scsi::sense::DESCRIPTOR_LEN_MAX;

/// `bytes` is sense data as a driver returns it.
pub fn sense(bytes: &[u8]) {
    let Some(sense) = Sense::parse(bytes) else { return };
    round_trips(&sense);
    assert!(!sense.to_string().is_empty());
}

/// Asserts that `sense` is read back from both formats.
pub(crate) fn round_trips(sense: &Sense) {
    let mut out = [0; DESCRIPTOR_LEN_MAX];
    let len = sense.encode_descriptor(&mut out);
    assert_eq!(Sense::parse(&out[..len]), Some(*sense), "descriptor format");

    // The fixed format has 32 bits for the information field.
    let information = sense.information.filter(|value| u32::try_from(*value).is_ok());
    let expected = Sense { information, ..*sense };
    assert_eq!(Sense::parse(&sense.encode_fixed()), Some(expected), "fixed format");

    for room in 0..=DESCRIPTOR_LEN_MAX {
        for descriptor in [false, true] {
            assert!(sense.encode(descriptor, &mut out[..room]) <= room);
        }
    }
}
