//! The target's side of CHAP: it asks, checks, and answers in its turn.

use thiserror::Error;

use super::algorithm::Algorithm;
use super::entropy::Entropy;
use super::secret::{Secret, SecretError};
use super::{CHALLENGE_LEN_MAX, Response};
use crate::text::{self, value};

/// Why an authentication failed.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum ChapError {
    /// None of the offered algorithms is allowed.
    #[error("no CHAP algorithm that both sides allow")]
    NoAlgorithm,
    /// A key that must be there is not.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// A key's value is not what it must be.
    #[error("the value of {0} is not valid")]
    BadValue(&'static str),
    /// A key that does not belong to this step.
    #[error("a CHAP key out of turn")]
    OutOfTurn,
    /// The name is unknown or the secret is another.
    #[error("unknown user or wrong secret")]
    Wrong,
    /// The peer sent this side's own challenge back, to have it answered.
    #[error("the peer sent back the challenge it got: a reflection")]
    Reflected,
    /// The peer asks for a proof that this side cannot give, or gives none.
    #[error("mutual CHAP is asked for by one side only")]
    NotMutual,
    /// No random bytes.
    #[error("no random bytes for a challenge")]
    NoEntropy,
}

/// Who may log in, and how the target proves itself.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Credentials {
    users: Vec<(String, Secret)>,
    mutual: Option<(String, Secret)>,
    algorithms: Vec<Algorithm>,
}

impl Credentials {
    /// `users` by name with their secrets; `mutual` is the target's own name and secret;
    /// `algorithms` that may be used, all if empty.
    ///
    /// # Errors
    ///
    /// [`SecretError::SameBothWays`] if a user has the target's secret.
    pub fn new(
        users: Vec<(String, Secret)>,
        mutual: Option<(String, Secret)>,
        algorithms: &[Algorithm],
    ) -> Result<Self, SecretError> {
        if let Some((_, own)) = &mutual
            && users.iter().any(|(_, secret)| secret == own)
        {
            return Err(SecretError::SameBothWays);
        }
        let all: &[Algorithm] = if algorithms.is_empty() { &Algorithm::ALL } else { algorithms };
        Ok(Self { users, mutual, algorithms: all.to_vec() })
    }

    /// Whether the target can prove itself to an initiator.
    pub const fn is_mutual(&self) -> bool {
        self.mutual.is_some()
    }

    /// The strongest algorithm of the list `offered` that is allowed.
    fn choose(&self, offered: &str) -> Option<Algorithm> {
        value::list(offered)
            .filter_map(|item| Algorithm::of(value::number(item)?))
            .filter(|algorithm| self.algorithms.contains(algorithm))
            .max()
    }
}

/// The CHAP keys of one request or answer, as far as they were there.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Keys<'a> {
    /// `CHAP_A`
    pub algorithm: Option<&'a str>,
    /// `CHAP_N`
    pub name: Option<&'a str>,
    /// `CHAP_R`
    pub response: Option<&'a str>,
    /// `CHAP_I`
    pub identifier: Option<&'a str>,
    /// `CHAP_C`
    pub challenge: Option<&'a str>,
}

impl<'a> Keys<'a> {
    /// Takes `value` if `key` is one of CHAP; `Some(false)` if it was there before.
    pub fn take(&mut self, key: &str, value: &'a str) -> Option<bool> {
        let place = match key {
            "CHAP_A" => &mut self.algorithm,
            "CHAP_N" => &mut self.name,
            "CHAP_R" => &mut self.response,
            "CHAP_I" => &mut self.identifier,
            "CHAP_C" => &mut self.challenge,
            _ => return None,
        };
        Some(place.replace(value).is_none())
    }

    /// Whether there were none.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// One authentication. The steps are the initiator's requests.
#[derive(Clone, Debug, Default)]
pub struct Authenticator {
    state: State,
    user: Option<String>,
}

#[derive(Clone, Debug, Default)]
enum State {
    #[default]
    Algorithm,
    Response {
        algorithm: Algorithm,
        identifier: u8,
        challenge: Vec<u8>,
    },
    Done,
}

impl Authenticator {
    /// Who the initiator is, once it has proved it.
    pub fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    /// Takes the keys of a request, writes those of the answer; true once the initiator is who it
    /// says it is.
    ///
    /// # Errors
    ///
    /// [`ChapError`]: the login has failed.
    pub fn step(
        &mut self,
        credentials: &Credentials,
        keys: &Keys<'_>,
        entropy: &mut dyn Entropy,
        answer: &mut Vec<u8>,
    ) -> Result<bool, ChapError> {
        match core::mem::take(&mut self.state) {
            // The initiator waits for its turn: nothing is lost.
            state if keys.is_empty() => {
                let done = matches!(state, State::Done);
                self.state = state;
                Ok(done)
            }
            State::Algorithm => {
                let offered = keys.algorithm.ok_or(ChapError::Missing("CHAP_A"))?;
                let algorithm = credentials.choose(offered).ok_or(ChapError::NoAlgorithm)?;
                let mut random = vec![0; 1 + algorithm.digest_len()];
                if !entropy.fill(&mut random) {
                    return Err(ChapError::NoEntropy);
                }
                let identifier = random.pop().unwrap_or_default();
                text::push(answer, "CHAP_A", &algorithm.number().to_string());
                text::push(answer, "CHAP_I", &identifier.to_string());
                text::push(answer, "CHAP_C", &value::to_hex(&random));
                self.state = State::Response { algorithm, identifier, challenge: random };
                Ok(false)
            }
            State::Response { algorithm, identifier, challenge } => {
                let user = check(credentials, keys, algorithm, identifier, &challenge)?;
                if let Some(proof) = prove(credentials, keys, algorithm, &challenge)? {
                    let (name, response) = proof;
                    text::push(answer, "CHAP_N", name);
                    text::push(answer, "CHAP_R", &value::to_hex(response.bytes()));
                }
                self.state = State::Done;
                self.user = Some(user.to_owned());
                Ok(true)
            }
            State::Done => Err(ChapError::OutOfTurn),
        }
    }
}

/// The user whose secret the initiator knows.
fn check<'k>(
    credentials: &Credentials,
    keys: &Keys<'k>,
    algorithm: Algorithm,
    identifier: u8,
    challenge: &[u8],
) -> Result<&'k str, ChapError> {
    let name = keys.name.ok_or(ChapError::Missing("CHAP_N"))?;
    let response = keys.response.ok_or(ChapError::Missing("CHAP_R"))?;
    let response =
        value::binary(response, algorithm.digest_len()).ok_or(ChapError::BadValue("CHAP_R"))?;
    // All users are gone through, so that the time does not tell which names there are.
    let mut sound = false;
    for (user, secret) in &credentials.users {
        let right = algorithm.response(identifier, secret, challenge).is(&response);
        sound |= right & (user == name);
    }
    if sound { Ok(name) } else { Err(ChapError::Wrong) }
}

/// The target's own answer, if the initiator asks for one.
fn prove<'c>(
    credentials: &'c Credentials,
    keys: &Keys<'_>,
    algorithm: Algorithm,
    own_challenge: &[u8],
) -> Result<Option<(&'c str, Response)>, ChapError> {
    let (identifier, challenge) = match (keys.identifier, keys.challenge) {
        (None, None) => return Ok(None),
        (Some(identifier), Some(challenge)) => (identifier, challenge),
        (None, Some(_)) => return Err(ChapError::Missing("CHAP_I")),
        (Some(_), None) => return Err(ChapError::Missing("CHAP_C")),
    };
    let identifier = value::number(identifier)
        .and_then(|number| u8::try_from(number).ok())
        .ok_or(ChapError::BadValue("CHAP_I"))?;
    let challenge = value::binary(challenge, CHALLENGE_LEN_MAX)
        .filter(|challenge| !challenge.is_empty())
        .ok_or(ChapError::BadValue("CHAP_C"))?;
    if challenge == own_challenge {
        return Err(ChapError::Reflected);
    }
    let (name, secret) = credentials.mutual.as_ref().ok_or(ChapError::NotMutual)?;
    Ok(Some((name, algorithm.response(identifier, secret, &challenge))))
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
