//! Negotiation of the operational keys (RFC 7143 6.2): offers, answers, results.

use thiserror::Error;

use super::key::{Key, KeySet, Rule, Scope};
use super::negotiated::Parameters;
use crate::config::{Digests, Offer};
use crate::text::{self, IRRELEVANT, NONE, NOT_UNDERSTOOD, REJECT, value};

/// A negotiation that cannot go on.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum NegotiationError {
    /// A key is negotiated or declared a second time (RFC 7143 6.2).
    #[error("{0} is negotiated a second time")]
    Repeated(&'static str),
    /// The initiator does not answer an offer of the target.
    #[error("the initiator does not answer the target's offers")]
    NotAnswered,
    /// The result is none that the target can do.
    #[error("the initiator does not accept what the target demands of {0}")]
    NotAccepted(&'static str),
}

const CRC32C: &str = "CRC32C";

/// The negotiation of one connection.
#[derive(Clone, Debug)]
pub struct Negotiation {
    offer: Offer,
    discovery: bool,
    leading: bool,
    parameters: Parameters,
    /// Keys that are settled.
    seen: KeySet,
    /// Keys that the target offered and the initiator has not answered.
    asked: KeySet,
    declared: bool,
}

impl Negotiation {
    /// With the target's `offer`; `discovery` is the type of the session, `leading` whether the
    /// connection is its first.
    pub fn new(offer: Offer, discovery: bool, leading: bool) -> Self {
        Self {
            offer,
            discovery,
            leading,
            parameters: Parameters::default(),
            seen: KeySet::default(),
            asked: KeySet::default(),
            declared: false,
        }
    }

    /// Takes a pair of the initiator and writes the target's, if one is due, to `answer`.
    ///
    /// # Errors
    ///
    /// [`NegotiationError`]: the login must be refused.
    pub fn take(
        &mut self,
        name: &str,
        value: &str,
        answer: &mut Vec<u8>,
    ) -> Result<(), NegotiationError> {
        let Some(key) = Key::of(name) else {
            // Keys that only a target sends, or that have no place in a login.
            let known = matches!(
                name,
                "TargetAlias"
                    | "TargetAddress"
                    | "TargetPortalGroupTag"
                    | "SendTargets"
                    | "AuthMethod"
                    | "CHAP_A"
                    | "CHAP_I"
                    | "CHAP_C"
                    | "CHAP_N"
                    | "CHAP_R"
            );
            text::push(answer, name, if known { REJECT } else { NOT_UNDERSTOOD });
            return Ok(());
        };
        if self.asked.remove(key) {
            return self.answered(key, value);
        }
        if !self.seen.insert(key) {
            return Err(NegotiationError::Repeated(key.name()));
        }
        let irrelevant = match key.scope() {
            Scope::Connection => false,
            Scope::Session => !self.leading,
            Scope::NormalSession => self.discovery || !self.leading,
        };
        if irrelevant {
            text::push(answer, name, IRRELEVANT);
        } else if let Some(result) = self.settle(key, value) {
            text::push(answer, name, &result);
        }
        Ok(())
    }

    /// Once: what the target declares for its own direction.
    pub fn declare(&mut self, answer: &mut Vec<u8>) {
        if core::mem::replace(&mut self.declared, true) {
            return;
        }
        let length = self.own_length();
        self.parameters.target_max_recv_data_segment_length = length;
        text::push(answer, Key::MaxRecvDataSegmentLength.name(), &length.to_string());
    }

    /// Before the stage is left: offers the keys that the initiator said nothing of and whose
    /// default the target cannot live with. True if there are such, and answers are awaited.
    ///
    /// # Errors
    ///
    /// [`NegotiationError`]: the login must be refused.
    pub fn demand(&mut self, answer: &mut Vec<u8>) -> Result<bool, NegotiationError> {
        if !self.asked.is_empty() {
            return Err(NegotiationError::NotAnswered);
        }
        self.digests_hold()?;
        for key in self.demands() {
            let value = match key.rule() {
                Rule::Digest => CRC32C.to_owned(),
                Rule::Or | Rule::And => value::from_boolean(self.own(key) != 0).to_owned(),
                _ => self.own(key).to_string(),
            };
            text::push(answer, key.name(), &value);
            self.seen.insert(key);
            self.asked.insert(key);
        }
        Ok(!self.asked.is_empty())
    }

    /// Whether the stage can be left: nothing is awaited and nothing is to be demanded.
    pub fn is_settled(&self) -> bool {
        self.asked.is_empty() && self.demands().next().is_none()
    }

    /// Checks what cannot be given up even if the operational stage is left out.
    ///
    /// # Errors
    ///
    /// [`NegotiationError::NotAccepted`] if a required digest is not agreed on.
    pub fn skip(&self) -> Result<(), NegotiationError> {
        match self.demands().find(|key| key.rule() == Rule::Digest) {
            Some(key) => Err(NegotiationError::NotAccepted(key.name())),
            None => self.digests_hold(),
        }
    }

    /// The results as they are.
    pub fn parameters(&self) -> Parameters {
        let mut parameters = self.parameters.clone();
        // 13.14: a first burst is part of a burst, also if one of them is a default.
        parameters.first_burst_length =
            parameters.first_burst_length.min(parameters.max_burst_length);
        parameters
    }

    fn digests_hold(&self) -> Result<(), NegotiationError> {
        let lacks = |key: Key, agreed: bool| {
            self.seen.contains(key) && !agreed && self.digests(key) == Digests::Required
        };
        if lacks(Key::HeaderDigest, self.parameters.header_digest) {
            return Err(NegotiationError::NotAccepted(Key::HeaderDigest.name()));
        }
        if lacks(Key::DataDigest, self.parameters.data_digest) {
            return Err(NegotiationError::NotAccepted(Key::DataDigest.name()));
        }
        Ok(())
    }

    /// Keys that the initiator said nothing of and whose default the target cannot live with.
    fn demands(&self) -> impl Iterator<Item = Key> + use<> {
        let this = self.clone();
        Key::ALL.iter().copied().filter(move |&key| {
            if this.seen.contains(key) {
                return false;
            }
            let session = this.leading && !this.discovery;
            // What a session may assume after it has failed binds the target to nothing.
            let session = session && key.scope() == Scope::NormalSession;
            match key.rule() {
                Rule::Digest => this.digests(key) == Digests::Required,
                Rule::Or => session && this.own(key) != 0 && this.current(key) == 0,
                Rule::And => session && this.own(key) == 0 && this.current(key) != 0,
                Rule::Minimum(..) => session && this.own(key) < this.current(key),
                _ => false,
            }
        })
    }

    /// The initiator's answer to an offer of the target.
    fn answered(&mut self, key: Key, value: &str) -> Result<(), NegotiationError> {
        let not_accepted = NegotiationError::NotAccepted(key.name());
        let own = self.own(key);
        let agreed = match key.rule() {
            Rule::Digest => (value == CRC32C).then_some(1),
            // The result must be what both values make together, so the answer alone settles it.
            Rule::Or => value::boolean(value).filter(|&yes| yes || own == 0).map(u64::from),
            Rule::And => value::boolean(value).filter(|&yes| !yes || own != 0).map(u64::from),
            Rule::Minimum(low, _) => {
                value::number(value).filter(|number| (low..=own).contains(number))
            }
            Rule::Maximum(_, high) => {
                value::number(value).filter(|number| (own..=high).contains(number))
            }
            _ => None,
        };
        self.set(key, agreed.ok_or(not_accepted)?);
        Ok(())
    }

    /// The answer to an offer of the initiator, if one is due. What is rejected keeps its default.
    fn settle(&mut self, key: Key, value: &str) -> Option<String> {
        let own = self.own(key);
        let number = |low, high| value::number(value).filter(|n| (low..=high).contains(n));
        let result = match key.rule() {
            Rule::Or => value::boolean(value).map(|theirs| u64::from(theirs || own != 0)),
            Rule::And => value::boolean(value).map(|theirs| u64::from(theirs && own != 0)),
            Rule::Minimum(low, high) => number(low, high).map(|theirs| theirs.min(own)),
            Rule::Maximum(low, high) => number(low, high).map(|theirs| theirs.max(own)),
            Rule::Declared(low, high) => {
                let Some(length) = number(low, high) else { return Some(REJECT.to_owned()) };
                self.set(key, length);
                return None;
            }
            Rule::Digest => {
                let allowed = self.digests(key);
                let chosen = value::list(value).find(|item| match *item {
                    CRC32C => allowed != Digests::None,
                    NONE => allowed != Digests::Required,
                    _ => false,
                });
                self.set(key, u64::from(chosen == Some(CRC32C)));
                return Some(chosen.unwrap_or(REJECT).to_owned());
            }
            Rule::Item(item) => {
                let there = value::list(value).any(|theirs| theirs == item);
                return Some(if there { item } else { REJECT }.to_owned());
            }
            Rule::Constant(text) => return Some(text.to_owned()),
            Rule::Ignored => return None,
        };
        let Some(result) = result else { return Some(REJECT.to_owned()) };
        self.set(key, result);
        Some(match key.rule() {
            Rule::Or | Rule::And => value::from_boolean(result != 0).to_owned(),
            _ => result.to_string(),
        })
    }

    const fn own_length(&self) -> u32 {
        self.offer.max_recv_data_segment_length
    }

    const fn digests(&self, key: Key) -> Digests {
        match key {
            // A discovery session is text alone, which TCP's checksum serves.
            _ if self.discovery => Digests::None,
            Key::HeaderDigest => self.offer.header_digest,
            _ => self.offer.data_digest,
        }
    }

    /// The target's value of a boolean or a number.
    fn own(&self, key: Key) -> u64 {
        let offer = &self.offer;
        match key {
            Key::MaxConnections => offer.max_connections.into(),
            Key::InitialR2T => offer.initial_r2t.into(),
            Key::ImmediateData => offer.immediate_data.into(),
            Key::MaxBurstLength => offer.max_burst_length.into(),
            Key::FirstBurstLength => {
                offer.first_burst_length.min(self.parameters.max_burst_length).into()
            }
            Key::DefaultTime2Wait => offer.default_time2wait.into(),
            Key::DefaultTime2Retain => offer.default_time2retain.into(),
            Key::MaxOutstandingR2T => offer.max_outstanding_r2t.into(),
            Key::MaxRecvDataSegmentLength => self.own_length().into(),
            Key::DataPDUInOrder | Key::DataSequenceInOrder | Key::ProtocolLevel => 1,
            _ => 0,
        }
    }

    /// The value as it is now: the default, until it is negotiated.
    fn current(&self, key: Key) -> u64 {
        let now = &self.parameters;
        match key {
            Key::MaxConnections => now.max_connections.into(),
            Key::InitialR2T => now.initial_r2t.into(),
            Key::ImmediateData => now.immediate_data.into(),
            Key::MaxBurstLength => now.max_burst_length.into(),
            // With the burst it is part of.
            Key::FirstBurstLength => now.first_burst_length.min(now.max_burst_length).into(),
            Key::DefaultTime2Wait => now.default_time2wait.into(),
            Key::DefaultTime2Retain => now.default_time2retain.into(),
            Key::MaxOutstandingR2T => now.max_outstanding_r2t.into(),
            Key::DataPDUInOrder => now.data_pdu_in_order.into(),
            Key::DataSequenceInOrder => now.data_sequence_in_order.into(),
            Key::ErrorRecoveryLevel => now.error_recovery_level.into(),
            Key::ProtocolLevel => 1,
            _ => 0,
        }
    }

    /// Stores a result. It is within the bounds of its key.
    fn set(&mut self, key: Key, value: u64) {
        let now = &mut self.parameters;
        let short = u16::try_from(value).unwrap_or(u16::MAX);
        let long = u32::try_from(value).unwrap_or(u32::MAX);
        match key {
            Key::HeaderDigest => now.header_digest = value != 0,
            Key::DataDigest => now.data_digest = value != 0,
            Key::MaxConnections => now.max_connections = short,
            Key::InitialR2T => now.initial_r2t = value != 0,
            Key::ImmediateData => now.immediate_data = value != 0,
            Key::MaxRecvDataSegmentLength => now.initiator_max_recv_data_segment_length = long,
            Key::MaxBurstLength => now.max_burst_length = long,
            Key::FirstBurstLength => now.first_burst_length = long,
            Key::DefaultTime2Wait => now.default_time2wait = short,
            Key::DefaultTime2Retain => now.default_time2retain = short,
            Key::MaxOutstandingR2T => now.max_outstanding_r2t = short,
            Key::DataPDUInOrder => now.data_pdu_in_order = value != 0,
            Key::DataSequenceInOrder => now.data_sequence_in_order = value != 0,
            Key::ErrorRecoveryLevel => {
                now.error_recovery_level = u8::try_from(value).unwrap_or(u8::MAX);
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests;
