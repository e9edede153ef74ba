//! Task attributes and task management functions (SAM-6 clauses 8 and 7).

use core::fmt;

/// How a command is ordered among the others of its task set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum TaskAttribute {
    /// May be reordered with other SIMPLE commands. Also stands for "untagged".
    #[default]
    Simple,
    /// Starts after all older commands have ended and before all younger ones.
    Ordered,
    /// Starts at once.
    HeadOfQueue,
    /// Belongs to the clearing of an ACA condition.
    Aca,
}

/// A task management function.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TaskManagement {
    /// Ends one command of the I_T nexus.
    AbortTask,
    /// Ends all commands of the I_T nexus on the logical unit.
    AbortTaskSet,
    /// Ends an ACA condition.
    ClearAca,
    /// Ends all commands of all I_T nexuses on the logical unit.
    ClearTaskSet,
    /// Resets the logical unit.
    LogicalUnitReset,
    /// Forgets everything that belongs to the I_T nexus.
    ITNexusReset,
    /// Asks whether a command is in the task set.
    QueryTask,
    /// Asks whether any command of the I_T nexus is in the task set.
    QueryTaskSet,
    /// Asks for pending unit attention conditions without clearing them.
    QueryAsynchronousEvent,
}

impl TaskAttribute {
    /// The attribute's name as the standard writes it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Simple => "SIMPLE",
            Self::Ordered => "ORDERED",
            Self::HeadOfQueue => "HEAD OF QUEUE",
            Self::Aca => "ACA",
        }
    }
}

impl TaskManagement {
    /// The function's name as the standard writes it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::AbortTask => "ABORT TASK",
            Self::AbortTaskSet => "ABORT TASK SET",
            Self::ClearAca => "CLEAR ACA",
            Self::ClearTaskSet => "CLEAR TASK SET",
            Self::LogicalUnitReset => "LOGICAL UNIT RESET",
            Self::ITNexusReset => "I_T NEXUS RESET",
            Self::QueryTask => "QUERY TASK",
            Self::QueryTaskSet => "QUERY TASK SET",
            Self::QueryAsynchronousEvent => "QUERY ASYNCHRONOUS EVENT",
        }
    }
}

impl fmt::Display for TaskAttribute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for TaskManagement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
