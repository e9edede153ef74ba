//! What a text of a login says, and what is answered: names first, then the keys of the stage.

use super::{Edge, Phase, Progress};
use crate::chap::Authenticator;
use crate::chap::authenticator::Keys;
use crate::config::{Auth, Offer};
use crate::login::error::LoginError;
use crate::login::identity::{Identity, Names, find};
use crate::login::negotiation::Negotiation;
use crate::login::{DATA_LEN_MAX, PAIRS_MAX};
use crate::name;
use crate::pdu::{LoginRequest, Stage};
use crate::text::{self, NONE, REJECT, pairs, value};

impl Phase {
    /// A whole text: what is answered goes into `answer`.
    pub(super) fn answer(
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
                let known = crate::login::key::Key::of(key).is_some();
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
                        Progress::Done(None)
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
                    Progress::Done(authenticator.user().map(str::to_owned))
                } else {
                    Progress::Chap(authenticator)
                }
            }
            (done @ Progress::Done(_), None) => done,
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
}

/// A discovery session moves text alone.
fn discovery_offer() -> Offer {
    let length = u32::try_from(DATA_LEN_MAX).unwrap_or(u32::MAX);
    Offer { max_recv_data_segment_length: length, ..Offer::default() }
}
