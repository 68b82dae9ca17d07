//! TLS of the API's listener, spoken with clients that people use.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

#[path = "../../tests/src/free_port.rs"]
mod free_port;

use axum::extract::Extension;
use axum::routing::get;
use free_port::free_port;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair,
};
use sextant_controller::config::Config;
use sextant_controller::http::{HttpLimits, Peer, serve};
use sextant_controller::metrics::Metrics;
use sextant_controller::stream::Listener;
use sextant_controller::tls::{Tls, TlsFiles};
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{ChildStderr, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use tokio::net::TcpListener;

type Authority = CertifiedIssuer<'static, KeyPair>;

/// A folder with an authority, and what it signs.
struct Files {
    folder: PathBuf,
    authority: Authority,
}

impl Drop for Files {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

impl Files {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("sextant-tls-{}-{number}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder).unwrap();
        let mut parameters = CertificateParams::default();
        let name = &mut parameters.distinguished_name;
        name.push(DnType::CommonName, "the cloud's authority");
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority =
            CertifiedIssuer::self_signed(parameters, KeyPair::generate().unwrap()).unwrap();
        let files = Self { folder, authority };
        std::fs::write(files.path("ca.pem"), files.authority.pem()).unwrap();
        files.sign("server", "::1");
        files.sign("client", "operator");
        files
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Writes a certificate and its key.
    fn sign(&self, name: &str, subject: &str) {
        let key = KeyPair::generate().unwrap();
        let mut parameters = CertificateParams::new(vec![subject.to_owned()]).unwrap();
        parameters.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        let certificate = parameters.signed_by(&key, &self.authority).unwrap();
        std::fs::write(self.path(&format!("{name}.pem")), certificate.pem()).unwrap();
        std::fs::write(self.path(&format!("{name}.key")), key.serialize_pem()).unwrap();
    }

    fn tls(&self, client_ca: bool) -> TlsFiles {
        TlsFiles {
            certificate: self.path("server.pem"),
            private_key: self.path("server.key"),
            client_ca: if client_ca {
                self.path("ca.pem")
            } else {
                PathBuf::new()
            },
        }
    }
}

/// Serves what a request says of its connection, until the test ends.
async fn served(tls: Tls) -> SocketAddr {
    let said = get(|Extension(peer): Extension<Peer>| async move {
        format!("{} {}", peer.address.ip(), peer.encrypted)
    });
    serving(tls, axum::Router::new().route("/", said)).await
}

async fn serving(tls: Tls, router: axum::Router) -> SocketAddr {
    let tcp = TcpListener::bind("[::1]:0").await.unwrap();
    let address = tcp.local_addr().unwrap();
    let listener = Listener::new(tcp, Some(tls));
    tokio::spawn(serve(
        "api",
        listener,
        router,
        HttpLimits::default(),
        Metrics::new().unwrap(),
        std::future::pending(),
    ));
    address
}

async fn run(mut command: Command) -> Result<String, String> {
    let output = tokio::task::spawn_blocking(move || command.output())
        .await
        .unwrap();
    let output = output.expect("curl and python3 are there");
    let text = |octets| String::from_utf8_lossy(octets).into_owned();
    match output.status.success() {
        true => Ok(text(&output.stdout)),
        false => Err(text(&output.stderr)),
    }
}

async fn curl(address: SocketAddr, files: &Files, certificate: bool) -> Result<String, String> {
    let mut command = Command::new("curl");
    command
        .args(["--silent", "--show-error", "--max-time", "20", "--cacert"])
        .arg(files.path("ca.pem"));
    if certificate {
        command.arg("--cert").arg(files.path("client.pem"));
        command.arg("--key").arg(files.path("client.key"));
    }
    command.arg(format!("https://{address}/"));
    run(command).await
}

const PYTHON: &str = "
import socket, ssl, sys
port, ca, version = int(sys.argv[1]), sys.argv[2], sys.argv[3]
context = ssl.create_default_context(cafile=ca)
context.minimum_version = context.maximum_version = getattr(ssl.TLSVersion, version)
with socket.create_connection(('::1', port), timeout=20) as tcp:
    with context.wrap_socket(tcp, server_hostname='::1') as tls:
        tls.sendall(b'GET / HTTP/1.1\\r\\nHost: x\\r\\nConnection: close\\r\\n\\r\\n')
        answer = b''
        while octets := tls.recv(4096):
            answer += octets
print(tls.version() if tls.version() else version, answer.decode().splitlines()[-1])
";

#[tokio::test]
async fn clients_speak_tls_of_either_version_and_the_request_says_so() {
    let files = Files::new();
    let address = served(files.tls(false).open().unwrap().unwrap()).await;
    assert_eq!(curl(address, &files, false).await.unwrap(), "::1 true");
    for version in ["TLSv1_2", "TLSv1_3"] {
        let mut command = Command::new("python3");
        command.args(["-c", PYTHON, &address.port().to_string()]);
        command.arg(files.path("ca.pem")).arg(version);
        let said = run(command).await.unwrap();
        assert!(said.trim().ends_with("::1 true"), "{said}");
    }
    let mut plain = Command::new("curl");
    plain.args(["--silent", "--show-error", "--max-time", "20"]);
    plain.arg(format!("http://{address}/"));
    run(plain).await.unwrap_err();
}

#[tokio::test]
async fn with_an_authority_only_clients_that_it_signed_are_admitted() {
    let files = Files::new();
    let address = served(files.tls(true).open().unwrap().unwrap()).await;
    curl(address, &files, false).await.unwrap_err();
    assert_eq!(curl(address, &files, true).await.unwrap(), "::1 true");
    let stranger = Files::new();
    for name in ["client.pem", "client.key"] {
        std::fs::copy(stranger.path(name), files.path(name)).unwrap();
    }
    curl(address, &files, true).await.unwrap_err();
}

#[tokio::test]
async fn a_renewed_certificate_is_taken_up_and_a_broken_one_is_not() {
    let files = Files::new();
    let tls = files.tls(false).open().unwrap().unwrap();
    let address = served(tls.clone()).await;
    files.sign("server", "other.example");
    curl(address, &files, false).await.unwrap();
    tls.reload(&files.tls(false)).unwrap();
    let error = curl(address, &files, false).await.unwrap_err();
    assert!(
        error.contains("subject") || error.contains("host"),
        "{error}"
    );
    files.sign("server", "::1");
    tls.reload(&files.tls(false)).unwrap();
    std::fs::write(files.path("server.key"), "nothing").unwrap();
    tls.reload(&files.tls(false)).unwrap_err();
    assert_eq!(curl(address, &files, false).await.unwrap(), "::1 true");
}

fn refusal(files: &Files, text: &str) -> String {
    let path = files.path("sextant.toml");
    std::fs::write(&path, text).unwrap();
    let checked = Config::read(&path).and_then(|config| config.check());
    checked
        .err()
        .map(|error| error.to_string())
        .unwrap_or_default()
}

/// Connects as a client with a certificate, says what it is told and prints what it hears first.
const PEER: &str = "
import socket, ssl, sys
port, folder, says = int(sys.argv[1]), sys.argv[2], bytes.fromhex(sys.argv[3])
context = ssl.create_default_context(cafile=folder + '/ca.pem')
if sys.argv[4] == 'known':
    context.load_cert_chain(folder + '/client.pem', folder + '/client.key')
with socket.create_connection(('::1', port), timeout=20) as tcp:
    with context.wrap_socket(tcp, server_hostname='::1') as tls:
        tls.sendall(says)
        heard = b''
        while len(heard) < 16 and (octets := tls.recv(4096)):
            heard += octets
print(heard.hex())
sys.exit(0 if heard else 1)
";

/// A controller with TLS everywhere, ended with the test.
struct Controller {
    process: std::process::Child,
    log: std::io::Lines<BufReader<ChildStderr>>,
    ports: [u16; 4],
}

impl Drop for Controller {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Controller {
    fn start(files: &Files) -> Self {
        let ports = [(); 4].map(|()| free_port().unwrap());
        let at = |name: &str| files.path(name).display().to_string();
        let listen = ["api", "openflow", "ovsdb", "metrics"].iter().zip(ports);
        let listen = listen.map(|(name, port)| format!("{name}_listen = '[::1]:{port}'\n"));
        let tls = format!(
            "certificate = '{}'\nprivate_key = '{}'\n",
            at("server.pem"),
            at("server.key")
        );
        let text = format!(
            "{}data_dir = '{}'\nweb.listen = ''\n[control]\nsocket = '{}'\n[tls]\n{tls}[hypervisor_tls]\n{tls}client_ca = '{}'\n",
            listen.collect::<String>(),
            at("data"),
            at("control"),
            at("ca.pem")
        );
        let path = files.path("sextant.toml");
        std::fs::write(&path, text).unwrap();
        let mut process = Command::new(env!("CARGO_BIN_EXE_sextant"))
            .args(["--json", "serve", "--config"])
            .arg(path)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = BufReader::new(process.stderr.take().unwrap()).lines();
        let mut controller = Self {
            process,
            log,
            ports,
        };
        controller.wait_for("ready");
        controller
    }

    /// Waits for a line of the log.
    fn wait_for(&mut self, message: &str) {
        let found = self
            .log
            .by_ref()
            .map(Result::unwrap)
            .find(|line| line.contains(message));
        found.unwrap_or_else(|| panic!("the controller says {message:?}"));
    }
}

#[tokio::test]
async fn a_controller_speaks_tls_with_everyone() {
    let files = Files::new();
    let mut controller = Controller::start(&files);
    let [api, openflow, ovsdb, metrics] = controller.ports;
    for port in [api, metrics] {
        let address = SocketAddr::from((std::net::Ipv6Addr::LOCALHOST, port));
        curl(address, &files, false).await.unwrap();
    }
    let peer = |port: u16, says: &str, known: &str| {
        let mut command = Command::new("python3");
        command
            .args(["-c", PEER, &port.to_string()])
            .arg(&files.folder);
        command.args([says, known]);
        run(command)
    };
    // HELLO of OpenFlow 1.3 is answered with the same, and the question for features.
    let heard = peer(openflow, "0400000800000001", "known").await.unwrap();
    assert!(heard.starts_with("0400"), "{heard}");
    // JSON.
    let heard = peer(ovsdb, "", "known").await.unwrap();
    assert!(heard.starts_with("7b"), "{heard}");
    for port in [openflow, ovsdb] {
        peer(port, "0400000800000001", "unknown").await.unwrap_err();
    }
    files.sign("server", "other.example");
    let id = controller.process.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-HUP", &id])
            .status()
            .unwrap()
            .success()
    );
    controller.wait_for("certificates were read again");
    let address = SocketAddr::from((std::net::Ipv6Addr::LOCALHOST, api));
    curl(address, &files, false).await.unwrap_err();
}

#[test]
fn what_is_wrong_with_the_files_is_said_by_key_and_path() {
    let files = Files::new();
    let at = |name: &str| files.path(name).display().to_string();
    let tls = |certificate: &str, key: &str, ca: &str| {
        format!("[tls]\ncertificate = '{certificate}'\nprivate_key = '{key}'\nclient_ca = '{ca}'\n")
    };
    let good = tls(&at("server.pem"), &at("server.key"), "");
    assert_eq!(refusal(&files, &good), "");
    std::fs::write(files.path("empty.pem"), "").unwrap();
    let cases = [
        (
            tls(&at("none.pem"), &at("server.key"), ""),
            format!("tls.certificate = {}: ", at("none.pem")),
        ),
        (
            tls(&at("empty.pem"), &at("server.key"), ""),
            format!("tls.certificate = {}: no certificate", at("empty.pem")),
        ),
        (
            tls(&at("server.pem"), &at("ca.pem"), ""),
            format!("tls.private_key = {}: ", at("ca.pem")),
        ),
        (
            tls(&at("server.pem"), &at("client.key"), ""),
            format!("tls.certificate = {}: ", at("server.pem")),
        ),
        (
            tls(&at("server.pem"), &at("server.key"), &at("empty.pem")),
            format!("tls.client_ca = {}: no certificate", at("empty.pem")),
        ),
        (
            tls(&at("server.pem"), "", ""),
            "tls.certificate and private_key".to_owned(),
        ),
    ];
    for (text, expected) in cases {
        let refusal = refusal(&files, &text);
        assert!(refusal.starts_with(&expected), "{refusal}");
    }
}

#[test]
fn with_tls_the_api_may_be_on_the_network_if_not_everyone_is_admin() {
    let files = Files::new();
    let at = |name: &str| Path::new(&files.path(name)).display().to_string();
    let tls = format!(
        "[tls]\ncertificate = '{}'\nprivate_key = '{}'\n",
        at("server.pem"),
        at("server.key")
    );
    let public = "api_listen = '[::]:9696'\nmetrics_listen = '[::]:9697'\n";
    assert!(
        refusal(&files, &format!("{public}{tls}"))
            .starts_with("auth = none: everyone who reaches api_listen")
    );
    assert_eq!(
        refusal(&files, &format!("{public}auth = 'headers'\n{tls}")),
        ""
    );
    assert_eq!(
        refusal(
            &files,
            &format!("{public}{tls}client_ca = '{}'\n", at("ca.pem"))
        ),
        ""
    );
    let hypervisors = tls.replace("[tls]", "[hypervisor_tls]");
    let southbound =
        format!("openflow_listen = '[::]:6653'\novsdb_listen = '[::]:6640'\n{hypervisors}");
    assert!(refusal(&files, &southbound).starts_with("hypervisor_tls.client_ca"));
    assert_eq!(
        refusal(
            &files,
            &format!("{southbound}client_ca = '{}'\n", at("ca.pem"))
        ),
        ""
    );
    assert!(
        refusal(&files, &format!("openflow_listen = '[::]:6653'\n{tls}"))
            .starts_with("openflow_listen")
    );
}

/// The first octets of a hello: of OpenFlow 1.3, and of TLS 1.2.
const HELLOS: [&[u8]; 2] = [
    &[4, 0, 0, 8, 0, 0, 0, 1],
    &[22, 3, 1, 0, 200, 1, 0, 0, 196, 3, 3],
];

#[tokio::test]
async fn who_speaks_otherwise_than_a_listener_is_told_apart_from_noise() {
    use sextant_controller::stream::Misunderstood;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let files = Files::new();
    let tls = files.tls(true).open().unwrap();
    for (tls, hello, expected) in [
        (tls, HELLOS[0], Some(Misunderstood::Plaintext)),
        (None, HELLOS[1], Some(Misunderstood::Tls)),
        (None, HELLOS[0], None),
    ] {
        let tcp = TcpListener::bind("[::1]:0").await.unwrap();
        let address = tcp.local_addr().unwrap();
        let listener = Listener::new(tcp, tls);
        let mut client = tokio::net::TcpStream::connect(address).await.unwrap();
        client.write_all(hello).await.unwrap();
        let (incoming, _) = listener.accept().await.unwrap();
        let heard = match incoming.open().await {
            Ok(mut stream) => stream.read_u8().await.map(drop),
            Err(error) => Err(error),
        };
        let found = heard
            .err()
            .and_then(|error| Misunderstood::at_the_root_of(&error));
        assert_eq!(found, expected);
    }
}
