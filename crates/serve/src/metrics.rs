//! `/metrics`: the status as OpenMetrics text.
//!
//! Nothing is counted for Prometheus' sake: a scrape takes one snapshot of what the I/O threads have
//! counted for themselves. Labels are names of the configuration only, never what a peer says, so
//! that no peer can make time series.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::{Registry, Unit};

use crate::status::{Counters, DriverState, Latency, Lun, LunState, Status, upper_ns};

/// Content type of [`render`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The status as OpenMetrics text.
///
/// # Errors
/// None that can happen: writing to a string does not fail.
pub fn render(status: Status) -> Result<String, fmt::Error> {
    let mut registry = Registry::with_prefix("outboard");
    registry.register_collector(Box::new(Snapshot(status)));
    let mut text = String::new();
    encode(&mut text, &registry)?;
    Ok(text)
}

#[derive(Debug)]
struct Snapshot(Status);

/// One of a LUN's counters.
type Counter = fn(&Counters) -> u64;

/// Label pairs of a series, and its value.
type Series<'a, V> = (Vec<(&'static str, String)>, V);

impl Collector for Snapshot {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        self.server(&mut encoder)?;
        self.drivers(&mut encoder)?;
        self.targets(&mut encoder)?;
        self.luns(&mut encoder)
    }
}

impl Snapshot {
    fn server(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let server = &self.0.server;
        let info = vec![("version", server.version.clone())];
        encoder
            .encode_descriptor("build", "Version of the program", None, MetricType::Info)?
            .encode_info(&info)?;
        let uptime = server.uptime_ms as f64 / 1000.0;
        encoder
            .encode_descriptor(
                "uptime",
                "Time since start",
                Some(&Unit::Seconds),
                MetricType::Gauge,
            )?
            .encode_gauge(&uptime)?;
        let logins = server.logins;
        gauges(
            encoder,
            "connections",
            "Open connections by phase",
            [
                (vec![("phase", "login".to_owned())], u64::from(logins.under_way)),
                (
                    vec![("phase", "full-feature".to_owned())],
                    u64::from(logins.connections.saturating_sub(logins.under_way)),
                ),
            ],
        )?;
        let outcome = |name: &str, value| (vec![("outcome", name.to_owned())], value);
        counters(
            encoder,
            "logins",
            "Connections by how their log-in ended",
            [
                outcome("succeeded", logins.succeeded),
                outcome("refused", logins.refused),
                outcome("abandoned", logins.abandoned),
                outcome("over-limit", logins.over_limit),
            ],
        )
    }

    fn drivers(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let drivers = || self.0.drivers.iter().enumerate();
        let label = |i: usize| vec![("driver", i.to_string())];
        let up = |state| u64::from(state == DriverState::Running);
        gauges(encoder, "driver_up", "Whether the driver serves tasks", {
            drivers().map(|(i, driver)| (label(i), up(driver.state)))
        })?;
        counters(encoder, "driver_restarts", "Drivers that were replaced", {
            drivers().map(|(i, driver)| (label(i), driver.restarts))
        })?;
        counters(encoder, "driver_violations", "Completions that could not be", {
            drivers().map(|(i, driver)| (label(i), driver.violations))
        })?;
        gauges(encoder, "slots_used", "Tasks that have a slot", {
            drivers().map(|(i, driver)| (label(i), driver.slots.used))
        })?;
        gauges(encoder, "slots", "Slots there are", {
            drivers().map(|(i, driver)| (label(i), driver.slots.total))
        })?;
        gauges(encoder, "pool_used_bytes", "Bytes of the buffer pool in use", {
            drivers().map(|(i, driver)| (label(i), driver.pool.used))
        })?;
        gauges(encoder, "pool_bytes", "Bytes of the buffer pool", {
            drivers().map(|(i, driver)| (label(i), driver.pool.total))
        })?;
        let help = "From a driver's loss to the first task that its successor completed";
        histograms(encoder, "driver_pause", help, {
            drivers().map(|(i, driver)| (label(i), &driver.pause))
        })
    }

    fn targets(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        gauges(encoder, "sessions", "Sessions", {
            let label = |name: &String| vec![("target", name.clone())];
            self.0.targets.iter().map(move |t| (label(&t.name), u64::from(t.sessions)))
        })
    }

    fn luns(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        gauges(encoder, "lun_ready", "Whether the LUN takes commands", {
            self.each(|lun| u64::from(lun.state == LunState::Ready))
        })?;
        gauges(encoder, "lun_size_bytes", "Size of the LUN", {
            self.each(|lun| lun.blocks.saturating_mul(u64::from(lun.block_size)))
        })?;
        gauges(encoder, "lun_outstanding_tasks", "Tasks that have not ended", {
            self.each(|lun| u64::from(lun.counters.outstanding))
        })?;
        let operations: [(&str, Counter); 3] =
            [("read", |c| c.reads), ("write", |c| c.writes), ("other", |c| c.others)];
        counters(encoder, "lun_tasks", "Tasks that have ended", self.by("operation", &operations))?;
        let bytes: [(&str, Counter); 2] =
            [("read", |c| c.read_bytes), ("write", |c| c.written_bytes)];
        counters(encoder, "lun_bytes", "Bytes read and written", self.by("operation", &bytes))?;
        counters(encoder, "lun_errors", "Tasks that ended with another status than GOOD", {
            self.each(|lun| lun.counters.errors)
        })?;
        counters(encoder, "lun_aborted_tasks", "Tasks ended by task management", {
            self.each(|lun| lun.counters.aborted)
        })?;
        self.latency(encoder)
    }

    fn latency(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let help = "From reception of a read or write to its response";
        histograms(encoder, "lun_latency", help, self.each(|lun| &lun.counters.latency))
    }

    /// A value of each LUN.
    fn each<'a, V: 'a>(
        &'a self,
        value: impl Fn(&'a Lun) -> V + 'a,
    ) -> impl Iterator<Item = Series<'a, V>> {
        self.0.targets.iter().flat_map(|t| t.luns.iter().map(move |lun| (t, lun))).map(
            move |(target, lun)| {
                let labels = vec![
                    ("target", target.name.clone()),
                    ("lun", lun.lun.to_string()),
                    ("array", lun.array.clone()),
                ];
                (labels, value(lun))
            },
        )
    }

    /// Several values of each LUN, told apart by one more label.
    fn by(&self, label: &'static str, values: &[(&str, Counter)]) -> Vec<Series<'_, u64>> {
        let mut series = Vec::new();
        for (labels, counters) in self.each(|lun| &lun.counters) {
            for (name, value) in values {
                let mut labels = labels.clone();
                labels.push((label, (*name).to_owned()));
                series.push((labels, value(counters)));
            }
        }
        series
    }
}

/// Upper ends in seconds and counts; the last one has no end.
fn buckets(latency: &Latency) -> Vec<(f64, u64)> {
    let last = latency.buckets.len().saturating_sub(1);
    let end = |i| if i == last { f64::INFINITY } else { upper_ns(i) as f64 / 1e9 };
    match latency.buckets.is_empty() {
        true => vec![(f64::INFINITY, latency.count)],
        false => latency.buckets.iter().enumerate().map(|(i, &n)| (end(i), n)).collect(),
    }
}

fn gauges<'a>(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    series: impl IntoIterator<Item = Series<'a, u64>>,
) -> fmt::Result {
    let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
    for (labels, value) in series {
        metric.encode_family(&labels)?.encode_gauge(&value)?;
    }
    Ok(())
}

fn histograms<'a>(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    series: impl IntoIterator<Item = Series<'a, &'a Latency>>,
) -> fmt::Result {
    let unit = Some(&Unit::Seconds);
    let mut metric = encoder.encode_descriptor(name, help, unit, MetricType::Histogram)?;
    for (labels, latency) in series {
        let sum = latency.sum_ns as f64 / 1e9;
        metric.encode_family(&labels)?.encode_histogram::<NoLabelSet>(
            sum,
            latency.count,
            &buckets(latency),
            None,
        )?;
    }
    Ok(())
}

fn counters<'a>(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    series: impl IntoIterator<Item = Series<'a, u64>>,
) -> fmt::Result {
    let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
    for (labels, value) in series {
        metric.encode_family(&labels)?.encode_counter::<NoLabelSet, _, f64>(&value, None)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    #[test]
    fn a_scrape() {
        insta::assert_snapshot!(render(testing::status()).unwrap());
    }

    #[test]
    fn nothing_to_tell_is_no_error() {
        let text = render(Status::default()).unwrap();
        assert!(text.ends_with("# EOF\n"), "{text}");
    }
}
