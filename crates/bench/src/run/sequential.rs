//! The System test's load: a file of frames, written or read from its beginning to its end.

use outboard_scsi::command::build;
use outboard_slots::{Memory, Time};

use super::drive::{Io, Load};
use super::pattern;

/// What a file looks like on the unit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct File {
    /// bytes of a frame, a multiple of the block size
    pub(crate) frame_bytes: u64,
    /// number of the first frame
    pub(crate) first: u64,
    /// whole frames
    pub(crate) frames: u64,
    /// bytes of a command; a frame's last one may be shorter
    pub(crate) command_bytes: u64,
    /// bytes of a block
    pub(crate) block_bytes: u64,
}

/// One pass over the file.
pub(crate) struct Sequential<'a> {
    file: File,
    write: bool,
    /// seed of the pattern to write and to expect
    verify: Option<u64>,
    at: u64,
    done: u64,
    last_frame: Time,
    /// bytes of each frame still to come
    left: Vec<u64>,
    pub(crate) frame_ns: Vec<u64>,
    progress: Option<&'a mut dyn FnMut(u64, u64)>,
    told: u64,
}

impl File {
    fn bytes(&self) -> u64 {
        self.frames * self.frame_bytes
    }

    /// Where byte `at` of this part is on the unit.
    fn position(&self, at: u64) -> u64 {
        self.first * self.frame_bytes + at
    }
}

impl<'a> Sequential<'a> {
    pub(crate) fn new(
        file: File,
        write: bool,
        verify: Option<u64>,
        progress: Option<&'a mut dyn FnMut(u64, u64)>,
    ) -> Self {
        Self {
            write,
            verify,
            at: 0,
            done: 0,
            last_frame: Time::ZERO,
            left: vec![file.frame_bytes; file.frames as usize],
            frame_ns: Vec::with_capacity(file.frames as usize),
            progress,
            told: 0,
            file,
        }
    }
}

impl Load for Sequential<'_> {
    fn next(&mut self, now: Time) -> Option<Io> {
        if self.at == 0 {
            self.last_frame = now;
        }
        let total = self.file.bytes();
        if self.at >= total {
            return None;
        }
        let in_frame = self.at % self.file.frame_bytes;
        let bytes = self.file.command_bytes.min(self.file.frame_bytes - in_frame);
        let position = self.file.position(self.at);
        let (lba, blocks) =
            (position / self.file.block_bytes, (bytes / self.file.block_bytes) as u32);
        let cdb =
            if self.write { build::write_16(lba, blocks) } else { build::read_16(lba, blocks) };
        let io = Io { cdb, bytes, name: self.at, write: self.write };
        self.at += bytes;
        Some(io)
    }

    fn fill(&mut self, io: &Io, memory: &Memory, offset: u64) {
        if let Some(seed) = self.verify {
            pattern::write(memory, offset, io.bytes, seed, self.file.position(io.name));
        }
    }

    fn ended(&mut self, io: &Io, memory: &Memory, offset: u64, now: Time) -> bool {
        self.done += io.bytes;
        let frame = (io.name / self.file.frame_bytes) as usize;
        if let Some(left) = self.left.get_mut(frame) {
            *left = left.saturating_sub(io.bytes);
            if *left == 0 {
                self.frame_ns.push(now.since(self.last_frame).as_nanos() as u64);
                self.last_frame = now;
            }
        }
        // Often enough to be seen, seldom enough to cost nothing.
        if self.done - self.told >= self.file.bytes() / 32 {
            self.told = self.done;
            if let Some(progress) = &mut self.progress {
                progress(self.done, self.file.bytes());
            }
        }
        match self.verify {
            Some(seed) if !self.write => {
                pattern::check(memory, offset, io.bytes, seed, self.file.position(io.name))
            }
            _ => true,
        }
    }
}
