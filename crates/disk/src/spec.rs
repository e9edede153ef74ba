//! Disk URLs: what a disk is, as text.
//!
//! ```text
//! PATH[?options]             a file or block device (the path has no `?`)
//! file:PATH[?options]        the same; `%XX` stands for a byte of the path
//!   direct=on|off            O_DIRECT (on) or through the page cache
//! mem:SIZE[?options]         memory
//! null:[SIZE][?options]      nothing (1Ti)
//! sim:hdd[?options]          a simulated spinning disk
//!   size=4Gi sparse=off rate=322.5MB overhead=50us seek=500us..16ms rpm=7200 queue=32 seed=1
//! sim:ssd[?options]          simulated flash
//!   size=4Gi sparse=off read-latency=70us write-latency=20us read-rate=3.5GB write-rate=3GB
//!   channels=32 seed=1
//! all of them
//!   block=512|4096           logical block size
//!   physical=SIZE            physical block size, a power of two up to 64Ki
//!   ro=on|off                read-only
//!   thin=on|off              whether ranges can be given back (if the disk can)
//!   offset=SIZE length=SIZE  a range of it, in whole blocks (the beginning; up to its end)
//!   delay=MIN..MAX           seeded extra latency; delay-seed=1
//!   errors=SHARE             share of reads and writes that fail; error-seed=1;
//!                            error=medium|gone|no-space
//!   bad=BLOCK..BLOCK         blocks that never work (the last one is the first good one again)
//! ```
//!
//! Options are joined with `&`. Units are those of [`crate::units`]. [`DiskSpec`] is the parsed
//! form; its `Display` is a URL that parses to the same.

mod format;
mod query;

use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::delay::DelaySpec;
use crate::faulty::{FaultKind, FaultSpec};
use crate::sim::{HddTiming, SsdTiming};
use crate::units::{parse_duration, parse_rate, parse_size};
use crate::window::WindowSpec;
use query::Query;

/// A disk, decorators included.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct DiskSpec {
    /// what it is
    pub kind: DiskKind,
    /// logical block size in bytes, 512 or 4096; `None` = what the disk itself says (512 for those
    /// in memory)
    pub block_size: Option<u32>,
    /// physical block size in bytes that is reported; `None` = what the disk itself says
    #[serde(default)]
    pub physical_block_size: Option<u32>,
    /// writes are refused
    #[serde(default)]
    pub read_only: bool,
    /// thin provisioning: `Some(true)` requires that the disk can give ranges back, `Some(false)`
    /// hides that it can; `None` = what the disk can
    #[serde(default)]
    pub thin: Option<bool>,
    /// a range of it; faults and their positions are within the range
    #[serde(default)]
    pub window: Option<WindowSpec>,
    /// answers later
    pub delay: Option<DelaySpec>,
    /// fails as told
    pub faults: Option<FaultSpec>,
}

/// The kinds of disks.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum DiskKind {
    /// a file or a block device
    File {
        /// where it is
        path: PathBuf,
        /// past the page cache (`O_DIRECT`)
        direct: bool,
    },
    /// a simulated spinning disk
    Hdd {
        /// length in bytes
        len_bytes: u64,
        /// may be larger than the machine's memory: only what is touched takes room
        sparse: bool,
        /// its figures
        timing: HddTiming,
    },
    /// memory
    Memory {
        /// length in bytes
        len_bytes: u64,
    },
    /// nothing
    Null {
        /// length in bytes
        len_bytes: u64,
    },
    /// simulated flash
    Ssd {
        /// length in bytes
        len_bytes: u64,
        /// may be larger than the machine's memory: only what is touched takes room
        sparse: bool,
        /// its figures
        timing: SsdTiming,
    },
}

/// A URL that is none: which part of it, the rule it breaks, and the mend.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("disk `{url}`: `{part}`: {rule}; {mend}")]
pub struct SpecError {
    /// the whole text
    pub url: String,
    /// the offending part
    pub part: String,
    /// what it must be
    pub rule: String,
    /// what to write instead
    pub mend: String,
}

impl DiskSpec {
    /// The disk of this kind without options.
    pub const fn plain(kind: DiskKind) -> Self {
        Self {
            kind,
            block_size: None,
            physical_block_size: None,
            read_only: false,
            thin: None,
            window: None,
            delay: None,
            faults: None,
        }
    }
}

impl FromStr for DiskSpec {
    type Err = SpecError;

    fn from_str(url: &str) -> Result<Self, SpecError> {
        let (head, options) = url.split_once('?').unwrap_or((url, ""));
        let mut query = Query::parse(url, options)?;
        let kind = parse_kind(head, &mut query)?;
        let spec = Self {
            kind,
            block_size: parse_block(&mut query)?,
            physical_block_size: parse_physical(&mut query)?,
            read_only: query.switch("ro")?.unwrap_or(false),
            thin: query.switch("thin")?,
            window: parse_window(&mut query)?,
            delay: parse_delay(&mut query)?,
            faults: parse_faults(&mut query)?,
        };
        query.finish()?;
        Ok(spec)
    }
}

fn parse_kind(head: &str, query: &mut Query<'_>) -> Result<DiskKind, SpecError> {
    let scheme_len = head.find(|c: char| !c.is_ascii_alphanumeric() && c != '-').unwrap_or(0);
    let (scheme, rest) = match head[scheme_len..].strip_prefix(':') {
        Some(rest) if scheme_len > 0 => (&head[..scheme_len], rest),
        _ => return parse_file(head.to_owned(), query),
    };
    match (scheme, rest) {
        ("file", path) => {
            let path = format::percent_decode(path).ok_or_else(|| {
                query.error(
                    path,
                    "% stands for a byte in two hexadecimal digits",
                    "write %25 for %",
                )
            })?;
            parse_file(path, query)
        }
        ("mem", "") => Err(query.error(head, "mem: needs its size", "for example mem:1Gi")),
        ("mem", size) => Ok(DiskKind::Memory { len_bytes: parse_len(size, query)? }),
        ("null", "") => Ok(DiskKind::Null { len_bytes: 1 << 40 }),
        ("null", size) => Ok(DiskKind::Null { len_bytes: parse_len(size, query)? }),
        ("sim", "hdd") => parse_hdd(query),
        ("sim", "ssd") => parse_ssd(query),
        ("sim", other) => {
            Err(query.error(other, "simulated are hdd and ssd", "write sim:hdd or sim:ssd"))
        }
        (unknown, _) => Err(query.error(
            &format!("{unknown}:"),
            "kinds of disks are file:, mem:, null: and sim:",
            &format!("if it is a file of that name, write ./{head}"),
        )),
    }
}

fn parse_file(path: String, query: &mut Query<'_>) -> Result<DiskKind, SpecError> {
    if path.is_empty() || path.contains('\0') {
        return Err(query.error(&path, "a disk needs a path", "for example /dev/sdb or mem:1Gi"));
    }
    let direct = query.switch("direct")?.unwrap_or(true);
    Ok(DiskKind::File { path: path.into(), direct })
}

fn parse_len(text: &str, query: &Query<'_>) -> Result<u64, SpecError> {
    let rule = "a size is a multiple of 512 bytes, at least one block, at most 8Ei";
    parse_size(text)
        .filter(|&len| len > 0 && len.is_multiple_of(512) && i64::try_from(len).is_ok())
        .ok_or_else(|| query.error(text, rule, "for example 1Gi or 500G"))
}

fn parse_hdd(query: &mut Query<'_>) -> Result<DiskKind, SpecError> {
    let mut timing = HddTiming::default();
    let (len_bytes, sparse) = parse_sim_size(query)?;
    query.set("rate", &mut timing.rate, parse_rate, "a rate, as 322.5MB")?;
    query.set("overhead", &mut timing.overhead_ns, parse_duration, "a time, as 50us")?;
    query.set("rpm", &mut timing.rpm, positive, "turns per minute, as 7200")?;
    query.set("queue", &mut timing.queue_depth, positive, "a number of commands, as 32")?;
    query.set("seed", &mut timing.seed, crate::units::parse_count, "a number")?;
    if let Some((min, max)) = query.range("seek", parse_duration, "two times, as 0.5ms..16ms")? {
        (timing.seek_min_ns, timing.seek_max_ns) = (min, max);
    }
    Ok(DiskKind::Hdd { len_bytes, sparse, timing })
}

fn parse_ssd(query: &mut Query<'_>) -> Result<DiskKind, SpecError> {
    let mut timing = SsdTiming::default();
    let (len_bytes, sparse) = parse_sim_size(query)?;
    query.set("read-latency", &mut timing.read_latency_ns, parse_duration, "a time, as 70us")?;
    query.set("write-latency", &mut timing.write_latency_ns, parse_duration, "a time, as 20us")?;
    query.set("read-rate", &mut timing.read_rate, parse_rate, "a rate, as 3.5GB")?;
    query.set("write-rate", &mut timing.write_rate, parse_rate, "a rate, as 3GB")?;
    query.set("channels", &mut timing.channels, positive, "a number up to 65535, as 32")?;
    query.set("seed", &mut timing.seed, crate::units::parse_count, "a number")?;
    Ok(DiskKind::Ssd { len_bytes, sparse, timing })
}

fn parse_sim_size(query: &mut Query<'_>) -> Result<(u64, bool), SpecError> {
    let size = query.take("size").map(|text| parse_len(text, query)).transpose()?;
    Ok((size.unwrap_or(4 << 30), query.switch("sparse")?.unwrap_or(false)))
}

fn parse_block(query: &mut Query<'_>) -> Result<Option<u32>, SpecError> {
    match query.take("block") {
        None => Ok(None),
        Some("512") => Ok(Some(512)),
        Some("4096") => Ok(Some(4096)),
        Some(other) => Err(query.error(
            &format!("block={other}"),
            "a logical block has 512 or 4096 bytes",
            "write block=512 or block=4096",
        )),
    }
}

fn parse_physical(query: &mut Query<'_>) -> Result<Option<u32>, SpecError> {
    let mut size = 0;
    let power = |text: &str| {
        let size = u32::try_from(parse_size(text)?).ok()?;
        (size.is_power_of_two() && (512..=MAX_PHYSICAL_BLOCK).contains(&size)).then_some(size)
    };
    let given = query.set("physical", &mut size, power, "a power of two from 512 to 64Ki")?;
    Ok(given.then_some(size))
}

/// Largest physical block that is reported, in bytes.
const MAX_PHYSICAL_BLOCK: u32 = 64 << 10;

fn parse_window(query: &mut Query<'_>) -> Result<Option<WindowSpec>, SpecError> {
    let whole = |text: &str| parse_size(text).filter(|len| len.is_multiple_of(512));
    let mut window = WindowSpec { offset: 0, len: None };
    let rule = "a multiple of 512 bytes, as 1Mi";
    let offset = query.set("offset", &mut window.offset, whole, rule)?;
    let mut len = 0;
    let some = |text: &str| whole(text).filter(|&len| len > 0);
    if query.set("length", &mut len, some, "a multiple of 512 bytes above 0, as 1Gi")? {
        window.len = Some(len);
    }
    Ok((offset || window.len.is_some()).then_some(window))
}

fn parse_delay(query: &mut Query<'_>) -> Result<Option<DelaySpec>, SpecError> {
    let range = query.range("delay", parse_duration, "two times, as 1ms..5ms")?;
    let Some((min_ns, max_ns)) = range else { return Ok(None) };
    let mut seed = 1;
    query.set("delay-seed", &mut seed, crate::units::parse_count, "a number")?;
    Ok(Some(DelaySpec { min_ns, max_ns, seed }))
}

fn parse_faults(query: &mut Query<'_>) -> Result<Option<FaultSpec>, SpecError> {
    let mut spec = FaultSpec { share_ppb: 0, seed: 1, error: FaultKind::Medium, bad_blocks: None };
    let share = query.set("errors", &mut spec.share_ppb, format::parse_share, "0 to 1, as 0.01")?;
    spec.bad_blocks = query.range("bad", crate::units::parse_count, "two blocks, as 100..200")?;
    if share {
        query.set("error-seed", &mut spec.seed, crate::units::parse_count, "a number")?;
        query.set("error", &mut spec.error, format::parse_fault, "medium, gone or no-space")?;
    }
    // A share of nothing draws no errors, so that its seed and kind say nothing.
    if spec.share_ppb == 0 && spec.bad_blocks.is_some() {
        (spec.seed, spec.error) = (1, FaultKind::Medium);
    }
    Ok((share || spec.bad_blocks.is_some()).then_some(spec))
}

fn positive(text: &str) -> Option<u32> {
    crate::units::parse_count(text)
        .and_then(|n| u32::try_from(n).ok())
        .filter(|n| (1..=65_535).contains(n))
}

#[cfg(test)]
mod tests;
