//! The program of both drivers: the built-in one for every target but that whose unit has the serial
//! number [`HOSTILE`], which gets the scribbler.

use std::process::ExitCode;

use outboard_array::{ArrayController, ArrayOptions};
use outboard_hba::*;
use outboard_slots::Time;
use outboard_slots::doorbell::Doorbell;

use crate::scribbler::{Scribbler, wanted};

/// Serial number of the unit that is served by the scribbler.
pub(crate) const HOSTILE: &str = "hostile";

pub(crate) fn main() -> ExitCode {
    let Some((attack, seed)) = wanted() else { return ExitCode::from(2) };
    let sound = ArrayController::default();
    run(Either { sound, hostile: Scribbler::new(attack, seed), is_hostile: false })
}

struct Either {
    sound: ArrayController,
    hostile: Scribbler,
    is_hostile: bool,
}

enum EitherQueue {
    Sound(Box<<ArrayController as Controller>::Queue>),
    Hostile(<Scribbler as Controller>::Queue),
}

impl Controller for Either {
    type Queue = EitherQueue;

    fn manifest(&self) -> Manifest {
        self.sound.manifest()
    }

    fn initialize(&mut self, startup: &mut Startup) -> Result<HbaReport, DriverError> {
        let options: ArrayOptions =
            serde_json::from_value(startup.options.clone()).map_err(DriverError::new)?;
        self.is_hostile = options.units.iter().any(|unit| unit.serial == HOSTILE);
        match self.is_hostile {
            true => self.hostile.initialize(startup),
            false => self.sound.initialize(startup),
        }
    }

    fn open_queue(&self, setup: &QueueSetup) -> Result<EitherQueue, DriverError> {
        Ok(match self.is_hostile {
            true => EitherQueue::Hostile(self.hostile.open_queue(setup)?),
            false => EitherQueue::Sound(Box::new(self.sound.open_queue(setup)?)),
        })
    }
}

impl EitherQueue {
    fn queue(&mut self) -> &mut dyn IoQueue {
        match self {
            Self::Sound(queue) => &mut **queue,
            Self::Hostile(queue) => queue,
        }
    }
}

impl IoQueue for EitherQueue {
    fn process_bundled_parallel_tasks(
        &mut self,
        now: Time,
        bundle: Bundle<'_>,
        completions: &mut Completions<'_>,
    ) {
        self.queue().process_bundled_parallel_tasks(now, bundle, completions);
    }

    fn process_parallel_task(
        &mut self,
        now: Time,
        task: Task,
        completions: &mut Completions<'_>,
    ) -> ServiceResponse {
        self.queue().process_parallel_task(now, task, completions)
    }

    fn poll(&mut self, now: Time, completions: &mut Completions<'_>) {
        self.queue().poll(now, completions);
    }

    fn wait(&mut self, doorbell: Doorbell<'_>, until: Time) {
        self.queue().wait(doorbell, until);
    }

    fn next_event(&self) -> Time {
        match self {
            Self::Sound(queue) => queue.next_event(),
            Self::Hostile(queue) => queue.next_event(),
        }
    }

    fn in_kernel(&self) -> u32 {
        match self {
            Self::Sound(queue) => queue.in_kernel(),
            Self::Hostile(queue) => queue.in_kernel(),
        }
    }

    fn abort(&mut self, slot: u16) {
        self.queue().abort(slot);
    }

    fn reset(&mut self, target: u64, lun: Option<[u8; 8]>) {
        self.queue().reset(target, lun);
    }
}
