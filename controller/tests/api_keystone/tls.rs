//! Keystone behind TLS, as it is in a real cloud.

use crate::played::Played;
use crate::site::Site;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use serde_json::json;
use sextant_controller::tls::TlsFiles;
use std::path::{Path, PathBuf};

/// A folder with two authorities, one of which has signed a certificate for `::1`.
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
            let key = KeyPair::generate().unwrap();
            let server = CertificateParams::new(vec!["::1".to_owned()]).unwrap();
            let server = server.signed_by(&key, &authority).unwrap();
            folder.write(&format!("{name}-server.pem"), &server.pem());
            folder.write(&format!("{name}-server.key"), &key.serialize_pem());
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
    let files = TlsFiles {
        certificate: folder.path("ca-server.pem"),
        private_key: folder.path("ca-server.key"),
        client_ca: PathBuf::new(),
    };
    for (cafile, status) in [("ca.pem", 200), ("other.pem", 503), ("", 503)] {
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
        assert_eq!(site.status("t").await, status, "{cafile}");
        let logins = site.keystone.asked.logins();
        assert_eq!(logins == 0, status == 503, "{cafile}: it shows no password");
    }
}
