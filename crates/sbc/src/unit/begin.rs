//! How a task begins: with one disk request, with work in steps, or with its end.

use outboard_disk::{DiskError, Engine, Op, Request, Segment};
use outboard_scsi::{Command, Sense, Transfer};

use super::{FREE, LogicalUnit, Slot, State};
use crate::command::{self, Begun, Context};
use crate::task::{Outcome, TaskIn};
use crate::work::{self, Whole, Work};

impl LogicalUnit {
    /// READ and WRITE: one disk request as a rule.
    #[inline]
    pub(super) fn transfer(
        &mut self,
        engine: &mut Engine,
        task: &TaskIn<'_>,
        operands: &Transfer,
        op: Op,
        out: &mut Vec<Outcome>,
    ) -> Result<(), Sense> {
        let TaskIn { id, buffer, .. } = *task;
        let reads = op == Op::Read;
        let memory = engine.memory();
        let range = command::transfer(&self.shape, memory, buffer, operands, !reads)?;
        if range.len == 0 {
            out.push(Outcome::good(id, 0));
            return Ok(());
        }
        if range.len <= self.shape.transfer_step {
            let segments = [Segment { offset: buffer.offset, len: range.len as u32 }];
            let request = Request {
                tag: u64::from(id),
                op,
                offset: range.offset,
                len: range.len,
                segments: &segments,
            };
            match self.disk.submit(engine, request) {
                Ok(()) => {
                    if let Some(slot) = self.slots.get_mut(usize::from(id)) {
                        *slot =
                            Slot { state: State::One, reads, pending: 1, bytes: range.len, ..FREE };
                        self.in_flight += 1;
                    }
                    return Ok(());
                }
                // It waits until the disk has room.
                Err(rejected) if rejected.error == DiskError::Busy => {}
                Err(rejected) => {
                    out.push(self.failed(id, rejected.error, reads));
                    return Ok(());
                }
            }
        }
        let (data, bytes) = (buffer.offset, range.len);
        let work = work::Transfer { op, range, data, done: 0, then: None, bytes, whole: Whole::No };
        self.work(engine, id, Work::Transfer(work), out);
        Ok(())
    }

    /// Every other command.
    #[inline(never)]
    pub(super) fn begin(
        &mut self,
        engine: &mut Engine,
        task: &TaskIn<'_>,
        command: &Command,
        out: &mut Vec<Outcome>,
    ) -> Result<(), Sense> {
        let context = Context {
            disk: &*self.disk,
            shape: &self.shape,
            memory: engine.memory(),
            cdb: task.cdb,
            buffer: task.buffer,
            parameters: &mut self.parameters,
            report: &self.report,
        };
        match command::begin(command, context)? {
            Begun::Good(bytes) => out.push(Outcome::good(task.id, bytes)),
            Begun::GoodAndFlush => {
                self.want_flush(engine);
                out.push(Outcome::good(task.id, 0));
            }
            Begun::Work(work) => self.work(engine, task.id, work, out),
        }
        Ok(())
    }
}
