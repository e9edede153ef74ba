//! What an array is asked to be.

use core::fmt;
use core::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::RaidError;

/// Chunk of an array that names none, as mdadm has it.
pub const DEFAULT_CHUNK_BYTES: u32 = 512 * 1024;
/// Largest chunk.
pub const MAX_CHUNK_BYTES: u32 = 1 << 30;

/// How members become an array.
///
/// ```
/// use outboard_raid::{ArraySpec, Level};
/// let spec = ArraySpec { level: Level::Raid0, chunk: 64 * 1024, ..ArraySpec::default() };
/// assert_eq!("linear".parse(), Ok(Level::Linear));
/// assert_eq!(spec.level.to_string(), "0");
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ArraySpec {
    /// striped or one after the other
    pub level: Level,
    /// bytes of a chunk, a power of two of at least a block; members are cut to whole chunks
    pub chunk: u32,
    /// where chunks go once the shortest member is full
    pub zone_layout: ZoneLayout,
}

impl Default for ArraySpec {
    fn default() -> Self {
        Self { level: Level::Raid0, chunk: DEFAULT_CHUNK_BYTES, zone_layout: ZoneLayout::default() }
    }
}

/// RAID level.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Level {
    /// striped, no redundancy
    #[default]
    #[serde(rename = "0", alias = "raid0")]
    Raid0,
    /// one member after the other
    #[serde(rename = "linear")]
    Linear,
}

/// Two layouts of RAID 0 over members of unequal length exist in Linux md, because 3.14 changed
/// the second and later zones. They are the same where all members have one length.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ZoneLayout {
    /// a chunk's column is its number *in the array* modulo the zone's width (layout 1, before
    /// 3.14)
    #[default]
    Original,
    /// a chunk's column is its number *in the zone* modulo the zone's width (layout 2)
    Alternate,
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Raid0 => "0",
            Self::Linear => "linear",
        })
    }
}

impl FromStr for Level {
    type Err = RaidError;

    fn from_str(s: &str) -> Result<Self, RaidError> {
        match s {
            "0" | "raid0" => Ok(Self::Raid0),
            "linear" => Ok(Self::Linear),
            _ => Err(RaidError::Level { level: s.to_owned() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_and_read() {
        let spec = ArraySpec { level: Level::Linear, chunk: 4096, ..ArraySpec::default() };
        let text = serde_json::to_string(&spec).unwrap();
        assert_eq!(text, r#"{"level":"linear","chunk":4096,"zone_layout":"original"}"#);
        assert_eq!(serde_json::from_str::<ArraySpec>(&text).unwrap(), spec);
        assert_eq!(serde_json::from_str::<ArraySpec>("{}").unwrap(), ArraySpec::default());
        let alias = serde_json::from_str::<ArraySpec>(r#"{"level":"raid0"}"#).unwrap();
        assert_eq!(alias, ArraySpec::default());
        assert!(serde_json::from_str::<ArraySpec>(r#"{"chunks":1}"#).is_err());
    }

    #[test]
    fn levels_have_names() {
        for level in [Level::Raid0, Level::Linear] {
            assert_eq!(level.to_string().parse(), Ok(level));
        }
        let unknown = "5".parse::<Level>().unwrap_err().to_string();
        assert_eq!(unknown, "array level \"5\" is unknown; use 0 (striped) or linear");
    }
}
