//! The initiator's side of CHAP: it answers, and asks in its turn.

use super::CHALLENGE_LEN_MAX;
use super::algorithm::Algorithm;
use super::authenticator::{ChapError, Keys};
use super::entropy::Entropy;
use super::secret::Secret;
use crate::text::{self, value};

/// One authentication as the initiator. The steps are the target's answers.
#[derive(Clone, Debug)]
pub struct Answerer {
    user: (String, Secret),
    target: Option<(String, Secret)>,
    algorithms: Vec<Algorithm>,
    state: State,
}

#[derive(Clone, Debug)]
enum State {
    Challenge,
    Proof { algorithm: Algorithm, identifier: u8, challenge: Vec<u8> },
    Done,
}

impl Answerer {
    /// Logs in as `user`. With `target`, the target must prove that it has that name and secret.
    /// `algorithms` are offered in this order, all if empty.
    pub fn new(
        user: (String, Secret),
        target: Option<(String, Secret)>,
        algorithms: &[Algorithm],
    ) -> Self {
        let strongest_first = || Algorithm::ALL.into_iter().rev().collect();
        let algorithms =
            if algorithms.is_empty() { strongest_first() } else { algorithms.to_vec() };
        Self { user, target, algorithms, state: State::Challenge }
    }

    /// `CHAP_A` of the first request.
    pub fn offer(&self, request: &mut Vec<u8>) {
        let numbers: Vec<_> = self.algorithms.iter().map(|a| a.number().to_string()).collect();
        text::push(request, "CHAP_A", &numbers.join(","));
    }

    /// Takes the keys of an answer, writes those of the next request; true once nothing more is to
    /// be said and, if asked for, the target has proved itself.
    ///
    /// # Errors
    ///
    /// [`ChapError`]: the target is not to be trusted, or the login has failed.
    pub fn step(
        &mut self,
        keys: &Keys<'_>,
        entropy: &mut dyn Entropy,
        request: &mut Vec<u8>,
    ) -> Result<bool, ChapError> {
        match &self.state {
            State::Challenge => self.answer(keys, entropy, request),
            State::Proof { algorithm, identifier, challenge } => {
                let (name, secret) = self.target.as_ref().ok_or(ChapError::NotMutual)?;
                let response = keys.response.ok_or(ChapError::NotMutual)?;
                let response = value::binary(response, algorithm.digest_len())
                    .ok_or(ChapError::BadValue("CHAP_R"))?;
                let right = algorithm.response(*identifier, secret, challenge).is(&response);
                if !right || keys.name != Some(name.as_str()) {
                    return Err(ChapError::Wrong);
                }
                self.state = State::Done;
                Ok(true)
            }
            State::Done => Err(ChapError::OutOfTurn),
        }
    }

    fn answer(
        &mut self,
        keys: &Keys<'_>,
        entropy: &mut dyn Entropy,
        request: &mut Vec<u8>,
    ) -> Result<bool, ChapError> {
        let algorithm = keys
            .algorithm
            .and_then(value::number)
            .and_then(Algorithm::of)
            .filter(|algorithm| self.algorithms.contains(algorithm))
            .ok_or(ChapError::NoAlgorithm)?;
        let identifier = keys
            .identifier
            .and_then(value::number)
            .and_then(|number| u8::try_from(number).ok())
            .ok_or(ChapError::BadValue("CHAP_I"))?;
        let challenge = keys
            .challenge
            .and_then(|challenge| value::binary(challenge, CHALLENGE_LEN_MAX))
            .ok_or(ChapError::BadValue("CHAP_C"))?;

        let (name, secret) = &self.user;
        let response = algorithm.response(identifier, secret, &challenge);
        text::push(request, "CHAP_N", name);
        text::push(request, "CHAP_R", &value::to_hex(response.bytes()));
        if self.target.is_none() {
            self.state = State::Done;
            return Ok(true);
        }
        let mut own = vec![0; 1 + algorithm.digest_len()];
        if !entropy.fill(&mut own) {
            return Err(ChapError::NoEntropy);
        }
        let identifier = own.pop().unwrap_or_default();
        text::push(request, "CHAP_I", &identifier.to_string());
        text::push(request, "CHAP_C", &value::to_hex(&own));
        self.state = State::Proof { algorithm, identifier, challenge: own };
        Ok(false)
    }
}
