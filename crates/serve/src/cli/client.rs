//! Asks a running server over its control socket.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::de::DeserializeOwned;

use crate::api::ApiProblem;

/// A server that does not answer for so long is not there.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Most bytes of an answer.
const MAX_ANSWER_BYTES: u64 = 64 << 20;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// Nobody listens.
    #[error(
        "{socket}: {source}; is outboard serve running, by this user? With --socket PATH another \
         control socket is asked", socket = socket.display()
    )]
    Connect {
        /// the socket
        socket: PathBuf,
        /// why
        source: io::Error,
    },
    /// The answer did not come.
    #[error("{socket}: {source} while the server was asked; its log may say why", socket = socket.display())]
    Ask {
        /// the socket
        socket: PathBuf,
        /// why
        source: io::Error,
    },
    /// Something else listens there.
    #[error("{socket}: {reason}; is it the socket of an outboard server?", socket = socket.display())]
    Answer {
        /// the socket
        socket: PathBuf,
        /// what is odd about the answer
        reason: String,
    },
    /// The server says no.
    #[error("{}; {}", .0.detail, .0.mend)]
    Refused(Box<ApiProblem>),
}

/// `GET path`, its JSON.
///
/// # Errors
/// Nobody answers, or not as our server does.
pub(super) fn get<T: DeserializeOwned>(socket: &Path, path: &str) -> Result<T, ClientError> {
    request(socket, "GET", path, TIMEOUT)
}

/// `POST path`, its JSON; waits at most `within`.
///
/// # Errors
/// Nobody answers, or the server cannot.
pub(super) fn post<T: DeserializeOwned>(
    socket: &Path,
    path: &str,
    within: Duration,
) -> Result<T, ClientError> {
    request(socket, "POST", path, within)
}

fn request<T: DeserializeOwned>(
    socket: &Path,
    method: &str,
    path: &str,
    within: Duration,
) -> Result<T, ClientError> {
    let answer = ask(socket, method, path, within)?;
    let odd =
        |reason: &str| ClientError::Answer { socket: socket.to_owned(), reason: reason.to_owned() };
    let (status, body) = split(&answer).ok_or_else(|| odd("the answer is not HTTP"))?;
    if status != 200 {
        return Err(match serde_json::from_slice::<ApiProblem>(body) {
            Ok(problem) => ClientError::Refused(Box::new(problem)),
            Err(_) => odd(&format!("HTTP status {status}")),
        });
    }
    serde_json::from_slice(body).map_err(|error| odd(&error.to_string()))
}

fn ask(socket: &Path, method: &str, path: &str, within: Duration) -> Result<Vec<u8>, ClientError> {
    let mut stream = UnixStream::connect(socket)
        .map_err(|source| ClientError::Connect { socket: socket.to_owned(), source })?;
    let mut exchange = || {
        stream.set_read_timeout(Some(within))?;
        stream.set_write_timeout(Some(TIMEOUT))?;
        // HTTP/1.0: the answer comes in one piece and ends with the connection.
        write!(stream, "{method} {path} HTTP/1.0\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n")?;
        let mut answer = Vec::new();
        (&stream).take(MAX_ANSWER_BYTES).read_to_end(&mut answer)?;
        Ok(answer)
    };
    exchange().map_err(|source| ClientError::Ask { socket: socket.to_owned(), source })
}

/// Status code and body.
fn split(answer: &[u8]) -> Option<(u16, &[u8])> {
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n")?;
    let (head, body) = (answer.get(..end)?, answer.get(end + 4..)?);
    let line = head.split(|&b| b == b'\r').next()?;
    let mut words = std::str::from_utf8(line).ok()?.split(' ');
    words.next()?.strip_prefix("HTTP/1.")?;
    Some((words.next()?.parse().ok()?, body))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn answers() {
        assert_eq!(split(b"HTTP/1.0 200 OK\r\nA: b\r\n\r\n{}"), Some((200, &b"{}"[..])));
        assert_eq!(split(b"HTTP/1.1 404 Not Found\r\n\r\n"), Some((404, &b""[..])));
        assert_eq!(split(b"SSH-2.0\r\n\r\n"), None);
        assert_eq!(split(b"HTTP/1.1 200 OK"), None);
    }

    proptest! {
        #[test]
        fn no_answer_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = split(&bytes);
        }
    }
}
