//! Operation codes (RFC 7143 11.2.1.2).

macro_rules! opcodes {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $code:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum $name { $($(#[$vdoc])* $variant = $code,)* }

        impl $name {
            /// The operation with this code, `None` if there is none.
            #[inline]
            #[must_use]
            pub const fn from_code(code: u8) -> Option<Self> {
                match code { $($code => Some(Self::$variant),)* _ => None }
            }

            /// The code on the wire.
            #[inline]
            #[must_use]
            pub const fn code(self) -> u8 {
                self as u8
            }
        }
    };
}

opcodes! {
    /// What an initiator sends.
    InitiatorOpcode {
        /// NOP-Out
        NopOut = 0x00,
        /// SCSI Command
        Command = 0x01,
        /// Task Management Function Request
        Task = 0x02,
        /// Login Request
        Login = 0x03,
        /// Text Request
        Text = 0x04,
        /// SCSI Data-Out
        DataOut = 0x05,
        /// Logout Request
        Logout = 0x06,
        /// SNACK Request
        Snack = 0x10,
    }
}

opcodes! {
    /// What a target sends.
    TargetOpcode {
        /// NOP-In
        NopIn = 0x20,
        /// SCSI Response
        Command = 0x21,
        /// Task Management Function Response
        Task = 0x22,
        /// Login Response
        Login = 0x23,
        /// Text Response
        Text = 0x24,
        /// SCSI Data-In
        DataIn = 0x25,
        /// Logout Response
        Logout = 0x26,
        /// Ready To Transfer
        R2t = 0x31,
        /// Asynchronous Message
        Async = 0x32,
        /// Reject
        Reject = 0x3F,
    }
}
