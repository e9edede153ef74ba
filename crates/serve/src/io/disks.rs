//! The arrays of a target, opened for one incarnation of its driver.
//!
//! A file or device is opened anew for each incarnation and the server keeps no copy: the lock of
//! its description is the fence (see `outboard_disk::fence`). The content of a disk in memory
//! belongs to the server and outlives the driver.

use std::collections::HashMap;
use std::fs::File;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::path::Path;

use outboard_array::UnitOptions;
use outboard_disk::crypt::Key;
use outboard_disk::fence::{FenceError, FencedDisk};
use outboard_disk::open::{Lock, OpenOptions, Opened, open};
use outboard_disk::{Description, DiskKind, DiskSpec, EngineError, OpenError};
use outboard_hba::DiskDescription;
use outboard_md::{MdError, Order, assemble_disks};
use outboard_raid::ArraySpec;

use super::keys::{Keeper, KeyError};
use crate::config::{Array, Layout};

/// Why an array cannot be served.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DisksError {
    /// a member
    #[error("{whose}: {source}")]
    Open {
        /// the array or extension
        whose: String,
        /// the member and what is wrong with it
        source: OpenError,
    },
    /// its superblocks
    #[error("{whose}: {source}")]
    Md {
        /// the array or extension
        whose: String,
        /// what is wrong with them
        source: Box<MdError>,
    },
    /// its key
    #[error("{whose}: {source}")]
    Key {
        /// the array
        whose: String,
        /// what is wrong with it
        source: Box<KeyError>,
    },
    /// a descriptor
    #[error("{whose}: {source}")]
    Descriptor {
        /// the array or extension
        whose: String,
        /// the kernel's answer
        source: std::io::Error,
    },
    /// its fence
    #[error("{whose}: {source}")]
    Fence {
        /// the array or extension
        whose: String,
        /// the disk and what is wrong with it
        source: FenceError,
    },
    /// a disk in memory
    #[error("{whose}: {source}")]
    Memory {
        /// the array or extension
        whose: String,
        /// what is wrong
        source: EngineError,
    },
}

/// Disks in memory that outlive their drivers: by array or extension, and number.
#[derive(Debug, Default)]
pub struct Kept(HashMap<(String, usize), (Description, OwnedFd)>);

/// What a driver is given.
#[derive(Debug, Default)]
pub struct Units {
    /// its options, a unit each
    pub options: Vec<UnitOptions>,
    /// the members' descriptors, in order
    pub descriptors: Vec<OwnedFd>,
    /// files and devices that the fence waits for after its death
    pub fenced: Vec<FencedDisk>,
}

/// Opens the arrays under `luns`. `state` is the state directory, if there is one.
///
/// # Errors
/// A member is missing, foreign, in use or unfit: the message names it and the mend.
pub fn open_all(
    luns: &[(u16, Array)],
    state: Option<&Path>,
    kept: &mut Kept,
) -> Result<Units, DisksError> {
    let mut units = Units::default();
    for (lun, array) in luns {
        let (spec, members, serial) = layout(array)?;
        let keeper = Keeper::of(array, &serial, state);
        let key = keeper
            .key(|| empty(array, &members, kept))
            .map_err(|source| DisksError::Key { whose: whose(array), source: Box::new(source) })?;
        let mut opened = Vec::with_capacity(members.len());
        for (index, member) in members.iter().enumerate() {
            let disk = member_of(array, index, member, kept)?;
            units.fenced.extend(fenced(&whose(array), &disk)?);
            opened.push(disk);
        }
        let (mut unit, descriptors) = UnitOptions::new(*lun, &serial, spec, opened);
        unit.removable = array.removable;
        unit.encrypted = key.is_some();
        units.options.push(unit);
        units.descriptors.extend(descriptors);
        if let Some(key) = key {
            let fail = |source| DisksError::Descriptor { whose: whose(array), source };
            units.descriptors.push(pipe_with(&key).map_err(fail)?);
        }
    }
    Ok(units)
}

/// Replaces the key of an array by a new one; what was encrypted under the old one is gone. No driver
/// may have the array, nor get it before this has ended.
///
/// # Errors
/// The old key is in force, as far as is known.
pub fn renew_key(array: &Array, state: Option<&Path>) -> Result<(), DisksError> {
    let (_, _, serial) = layout(array)?;
    Keeper::of(array, &serial, state)
        .renew()
        .map_err(|source| DisksError::Key { whose: whose(array), source: Box::new(source) })
}

/// A pipe with a key in it, for the driver alone: read once, it is nowhere any more.
fn pipe_with(key: &Key) -> std::io::Result<OwnedFd> {
    let (reader, writer) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
    File::from(writer).write_all(key.bytes())?;
    Ok(reader)
}

/// Whether there is nothing on the members that a new key would make unreadable; what there is.
fn empty(array: &Array, members: &[DiskSpec], kept: &Kept) -> Result<(), String> {
    for (index, member) in members.iter().enumerate() {
        if kept.0.contains_key(&(whose(array), index)) {
            return Err(format!("{member} holds data"));
        }
        if !matches!(member.kind, DiskKind::File { .. }) {
            continue;
        }
        let options = OpenOptions {
            writable: false,
            lock: Lock::None,
            must_be_empty: true,
            ..OpenOptions::default()
        };
        open(member, &options).map_err(|error| error.to_string())?;
    }
    Ok(())
}

/// What is to be fenced of a disk that a driver gets: nothing of one in memory, which the server has.
fn fenced(whose: &str, opened: &Opened) -> Result<Option<FencedDisk>, DisksError> {
    let (DiskKind::File { path, .. }, Some(fd)) = (&opened.spec().kind, opened.fd()) else {
        return Ok(None);
    };
    let fail = |source| DisksError::Fence { whose: whose.to_owned(), source };
    FencedDisk::beside(fd, path).map(Some).map_err(fail)
}

/// The disks of an extension, opened for one incarnation of its driver.
#[derive(Debug, Default)]
pub struct Disks {
    /// what each is
    pub described: Vec<DiskDescription>,
    /// the descriptor of each
    pub descriptors: Vec<OwnedFd>,
    /// files and devices that the fence waits for after its death
    pub fenced: Vec<FencedDisk>,
}

/// Opens the disks of an extension.
///
/// # Errors
/// One is missing, in use or unfit.
pub fn open_disks(
    identifier: &str,
    disks: &[DiskSpec],
    kept: &mut Kept,
) -> Result<Disks, DisksError> {
    let whose = format!("extension {identifier}");
    let fail = |source| DisksError::Descriptor { whose: whose.clone(), source };
    let mut given = Disks::default();
    for (index, spec) in disks.iter().enumerate() {
        let opened = kept_or_opened((whose.clone(), index), spec, !spec.read_only, kept)?;
        given.fenced.extend(fenced(&whose, &opened)?);
        let (description, fd) = opened.into_parts();
        let fd = fd.ok_or_else(|| fail(std::io::ErrorKind::Unsupported.into()))?;
        given.described.push(outboard_ext::disks::describe(&description, &fd).map_err(fail)?);
        given.descriptors.push(fd);
    }
    Ok(given)
}

fn whose(array: &Array) -> String {
    format!("array {}", array.name)
}

/// How the members make the unit: as configured, or as they say themselves.
fn layout(array: &Array) -> Result<(Option<ArraySpec>, Vec<DiskSpec>, String), DisksError> {
    let serial = array.serial.clone();
    match array.layout {
        Layout::Disk => Ok((None, array.members.clone(), serial.unwrap_or_default())),
        Layout::Array(spec) => Ok((Some(spec), array.members.clone(), serial.unwrap_or_default())),
        Layout::Md => {
            let assembled = assemble_disks(&array.members, Order::AsNamed).map_err(|source| {
                DisksError::Md { whose: whose(array), source: Box::new(source) }
            })?;
            let serial = serial.unwrap_or_else(|| assembled.uuid.to_string().replace(':', ""));
            let members = assembled.members.into_iter().map(|member| member.disk).collect();
            Ok((Some(assembled.spec), members, serial))
        }
    }
}

fn member_of(
    array: &Array,
    index: usize,
    spec: &DiskSpec,
    kept: &mut Kept,
) -> Result<Opened, DisksError> {
    let mut spec = spec.clone();
    if array.thin.is_some() {
        spec.thin = array.thin;
    }
    kept_or_opened((whose(array), index), &spec, !array.read_only, kept)
}

/// A disk in memory as it was left, or one that is opened anew.
fn kept_or_opened(
    key: (String, usize),
    spec: &DiskSpec,
    writable: bool,
    kept: &mut Kept,
) -> Result<Opened, DisksError> {
    let whose = key.0.clone();
    let descriptor = |source| DisksError::Descriptor { whose: whose.clone(), source };
    let memory = |source| DisksError::Memory { whose: whose.clone(), source };
    if let Some((description, fd)) = kept.0.get(&key)
        && description.spec == *spec
    {
        let copy = fd.try_clone().map_err(descriptor)?;
        return Opened::from_parts(description.clone(), Some(copy)).map_err(memory);
    }
    let options = OpenOptions { writable, ..OpenOptions::default() };
    let opened =
        open(spec, &options).map_err(|source| DisksError::Open { whose: whose.clone(), source })?;
    if matches!(spec.kind, DiskKind::File { .. }) {
        return Ok(opened);
    }
    let (description, fd) = opened.into_parts();
    if let Some(fd) = &fd {
        let copy = fd.try_clone().map_err(descriptor)?;
        kept.0.insert(key, (description.clone(), copy));
    }
    Opened::from_parts(description, fd).map_err(memory)
}
