//! The driver program: opened once, looked at, executed by its descriptor.

use std::os::fd::{OwnedFd, RawFd};
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::Errno;

use super::Failure;
use crate::Spec;

/// The program's number is at least this; a driver's limit is usually below it.
const NUMBER_MIN: u32 = 900;
/// Program headers that are looked at, and bytes of an interpreter's name.
const HEADERS_MAX: u16 = 128;
const NAME_MAX: usize = 4096;

/// The descriptor number that the program is executed from: at or above the driver's limit, so that
/// nothing can stand there afterwards.
pub(super) fn number(spec: &Spec) -> RawFd {
    spec.descriptors.max(NUMBER_MIN).cast_signed()
}

/// A program that is open.
#[derive(Debug)]
pub(super) struct Program {
    pub(super) file: OwnedFd,
    /// the program that loads it, if it is dynamic
    pub(super) interpreter: Option<PathBuf>,
}

fn refused(reason: impl Into<String>) -> Failure {
    Failure { step: "program", reason: reason.into() }
}

impl Program {
    /// Opens it and refuses what cannot be executed by a descriptor.
    pub(super) fn open(path: &Path) -> Result<Self, Failure> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOCTTY | OFlags::NONBLOCK;
        let file = rustix::fs::open(path, flags, Mode::empty()).map_err(|e| match e {
            Errno::NOENT => refused("no such file; check the path"),
            Errno::ACCESS => refused("it cannot be read; give its user read permission (chmod +r)"),
            e => refused(e.to_string()),
        })?;
        let stat = rustix::fs::fstat(&file).map_err(|e| refused(e.to_string()))?;
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => {}
            FileType::Directory => return Err(refused("it is a folder; name the program in it")),
            _ => return Err(refused("it is no regular file")),
        }
        if !Mode::from_raw_mode(stat.st_mode).intersects(Mode::XUSR | Mode::XGRP | Mode::XOTH) {
            return Err(refused("it is not executable; use chmod +x"));
        }
        let interpreter = interpreter(&file)?;
        Ok(Self { file, interpreter })
    }
}

/// The interpreter that an ELF program names.
fn interpreter(file: &OwnedFd) -> Result<Option<PathBuf>, Failure> {
    const INTERPRETER: u32 = 3;
    const HEADER_BYTES: u16 = 56;
    let head = read::<64>(file, 0).map_err(|_| refused("it is too short for a program"))?;
    if head.starts_with(b"#!") {
        return Err(refused(
            "it is a script, which cannot run without its interpreter; name the interpreter as program and the script as argument, in one package",
        ));
    }
    if !head.starts_with(b"\x7fELF\x02\x01") {
        return Err(refused("it is no 64-bit ELF program of this machine"));
    }
    let (at, size, count) = (u64_at(&head, 32), u16_at(&head, 54), u16_at(&head, 56));
    if size != HEADER_BYTES || count > HEADERS_MAX {
        return Err(refused("its program headers make no sense"));
    }
    for i in 0..u64::from(count) {
        let header = at
            .checked_add(i * u64::from(size))
            .ok_or(())
            .and_then(|at| read::<{ HEADER_BYTES as usize }>(file, at).map_err(|_| ()));
        let header = header.map_err(|()| refused("its program headers are cut off"))?;
        if u32_at(&header, 0) == INTERPRETER {
            return name(file, u64_at(&header, 8), u64_at(&header, 32)).map(Some);
        }
    }
    Ok(None)
}

fn name(file: &OwnedFd, at: u64, len: u64) -> Result<PathBuf, Failure> {
    use std::os::unix::ffi::OsStringExt;
    let wrong = |_| refused("its interpreter's name makes no sense");
    let len = usize::try_from(len).ok().filter(|len| *len <= NAME_MAX).ok_or(()).map_err(wrong)?;
    let mut name = vec![0; len];
    let read = rustix::io::pread(file, &mut name, at).map_err(|e| refused(e.to_string()))?;
    name.truncate(read);
    while name.last() == Some(&0) {
        name.pop();
    }
    Ok(std::ffi::OsString::from_vec(name).into())
}

fn read<const N: usize>(file: &OwnedFd, at: u64) -> Result<[u8; N], Errno> {
    let mut bytes = [0; N];
    match rustix::io::pread(file, &mut bytes, at)? {
        read if read == N => Ok(bytes),
        _ => Err(Errno::NOEXEC),
    }
}

fn bytes_at<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    bytes.get(at..at + N).and_then(|b| b.try_into().ok()).unwrap_or([0; N])
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(bytes_at(bytes, at))
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes_at(bytes, at))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes_at(bytes, at))
}
