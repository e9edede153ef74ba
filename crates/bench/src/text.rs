//! Figures and facts as people read them; shared by the table and the report.

use outboard_raid::Level;

use crate::format::PixelFormat;
use crate::plan::ArrayPlan;
use crate::results::{Results, Workload};
use crate::row::Row;
use crate::sample::Phase;

/// `22.1 MB`: three digits, powers of 1000.
pub(crate) fn bytes(bytes: u64) -> String {
    let units = ["kB", "MB", "GB", "TB"];
    let mut value = bytes as f64;
    let mut unit = "B";
    for larger in units {
        if value < 999.5 {
            break;
        }
        (value, unit) = (value / 1000.0, larger);
    }
    match unit {
        "B" => format!("{bytes} B"),
        unit => format!("{} {unit}", three_digits(value)),
    }
}

/// `1 MiB` where that is a whole number, else as [`bytes`].
pub(crate) fn block(size: u64) -> String {
    match size {
        0 => "0 B".to_owned(),
        _ if size.is_multiple_of(1 << 30) => format!("{} GiB", size >> 30),
        _ if size.is_multiple_of(1 << 20) => format!("{} MiB", size >> 20),
        _ if size.is_multiple_of(1 << 10) => format!("{} KiB", size >> 10),
        _ => bytes(size),
    }
}

/// `1234`, `123`, `12.3`, `1.23`, `0.12`.
pub(crate) fn three_digits(value: f64) -> String {
    let digits = match value.abs() {
        size if size >= 99.95 => 0,
        size if size >= 9.995 => 1,
        _ => 2,
    };
    format!("{value:.digits$}")
}

/// `1 234 567`, with a thin gap in thousands for large figures.
pub(crate) fn grouped(value: f64) -> String {
    let digits = format!("{:.0}", value.abs());
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    if value < -0.5 { format!("-{text}") } else { text }
}

/// `330 ns`, `1.24 us`, `118 us`, `34.3 ms`.
pub(crate) fn nanos(ns: f64) -> String {
    match ns.abs() {
        size if size < 999.5 => format!("{ns:.0} ns"),
        size if size < 999_500.0 => format!("{} us", three_digits(ns / 1e3)),
        size if size < 999_500_000.0 => format!("{} ms", three_digits(ns / 1e6)),
        _ => format!("{} s", three_digits(ns / 1e9)),
    }
}

/// `ratio` as what is lost: `9 %`, `0.4 %`, `0 %`, `99.7 %`; a gain is `-1 %`.
pub(crate) fn cost(ratio: f64) -> String {
    let percent = (1.0 - ratio) * 100.0;
    match percent.abs() {
        size if size < 0.05 => "0 %".to_owned(),
        size if !(0.95..95.0).contains(&size) => format!("{percent:.1} %"),
        _ => format!("{percent:.0} %"),
    }
}

/// `RAID 0 of 2 sim:hdd, 512 KiB chunks`.
pub(crate) fn array(array: &ArrayPlan) -> String {
    let names = match array.disks.as_slice() {
        [one] => return one.clone(),
        [first, rest @ ..] if rest.iter().all(|disk| disk == first) => {
            format!("{} {first}", array.disks.len())
        }
        disks => disks.join(", "),
    };
    match array.level {
        Level::Raid0 => format!("RAID 0 of {names}, {} chunks", block(array.chunk.into())),
        other => format!("{other} array of {names}"),
    }
}

/// What ran, in two lines.
pub(crate) fn workload(workload: &Workload) -> [String; 2] {
    match workload {
        Workload::System(plan) => [
            format!(
                "System test: {} {}, {} frames ({}) written, then read",
                plan.raster,
                format(plan.format),
                plan.frames,
                bytes(plan.file_bytes()),
            ),
            format!(
                "{}; {} commands; {}{}",
                array(&plan.array),
                block(plan.command_size),
                rounds(plan.rounds),
                if plan.verify { "; verified" } else { "" },
            ),
        ],
        Workload::Random(plan) => [
            format!(
                "Random test: {} blocks, depth {}, {} % reads, {} s a measurement",
                block(plan.block_size),
                plan.queue_depth,
                plan.read_share,
                plan.seconds,
            ),
            format!("{}; {}", array(&plan.array), rounds(plan.rounds)),
        ],
        Workload::Cost(plan) => [
            format!("Isolation cost: {} reads in bundles", block(plan.block_size)),
            format!("{}; {}", array(&plan.array), rounds(plan.rounds)),
        ],
    }
}

/// What the boundary costs at this depth, in words; `None` if nothing can be compared.
pub(crate) fn conclusion(results: &Results, depth: u32) -> Option<String> {
    let isolated = results.rows().into_iter().filter(|row| row.path != Row::RESIDENT.path);
    let costs = isolated.filter_map(|row| {
        let of = |phase| Some((phase, results.cell(row, phase, depth)?.ratio?.median));
        Some(format!(
            "{row} {}",
            costs(&results.phases().into_iter().filter_map(of).collect::<Vec<_>>())?
        ))
    });
    let costs: Vec<String> = costs.collect();
    let list = costs.join(", ");
    (!costs.is_empty()).then(|| format!("At depth {depth} the boundary costs: {list}."))
}

/// One figure, the worse, if phases differ by less than half a percent; else one for each.
fn costs(ratios: &[(Phase, f64)]) -> Option<String> {
    let worst = ratios.iter().map(|(_, ratio)| *ratio).reduce(f64::min)?;
    if ratios.iter().all(|(_, ratio)| ratio - worst < 0.005) {
        return Some(cost(worst));
    }
    let each = ratios.iter().map(|(phase, ratio)| format!("{phase} {}", cost(*ratio)));
    Some(each.collect::<Vec<_>>().join(" and "))
}

/// How good a ratio is, of the figure as it is shown: 3 digits.
pub(crate) fn grade(ratio: f64) -> Grade {
    match (ratio * 1000.0).round() {
        r if r >= 990.0 => Grade::Good,
        r if r >= 970.0 => Grade::Fair,
        _ => Grade::Poor,
    }
}

/// What a ratio to the resident path is worth; the bounds are the floors of the design.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Grade {
    /// 0.99 or more
    Good,
    /// 0.97 or more
    Fair,
    /// less
    Poor,
}

/// `10-bit YUV`.
fn format(format: PixelFormat) -> String {
    match format.name().rsplit_once('-') {
        Some((bits, model)) => format!("{bits} {}", model.to_uppercase()),
        None => format.name().to_owned(),
    }
}

fn rounds(rounds: u32) -> String {
    match rounds {
        1 => "1 round".to_owned(),
        rounds => format!("medians of {rounds} rounds"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures() {
        assert_eq!(
            [0, 999, 1000, 22_118_400, 256_000_000].map(bytes),
            ["0 B", "999 B", "1.00 kB", "22.1 MB", "256 MB"]
        );
        assert_eq!([512, 4096, 1 << 20, 1 << 30].map(block), ["512 B", "4 KiB", "1 MiB", "1 GiB"]);
        assert_eq!(
            [0.0, 999.0, 1234.0, 12_345_678.0].map(grouped),
            ["0", "999", "1 234", "12 345 678"]
        );
        assert_eq!(
            [330.0, 1240.0, 118e3, 34.3e6, 2e9].map(nanos),
            ["330 ns", "1.24 us", "118 us", "34.3 ms", "2.00 s"]
        );
        assert_eq!(
            [0.91, 0.9962, 0.9998, 1.0, 1.012].map(cost),
            ["9 %", "0.4 %", "0 %", "0 %", "-1 %"]
        );
    }
}
