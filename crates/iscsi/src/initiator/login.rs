//! A login as the initiator: PDUs in, PDUs out.

use thiserror::Error;

use crate::chap::authenticator::Keys;
use crate::chap::{Algorithm, Answerer, ChapError, Entropy, Secret};
use crate::login::DATA_LEN_MAX;
use crate::login::negotiated::Parameters;
use crate::pdu::{Bhs, LoginRequest, LoginResponse, Stage, Status};
use crate::text::{self, Gather, Outgoing, TextError, pairs, value};

/// A login that failed.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum FailedLogin {
    /// The target refused it.
    #[error("the target refused the login: {status}")]
    Refused {
        /// Its status.
        status: Status,
        /// Where the target is instead, if it has moved.
        address: Option<String>,
    },
    /// The target's CHAP keys are wrong, or it cannot prove itself.
    #[error("CHAP: {0}")]
    Chap(#[from] ChapError),
    /// The text is none.
    #[error(transparent)]
    Text(#[from] TextError),
    /// The target does what no target may.
    #[error("the target breaks the protocol: {0}")]
    Protocol(&'static str),
}

/// What an initiator wants.
#[derive(Clone, Debug)]
pub struct Wishes {
    /// `InitiatorName`.
    pub initiator_name: String,
    /// `TargetName`; `None` for a discovery session.
    pub target_name: Option<String>,
    /// ISID.
    pub isid: [u8; 6],
    /// 0, or the session that the connection is to join.
    pub tsih: u16,
    /// CID.
    pub cid: u16,
    /// CmdSN of the session's first command.
    pub cmd_sn: u32,
    /// ExpStatSN of the first request.
    pub exp_stat_sn: u32,
    /// The initiator's name and secret.
    pub chap: Option<(String, Secret)>,
    /// Name and secret that the target must prove to have.
    pub mutual: Option<(String, Secret)>,
    /// Hash functions in order of preference; all if empty.
    pub algorithms: Vec<Algorithm>,
    /// Begin with the operational stage.
    pub skip_security: bool,
    /// Operational keys to offer.
    pub keys: Vec<(String, String)>,
    /// The most data in one request, bytes; a longer text is continued.
    pub data_len_max: usize,
}

impl Wishes {
    /// A normal session with `target_name`, with the keys that most initiators offer.
    pub fn normal(initiator_name: &str, target_name: &str) -> Self {
        let keys = [
            ("HeaderDigest", "None"),
            ("DataDigest", "None"),
            ("InitialR2T", "No"),
            ("ImmediateData", "Yes"),
            ("MaxRecvDataSegmentLength", "262144"),
            ("MaxBurstLength", "16776192"),
            ("FirstBurstLength", "262144"),
            ("DefaultTime2Wait", "2"),
            ("DefaultTime2Retain", "0"),
            ("MaxOutstandingR2T", "8"),
            ("MaxConnections", "8"),
            ("DataPDUInOrder", "Yes"),
            ("DataSequenceInOrder", "Yes"),
            ("ErrorRecoveryLevel", "0"),
        ];
        Self {
            initiator_name: initiator_name.to_owned(),
            target_name: Some(target_name.to_owned()),
            isid: [0x80, 0, 0, 0, 0, 1],
            tsih: 0,
            cid: 0,
            cmd_sn: 1,
            exp_stat_sn: 0,
            chap: None,
            mutual: None,
            algorithms: Vec::new(),
            skip_security: false,
            keys: keys.map(|(key, value)| (key.to_owned(), value.to_owned())).to_vec(),
            data_len_max: DATA_LEN_MAX,
        }
    }

    /// A discovery session.
    pub fn discovery(initiator_name: &str) -> Self {
        Self {
            target_name: None,
            keys: vec![("MaxRecvDataSegmentLength".to_owned(), "32768".to_owned())],
            ..Self::normal(initiator_name, "")
        }
    }

    /// Offers `value` for `key`, instead of what was to be offered.
    #[must_use]
    pub fn with(mut self, key: &str, value: &str) -> Self {
        self = self.without(key);
        self.keys.push((key.to_owned(), value.to_owned()));
        self
    }

    /// Does not offer `key`.
    #[must_use]
    pub fn without(mut self, key: &str) -> Self {
        self.keys.retain(|(name, _)| name != key);
        self
    }

    /// Joins the session `tsih` with a further connection, which has no keys of the session.
    #[must_use]
    pub fn joining(mut self, tsih: u16, cid: u16) -> Self {
        self.tsih = tsih;
        self.cid = cid;
        let connection = ["HeaderDigest", "DataDigest", "MaxRecvDataSegmentLength"];
        self.keys.retain(|(name, _)| connection.contains(&name.as_str()));
        self
    }
}

/// A session as its initiator knows it after the login.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Agreed {
    /// The session, for further connections.
    pub tsih: u16,
    /// The agreed keys; what the target did not answer has its default.
    pub parameters: Parameters,
    /// CmdSN of the next command.
    pub cmd_sn: u32,
    /// StatSN of the next response.
    pub exp_stat_sn: u32,
    /// MaxCmdSN.
    pub max_cmd_sn: u32,
    /// Every pair that the target sent.
    pub answers: Vec<(String, String)>,
}

/// A login in progress.
#[derive(Debug)]
pub struct InitiatorLogin {
    wishes: Wishes,
    stage: Stage,
    step: Step,
    exp_stat_sn: u32,
    gather: Gather,
    outgoing: Outgoing,
    transit: bool,
    answers: Vec<(String, String)>,
    offered: bool,
}

#[derive(Debug)]
enum Step {
    /// AuthMethod is offered.
    Method,
    /// CHAP keys go to and fro.
    Chap(Box<Answerer>),
    /// Nothing more to be proved.
    Proved,
}

const REQUESTS_MAX: usize = 512;

impl InitiatorLogin {
    /// A login that wants `wishes`; its first request goes to `out`.
    pub fn begin(wishes: Wishes, out: &mut Vec<u8>) -> Self {
        let mut text = Vec::new();
        text::push(&mut text, "InitiatorName", &wishes.initiator_name);
        match &wishes.target_name {
            Some(target) => {
                text::push(&mut text, "SessionType", "Normal");
                text::push(&mut text, "TargetName", target);
            }
            None => text::push(&mut text, "SessionType", "Discovery"),
        }
        let mut login = Self {
            stage: if wishes.skip_security { Stage::Operational } else { Stage::Security },
            step: if wishes.skip_security { Step::Proved } else { Step::Method },
            exp_stat_sn: wishes.exp_stat_sn,
            gather: Gather::default(),
            outgoing: Outgoing::default(),
            transit: false,
            answers: Vec::new(),
            offered: false,
            wishes,
        };
        if login.wishes.skip_security {
            login.offer(&mut text);
            login.transit = true;
        } else {
            let methods = if login.wishes.chap.is_some() { "CHAP,None" } else { "None" };
            text::push(&mut text, "AuthMethod", methods);
            login.transit = login.wishes.chap.is_none();
        }
        login.outgoing = Outgoing::new(text);
        login.send(out);
        login
    }

    /// Takes a Login Response; the next request goes to `out`, or the login is over.
    ///
    /// # Errors
    ///
    /// [`FailedLogin`]: the connection is to be closed.
    pub fn receive(
        &mut self,
        header: &Bhs,
        data: &[u8],
        entropy: &mut dyn Entropy,
        out: &mut Vec<u8>,
    ) -> Result<Option<Agreed>, FailedLogin> {
        let response = LoginResponse::parse(header)
            .ok_or(FailedLogin::Protocol("something else than a Login Response"))?;
        if response.status != Status::Success {
            return Err(FailedLogin::Refused {
                status: response.status,
                address: address_in(data),
            });
        }
        self.numbers(&response)?;
        self.gather.push(data)?;
        if response.more {
            // An empty request asks for the rest.
            self.outgoing = Outgoing::default();
            self.send_with(false, out);
            return Ok(None);
        }
        if !self.outgoing.is_done() {
            self.send(out);
            return Ok(None);
        }
        let text = self.gather.take();
        let mut request = Vec::new();
        let mut keys = Keys::default();
        let mut method = None;
        let mut parsed = Vec::new();
        for pair in pairs(&text) {
            let (key, value) = pair?;
            if self.answers.len() + parsed.len() >= REQUESTS_MAX {
                return Err(FailedLogin::Protocol("too many keys"));
            }
            if key == "AuthMethod" {
                method = Some(value);
            }
            keys.take(key, value);
            parsed.push((key.to_owned(), value.to_owned()));
        }
        if self.stage == Stage::Security {
            self.security(method, &keys, entropy, &mut request)?;
        }
        self.respond_to_offers(&parsed, &mut request);
        self.answers.extend(parsed);

        if response.transit {
            if !self.transit {
                return Err(FailedLogin::Protocol("a transition that was not asked for"));
            }
            if self.stage == Stage::Security && !matches!(self.step, Step::Proved) {
                return Err(ChapError::NotMutual.into());
            }
            match response.next {
                Some(Stage::FullFeature) if self.stage == Stage::Operational => {
                    return Ok(Some(self.agreed(&response)));
                }
                Some(Stage::Operational) if self.stage == Stage::Security => {
                    self.stage = Stage::Operational;
                    self.offer(&mut request);
                }
                _ => return Err(FailedLogin::Protocol("a transition to a wrong stage")),
            }
            self.transit = true;
        } else if self.stage == Stage::Operational {
            self.transit = true;
        }
        self.outgoing = Outgoing::new(request);
        self.send(out);
        Ok(None)
    }

    fn numbers(&mut self, response: &LoginResponse) -> Result<(), FailedLogin> {
        if response.stage != Some(self.stage) || response.isid != self.wishes.isid {
            return Err(FailedLogin::Protocol("a response of another stage or session"));
        }
        self.exp_stat_sn = response.stat_sn.wrapping_add(1);
        Ok(())
    }

    fn security(
        &mut self,
        method: Option<&str>,
        keys: &Keys<'_>,
        entropy: &mut dyn Entropy,
        request: &mut Vec<u8>,
    ) -> Result<(), FailedLogin> {
        match &mut self.step {
            Step::Method => match (method, &self.wishes.chap) {
                (Some("CHAP"), Some(user)) => {
                    let answerer = Answerer::new(
                        user.clone(),
                        self.wishes.mutual.clone(),
                        &self.wishes.algorithms,
                    );
                    answerer.offer(request);
                    self.step = Step::Chap(Box::new(answerer));
                }
                (Some("None") | None, _) if self.wishes.mutual.is_none() => {
                    self.step = Step::Proved;
                    self.transit = true;
                }
                (Some("None") | None, _) => return Err(ChapError::NotMutual.into()),
                _ => return Err(FailedLogin::Protocol("an AuthMethod that was not offered")),
            },
            Step::Chap(answerer) => {
                let challenged = keys.challenge.is_some();
                if answerer.step(keys, entropy, request)? {
                    self.step = Step::Proved;
                }
                self.transit |= challenged;
            }
            Step::Proved => {}
        }
        Ok(())
    }

    fn offer(&mut self, text: &mut Vec<u8>) {
        self.offered = true;
        for (key, value) in &self.wishes.keys {
            text::push(text, key, value);
        }
    }

    /// Accepts what the target offers by itself.
    fn respond_to_offers(&self, pairs: &[(String, String)], request: &mut Vec<u8>) {
        if !self.offered {
            return;
        }
        for (key, value) in pairs {
            let own = self.wishes.keys.iter().any(|(name, _)| name == key);
            let declared = key.starts_with("Target") || key == "MaxRecvDataSegmentLength";
            if !own && !declared {
                text::push(request, key, value);
            }
        }
    }

    fn send(&mut self, out: &mut Vec<u8>) {
        self.send_with(self.transit, out);
    }

    fn send_with(&mut self, transit: bool, out: &mut Vec<u8>) {
        let next = match self.stage {
            Stage::Security => Stage::Operational,
            _ => Stage::FullFeature,
        };
        let (piece, more) = self.outgoing.next_piece(self.wishes.data_len_max.max(1));
        let request = LoginRequest {
            transit: transit && !more,
            more,
            stage: Some(self.stage),
            next: Some(next),
            isid: self.wishes.isid,
            tsih: self.wishes.tsih,
            cid: self.wishes.cid,
            cmd_sn: self.wishes.cmd_sn,
            exp_stat_sn: self.exp_stat_sn,
            ..LoginRequest::default()
        };
        request.write(piece, out);
    }

    fn agreed(&mut self, response: &LoginResponse) -> Agreed {
        let mut parameters = Parameters::default();
        for (key, value) in &self.wishes.keys {
            if key == "MaxRecvDataSegmentLength"
                && let Some(length) = value::number(value)
            {
                parameters.initiator_max_recv_data_segment_length =
                    u32::try_from(length).unwrap_or(8192);
            }
        }
        for (key, value) in &self.answers {
            settle(&mut parameters, key, value);
        }
        Agreed {
            tsih: response.tsih,
            parameters,
            cmd_sn: response.exp_cmd_sn,
            exp_stat_sn: self.exp_stat_sn,
            max_cmd_sn: response.max_cmd_sn,
            answers: core::mem::take(&mut self.answers),
        }
    }
}

/// Takes over what the target answered.
fn settle(parameters: &mut Parameters, key: &str, value: &str) {
    let number = value::number(value);
    let short = number.and_then(|number| u16::try_from(number).ok());
    let long = number.and_then(|number| u32::try_from(number).ok());
    let boolean = value::boolean(value);
    match key {
        "HeaderDigest" => parameters.header_digest = value == "CRC32C",
        "DataDigest" => parameters.data_digest = value == "CRC32C",
        "MaxConnections" => put(&mut parameters.max_connections, short),
        "InitialR2T" => put(&mut parameters.initial_r2t, boolean),
        "ImmediateData" => put(&mut parameters.immediate_data, boolean),
        "MaxRecvDataSegmentLength" => {
            put(&mut parameters.target_max_recv_data_segment_length, long);
        }
        "MaxBurstLength" => put(&mut parameters.max_burst_length, long),
        "FirstBurstLength" => put(&mut parameters.first_burst_length, long),
        "DefaultTime2Wait" => put(&mut parameters.default_time2wait, short),
        "DefaultTime2Retain" => put(&mut parameters.default_time2retain, short),
        "MaxOutstandingR2T" => put(&mut parameters.max_outstanding_r2t, short),
        "DataPDUInOrder" => put(&mut parameters.data_pdu_in_order, boolean),
        "DataSequenceInOrder" => put(&mut parameters.data_sequence_in_order, boolean),
        "ErrorRecoveryLevel" => put(
            &mut parameters.error_recovery_level,
            number.and_then(|number| u8::try_from(number).ok()),
        ),
        _ => {}
    }
}

fn put<T>(place: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *place = value;
    }
}

fn address_in(text: &[u8]) -> Option<String> {
    let mut sound = pairs(text).filter_map(Result::ok);
    sound.find(|(key, _)| *key == "TargetAddress").map(|(_, address)| address.to_owned())
}
