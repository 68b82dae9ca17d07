//! Answers on the socket. A client that sends nonsense, is slow or asks too much can only delay other clients of the
//! socket.

use super::protocol::{AnswerLine, LONGEST_REQUEST};
use super::verbs::Request;
use super::{ControlSocket, OperatorView, VerbError};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::runtime::Handle;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::{sleep, timeout};

/// The most connections at once.
const CONNECTIONS: usize = 32;
/// The most answers computed at once: each may use a processor.
const ANSWERS: usize = 2;
/// How long a request may take to arrive.
const REQUEST: Duration = Duration::from_secs(5);
/// How long a request waits for its turn: longer than a client that does not read can keep one.
const TURN: Duration = Duration::from_secs(15);
/// How long a client may pause before it reads on.
pub(crate) const STALL: Duration = Duration::from_secs(5);
/// How long computing and sending an answer may take.
const ANSWER: Duration = Duration::from_secs(60);
/// How many rows may wait to be sent.
const ROWS: usize = 256;
/// How long to wait after a connection could not be accepted, such as for want of files.
const PAUSE: Duration = Duration::from_millis(100);

/// Serves until `stopping`.
pub async fn serve(socket: ControlSocket, known: OperatorView, stopping: impl Future<Output = ()>) {
    let connections = Arc::new(Semaphore::new(CONNECTIONS));
    let answers = Arc::new(Semaphore::new(ANSWERS));
    let mut stopping = std::pin::pin!(stopping);
    loop {
        let accepted = tokio::select! {
            accepted = socket.listener.accept() => accepted,
            () = &mut stopping => return,
        };
        let Ok((mut stream, _)) = accepted else {
            sleep(PAUSE).await;
            continue;
        };
        // One too many is hung up on. A queue would only hide who takes all the places.
        let Ok(place) = connections.clone().try_acquire_owned() else {
            continue;
        };
        let (known, answers) = (known.clone(), answers.clone());
        tokio::spawn(async move {
            if let Err(error) = converse(&mut stream, known, &answers).await {
                tracing::debug!(%error, "a request on the control socket was not answered");
            }
            // The place is freed before the connection is closed, so that a client that was hung up on finds it free.
            drop(place);
            drop(stream);
        });
    }
}

async fn converse(
    stream: &mut UnixStream,
    known: OperatorView,
    answers: &Semaphore,
) -> io::Result<()> {
    let user = stream.peer_cred().map(|peer| peer.uid()).ok();
    let request = match read(stream).await {
        Ok(request) => request,
        Err(reason) => return refuse(stream, reason).await,
    };
    tracing::debug!(user, ?request, "a request came on the control socket");
    if let Some(lasts) = request.lasts() {
        // It mostly waits, so it takes no other's turn. How many there are is limited elsewhere.
        return timeout(lasts + ANSWER, answer(stream, request, known)).await?;
    }
    let Ok(Ok(_answering)) = timeout(TURN, answers.acquire()).await else {
        return refuse(
            stream,
            "too many requests are being answered: try again".to_owned(),
        )
        .await;
    };
    match timeout(ANSWER, answer(stream, request, known)).await {
        Ok(written) => written,
        Err(_) => {
            let reason = format!("the answer took more than {ANSWER:?}: ask for less");
            refuse(stream, reason).await
        }
    }
}

/// Reads the request, or says why it is invalid.
async fn read(stream: &mut UnixStream) -> Result<Request, String> {
    let mut line = Vec::new();
    let mut limited = BufReader::new(stream.take(LONGEST_REQUEST as u64));
    match timeout(REQUEST, limited.read_until(b'\n', &mut line)).await {
        Ok(Ok(_)) if line.ends_with(b"\n") => {
            let request = serde_json::from_slice(&line);
            request
                .map_err(|error| format!("this Sextant does not understand the request: {error}"))
        }
        Ok(Ok(_)) if line.len() >= LONGEST_REQUEST => Err(format!(
            "the request is longer than {LONGEST_REQUEST} octets"
        )),
        Ok(_) => Err("the request ends before its line does".to_owned()),
        Err(_) => Err(format!("no request within {REQUEST:?}")),
    }
}

/// Computes the answer in a thread that may block, row by row as they are read. It stops at the first row that nobody
/// reads.
async fn answer(stream: &mut UnixStream, request: Request, known: OperatorView) -> io::Result<()> {
    let (give, mut rows) = mpsc::channel::<Vec<u8>>(ROWS);
    tokio::task::spawn_blocking(move || answer_lines(&request, &known, &give, STALL));
    while let Some(line) = rows.recv().await {
        write(stream, &line).await?;
    }
    Ok(())
}

/// Computes an answer, and gives its lines to who reads them. Takes a thread that may block.
///
/// Who reads nothing for `stall` is given up: others wait for the thread, and for the answer's place.
pub(crate) fn answer_lines(
    request: &Request,
    known: &OperatorView,
    give: &mpsc::Sender<Vec<u8>>,
    stall: Duration,
) {
    let answered = request.answer(known, &|line| hand_over(give, line, stall));
    let last: AnswerLine<()> = match answered {
        Ok(()) => AnswerLine::End,
        Err(reason) => AnswerLine::Refused(reason.to_string()),
    };
    // Nobody may be there any more to take it.
    let _ = hand_over(give, last.encode(), stall);
}

fn hand_over(
    give: &mpsc::Sender<Vec<u8>>,
    line: Vec<u8>,
    stall: Duration,
) -> Result<(), VerbError> {
    // Mostly there is room.
    match give.try_send(line) {
        Ok(()) => Ok(()),
        Err(TrySendError::Closed(_)) => Err(VerbError::Abandoned),
        Err(TrySendError::Full(line)) => {
            let given = Handle::current().block_on(give.send_timeout(line, stall));
            given.map_err(|_| VerbError::Abandoned)
        }
    }
}

async fn refuse(stream: &mut UnixStream, reason: String) -> io::Result<()> {
    write(stream, &AnswerLine::<()>::Refused(reason).encode()).await
}

async fn write(stream: &mut UnixStream, line: &[u8]) -> io::Result<()> {
    timeout(STALL, stream.write_all(line)).await?
}

#[cfg(test)]
mod tests {
    use super::*;

    /// It comes to an end only if who does not read is given up.
    #[tokio::test]
    async fn who_does_not_read_is_given_up_and_who_has_left_is_noticed() {
        const STALL: Duration = Duration::from_millis(20);
        let (give, mut rows) = mpsc::channel(1);
        let handed = tokio::task::spawn_blocking(move || {
            let handed = [b"first", b"other"].map(|line| hand_over(&give, line.to_vec(), STALL));
            (handed, give)
        });
        let (handed, give) = handed.await.unwrap();
        assert_eq!(handed, [Ok(()), Err(VerbError::Abandoned)]);
        assert_eq!(rows.recv().await.unwrap(), b"first");
        drop(rows);
        let late = hand_over(&give, b"late".to_vec(), STALL);
        assert_eq!(late, Err(VerbError::Abandoned));
    }
}
