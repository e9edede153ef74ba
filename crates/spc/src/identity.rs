//! The names of a logical unit (INQUIRY, VPD pages 80h and 83h).

use outboard_scsi::inquiry::{is_printable_ascii, padded};
use outboard_scsi::vpd::{Association, Designator, DesignatorValue, naa_locally_assigned};

use crate::error::SpcError;

/// Longest serial number in bytes, so that the T10 designator, which repeats it, fits.
pub const SERIAL_LEN_MAX: usize = 128;

/// Who a logical unit is. It must be the same after every restart of driver and host: initiators
/// recognise their disk, and the paths to it, by these names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    vendor: [u8; 8],
    product: [u8; 16],
    revision: [u8; 4],
    serial: String,
    /// Product and serial number: unique among the vendor's products.
    t10_id: String,
    naa: Naa,
    eui64: Option<[u8; 8]>,
    uuid: Option<[u8; 16]>,
}

/// An NAA name (SPC-6 7.7.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Naa {
    Short([u8; 8]),
    Long([u8; 16]),
}

impl Identity {
    /// Names from texts. The NAA name is locally assigned (NAA 3h), a hash of vendor, product and
    /// serial number.
    ///
    /// # Errors
    /// [`SpcError::InvalidText`] for anything but printable ASCII of at most 8 (vendor), 16
    /// (product), 4 (revision) and [`SERIAL_LEN_MAX`] (serial) bytes.
    pub fn new(
        vendor: &str,
        product: &str,
        revision: &str,
        serial: &str,
    ) -> Result<Self, SpcError> {
        if serial.len() > SERIAL_LEN_MAX || !is_printable_ascii(serial) {
            return Err(invalid("serial number", SERIAL_LEN_MAX, serial));
        }
        let hash = fnv_1a([vendor, "\0", product, "\0", serial]);
        Ok(Self {
            vendor: padded(vendor).ok_or_else(|| invalid("vendor", 8, vendor))?,
            product: padded(product).ok_or_else(|| invalid("product", 16, product))?,
            revision: padded(revision).ok_or_else(|| invalid("revision", 4, revision))?,
            serial: serial.to_owned(),
            t10_id: format!("{product} {serial}"),
            naa: Naa::Short(naa_locally_assigned(hash)),
            eui64: None,
            uuid: None,
        })
    }

    /// The same with an NAA name of 8 bytes (NAA 2h, 3h or 5h).
    #[must_use]
    pub fn with_naa64(self, naa: [u8; 8]) -> Self {
        Self { naa: Naa::Short(naa), ..self }
    }

    /// The same with an NAA name of 16 bytes (NAA 6h).
    #[must_use]
    pub fn with_naa128(self, naa: [u8; 16]) -> Self {
        Self { naa: Naa::Long(naa), ..self }
    }

    /// The same with an EUI-64.
    #[must_use]
    pub fn with_eui64(self, eui64: [u8; 8]) -> Self {
        Self { eui64: Some(eui64), ..self }
    }

    /// The same with a UUID.
    #[must_use]
    pub fn with_uuid(self, uuid: [u8; 16]) -> Self {
        Self { uuid: Some(uuid), ..self }
    }

    /// Whether both name the same unit; the revision may differ.
    #[must_use]
    pub fn is_same_unit(&self, other: &Self) -> bool {
        *self == Self { revision: self.revision, ..other.clone() }
    }

    /// T10 VENDOR IDENTIFICATION.
    #[must_use]
    pub fn vendor(&self) -> [u8; 8] {
        self.vendor
    }

    /// PRODUCT IDENTIFICATION.
    #[must_use]
    pub fn product(&self) -> [u8; 16] {
        self.product
    }

    /// PRODUCT REVISION LEVEL.
    #[must_use]
    pub fn revision(&self) -> [u8; 4] {
        self.revision
    }

    /// PRODUCT SERIAL NUMBER.
    #[must_use]
    pub fn serial(&self) -> &str {
        &self.serial
    }

    /// The designators of the logical unit, the most specific first.
    pub(crate) fn designators(&self) -> impl Iterator<Item = Designator<'_>> {
        let naa = match self.naa {
            Naa::Short(name) => DesignatorValue::Naa64(name),
            Naa::Long(name) => DesignatorValue::Naa128(name),
        };
        let t10 = DesignatorValue::T10Vendor { vendor: self.vendor, id: &self.t10_id };
        [
            Some(naa),
            self.eui64.map(DesignatorValue::Eui64),
            self.uuid.map(DesignatorValue::Uuid),
            Some(t10),
        ]
        .into_iter()
        .flatten()
        .map(|value| Designator {
            association: Association::LogicalUnit,
            protocol: None,
            value,
        })
    }
}

fn invalid(field: &'static str, max: usize, text: &str) -> SpcError {
    SpcError::InvalidText { field, max, text: text.to_owned() }
}

/// FNV-1a, 64 bits: the same on every machine and in every version, as a name must be.
fn fnv_1a<'a>(texts: impl IntoIterator<Item = &'a str>) -> u64 {
    texts.into_iter().flat_map(str::bytes).fold(0xCBF2_9CE4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_do_not_change() {
        assert_eq!(fnv_1a(["a"]), 0xAF63_DC4C_8601_EC8C, "published test vector");
        let identity = Identity::new("OUTBOARD", "Array", "0.1", "0001").unwrap();
        assert_eq!(identity, Identity::new("OUTBOARD", "Array", "0.1", "0001").unwrap());
        assert_ne!(identity.naa, Identity::new("OUTBOARD", "Array", "0.1", "0002").unwrap().naa);
        assert!(matches!(identity.naa, Naa::Short([0x30..=0x3F, ..])));
    }

    #[test]
    fn refuses_what_does_not_fit() {
        let error = Identity::new("OUTBOARDS", "", "", "").unwrap_err();
        assert_eq!(
            error.to_string(),
            "vendor must be printable ASCII of at most 8 bytes, but is \"OUTBOARDS\""
        );
        assert!(Identity::new("", "seventeen letters", "", "").is_err());
        assert!(Identity::new("", "", "12345", "").is_err());
        assert!(Identity::new("", "", "", "a\tb").is_err());
        assert!(Identity::new("", "", "", &"x".repeat(129)).is_err());
    }

    #[test]
    fn designators_name_the_unit() {
        let identity = Identity::new("OUTBOARD", "Array", "0.1", "0001")
            .unwrap()
            .with_eui64([1; 8])
            .with_uuid([2; 16])
            .with_naa128([0x60; 16]);
        let values: Vec<_> = identity.designators().map(|designator| designator.value).collect();
        assert_eq!(
            values,
            [
                DesignatorValue::Naa128([0x60; 16]),
                DesignatorValue::Eui64([1; 8]),
                DesignatorValue::Uuid([2; 16]),
                DesignatorValue::T10Vendor { vendor: *b"OUTBOARD", id: "Array 0001" },
            ]
        );
    }
}
