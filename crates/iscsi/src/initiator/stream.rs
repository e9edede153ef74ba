//! PDUs over any `Read + Write`.

use std::io::{self, Read, Write};

use thiserror::Error;

use super::login::FailedLogin;
use crate::pdu::digest::{self, crc32c};
use crate::pdu::{BHS_LEN, Bhs, DIGEST_LEN, RejectReason, padded};

/// The longest data segment that is taken from a target, bytes.
pub const RECEIVE_LEN_MAX: usize = 16 * 1024 * 1024;

/// Why a connection cannot be used any more, or what was asked for cannot be done.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ClientError {
    /// Reading or writing failed. After a timeout of a read the call may be repeated.
    #[error("the connection failed: {0}")]
    Io(#[from] io::Error),
    /// The target closed the connection.
    #[error("the target closed the connection")]
    Closed,
    /// The login failed.
    #[error(transparent)]
    Login(#[from] FailedLogin),
    /// The target did what no target may.
    #[error("the target breaks the protocol: {0}")]
    Protocol(&'static str),
    /// A wrong digest.
    #[error("wrong {0} digest from the target")]
    Digest(&'static str),
    /// The target rejected a PDU.
    #[error("the target rejected a PDU: {0:?}")]
    Rejected(RejectReason),
    /// More commands at once, or longer ones, than this initiator does.
    #[error("{0}")]
    TooMuch(&'static str),
    /// There is no such command under way.
    #[error("no command with tag {0:#x} is under way")]
    NoTask(u32),
}

/// A stream of PDUs.
#[derive(Debug)]
pub struct Pdus<S> {
    stream: S,
    /// What was read beyond the last PDU, or of one that is not whole yet.
    buffer: Vec<u8>,
    out: Vec<u8>,
    header_digest: bool,
    data_digest: bool,
}

impl<S: Read + Write> Pdus<S> {
    /// Over `stream`, without digests.
    pub const fn new(stream: S) -> Self {
        Self {
            stream,
            buffer: Vec::new(),
            out: Vec::new(),
            header_digest: false,
            data_digest: false,
        }
    }

    /// Digests from now on.
    pub const fn set_digests(&mut self, header: bool, data: bool) {
        self.header_digest = header;
        self.data_digest = data;
    }

    /// The stream itself, for timeouts.
    pub const fn stream(&mut self) -> &mut S {
        &mut self.stream
    }

    /// Sends bytes as they are.
    ///
    /// # Errors
    ///
    /// Of the stream.
    pub fn write_raw(&mut self, bytes: &[u8]) -> Result<(), ClientError> {
        self.stream.write_all(bytes)?;
        Ok(self.stream.flush()?)
    }

    /// Sends a PDU: lengths, padding and digests are filled in.
    ///
    /// # Errors
    ///
    /// Of the stream; [`ClientError::TooMuch`] if a length has no room in the header.
    pub fn write(&mut self, header: Bhs, ahs: &[u8], data: &[u8]) -> Result<(), ClientError> {
        let mut out = core::mem::take(&mut self.out);
        out.clear();
        self.encode(header, ahs, data, &mut out)?;
        let written = self.write_raw(&out);
        self.out = out;
        written
    }

    /// Appends a PDU to `out`, as [`write`](Self::write) would send it, to be changed and sent by
    /// [`write_raw`](Self::write_raw).
    ///
    /// # Errors
    ///
    /// [`ClientError::TooMuch`] if a length has no room in the header.
    pub fn encode(
        &self,
        mut header: Bhs,
        ahs: &[u8],
        data: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), ClientError> {
        let words = u8::try_from(ahs.len().div_ceil(4))
            .map_err(|_| ClientError::TooMuch("header segments have at most 1020 bytes"))?;
        if data.len() >= 1 << 24 {
            return Err(ClientError::TooMuch("a data segment has less than 2^24 bytes"));
        }
        header.0[4] = words;
        header.set_data_len(data.len() as u32);
        out.extend_from_slice(&header.0);
        out.extend_from_slice(ahs);
        out.resize(out.len() + padded(ahs.len()) - ahs.len(), 0);
        if self.header_digest {
            let crc = digest::pad(crc32c(crc32c(0, &header.0), ahs), ahs.len());
            out.extend(digest::to_wire(crc));
        }
        out.extend_from_slice(data);
        out.resize(out.len() + padded(data.len()) - data.len(), 0);
        if self.data_digest && !data.is_empty() {
            out.extend(digest::to_wire(digest::pad(crc32c(0, data), data.len())));
        }
        Ok(())
    }

    /// The next PDU and its data.
    ///
    /// # Errors
    ///
    /// Of the stream; what was read is kept, so that the call may be repeated after a timeout.
    pub fn read(&mut self) -> Result<(Bhs, Vec<u8>), ClientError> {
        self.fill(BHS_LEN)?;
        let header = Bhs::read(&self.buffer).ok_or(ClientError::Closed)?;
        let len = header.data_len() as usize;
        if len > RECEIVE_LEN_MAX {
            return Err(ClientError::TooMuch("a data segment of more than 16 MiB"));
        }
        let head = BHS_LEN + header.ahs_len();
        let start = head + if self.header_digest { DIGEST_LEN } else { 0 };
        let end = start + padded(len);
        let digested = self.data_digest && len > 0;
        let total = end + if digested { DIGEST_LEN } else { 0 };
        self.fill(total)?;

        let part = |from: usize, to: usize| self.buffer.get(from..to).unwrap_or_default();
        if self.header_digest && part(head, start) != digest::to_wire(crc32c(0, part(0, head))) {
            return Err(ClientError::Digest("header"));
        }
        if digested && part(end, total) != digest::to_wire(crc32c(0, part(start, end))) {
            return Err(ClientError::Digest("data"));
        }
        let data = part(start, start + len).to_vec();
        self.buffer.drain(..total);
        Ok((header, data))
    }

    /// Reads until `len` bytes are there.
    fn fill(&mut self, len: usize) -> Result<(), ClientError> {
        let mut chunk = [0; 16 * 1024];
        while self.buffer.len() < len {
            match self.stream.read(&mut chunk) {
                Ok(0) => return Err(ClientError::Closed),
                Ok(count) => self.buffer.extend_from_slice(chunk.get(..count).unwrap_or_default()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}
