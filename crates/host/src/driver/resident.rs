//! The resident attachment: the same controller, linked into the host and called directly. Its
//! start follows the same steps and the same checks as a process'.

use std::os::fd::OwnedFd;

use outboard_hba::report::check_identifiers;
use outboard_hba::{
    Controller, DispatchQueues, DriverError, HbaReport, ManifestError, QueueSetup, ReportError,
    Runner, Startup,
};
use outboard_slots::Region;

use super::launch::Options;
use crate::channel::Resident;

/// Why a controller could not be attached.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ResidentError {
    /// the manifest
    #[error("the manifest is refused: {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Manifest(Vec<ManifestError>),
    /// the controller gave up
    #[error(transparent)]
    Driver(#[from] DriverError),
    /// the report
    #[error(transparent)]
    Report(#[from] ReportError),
    /// the region
    #[error(transparent)]
    Region(#[from] outboard_slots::RegionError),
}

/// Brings a controller up in this thread. Returns its report, its task identifiers, its region and
/// a channel to each of its queues, to be used by one thread each.
pub fn attach_resident<C: Controller>(
    mut controller: C,
    options: serde_json::Value,
    descriptors: Vec<OwnedFd>,
    attach: &Options,
) -> Result<(HbaReport, Vec<u32>, Region, Vec<Resident>), ResidentError> {
    let manifest = controller.manifest();
    manifest.check().map_err(ResidentError::Manifest)?;
    let queues = DispatchQueues::default();
    let mut startup = Startup { options, descriptors, disks: Vec::new(), queues: queues.clone() };
    let report = controller.initialize(&mut startup)?;
    manifest.check_made(&queues.names()).map_err(ResidentError::Manifest)?;
    report.check()?;
    let region = Region::create(attach.region(report.maximum_task_count))?;
    region.memory().populate().map_err(outboard_slots::RegionError::from)?;
    let slots = region.layout().slots();
    let identifiers: Vec<_> = (0..slots).map(|s| controller.map_hba_data(s as u16)).collect();
    check_identifiers(&identifiers)?;
    let mut channels = Vec::new();
    for index in 0..region.layout().config.queues {
        let setup = QueueSetup::new(index, region.clone());
        let queue = controller.open_queue(&setup)?;
        channels.push(Resident::new(Runner::new(Box::new(queue), &setup), region.clone()));
    }
    controller.start()?;
    Ok((report, identifiers, region, channels))
}
