//! Keystone behind TLS, as it is in a real cloud.

use crate::played::Played;
use crate::site::Site;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use serde_json::json;
use sextant_controller::tls::TlsFiles;
use std::path::{Path, PathBuf};

/// A folder with two authorities. Each has signed a certificate for `::1` and one for another machine.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

impl Folder {
    fn new() -> Self {
        let name = format!("sextant-keystone-tls-{}", std::process::id());
        let folder = Self(std::env::temp_dir().join(name));
        std::fs::create_dir_all(&folder.0).unwrap();
        for name in ["ca", "other"] {
            let mut parameters = CertificateParams::default();
            parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            let key = KeyPair::generate().unwrap();
            let authority = CertifiedIssuer::self_signed(parameters, key).unwrap();
            folder.write(&format!("{name}.pem"), &authority.pem());
            for (server, host) in [("server", "::1"), ("elsewhere", "elsewhere.example")] {
                let key = KeyPair::generate().unwrap();
                let signed = CertificateParams::new(vec![host.to_owned()]).unwrap();
                let signed = signed.signed_by(&key, &authority).unwrap();
                folder.write(&format!("{name}-{server}.pem"), &signed.pem());
                folder.write(&format!("{name}-{server}.key"), &key.serialize_pem());
            }
        }
        folder
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        Path::new(&self.0).join(name)
    }
}

#[tokio::test]
async fn only_a_keystone_with_a_certificate_of_cafile_is_believed() {
    let folder = Folder::new();
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
