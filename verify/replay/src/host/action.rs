//! Programs: four bytes an action, so that a corpus outlives changes of the code.

/// What happens next. Numbers are taken modulo what there is to choose from.
#[derive(Clone, Copy, Debug)]
pub(super) enum Action {
    /// An initiator sends a command.
    Submit { kind: u8, extent: u8, nexus: u8, lun: u8, attribute: u8 },
    /// A buffer has been filled.
    Ready { which: u8 },
    /// The initiator has gone before its buffer was filled.
    Cancel { which: u8 },
    /// An answer's data has left its buffer.
    Finish { which: u8 },
    /// An initiator sends a task management function.
    Manage { kind: u8, nexus: u8, lun: u8, which: u8 },
    /// The I/O thread goes round.
    Turn { rounds: u8 },
    /// Tenths of a second pass.
    Advance { tenths: u8 },
    /// The driver confirms a task management function.
    Confirm { which: u8 },
    /// The driver dies and is replaced `turns` rounds later.
    Die { turns: u8 },
    /// The driver does something in shared memory.
    Driver(Misdeed),
}

/// What a driver does in shared memory, rightly or wrongly.
#[derive(Clone, Copy, Debug)]
pub(super) enum Misdeed {
    /// Takes what is in the submission ring.
    Take,
    /// Completes a task with this status and sense data of this length.
    Complete { which: u8, status: u8, sense: u8 },
    /// Repeats its last completion.
    Again,
    /// Completes a task under another generation.
    Generation { which: u8, delta: u8 },
    /// Completes a task with one field of the head spoiled.
    Head { which: u8, field: u8, value: u8 },
    /// Puts any entry on the completion ring.
    Entry { index: u16, generation: u8 },
    /// Writes eight equal bytes anywhere before the buffers.
    Scribble { at: u16, value: u8 },
}

impl Action {
    pub(super) fn decode([code, a, b, c]: [u8; 4]) -> Self {
        let pair = u16::from_le_bytes([a, b]);
        match code % 17 {
            0 => Self::Submit {
                kind: a,
                extent: b,
                nexus: c & 1,
                lun: (c >> 1) & 3,
                attribute: (c >> 3) & 3,
            },
            1 => Self::Ready { which: a },
            2 => Self::Cancel { which: a },
            3 => Self::Finish { which: a },
            4 => Self::Manage { kind: a, nexus: c & 1, lun: (c >> 1) & 1, which: b },
            5 => Self::Turn { rounds: a % 4 },
            6 => Self::Advance { tenths: a },
            7 => Self::Confirm { which: a },
            8 => Self::Die { turns: a % 4 },
            9 => Self::Driver(Misdeed::Take),
            10 | 11 => Self::Driver(Misdeed::Complete { which: a, status: b, sense: c }),
            12 => Self::Driver(Misdeed::Again),
            13 => Self::Driver(Misdeed::Generation { which: a, delta: b }),
            14 => Self::Driver(Misdeed::Head { which: a, field: b, value: c }),
            15 => Self::Driver(Misdeed::Entry { index: pair, generation: c }),
            _ => Self::Driver(Misdeed::Scribble { at: pair, value: c }),
        }
    }
}
