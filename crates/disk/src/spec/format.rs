//! Disk URLs written back, and the small encodings in them.

use std::fmt::{self, Display, Formatter};

use crate::delay::DelaySpec;
use crate::faulty::{FaultKind, FaultSpec};
use crate::sim::{HddTiming, SsdTiming};
use crate::spec::{DiskKind, DiskSpec};
use crate::units::{format_duration, format_rate, format_size};
use crate::window::WindowSpec;

impl Display for DiskSpec {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut options = Vec::new();
        let head = self.kind.head(&mut options);
        options.extend(self.block_size.map(|block| format!("block={block}")));
        options.extend(
            self.physical_block_size.map(|size| format!("physical={}", format_size(size.into()))),
        );
        if self.read_only {
            options.push("ro=on".to_owned());
        }
        options.extend(self.thin.map(|thin| format!("thin={}", if thin { "on" } else { "off" })));
        if let Some(WindowSpec { offset, len }) = &self.window {
            options.push(format!("offset={}", format_size(*offset)));
            options.extend(len.map(|len| format!("length={}", format_size(len))));
        }
        if let Some(DelaySpec { min_ns, max_ns, seed }) = &self.delay {
            options.push(format!(
                "delay={}..{}",
                format_duration(*min_ns),
                format_duration(*max_ns)
            ));
            push_unless(&mut options, "delay-seed", seed, &1, u64::to_string);
        }
        if let Some(faults) = &self.faults {
            faults.push_options(&mut options);
        }
        f.write_str(&head)?;
        if options.is_empty() { Ok(()) } else { write!(f, "?{}", options.join("&")) }
    }
}

impl DiskKind {
    fn head(&self, options: &mut Vec<String>) -> String {
        match self {
            Self::File { path, direct } => {
                push_unless(options, "direct", direct, &true, |_| "off".to_owned());
                let path = path.to_string_lossy();
                let plain = path.starts_with(['/', '.']) && !path.contains('?');
                if plain { path.into_owned() } else { format!("file:{}", percent_encode(&path)) }
            }
            Self::Hdd { len_bytes, sparse, timing } => {
                push_sim(options, *len_bytes, *sparse);
                push_hdd(options, timing);
                "sim:hdd".to_owned()
            }
            Self::Memory { len_bytes } => format!("mem:{}", format_size(*len_bytes)),
            Self::Null { len_bytes } => format!("null:{}", format_size(*len_bytes)),
            Self::Ssd { len_bytes, sparse, timing } => {
                push_sim(options, *len_bytes, *sparse);
                push_ssd(options, timing);
                "sim:ssd".to_owned()
            }
        }
    }
}

impl FaultSpec {
    fn push_options(&self, options: &mut Vec<String>) {
        let share = |ppb: &u32| format!("{}.{:09}", ppb / 1_000_000_000, ppb % 1_000_000_000);
        // without a share the seed and the error say nothing
        if self.share_ppb > 0 || self.bad_blocks.is_none() {
            options.push(format!("errors={}", share(&self.share_ppb)));
            push_unless(options, "error-seed", &self.seed, &1, u64::to_string);
            push_unless(options, "error", &self.error, &FaultKind::Medium, |error| {
                error.name().to_owned()
            });
        }
        options.extend(self.bad_blocks.map(|(first, end)| format!("bad={first}..{end}")));
    }
}

impl FaultKind {
    const fn name(self) -> &'static str {
        match self {
            Self::Gone => "gone",
            Self::Medium => "medium",
            Self::NoSpace => "no-space",
        }
    }
}

pub(super) fn parse_fault(text: &str) -> Option<FaultKind> {
    [FaultKind::Gone, FaultKind::Medium, FaultKind::NoSpace].into_iter().find(|k| k.name() == text)
}

/// Parts per 10^9 from `0.01`.
pub(super) fn parse_share(text: &str) -> Option<u32> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |s: &str| !s.is_empty() && s.len() <= 9 && s.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole) || !digits(fraction) {
        return None;
    }
    let ppb = format!("{whole}{fraction:0<9}").parse::<u64>().ok()?;
    u32::try_from(ppb).ok().filter(|&ppb| ppb <= 1_000_000_000)
}

pub(super) fn percent_decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        rest = tail;
        if first != b'%' {
            bytes.push(first);
            continue;
        }
        let hex = std::str::from_utf8(rest.get(..2)?).ok()?;
        if !hex.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        bytes.push(u8::from_str_radix(hex, 16).ok()?);
        rest = &rest[2..];
    }
    String::from_utf8(bytes).ok()
}

fn percent_encode(text: &str) -> String {
    text.replace('%', "%25").replace('?', "%3F")
}

fn push_sim(options: &mut Vec<String>, len_bytes: u64, sparse: bool) {
    options.push(format!("size={}", format_size(len_bytes)));
    push_unless(options, "sparse", &sparse, &false, |_| "on".to_owned());
}

fn push_hdd(options: &mut Vec<String>, timing: &HddTiming) {
    let standard = HddTiming::default();
    let rate = |rate: &u64| format_rate(*rate);
    let time = |nanos: &u64| format_duration(*nanos);
    push_unless(options, "rate", &timing.rate, &standard.rate, rate);
    push_unless(options, "overhead", &timing.overhead_ns, &standard.overhead_ns, time);
    let seek = |t: &HddTiming| (t.seek_min_ns, t.seek_max_ns);
    push_unless(options, "seek", &seek(timing), &seek(&standard), |(min, max)| {
        format!("{}..{}", format_duration(*min), format_duration(*max))
    });
    push_unless(options, "rpm", &timing.rpm, &standard.rpm, u32::to_string);
    push_unless(options, "queue", &timing.queue_depth, &standard.queue_depth, u32::to_string);
    push_unless(options, "seed", &timing.seed, &standard.seed, u64::to_string);
}

fn push_ssd(options: &mut Vec<String>, timing: &SsdTiming) {
    let standard = SsdTiming::default();
    let rate = |rate: &u64| format_rate(*rate);
    let time = |nanos: &u64| format_duration(*nanos);
    push_unless(options, "read-latency", &timing.read_latency_ns, &standard.read_latency_ns, time);
    push_unless(
        options,
        "write-latency",
        &timing.write_latency_ns,
        &standard.write_latency_ns,
        time,
    );
    push_unless(options, "read-rate", &timing.read_rate, &standard.read_rate, rate);
    push_unless(options, "write-rate", &timing.write_rate, &standard.write_rate, rate);
    push_unless(options, "channels", &timing.channels, &standard.channels, u32::to_string);
    push_unless(options, "seed", &timing.seed, &standard.seed, u64::to_string);
}

fn push_unless<T: PartialEq>(
    options: &mut Vec<String>,
    name: &str,
    value: &T,
    standard: &T,
    format: impl Fn(&T) -> String,
) {
    if value != standard {
        options.push(format!("{name}={}", format(value)));
    }
}
