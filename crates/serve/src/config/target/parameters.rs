//! `[target.parameters]`: what is offered in the negotiation (RFC 7143, 13).

use serde::Serialize;

use outboard_settings::{Fault, Section, Value};

/// What a target offers in the negotiation (RFC 7143, 13).
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Parameters {
    /// most bytes of a data segment that we take
    pub max_recv_data_segment_length: u32,
    /// most bytes of a Data-In or solicited Data-Out sequence
    pub max_burst_length: u32,
    /// most unsolicited bytes of a command
    pub first_burst_length: u32,
    /// no unsolicited Data-Out PDUs
    pub initial_r2t: bool,
    /// data may come with the command
    pub immediate_data: bool,
    /// most R2Ts outstanding of a command
    pub max_outstanding_r2t: u16,
    /// most connections of a session
    pub max_connections: u16,
    /// digests of headers, best first
    pub header_digest: Vec<Digest>,
    /// digests of data, best first
    pub data_digest: Vec<Digest>,
}

/// CRC32C or nothing.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Digest {
    /// nothing
    None,
    /// CRC32C
    Crc32c,
}

impl Default for Parameters {
    fn default() -> Self {
        Self {
            max_recv_data_segment_length: 256 << 10,
            max_burst_length: 1 << 20,
            first_burst_length: 256 << 10,
            initial_r2t: false,
            immediate_data: true,
            max_outstanding_r2t: 4,
            max_connections: 8,
            header_digest: vec![Digest::None, Digest::Crc32c],
            data_digest: vec![Digest::None, Digest::Crc32c],
        }
    }
}

impl Parameters {
    pub(super) fn read(&mut self, mut section: Section<'_, '_>) {
        const MOST: u64 = (1 << 24) - 1;
        let length = |value: Value<'_, '_>| value.size(512..=MOST).map(|n| n as u32);
        let wanted = "max_recv_data_segment_length";
        section.set(&mut self.max_recv_data_segment_length, wanted, length);
        section.set(&mut self.max_burst_length, "max_burst_length", length);
        section.set(&mut self.first_burst_length, "first_burst_length", length);
        section.set(&mut self.initial_r2t, "initial_r2t", Value::flag);
        section.set(&mut self.immediate_data, "immediate_data", Value::flag);
        section.set(&mut self.max_outstanding_r2t, "max_outstanding_r2t", |v| v.count(1..=65_535));
        section.set(&mut self.max_connections, "max_connections", |v| v.count(1..=64));
        section.set(&mut self.header_digest, "header_digest", digests);
        section.set(&mut self.data_digest, "data_digest", digests);
        if !section.has("first_burst_length") {
            self.first_burst_length = self.first_burst_length.min(self.max_burst_length);
        }
        if self.first_burst_length > self.max_burst_length {
            let rule = "is larger than max_burst_length (RFC 7143, 13.14)";
            section.problem("first_burst_length", rule, "write a smaller one");
        }
        section.finish();
    }
}

fn digests(value: Value<'_, '_>) -> Result<Vec<Digest>, Fault> {
    let digests = value.list(|value| {
        value.parse(|text| match text {
            "none" => Ok(Digest::None),
            "crc32c" => Ok(Digest::Crc32c),
            _ => Err(Fault::new(format!("{text:?} is no digest"), "write \"none\" or \"crc32c\"")),
        })
    })?;
    match digests.is_empty() {
        true => Err(Fault::new("is empty", "write [\"none\", \"crc32c\"], best first")),
        false => Ok(digests),
    }
}
