//! Answers on the socket. Whoever asks badly, slowly or too much harms others who ask, and nobody else.

use super::protocol::{AnswerLine, LONGEST_REQUEST};
use super::verbs::Request;
use super::{ControlSocket, Known, VerbError};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::{sleep, timeout};

/// Connections at once.
const CONNECTIONS: usize = 32;
/// Answers that are computed at once: each may take a processor.
const ANSWERS: usize = 2;
/// How long a request may take to come in.
const REQUEST: Duration = Duration::from_secs(5);
/// How long a request waits for its turn: longer than one who does not read keeps a place.
const TURN: Duration = Duration::from_secs(15);
/// How long a client may take to read on.
const STALL: Duration = Duration::from_secs(5);
/// How long an answer may take to be computed and taken.
const ANSWER: Duration = Duration::from_secs(60);
/// Rows that wait to be taken.
const ROWS: usize = 256;
/// How long to wait where no connection can be taken, for want of files.
const PAUSE: Duration = Duration::from_millis(100);

/// Serves until `stopping`.
pub async fn serve(socket: ControlSocket, known: Known, stopping: impl Future<Output = ()>) {
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
        // One too many is hung up on: a queue of them would only hide who takes all the places.
        let Ok(place) = connections.clone().try_acquire_owned() else {
            continue;
        };
        let (known, answers) = (known.clone(), answers.clone());
        tokio::spawn(async move {
            if let Err(error) = converse(&mut stream, known, &answers).await {
                tracing::debug!(%error, "a request on the control socket was not answered");
            }
            // In this order: whoever is hung up on finds its place free.
            drop(place);
            drop(stream);
        });
    }
}

async fn converse(stream: &mut UnixStream, known: Known, answers: &Semaphore) -> io::Result<()> {
    let user = stream.peer_cred().map(|peer| peer.uid()).ok();
    let request = match read(stream).await {
        Ok(request) => request,
        Err(reason) => return refuse(stream, reason).await,
    };
    tracing::debug!(user, ?request, "asked on the control socket");
    let Ok(Ok(_answering)) = timeout(TURN, answers.acquire()).await else {
        return refuse(stream, "others are being answered: try again".to_owned()).await;
    };
    match timeout(ANSWER, answer(stream, request, known)).await {
        Ok(written) => written,
        Err(_) => {
            let reason = format!("the answer took more than {ANSWER:?}: ask for less");
            refuse(stream, reason).await
        }
    }
}

/// The request, or why it is none.
async fn read(stream: &mut UnixStream) -> Result<Request, String> {
    let mut line = Vec::new();
    let mut limited = BufReader::new(stream.take(LONGEST_REQUEST as u64));
    match timeout(REQUEST, limited.read_until(b'\n', &mut line)).await {
        Ok(Ok(_)) if line.ends_with(b"\n") => {
            let unknown = |error| format!("this Sextant does not understand the request: {error}");
            serde_json::from_slice(&line).map_err(unknown)
        }
        Ok(Ok(_)) if line.len() >= LONGEST_REQUEST => Err(format!(
            "the request is longer than {LONGEST_REQUEST} octets"
        )),
        Ok(_) => Err("the request ends before its line does".to_owned()),
        Err(_) => Err(format!("no request within {REQUEST:?}")),
    }
}

/// Computes the answer in a thread that may block, row by row as they are taken. It stops with the first row that nobody
/// takes.
async fn answer(stream: &mut UnixStream, request: Request, known: Known) -> io::Result<()> {
    let (give, mut rows) = mpsc::channel::<Vec<u8>>(ROWS);
    tokio::task::spawn_blocking(move || {
        let taken = |line| give.blocking_send(line).map_err(|_| VerbError::Abandoned);
        let last: AnswerLine<()> = match request.answer(&known, &taken) {
            Ok(()) => AnswerLine::End,
            Err(reason) => AnswerLine::Refused(reason.to_string()),
        };
        let _ = taken(last.encode());
    });
    while let Some(line) = rows.recv().await {
        write(stream, &line).await?;
    }
    Ok(())
}

async fn refuse(stream: &mut UnixStream, reason: String) -> io::Result<()> {
    write(stream, &AnswerLine::<()>::Refused(reason).encode()).await
}

async fn write(stream: &mut UnixStream, line: &[u8]) -> io::Result<()> {
    timeout(STALL, stream.write_all(line)).await?
}
