//! Asks a Sextant that runs, over its metrics listener.

use crate::tls::{ClientFiles, TlsError};
use std::io;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long everything may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// The longest answer that is read, in octets.
const LONGEST: u64 = 64 << 20;

/// Where a Sextant is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// `ADDRESS:PORT` or `NAME:PORT` of its metrics listener.
    pub address: String,
    /// Whom to trust and what to show; none if it has no TLS.
    pub tls: Option<ClientFiles>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens there, or the connection broke.
    #[error("cannot ask Sextant at {0}: {1}")]
    Unreachable(String, io::Error),
    /// It takes too long.
    #[error("cannot ask Sextant at {0}: no answer within {PATIENCE:?}")]
    Silent(String),
    /// Who is there does not speak HTTP.
    #[error(
        "who answers at {0} speaks no HTTP: is it the metrics listener, and has it TLS or not?"
    )]
    NotHttp(String),
    /// It refuses.
    #[error("Sextant at {0} refuses: {1}")]
    Refused(String, String),
    /// It answers what was not asked for.
    #[error("Sextant at {0} gives no list of neighbors: {1}")]
    Unreadable(String, serde_json::Error),
    /// The files for TLS are of no use.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// Sends a request (as in `GET /neighbors`) without a body, and returns the answer's.
///
/// # Errors
/// [`ClientError`], also for any status but 2xx.
pub async fn ask(server: &Server, request: &str) -> Result<String, ClientError> {
    let address = &server.address;
    let exchange = async {
        let stream = TcpStream::connect(address.as_str()).await;
        let stream = stream.map_err(|error| unreachable(server, error))?;
        let Some(files) = &server.tls else {
            return converse(stream, server, request).await;
        };
        let stream = files.open()?.connect(host(address), stream).await;
        let stream = stream.map_err(|error| unreachable(server, error))?;
        converse(stream, server, request).await
    };
    let answer = timeout(PATIENCE, exchange).await;
    answer.unwrap_or_else(|_| Err(ClientError::Silent(address.clone())))
}

async fn converse(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    server: &Server,
    request: &str,
) -> Result<String, ClientError> {
    // An answer to HTTP/1.0 ends with the connection and comes in one piece (RFC 9112 §6).
    let address = &server.address;
    let request = format!("{request} HTTP/1.0\r\nHost: {address}\r\n\r\n");
    let mut answer = Vec::new();
    let exchanged = async {
        stream.write_all(request.as_bytes()).await?;
        (&mut stream).take(LONGEST).read_to_end(&mut answer).await
    };
    let exchanged = exchanged.await;
    // Who speaks TLS, or anything else, may say so before it hangs up.
    if !answer.is_empty() && !answer.starts_with(b"HTTP/") {
        return Err(ClientError::NotHttp(address.clone()));
    }
    exchanged.map_err(|error| unreachable(server, error))?;
    let cut = || ClientError::NotHttp(address.clone());
    let text = String::from_utf8(answer).map_err(|_| cut())?;
    let (head, body) = text.split_once("\r\n\r\n").ok_or_else(cut)?;
    let status = head.split(' ').nth(1).ok_or_else(cut)?;
    match status.starts_with('2') {
        true => Ok(body.to_owned()),
        false => {
            let reason = if body.trim().is_empty() { head } else { body };
            let reason = reason.lines().next().unwrap_or_default().to_owned();
            Err(ClientError::Refused(address.clone(), reason))
        }
    }
}

fn unreachable(server: &Server, error: io::Error) -> ClientError {
    ClientError::Unreachable(server.address.clone(), error)
}

/// The host of `HOST:PORT`, without the brackets of an IPv6 address.
fn host(address: &str) -> &str {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    host.trim_start_matches('[').trim_end_matches(']')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_is_what_is_before_the_port() {
        for (address, expected) in [
            ("[::1]:9697", "::1"),
            ("192.0.2.1:80", "192.0.2.1"),
            ("sextant.example:9697", "sextant.example"),
        ] {
            assert_eq!(host(address), expected);
        }
    }
}
