//! A hypervisor, looked at from outside over its database, which is only read.

mod known;
mod verdict;

use crate::config::Config;
use crate::control::Finding;
use crate::hypervisor::outside::{self, OutsideView};
use crate::outgoing::{CertificateOf, for_any_name};
use crate::tls::TlsFiles;
use known::Known;
use sextant_ovsdb_client::{Connection, Event, Options, Remote, connect};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::ServerName;

/// How long the database may take to be reached and read.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is to say of a hypervisor. `controller` is the configuration of the controller that it should have, where one is named.
pub(super) async fn examine(
    remote: &Remote,
    controller: Option<&Config>,
    socket: Option<&PathBuf>,
) -> Vec<Finding> {
    let seen = timeout(PATIENCE, read(remote, controller)).await;
    let seen = seen.unwrap_or_else(|_| Err(format!("no answer within {PATIENCE:?}")));
    match seen {
        Err(why) => vec![unreachable(remote, &why)],
        Ok(view) => {
            let known = Known::ask(&view, socket).await;
            verdict::findings(&view, controller, known.as_ref())
        }
    }
}

async fn read(remote: &Remote, controller: Option<&Config>) -> Result<OutsideView, String> {
    let Remote::Ssl { host, port } = remote else {
        let connected = connect(remote, Options::default()).await;
        return view(connected.map_err(|error| error.to_string())?).await;
    };
    let files = controller.map(|config| config.hypervisor_tls.files());
    let files = files.filter(TlsFiles::is_on).ok_or_else(|| {
        "ssl: needs a certificate to show: name the configuration with [hypervisor_tls] (--config)"
            .to_owned()
    })?;
    let stream = encrypted(host, *port, &files).await;
    let stream = stream.map_err(|error| error.to_string())?;
    view(Connection::new(stream, Options::default())).await
}

async fn view<S: AsyncRead + AsyncWrite + Unpin>(
    mut connection: Connection<S>,
) -> Result<OutsideView, String> {
    connection.monitor_request(outside::request());
    loop {
        match connection.next_event().await {
            Ok(Event::Synced) => return Ok(outside::look(connection.replica())),
            Ok(_) => {}
            Err(error) => return Err(error.to_string()),
        }
    }
}

/// Shows the controller's own certificate. The other end has one of the hypervisors' authorities, whatever its name.
async fn encrypted(host: &str, port: u16, files: &TlsFiles) -> io::Result<TlsStream<TcpStream>> {
    let own = CertificateOf {
        certificate: &files.certificate,
        private_key: &files.private_key,
    };
    let config = for_any_name(&files.client_ca, &own).map_err(io::Error::other)?;
    let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
    let stream = TcpStream::connect((host, port)).await?;
    let connector = TlsConnector::from(Arc::new(config));
    connector.connect(name, stream).await
}

fn unreachable(remote: &Remote, why: &str) -> Finding {
    let advice = match remote {
        Remote::Unix { .. } => {
            "is this the hypervisor, and ovsdb-server running? As root: ovs-vsctl show"
        }
        Remote::Tcp { .. } | Remote::Ssl { .. } => {
            "hypervisors seldom listen: run this there, with --hypervisor unix:/run/openvswitch/db.sock"
        }
    };
    Finding::bad(
        "database",
        format!("{remote} cannot be read: {why}."),
        advice,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_cannot_be_reached_is_told_where_to_ask() {
        let found = |remote: &str| unreachable(&remote.parse().unwrap(), "refused");
        let from_afar = found("tcp:[2001:db8::1]:6640");
        assert_eq!(
            from_afar.says,
            "tcp:[2001:db8::1]:6640 cannot be read: refused."
        );
        assert!(
            from_afar
                .advice
                .unwrap()
                .contains("unix:/run/openvswitch/db.sock")
        );
        assert!(
            found("unix:/nowhere")
                .advice
                .unwrap()
                .contains("ovs-vsctl show")
        );
    }
}
