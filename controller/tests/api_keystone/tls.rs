//! Keystone behind TLS, as it is in a real cloud.

use crate::authorities::Authorities;
use crate::played::Played;
use crate::site::Site;
use serde_json::json;
use sextant_controller::tls::TlsFiles;
use std::path::PathBuf;

#[tokio::test]
async fn only_a_keystone_with_a_certificate_of_cafile_is_believed() {
    let folder = Authorities::new("keystone-tls");
    for (server, cafile, status) in [
        ("ca-server", "ca.pem", 200),
        ("ca-server", "other.pem", 503),
        ("ca-server", "", 503),
        ("ca-elsewhere", "ca.pem", 503),
    ] {
        let files = TlsFiles {
            certificate: folder.path(&format!("{server}.pem")),
            private_key: folder.path(&format!("{server}.key")),
            client_ca: PathBuf::new(),
        };
        let keystone = Played::with_tls(&files).await;
        keystone.asked.knows("t", json!({}));
        let path = match cafile {
            "" => PathBuf::new(),
            name => folder.path(name),
        };
        let site = Site::of(keystone, |settings| {
            settings.auth_url = settings.auth_url.replace("http://", "https://");
            settings.cafile = path;
        });
        assert_eq!(site.status("t").await, status, "{server} {cafile}");
        let logins = site.keystone.asked.logins();
        assert_eq!(
            logins == 0,
            status == 503,
            "{server} {cafile}: it shows no password"
        );
    }
}
