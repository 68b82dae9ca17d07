//! A wire between a store and a member, which can be cut, or lose all answers.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// What the wire does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Whole,
    /// Connections end, and new ones do too.
    Cut,
    /// Requests arrive, answers do not.
    WithoutAnswers,
    /// Nothing arrives.
    Silent,
}

/// A wire, which ends with its value.
pub(crate) struct Wire {
    port: u16,
    connections: Arc<AtomicUsize>,
    state: watch::Sender<State>,
}

impl Wire {
    /// A whole wire to a port of this machine.
    pub(crate) async fn to(port: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let (state, states) = watch::channel(State::Whole);
        let own = listener.local_addr().unwrap().port();
        let connections = Arc::new(AtomicUsize::new(0));
        let count = connections.clone();
        tokio::spawn(async move {
            let mut closed = states.clone();
            loop {
                tokio::select! {
                    ended = ended(&mut closed) => if ended { return },
                    accepted = listener.accept() => {
                        let client = accepted.unwrap().0;
                        count.fetch_add(1, Ordering::Relaxed);
                        tokio::spawn(carry(client, port, states.clone()));
                    }
                }
            }
        });
        Self {
            port: own,
            connections,
            state,
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// How often somebody has connected.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    pub(crate) fn set(&self, state: State) {
        self.state.send_replace(state);
    }
}

/// Waits for a change. Returns whether the wire is gone.
async fn ended(states: &mut watch::Receiver<State>) -> bool {
    states.changed().await.is_err()
}

async fn carry(client: TcpStream, port: u16, states: watch::Receiver<State>) {
    if *states.borrow() == State::Cut {
        return;
    }
    let Ok(server) = TcpStream::connect(("127.0.0.1", port)).await else {
        return;
    };
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let states = Arc::new(states);
    let requests = copy(
        from_client,
        to_server,
        states.clone(),
        &[State::Whole, State::WithoutAnswers],
    );
    let answers = copy(from_server, to_client, states.clone(), &[State::Whole]);
    let mut cut = (*states).clone();
    tokio::select! {
        _ = cut.wait_for(|state| *state == State::Cut) => {}
        () = requests => {}
        () = answers => {}
    }
}

/// Carries octets while the wire is in one of these states, and loses them otherwise.
async fn copy(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    states: Arc<watch::Receiver<State>>,
    carrying: &[State],
) {
    let mut octets = vec![0; 64 << 10];
    while let Ok(read @ 1..) = from.read(&mut octets).await {
        let carries = carrying.contains(&states.borrow());
        if carries && to.write_all(&octets[..read]).await.is_err() {
            return;
        }
    }
}
