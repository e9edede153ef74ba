//! `[io]`: I/O threads.

use serde::Serialize;

use crate::config::machine::Machine;
use outboard_settings::{Fault, Section, Value};

/// Most I/O threads.
pub const MAX_THREADS: u32 = 64;

/// `[io]`: I/O threads.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Io {
    /// how many
    pub threads: u32,
    /// processors they stay on, thread by thread and then from the beginning; empty: anywhere
    pub cpus: Vec<usize>,
    /// watch for work all the time: shorter answers at small depth for a processor each
    pub spin: bool,
}

impl Io {
    pub(in crate::config) fn default_of(machine: &Machine) -> Self {
        // half of the processors are the drivers'
        let threads = u32::try_from(machine.cpus.len() / 2).unwrap_or(1).clamp(1, 4);
        Self { threads, cpus: Vec::new(), spin: false }
    }

    pub(in crate::config) fn read(&mut self, mut section: Section<'_, '_>, machine: &Machine) {
        section.set(&mut self.cpus, "cpus", |value| match value.text() {
            Ok(text) => cpus(text, machine),
            Err(_) => {
                let cpus = value.list(|value| value.count(0..=4095_usize))?;
                known_cpus(cpus, machine)
            }
        });
        if !self.cpus.is_empty() {
            self.threads = u32::try_from(self.cpus.len()).unwrap_or(1).min(MAX_THREADS);
        }
        section.set(&mut self.threads, "threads", |v| v.count(1..=MAX_THREADS));
        section.set(&mut self.spin, "spin", Value::flag);
        section.finish();
    }
}

/// Processors as `0-3,6`.
pub(in crate::config) fn cpus(text: &str, machine: &Machine) -> Result<Vec<usize>, Fault> {
    let fault =
        || Fault::new(format!("{text:?} is no list of processors"), "write for example \"0-3,6\"");
    let number = |text: &str| text.parse::<usize>().ok().filter(|&cpu| cpu < 4096);
    let mut cpus = Vec::new();
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (Some(first), Some(last)) = (number(first), number(last)) else { return Err(fault()) };
        if first > last || cpus.len() > 4096 {
            return Err(fault());
        }
        cpus.extend(first..=last);
    }
    known_cpus(cpus, machine)
}

fn known_cpus(cpus: Vec<usize>, machine: &Machine) -> Result<Vec<usize>, Fault> {
    match cpus.iter().find(|cpu| !machine.cpus.contains(cpu)) {
        None => Ok(cpus),
        Some(cpu) => {
            let all: Vec<String> = machine.cpus.iter().take(64).map(ToString::to_string).collect();
            let rule = format!("this process may not use processor {cpu}");
            Err(Fault::new(rule, format!("it may use {}", all.join(", "))))
        }
    }
}
