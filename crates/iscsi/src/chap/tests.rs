use super::*;
use crate::chap::Answerer;
use crate::text::pairs;

/// Counts up: every byte is another.
#[derive(Default)]
struct Counter(u8);

impl Entropy for Counter {
    fn fill(&mut self, bytes: &mut [u8]) -> bool {
        for byte in bytes {
            self.0 = self.0.wrapping_add(1);
            *byte = self.0;
        }
        true
    }
}

fn secret(text: &str) -> Secret {
    Secret::new(text).unwrap()
}

fn users() -> Vec<(String, Secret)> {
    vec![("ann".to_owned(), secret("secret of ann")), ("bob".to_owned(), secret("secret of bob"))]
}

fn own() -> (String, Secret) {
    ("target".to_owned(), secret("secret of the target"))
}

fn keys(text: &[u8]) -> Keys<'_> {
    let mut keys = Keys::default();
    for pair in pairs(text) {
        let (key, value) = pair.unwrap();
        assert_eq!(keys.take(key, value), Some(true));
    }
    keys
}

/// Lets both sides talk until both are done or one refuses.
fn talk(credentials: &Credentials, answerer: &mut Answerer) -> Result<(), ChapError> {
    let (mut here, mut there) = (Counter::default(), Counter(100));
    let mut authenticator = Authenticator::default();
    let (mut request, mut answer) = (Vec::new(), Vec::new());
    answerer.offer(&mut request);
    assert!(!authenticator.step(credentials, &keys(&request), &mut here, &mut answer)?);
    request.clear();
    let done = answerer.step(&keys(&answer), &mut there, &mut request)?;
    answer.clear();
    assert!(authenticator.step(credentials, &keys(&request), &mut here, &mut answer)?);
    if !done {
        request.clear();
        assert!(answerer.step(&keys(&answer), &mut there, &mut request)?);
    }
    Ok(())
}

#[test]
fn both_sides_agree_with_every_algorithm_and_both_ways() {
    for algorithm in Algorithm::ALL {
        let one_way = Credentials::new(users(), None, &[algorithm]).unwrap();
        let mutual = Credentials::new(users(), Some(own()), &[]).unwrap();
        for user in users() {
            talk(&one_way, &mut Answerer::new(user.clone(), None, &[])).unwrap();
            talk(&mutual, &mut Answerer::new(user.clone(), None, &[algorithm])).unwrap();
            talk(&mutual, &mut Answerer::new(user, Some(own()), &[algorithm])).unwrap();
        }
    }
}

#[test]
fn who_does_not_know_the_secret_is_refused() {
    let credentials = Credentials::new(users(), Some(own()), &[]).unwrap();
    let talk = |name: &str, text: &str, target| {
        talk(&credentials, &mut Answerer::new((name.to_owned(), secret(text)), target, &[]))
    };
    assert_eq!(talk("ann", "secret of bob", None), Err(ChapError::Wrong));
    assert_eq!(talk("eve", "secret of bob", None), Err(ChapError::Wrong));
    assert_eq!(talk("", "secret of bob", None), Err(ChapError::Wrong));
    let impostor = Some(("target".to_owned(), secret("another secret")));
    assert_eq!(talk("ann", "secret of ann", impostor), Err(ChapError::Wrong));
    let renamed = Some(("other".to_owned(), secret("secret of the target")));
    assert_eq!(talk("ann", "secret of ann", renamed), Err(ChapError::Wrong));
}

#[test]
fn the_strongest_allowed_algorithm_is_taken() {
    let choose = |allowed: &[Algorithm], offered: &str| {
        Credentials::new(users(), None, allowed).unwrap().choose(offered)
    };
    assert_eq!(choose(&[], "5"), Some(Algorithm::Md5));
    assert_eq!(choose(&[], "5,7,6"), Some(Algorithm::Sha256));
    assert_eq!(choose(&[], "0x8,5"), Some(Algorithm::Sha3_256));
    assert_eq!(choose(&[Algorithm::Sha1, Algorithm::Md5], "8,7,6,5"), Some(Algorithm::Sha1));
    assert_eq!(choose(&[Algorithm::Sha256], "5"), None);
    assert_eq!(choose(&[], "4,9,x,"), None);
}

#[test]
fn one_sided_mutual_is_refused() {
    let ann = users().swap_remove(0);
    let one_way = Credentials::new(users(), None, &[]).unwrap();
    assert_eq!(
        talk(&one_way, &mut Answerer::new(ann, Some(own()), &[])),
        Err(ChapError::NotMutual)
    );
    let mut same = users();
    same.push(("eve".to_owned(), own().1));
    assert_eq!(Credentials::new(same, Some(own()), &[]), Err(SecretError::SameBothWays));
}

/// An authenticator that has sent its challenge, and that challenge.
fn challenged(credentials: &Credentials) -> (Authenticator, String, String) {
    let (mut authenticator, mut answer) = (Authenticator::default(), Vec::new());
    let offer = Keys { algorithm: Some("5"), ..Keys::default() };
    authenticator.step(credentials, &offer, &mut Counter::default(), &mut answer).unwrap();
    let sent = keys(&answer);
    (authenticator, sent.identifier.unwrap().to_owned(), sent.challenge.unwrap().to_owned())
}

#[test]
fn a_reflected_challenge_is_refused() {
    let credentials = Credentials::new(users(), Some(own()), &[]).unwrap();
    let (mut authenticator, identifier, challenge) = challenged(&credentials);
    let bytes = value::binary(&challenge, 16).unwrap();
    let number = u8::try_from(value::number(&identifier).unwrap()).unwrap();
    let response = Algorithm::Md5.response(number, &secret("secret of ann"), &bytes);
    let response = value::to_hex(response.bytes());
    let request = Keys {
        name: Some("ann"),
        response: Some(&response),
        identifier: Some("9"),
        challenge: Some(&challenge),
        ..Keys::default()
    };
    let step = authenticator.step(&credentials, &request, &mut Counter::default(), &mut vec![]);
    assert_eq!(step, Err(ChapError::Reflected));
}

#[test]
fn missing_and_bad_keys_are_named() {
    let credentials = Credentials::new(users(), Some(own()), &[]).unwrap();
    let step = |request: Keys<'_>| {
        let (mut authenticator, ..) = challenged(&credentials);
        authenticator.step(&credentials, &request, &mut Counter::default(), &mut vec![])
    };
    let name = Some("ann");
    assert_eq!(step(Keys { name, ..Keys::default() }), Err(ChapError::Missing("CHAP_R")));
    let response = Some("0x00");
    assert_eq!(step(Keys { response, ..Keys::default() }), Err(ChapError::Missing("CHAP_N")));
    assert_eq!(step(Keys { name, response, ..Keys::default() }), Err(ChapError::Wrong));
    let response = Some("zero");
    assert_eq!(
        step(Keys { name, response, ..Keys::default() }),
        Err(ChapError::BadValue("CHAP_R"))
    );
    assert_eq!(step(Keys::default()), Ok(false), "an empty request waits");
}

#[test]
fn without_random_bytes_there_is_no_login() {
    struct Dry;
    impl Entropy for Dry {
        fn fill(&mut self, _: &mut [u8]) -> bool {
            false
        }
    }
    let credentials = Credentials::new(users(), None, &[]).unwrap();
    let offer = Keys { algorithm: Some("5"), ..Keys::default() };
    let step = Authenticator::default().step(&credentials, &offer, &mut Dry, &mut vec![]);
    assert_eq!(step, Err(ChapError::NoEntropy));
}
