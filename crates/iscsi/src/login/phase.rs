//! Stages and transitions of a login, and who logs in to what (RFC 7143 6.3, 11.12, 11.13).
//! What is said in each stage is in `answer`.

mod answer;

use core::net::SocketAddr;

use super::DATA_LEN_MAX;
use super::error::LoginError;
use super::identity::Identity;
use super::negotiated::{LoggedIn, Parameters};
use super::negotiation::Negotiation;
use crate::chap::{Authenticator, Entropy};
use crate::config::{Auth, Config, Offer};
use crate::pdu::{LoginRequest, LoginResponse, Stage};
use crate::text::{self, Gather, Outgoing};

/// What a phase needs of its surroundings.
pub struct Edge<'a> {
    /// The node.
    pub config: &'a Config,
    /// Where the connection came to.
    pub local: SocketAddr,
    /// Challenges.
    pub entropy: &'a mut dyn Entropy,
}

/// What follows from a request.
#[derive(Debug)]
pub enum Step {
    /// A response is in the output; the login goes on.
    More,
    /// A normal session: its last response is in here.
    Normal(Box<LoggedIn>),
    /// A discovery session: its last response is in the output.
    Discovery(Box<Discovering>),
}

/// A discovery session that begins.
#[derive(Debug)]
pub struct Discovering {
    /// Name of the initiator, in normal form.
    pub initiator_name: String,
    /// CID of the connection.
    pub cid: u16,
    /// StatSN of the next response.
    pub stat_sn: u32,
    /// CmdSN of the next request.
    pub exp_cmd_sn: u32,
    /// The agreed keys.
    pub parameters: Parameters,
}

/// The login phase of one connection.
#[derive(Debug)]
pub struct Phase {
    /// The first request: ISID, TSIH, CID and CmdSN stay as they are there.
    first: Option<LoginRequest>,
    stage: Stage,
    requests: u32,
    stat_sn: u32,
    gather: Gather,
    outgoing: Outgoing,
    identity: Option<Identity>,
    auth: Progress,
    negotiation: Negotiation,
}

#[derive(Debug, Default)]
enum Progress {
    #[default]
    Open,
    Chap(Authenticator),
    /// As this user, if the target asks for one.
    Done(Option<String>),
}

impl Default for Phase {
    fn default() -> Self {
        Self {
            first: None,
            stage: Stage::Security,
            requests: 0,
            stat_sn: 0,
            gather: Gather::default(),
            outgoing: Outgoing::default(),
            identity: None,
            auth: Progress::Open,
            negotiation: Negotiation::new(Offer::default(), false, true),
        }
    }
}

impl Phase {
    /// Takes a request with its text; appends the response to `out`.
    ///
    /// # Errors
    ///
    /// [`LoginError`]: the login is refused; [`refuse`](Self::refuse) writes the response.
    pub fn request(
        &mut self,
        edge: &mut Edge<'_>,
        request: &LoginRequest,
        data: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<Step, LoginError> {
        self.check(request, edge.config.limits.exchanges)?;
        if !self.outgoing.is_done() {
            // The initiator only asks for the rest of the answer.
            if request.more || !data.is_empty() {
                return Err(text::TextError::OutOfTurn.into());
            }
            return self.respond(edge, request, out);
        }
        self.gather.push(data)?;
        if !request.more {
            let text = self.gather.take();
            let mut answer = Vec::new();
            self.answer(edge, request, &text, &mut answer)?;
            self.outgoing = Outgoing::new(answer);
        }
        self.respond(edge, request, out)
    }

    /// Appends the refusal of the login to `out`.
    pub fn refuse(&self, itt: u32, error: &LoginError, out: &mut Vec<u8>) {
        let mut text = Vec::new();
        if let LoginError::Moved { address, .. } = error {
            text::push(&mut text, "TargetAddress", address);
        }
        let response = LoginResponse { itt, status: error.status(), ..self.response() };
        response.write(&text, out);
    }

    /// Name of the initiator, in normal form, once it is known.
    pub fn initiator_name(&self) -> Option<&str> {
        Some(&self.identity.as_ref()?.initiator)
    }

    /// Whether a first request has come.
    pub const fn has_begun(&self) -> bool {
        self.first.is_some()
    }

    /// The head of a request: it must belong to this login and its stage.
    fn check(&mut self, request: &LoginRequest, requests_max: u32) -> Result<(), LoginError> {
        match &self.first {
            None => {
                if request.stage == Some(Stage::Operational) {
                    self.stage = Stage::Operational;
                }
                self.stat_sn = request.exp_stat_sn;
                self.first = Some(*request);
            }
            Some(first) => {
                let id = |request: &LoginRequest| (request.isid, request.tsih, request.cid);
                if id(first) != id(request) {
                    return Err(LoginError::Changed);
                }
            }
        }
        self.requests += 1;
        if self.requests > requests_max {
            return Err(LoginError::TooManyRequests(requests_max));
        }
        if request.version_min > 0 {
            return Err(LoginError::Version(request.version_min));
        }
        if request.stage != Some(self.stage) {
            return Err(LoginError::Stage(self.stage));
        }
        let forward = request.next.is_some_and(|next| next > self.stage);
        if request.transit && (request.more || !forward) {
            return Err(LoginError::Transition(self.stage));
        }
        Ok(())
    }

    /// The next piece of the answer, with the transition if both sides are ready for it.
    fn respond(
        &mut self,
        edge: &mut Edge<'_>,
        request: &LoginRequest,
        out: &mut Vec<u8>,
    ) -> Result<Step, LoginError> {
        let head = self.response();
        let ready = request.transit && self.is_ready(edge.config);
        let (piece, more) = self.outgoing.next_piece(DATA_LEN_MAX);
        let next = request.next.filter(|_| ready && !more);
        let response =
            LoginResponse { transit: next.is_some(), more, next, itt: request.itt, ..head };
        if next != Some(Stage::FullFeature) {
            response.write(piece, out);
            self.stat_sn = self.stat_sn.wrapping_add(1);
            self.stage = next.unwrap_or(self.stage);
            return Ok(Step::More);
        }
        let piece = piece.to_vec();
        self.finish(edge, request, response, &piece, out)
    }

    fn finish(
        &mut self,
        edge: &mut Edge<'_>,
        request: &LoginRequest,
        response: LoginResponse,
        text: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<Step, LoginError> {
        if self.stage == Stage::Security {
            self.negotiation.skip()?;
        }
        let identity = self.identity.take().ok_or(LoginError::Missing("InitiatorName"))?;
        let parameters = self.negotiation.parameters();
        let user = match core::mem::take(&mut self.auth) {
            Progress::Done(user) => user,
            Progress::Open | Progress::Chap(_) => None,
        };
        let target = identity.target.and_then(|index| edge.config.targets.get(index));
        let Some(target) = target else {
            let mut random = [0; 2];
            if !edge.entropy.fill(&mut random) {
                return Err(LoginError::NoEntropy);
            }
            let tsih = u16::from_ne_bytes(random).max(1);
            LoginResponse { tsih, ..response }.write(text, out);
            return Ok(Step::Discovery(Box::new(Discovering {
                initiator_name: identity.initiator,
                cid: request.cid,
                stat_sn: self.stat_sn.wrapping_add(1),
                exp_cmd_sn: response.exp_cmd_sn,
                parameters,
            })));
        };
        let mut final_response = Vec::with_capacity(48 + text.len() + 3);
        LoginResponse { tsih: request.tsih, ..response }.write(text, &mut final_response);
        Ok(Step::Normal(Box::new(LoggedIn {
            initiator_name: identity.initiator,
            initiator_alias: identity.alias,
            user,
            isid: request.isid,
            tsih: request.tsih,
            cid: request.cid,
            target_name: target.name.clone(),
            portal_group_tag: target.portal_group_tag,
            parameters,
            cmd_sn: response.exp_cmd_sn,
            stat_sn: self.stat_sn,
            final_response,
        })))
    }

    /// What every response has in common.
    fn response(&self) -> LoginResponse {
        let first = self.first.unwrap_or_default();
        LoginResponse {
            stage: Some(self.stage),
            isid: first.isid,
            tsih: first.tsih,
            stat_sn: self.stat_sn,
            exp_cmd_sn: first.cmd_sn,
            max_cmd_sn: first.cmd_sn,
            ..LoginResponse::default()
        }
    }

    fn is_ready(&self, config: &Config) -> bool {
        match self.stage {
            Stage::Security => match self.auth {
                Progress::Open => *self.auth_demanded(config) == Auth::None,
                Progress::Chap(_) => false,
                Progress::Done(_) => true,
            },
            _ => self.negotiation.is_settled(),
        }
    }

    fn auth_demanded<'c>(&self, config: &'c Config) -> &'c Auth {
        let target = self.identity.as_ref().and_then(|identity| identity.target);
        match target.and_then(|index| config.targets.get(index)) {
            Some(target) => &target.auth,
            None => &config.discovery.auth,
        }
    }
}
