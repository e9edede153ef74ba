//! Sockets and shared memory: payload goes from one to the other without a stop between.
//!
//! A kernel that fills or reads the ranges does to them what a peer process may do at any moment:
//! nothing here looks at them.
#![allow(unsafe_code)]

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd};

use crate::memory::Memory;

/// Most pieces of one [`send`]; more wait for the next.
pub const SEND_PIECES_MAX: usize = 128;

/// A piece of what is sent.
#[derive(Clone, Copy, Debug)]
pub enum Piece<'a> {
    /// these bytes
    Bytes(&'a [u8]),
    /// a range of the memory
    Range {
        /// first byte
        offset: u64,
        /// bytes
        len: u64,
    },
}

/// Receives up to `len` bytes to `offset` of `memory`, and what comes after them into `rest`. Does
/// not wait. Returns the bytes received over both, 0 at the end of the stream.
///
/// # Errors
/// The socket's; `WouldBlock` if nothing is there; `InvalidInput` for a range outside of the memory.
pub fn receive(
    socket: BorrowedFd<'_>,
    memory: &Memory,
    (offset, len): (u64, usize),
    rest: &mut [u8],
) -> io::Result<usize> {
    let at = memory.at(offset, len).map_err(|e| io::Error::new(io::ErrorKind::InvalidInput, e))?;
    let mut parts = [
        libc::iovec { iov_base: at.cast(), iov_len: len },
        libc::iovec { iov_base: rest.as_mut_ptr().cast(), iov_len: rest.len() },
    ];
    // SAFETY: all-zero is a valid msghdr.
    let mut message: libc::msghdr = unsafe { MaybeUninit::zeroed().assume_init() };
    message.msg_iov = parts.as_mut_ptr();
    message.msg_iovlen = parts.len() as _;
    // SAFETY: the first range was checked and its mapping outlives the call through `memory`; the
    // second is a live exclusive borrow. The kernel keeps no address after the call.
    let got = unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut message, libc::MSG_DONTWAIT) };
    usize::try_from(got).map_err(|_| io::Error::last_os_error())
}

/// Sends up to [`SEND_PIECES_MAX`] of `pieces` in order. Does not wait. Returns the bytes that the
/// socket took.
///
/// # Errors
/// The socket's; `WouldBlock` if it takes nothing now; `InvalidInput` for a range outside of the
/// memory.
pub fn send<'a>(
    socket: BorrowedFd<'_>,
    memory: &Memory,
    pieces: impl Iterator<Item = Piece<'a>>,
) -> io::Result<usize> {
    let mut parts = [libc::iovec { iov_base: core::ptr::null_mut(), iov_len: 0 }; SEND_PIECES_MAX];
    let mut count = 0;
    for (part, piece) in parts.iter_mut().zip(pieces) {
        *part = match piece {
            Piece::Bytes(bytes) => {
                libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() }
            }
            Piece::Range { offset, len } => {
                let len = usize::try_from(len).unwrap_or(usize::MAX);
                let at = memory.at(offset, len);
                let at = at.map_err(|e| io::Error::new(io::ErrorKind::InvalidInput, e))?;
                libc::iovec { iov_base: at.cast(), iov_len: len }
            }
        };
        count += 1;
    }
    // SAFETY: as in `receive`.
    let mut message: libc::msghdr = unsafe { MaybeUninit::zeroed().assume_init() };
    message.msg_iov = parts.as_mut_ptr();
    message.msg_iovlen = count as _;
    let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
    // SAFETY: every part is a checked range of `memory` or borrowed bytes of `pieces`, both alive
    // for the call; the kernel only reads them.
    let sent = unsafe { libc::sendmsg(socket.as_raw_fd(), &raw const message, flags) };
    usize::try_from(sent).map_err(|_| io::Error::last_os_error())
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn ranges_and_bytes_arrive_in_order() {
        let memory = Memory::create("socket", 8192).unwrap();
        memory.write(100, b"region").unwrap();
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let pieces = [Piece::Bytes(b"<"), Piece::Range { offset: 100, len: 6 }, Piece::Bytes(b">")];
        assert_eq!(send(ours.as_fd(), &memory, pieces.into_iter()).unwrap(), 8);
        let mut got = [0; 8];
        theirs.read_exact(&mut got).unwrap();
        assert_eq!(&got, b"<region>");
    }

    #[test]
    fn what_follows_the_range_goes_to_the_rest() {
        let memory = Memory::create("socket", 8192).unwrap();
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let mut rest = [0; 16];
        let none = receive(ours.as_fd(), &memory, (0, 4), &mut rest).unwrap_err();
        assert_eq!(none.kind(), io::ErrorKind::WouldBlock);
        theirs.write_all(b"datahead").unwrap();
        assert_eq!(receive(ours.as_fd(), &memory, (4000, 4), &mut rest).unwrap(), 8);
        let mut data = [0; 4];
        memory.read(4000, &mut data).unwrap();
        assert_eq!((&data, &rest[..4]), (b"data", b"head".as_slice()));
        drop(theirs);
        assert_eq!(receive(ours.as_fd(), &memory, (0, 4), &mut rest).unwrap(), 0);
    }

    #[test]
    fn ranges_outside_are_refused() {
        let memory = Memory::create("socket", 4096).unwrap();
        let (ours, _theirs) = UnixStream::pair().unwrap();
        let error = receive(ours.as_fd(), &memory, (4096, 1), &mut []).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        let piece = Piece::Range { offset: u64::MAX, len: 2 };
        let error = send(ours.as_fd(), &memory, [piece].into_iter()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    }
}
