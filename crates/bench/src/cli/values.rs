//! Values on the command line.

use clap::builder::{PossibleValuesParser, TypedValueParser};
use outboard_disk::units::parse_size;

use crate::format::Raster;
use crate::plan::Pinning;
use crate::row::Row;

pub(super) fn bytes(text: &str) -> Result<u64, String> {
    parse_size(text).ok_or_else(|| {
        "a size is a whole number of bytes; k, M, G, T are powers of 1000 and Ki, Mi, Gi, Ti \
         powers of 1024; write for example 256M or 1Mi"
            .to_owned()
    })
}

pub(super) fn chunk(text: &str) -> Result<u32, String> {
    u32::try_from(bytes(text)?)
        .map_err(|_| "a chunk has at most 1Gi; write for example 512Ki".to_owned())
}

pub(super) fn raster(text: &str) -> Result<Raster, String> {
    text.parse::<Raster>().map_err(|error| error.to_string())
}

pub(super) fn pinning(text: &str) -> Result<Pinning, String> {
    text.parse::<Pinning>().map_err(|error| error.to_string())
}

pub(super) fn row() -> impl TypedValueParser<Value = Row> {
    PossibleValuesParser::new(Row::ALL.map(Row::name)).try_map(|text| text.parse::<Row>())
}
