//! Stages and transitions of a login, and who logs in to what (RFC 7143 6.3, 11.12, 11.13).

use core::net::SocketAddr;

use super::error::LoginError;
use super::identity::{Identity, Names, find};
use super::negotiated::{LoggedIn, Parameters};
use super::negotiation::Negotiation;
use super::{DATA_LEN_MAX, PAIRS_MAX};
use crate::chap::authenticator::Keys;
use crate::chap::{Authenticator, Entropy};
use crate::config::{Auth, Config, Offer};
use crate::name;
use crate::pdu::{LoginRequest, LoginResponse, Stage};
use crate::text::{self, Gather, NONE, Outgoing, REJECT, pairs, value};

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
    Done,
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

    /// A whole text: what is answered goes into `answer`.
    fn answer(
        &mut self,
        edge: &mut Edge<'_>,
        request: &LoginRequest,
        text: &[u8],
        answer: &mut Vec<u8>,
    ) -> Result<(), LoginError> {
        let mut names = Names::default();
        let mut rest = Vec::new();
        for (count, pair) in pairs(text).enumerate() {
            let (key, value) = pair?;
            if count >= PAIRS_MAX {
                return Err(LoginError::TooManyKeys(PAIRS_MAX));
            }
            if !names.take(key, value)? {
                rest.push((key, value));
            }
        }
        self.identify(edge, request, names, answer)?;
        match self.stage {
            Stage::Security => self.security(edge, request, &rest, answer),
            _ => self.operational(request, &rest, answer),
        }
    }

    /// The first text must say who wants what; later ones may repeat it, as some initiators do.
    fn identify(
        &mut self,
        edge: &Edge<'_>,
        request: &LoginRequest,
        names: Names<'_>,
        answer: &mut Vec<u8>,
    ) -> Result<(), LoginError> {
        if let Some(identity) = &self.identity {
            return identity.repeats(names);
        }
        let initiator = names.initiator.ok_or(LoginError::Missing("InitiatorName"))?;
        let initiator =
            name::lenient(initiator).map_err(|e| LoginError::Name("InitiatorName", e))?;
        let discovery = match names.session_type {
            None | Some("Normal") => false,
            Some("Discovery") => true,
            Some(other) => return Err(LoginError::SessionType(other.to_owned())),
        };
        let target = if discovery {
            if request.tsih != 0 {
                return Err(LoginError::DiscoveryJoin);
            }
            None
        } else {
            let name = names.target.ok_or(LoginError::Missing("TargetName"))?;
            Some(find(edge, &initiator, name)?)
        };
        let found = target.and_then(|index| edge.config.targets.get(index));
        if let Some(target) = found {
            // 13.9: with the first response.
            text::push(answer, "TargetPortalGroupTag", &target.portal_group_tag.to_string());
            if let Some(alias) = &target.alias {
                text::push(answer, "TargetAlias", alias);
            }
        }
        let offer = found.map_or_else(discovery_offer, |target| target.offer.clone());
        self.negotiation = Negotiation::new(offer, discovery, request.tsih == 0);
        self.identity = Some(Identity {
            initiator,
            alias: names.alias.map(str::to_owned),
            session_type: names.session_type.unwrap_or("Normal").to_owned(),
            target_name: names.target.map(str::to_owned),
            target,
        });
        if self.stage == Stage::Operational && *self.auth_demanded(edge.config) != Auth::None {
            return Err(LoginError::NotAuthenticated);
        }
        Ok(())
    }

    fn security(
        &mut self,
        edge: &mut Edge<'_>,
        request: &LoginRequest,
        rest: &[(&str, &str)],
        answer: &mut Vec<u8>,
    ) -> Result<(), LoginError> {
        let mut methods = None;
        let mut keys = Keys::default();
        for &(key, value) in rest {
            if key == "AuthMethod" {
                if methods.replace(value).is_some() {
                    return Err(LoginError::AuthTwice);
                }
            } else if let Some(first) = keys.take(key, value) {
                if !first {
                    return Err(LoginError::AuthTwice);
                }
            } else {
                // Operational keys have their own stage.
                let known = super::key::Key::of(key).is_some();
                text::push(answer, key, if known { REJECT } else { text::NOT_UNDERSTOOD });
            }
        }

        let demanded = self.auth_demanded(edge.config);
        let progress = match (core::mem::take(&mut self.auth), methods) {
            (Progress::Open, None) if *demanded == Auth::None || !request.transit => Progress::Open,
            (Progress::Open, None) => return Err(LoginError::NotAuthenticated),
            (Progress::Open, Some(methods)) => {
                let offers = |method| value::list(methods).any(|item| item == method);
                match demanded {
                    Auth::None if offers(NONE) => {
                        text::push(answer, "AuthMethod", NONE);
                        Progress::Done
                    }
                    Auth::Chap(_) if offers("CHAP") => {
                        text::push(answer, "AuthMethod", "CHAP");
                        Progress::Chap(Authenticator::default())
                    }
                    _ => return Err(LoginError::NotAuthenticated),
                }
            }
            (_, Some(_)) => return Err(LoginError::AuthTwice),
            (Progress::Chap(mut authenticator), None) => {
                let Auth::Chap(credentials) = demanded else {
                    return Err(LoginError::NotAuthenticated);
                };
                if authenticator.step(credentials, &keys, edge.entropy, answer)? {
                    Progress::Done
                } else {
                    Progress::Chap(authenticator)
                }
            }
            (Progress::Done, None) => Progress::Done,
        };
        self.auth = progress;
        Ok(())
    }

    fn operational(
        &mut self,
        request: &LoginRequest,
        rest: &[(&str, &str)],
        answer: &mut Vec<u8>,
    ) -> Result<(), LoginError> {
        for (key, value) in rest {
            self.negotiation.take(key, value, answer)?;
        }
        self.negotiation.declare(answer);
        if request.transit {
            self.negotiation.demand(answer)?;
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
                Progress::Done => true,
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

/// A discovery session moves text alone.
fn discovery_offer() -> Offer {
    let length = u32::try_from(DATA_LEN_MAX).unwrap_or(u32::MAX);
    Offer { max_recv_data_segment_length: length, ..Offer::default() }
}
