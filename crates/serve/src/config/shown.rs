//! How values are shown in `GET /v1/config`: as they are written in the file.

use std::time::Duration;

use outboard_disk::DiskSpec;
use outboard_disk::units::{format_duration, format_size};
use serde::Serializer;

pub(super) fn size<S: Serializer>(bytes: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&format_size(*bytes))
}

pub(super) fn duration<S: Serializer>(value: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    let nanos = u64::try_from(value.as_nanos()).unwrap_or(u64::MAX);
    serializer.serialize_str(&format_duration(nanos))
}

pub(super) fn disks<S: Serializer>(disks: &[DiskSpec], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(disks.iter().map(ToString::to_string))
}
