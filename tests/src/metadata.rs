//! Metadata in the lab: `sextant metadata` on a hypervisor, a played Nova beside it, and guests that ask.

use crate::controller::{READY, find_binary, says_ready};
use crate::error::LabError;
use crate::hypervisor::Hypervisor;
use crate::leftovers;
use crate::namespace::Namespace;
use crate::process::Process;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// Where guests ask.
pub const METADATA: Ipv4Addr = Ipv4Addr::new(169, 254, 169, 254);
/// Where guests ask over IPv6.
pub const METADATA_IPV6: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0xa9fe, 0xa9fe);
/// The secret that the played Nova shares.
pub const SECRET: &str = "hunter2";
/// Where the played Nova is, in the hypervisor's namespace.
const NOVA: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8775);
/// How long a guest waits.
const PATIENCE: Duration = Duration::from_secs(10);

/// A request that Nova got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NovaRequest {
    /// Method and path.
    pub line: String,
    /// Its headers, with names in lower case.
    pub headers: BTreeMap<String, String>,
}

impl NovaRequest {
    /// A header's value; empty if it has none.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    fn read(stream: &TcpStream) -> Option<Self> {
        let mut lines = BufReader::new(stream).lines();
        let line = lines.next()?.ok()?;
        let headers = lines
            .map_while(Result::ok)
            .take_while(|line| !line.is_empty())
            .filter_map(|line| {
                let (name, value) = line.split_once(':')?;
                Some((name.to_lowercase(), value.trim().to_owned()))
            });
        let headers = headers.collect();
        Some(Self { line, headers })
    }
}

type Answer = dyn Fn(&NovaRequest) -> Option<String> + Send + Sync;

/// Plays Nova's metadata API in a hypervisor's namespace. It ends with the value.
pub struct PlayedNova {
    requests: Arc<Mutex<Vec<NovaRequest>>>,
    stopping: Arc<AtomicBool>,
    namespace: Namespace,
    thread: Option<JoinHandle<()>>,
}

impl PlayedNova {
    /// Answers each request with the text that `answer` gives, or with 404.
    ///
    /// # Errors
    /// [`LabError::Io`].
    pub fn start(
        host: &Hypervisor,
        answer: impl Fn(&NovaRequest) -> Option<String> + Send + Sync + 'static,
    ) -> Result<Self, LabError> {
        let namespace = host.namespace().clone();
        let listener = namespace.enter(|| TcpListener::bind(NOVA))?;
        let listener = listener.map_err(LabError::io(format!("listen at {NOVA}")))?;
        let requests = Arc::default();
        let stopping = Arc::new(AtomicBool::new(false));
        let (seen, stop) = (Arc::clone(&requests), Arc::clone(&stopping));
        let answer: Arc<Answer> = Arc::new(answer);
        let thread = thread::spawn(move || serve(&listener, &seen, &stop, &answer));
        Ok(Self {
            requests,
            stopping,
            namespace,
            thread: Some(thread),
        })
    }

    /// What it got so far.
    #[must_use]
    pub fn requests(&self) -> Vec<NovaRequest> {
        lock(&self.requests).clone()
    }
}

impl Drop for PlayedNova {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::SeqCst);
        // The last connection lets it look.
        let _ = self.namespace.enter(|| TcpStream::connect(NOVA));
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn serve(
    listener: &TcpListener,
    seen: &Arc<Mutex<Vec<NovaRequest>>>,
    stopping: &AtomicBool,
    answer: &Arc<Answer>,
) {
    for stream in listener.incoming().map_while(Result::ok) {
        if stopping.load(Ordering::SeqCst) {
            return;
        }
        let (seen, answer) = (Arc::clone(seen), Arc::clone(answer));
        thread::spawn(move || {
            let Some(request) = NovaRequest::read(&stream) else {
                return;
            };
            let (status, body) = match answer(&request) {
                Some(body) => ("200 OK", body),
                None => ("404 Not Found", String::new()),
            };
            lock(&seen).push(request);
            let head = format!(
                "HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                body.len()
            );
            let _ = (&stream).write_all(format!("{head}{body}").as_bytes());
        });
    }
}

/// Starts `sextant metadata` on a hypervisor, whose port for it has to be there.
///
/// # Errors
/// [`LabError::Ended`] or [`LabError::Timeout`] with its log.
pub fn start_metadata(host: &Hypervisor) -> Result<Process, LabError> {
    let lab = host.namespace().lab();
    let file = leftovers::home(lab).join(format!("{}-metadata.toml", host.name()));
    let text = format!(
        "[metadata]\nnova_url = \"http://{NOVA}\"\nshared_secret = \"{SECRET}\"\novsdb = \"{}\"\ntimeout = 5\n",
        host.database()
    );
    std::fs::write(&file, text).map_err(LabError::io(format!("write {}", file.display())))?;
    let binary = find_binary()?;
    let (binary, file) = (binary.to_string_lossy(), file.to_string_lossy());
    let words = [&*binary, "metadata", "--log", "debug", "--config", &*file];
    let mut process = host.namespace().spawn(&words)?;
    process.wait_line("its ready line", READY, says_ready)?;
    Ok(process)
}

/// Sends a request from a namespace to the metadata service, and reads the whole answer.
///
/// # Errors
/// There is no answer within 10 s.
pub fn ask_metadata(from: &Namespace, to: IpAddr, request: &str) -> Result<String, LabError> {
    let answer = from.enter(|| -> std::io::Result<String> {
        let to = match to {
            IpAddr::V4(_) => SocketAddr::new(to, 80),
            IpAddr::V6(address) => SocketAddrV6::new(address, 80, 0, index_of_eth0()?).into(),
        };
        let mut stream = TcpStream::connect_timeout(&to, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.write_all(request.as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    })?;
    answer.map_err(LabError::io(format!("ask {to} in {}", from.name())))
}

/// In the namespace of this thread, which `/sys` does not follow.
fn index_of_eth0() -> std::io::Result<u32> {
    let socket = rustix::net::socket(
        rustix::net::AddressFamily::INET6,
        rustix::net::SocketType::DGRAM,
        None,
    )?;
    Ok(rustix::net::netdevice::name_to_index(socket, "eth0")?)
}
