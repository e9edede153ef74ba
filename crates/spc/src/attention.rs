//! Unit attention conditions (SAM-6 5.14): what an initiator must be told before anything else.
//!
//! A condition is pending per I_T nexus and logical unit until it has been reported once. The
//! conditions are few and each is pending at most once, so that a nexus needs one word of bits:
//! the queue cannot overflow, and its order is the precedence of [`UnitAttention`].

use outboard_scsi::Sense;

/// A unit attention condition. In order of precedence: the first pending one is reported first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum UnitAttention {
    /// 29h/00h: power on, reset, or bus device reset occurred. What a new nexus is told.
    Reset,
    /// 29h/01h.
    PowerOn,
    /// 29h/02h: hard reset of the target.
    TargetReset,
    /// 29h/03h: logical unit reset.
    LogicalUnitReset,
    /// 29h/04h: a driver restart that may have lost acknowledged writes.
    DeviceInternalReset,
    /// 29h/07h.
    NexusLoss,
    /// 2Fh/00h: another nexus cleared the task set.
    CommandsCleared,
    /// 2Ah/03h.
    ReservationsPreempted,
    /// 2Ah/04h.
    ReservationsReleased,
    /// 2Ah/05h.
    RegistrationsPreempted,
    /// 2Ah/06h.
    AccessStateChanged,
    /// 2Ah/09h.
    CapacityChanged,
    /// 2Ah/01h.
    ModeParametersChanged,
    /// 3Fh/03h.
    InquiryDataChanged,
    /// 3Fh/0Eh.
    ReportedLunsChanged,
    /// 28h/00h.
    MediumChanged,
    /// 38h/07h.
    ThinProvisioningThreshold,
}

/// The pending conditions of one logical unit, by entry of the nexus table.
#[derive(Clone, Debug, Default)]
pub struct Attentions {
    pending: Box<[u32]>,
}

impl UnitAttention {
    /// All conditions, in order of precedence.
    pub const ALL: [Self; 17] = [
        Self::Reset,
        Self::PowerOn,
        Self::TargetReset,
        Self::LogicalUnitReset,
        Self::DeviceInternalReset,
        Self::NexusLoss,
        Self::CommandsCleared,
        Self::ReservationsPreempted,
        Self::ReservationsReleased,
        Self::RegistrationsPreempted,
        Self::AccessStateChanged,
        Self::CapacityChanged,
        Self::ModeParametersChanged,
        Self::InquiryDataChanged,
        Self::ReportedLunsChanged,
        Self::MediumChanged,
        Self::ThinProvisioningThreshold,
    ];

    /// The sense data that reports it.
    #[must_use]
    pub const fn sense(self) -> Sense {
        match self {
            Self::Reset => Sense::RESET_OCCURRED,
            Self::PowerOn => Sense::POWER_ON_OCCURRED,
            Self::TargetReset => Sense::BUS_RESET_OCCURRED,
            Self::LogicalUnitReset => Sense::LOGICAL_UNIT_RESET_OCCURRED,
            Self::DeviceInternalReset => Sense::DEVICE_INTERNAL_RESET,
            Self::NexusLoss => Sense::I_T_NEXUS_LOSS_OCCURRED,
            Self::CommandsCleared => Sense::COMMANDS_CLEARED_BY_ANOTHER_INITIATOR,
            Self::ReservationsPreempted => Sense::RESERVATIONS_PREEMPTED,
            Self::ReservationsReleased => Sense::RESERVATIONS_RELEASED,
            Self::RegistrationsPreempted => Sense::REGISTRATIONS_PREEMPTED,
            Self::AccessStateChanged => Sense::ASYMMETRIC_ACCESS_STATE_CHANGED,
            Self::CapacityChanged => Sense::CAPACITY_DATA_CHANGED,
            Self::ModeParametersChanged => Sense::MODE_PARAMETERS_CHANGED,
            Self::InquiryDataChanged => Sense::INQUIRY_DATA_CHANGED,
            Self::ReportedLunsChanged => Sense::REPORTED_LUNS_DATA_CHANGED,
            Self::MediumChanged => Sense::MEDIUM_MAY_HAVE_CHANGED,
            Self::ThinProvisioningThreshold => Sense::THIN_PROVISIONING_SOFT_THRESHOLD_REACHED,
        }
    }

    const fn bit(self) -> u32 {
        1 << self as u8
    }

    /// The conditions that this one makes superfluous: a reset covers the lesser resets, and
    /// after power on everything is new.
    const fn covered(self) -> u32 {
        match self {
            Self::Reset | Self::PowerOn => !(self.bit() | (self.bit() - 1)),
            Self::TargetReset
            | Self::LogicalUnitReset
            | Self::DeviceInternalReset
            | Self::NexusLoss => RESETS & !(self.bit() | (self.bit() - 1)),
            _ => 0,
        }
    }
}

impl Attentions {
    /// Nothing pending, for a nexus table of `nexuses` entries.
    #[must_use]
    pub fn new(nexuses: u16) -> Self {
        Self { pending: vec![0; usize::from(nexuses)].into() }
    }

    /// Makes `attention` pending for nexus entry `index`.
    ///
    /// A reset condition replaces the lesser reset conditions (and power on everything), and is
    /// itself dropped while a greater one is pending, since that one says as much.
    pub fn establish(&mut self, index: u16, attention: UnitAttention) {
        if let Some(pending) = self.pending.get_mut(usize::from(index)) {
            *pending = establish(*pending, attention);
        }
    }

    /// Makes `attention` pending for all nexus entries but `except`.
    pub fn establish_all(&mut self, attention: UnitAttention, except: Option<u16>) {
        for (index, pending) in self.pending.iter_mut().enumerate() {
            if except.map(usize::from) != Some(index) {
                *pending = establish(*pending, attention);
            }
        }
    }

    /// Ends one condition without reporting it.
    pub fn clear(&mut self, index: u16, attention: UnitAttention) {
        if let Some(pending) = self.pending.get_mut(usize::from(index)) {
            *pending &= !attention.bit();
        }
    }

    /// Ends all conditions of nexus entry `index`.
    pub fn clear_all(&mut self, index: u16) {
        if let Some(pending) = self.pending.get_mut(usize::from(index)) {
            *pending = 0;
        }
    }

    /// Ends the condition of highest precedence and returns it, for a report.
    pub fn take(&mut self, index: u16) -> Option<UnitAttention> {
        let attention = self.first(index)?;
        self.clear(index, attention);
        Some(attention)
    }

    /// The pending condition of highest precedence.
    #[must_use]
    pub fn first(&self, index: u16) -> Option<UnitAttention> {
        let pending = *self.pending.get(usize::from(index))?;
        UnitAttention::ALL.get(pending.trailing_zeros() as usize).copied()
    }

    /// Whether anything is pending.
    #[inline]
    #[must_use]
    pub fn any(&self, index: u16) -> bool {
        self.pending.get(usize::from(index)).is_some_and(|&pending| pending != 0)
    }
}

/// `pending` with `attention` established.
fn establish(pending: u32, attention: UnitAttention) -> u32 {
    let covers = |other: &UnitAttention| {
        pending & other.bit() != 0 && other.covered() & RESETS & attention.bit() != 0
    };
    if UnitAttention::ALL.iter().any(covers) {
        pending
    } else {
        pending & !attention.covered() | attention.bit()
    }
}

/// The conditions of ADDITIONAL SENSE CODE 29h.
const RESETS: u32 = UnitAttention::CommandsCleared.bit() - 1;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::sample::select;

    use super::*;

    #[test]
    fn precedence_not_arrival_decides() {
        let mut attentions = Attentions::new(2);
        attentions.establish(1, UnitAttention::ReportedLunsChanged);
        attentions.establish(1, UnitAttention::CapacityChanged);
        attentions.establish(1, UnitAttention::LogicalUnitReset);
        attentions.establish(1, UnitAttention::CapacityChanged);
        assert!(!attentions.any(0));
        assert_eq!(attentions.take(1), Some(UnitAttention::LogicalUnitReset));
        assert_eq!(attentions.take(1), Some(UnitAttention::CapacityChanged));
        assert_eq!(attentions.take(1), Some(UnitAttention::ReportedLunsChanged));
        assert_eq!(attentions.take(1), None);
    }

    #[test]
    fn a_reset_covers_the_lesser_ones() {
        let mut attentions = Attentions::new(1);
        attentions.establish(0, UnitAttention::NexusLoss);
        attentions.establish(0, UnitAttention::LogicalUnitReset);
        attentions.establish(0, UnitAttention::DeviceInternalReset);
        attentions.establish(0, UnitAttention::CapacityChanged);
        assert_eq!(attentions.take(0), Some(UnitAttention::LogicalUnitReset));
        assert_eq!(attentions.take(0), Some(UnitAttention::CapacityChanged));
        assert_eq!(attentions.take(0), None);
    }

    #[test]
    fn power_on_covers_what_came_before_but_not_what_comes_after() {
        let mut attentions = Attentions::new(1);
        attentions.establish(0, UnitAttention::CapacityChanged);
        attentions.establish(0, UnitAttention::Reset);
        attentions.establish(0, UnitAttention::ModeParametersChanged);
        assert_eq!(attentions.take(0), Some(UnitAttention::Reset));
        assert_eq!(attentions.take(0), Some(UnitAttention::ModeParametersChanged));
        assert_eq!(attentions.take(0), None);
    }

    #[test]
    fn all_but_the_one_that_caused_it() {
        let mut attentions = Attentions::new(3);
        attentions.establish_all(UnitAttention::CommandsCleared, Some(1));
        assert_eq!([0, 1, 2].map(|index| attentions.any(index)), [true, false, true]);
        attentions.clear(0, UnitAttention::CommandsCleared);
        attentions.clear_all(2);
        assert_eq!([0, 1, 2].map(|index| attentions.any(index)), [false; 3]);
    }

    #[test]
    fn entries_beyond_the_table_have_nothing_pending() {
        let mut attentions = Attentions::new(1);
        attentions.establish(1, UnitAttention::Reset);
        assert!(!attentions.any(1));
        assert_eq!(attentions.take(1), None);
    }

    #[test]
    fn sense_data_is_unit_attention() {
        for (index, attention) in UnitAttention::ALL.into_iter().enumerate() {
            assert_eq!(attention as usize, index);
            assert_eq!(attention.sense().key, outboard_scsi::SenseKey::UnitAttention);
        }
    }

    proptest! {
        #[test]
        fn every_condition_is_reported_once_or_covered(
            established in prop::collection::vec(select(&UnitAttention::ALL[..]), 0..20),
        ) {
            let mut attentions = Attentions::new(1);
            for &attention in &established {
                attentions.establish(0, attention);
            }
            let mut reported = Vec::new();
            while let Some(attention) = attentions.take(0) {
                reported.push(attention);
            }
            prop_assert!(reported.is_sorted_by(|a, b| a < b));
            for attention in &established {
                let covered =
                    established.iter().any(|other| other.covered() & attention.bit() != 0);
                prop_assert!(covered || reported.contains(attention));
            }
            prop_assert_eq!(reported.is_empty(), established.is_empty());
        }
    }
}
