//! What a run is made from: the driver's options, its region, and the real driver over simulated disks.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use outboard_array::{ArrayController, ArrayOptions, Replace, UnitOptions};
use outboard_disk::Limits;
use outboard_disk::open::{OpenOptions, Opened, open};
use outboard_hba::{Controller, DispatchQueues, HbaReport, QueueSetup, Runner, Startup};
use outboard_slots::{Region, RegionConfig};

use crate::medium::Medium;
use crate::scenario::Scenario;

/// The driver's options, its members' descriptors, and the members.
pub(crate) type Described = (serde_json::Value, Vec<OwnedFd>, Vec<Limits>);

pub(crate) fn describe(scenario: &Scenario) -> Result<Described, String> {
    let mut members: Vec<Opened> = Vec::new();
    for bytes in &scenario.members {
        // What it is made of: the simulated disk takes its place.
        let spec = format!("null:{bytes}?block=512").parse().map_err(text)?;
        members.push(open(&spec, &OpenOptions::default()).map_err(text)?);
    }
    let limits = members.iter().map(|m| *m.limits()).collect();
    let (unit, descriptors) = UnitOptions::new(0, "simulated", scenario.array, members);
    let options = ArrayOptions {
        units: vec![unit],
        maximum_task_count: u32::from(scenario.slots),
        max_transfer: 1 << 20,
    };
    Ok((serde_json::to_value(&options).map_err(text)?, descriptors, limits))
}

pub(crate) fn new_region(scenario: &Scenario) -> Result<Region, String> {
    Region::create(RegionConfig {
        slots_per_queue: u32::from(scenario.slots),
        queues: 1,
        pool_bytes: scenario.pool_bytes,
        scratch_bytes: 256 << 10,
    })
    .map_err(text)
}

pub(crate) fn replace(media: &[Medium]) -> Replace {
    let media = media.to_vec();
    Arc::new(move |_, number, disk| media.get(number).map_or(disk, Medium::disk))
}

/// The real driver, started anew over the same disks: what it reports, and its queue.
pub(crate) fn incarnation(
    options: &serde_json::Value,
    descriptors: &[OwnedFd],
    region: &Region,
    replace: Replace,
) -> Result<(HbaReport, Vec<u32>, Runner), String> {
    let copies: Result<Vec<_>, _> = descriptors.iter().map(OwnedFd::try_clone).collect();
    let mut startup = Startup {
        options: options.clone(),
        descriptors: copies.map_err(text)?,
        disks: Vec::new(),
        queues: DispatchQueues::default(),
    };
    let mut controller = ArrayController::simulated_over(replace);
    let report = controller.initialize(&mut startup).map_err(text)?;
    let slots = region.layout().slots();
    let identifiers = (0..slots).map(|s| controller.map_hba_data(s as u16)).collect();
    let setup = QueueSetup::new(0, region.clone());
    let queue = controller.open_queue(&setup).map_err(text)?;
    controller.start().map_err(text)?;
    Ok((report, identifiers, Runner::new(Box::new(queue), &setup)))
}

pub(crate) fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}
