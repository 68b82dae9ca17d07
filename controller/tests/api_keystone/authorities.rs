//! Certificates as a cloud has them: of its own authority, and of another.

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use std::path::{Path, PathBuf};

/// A folder with two authorities, `ca.pem` and `other.pem`. Each has signed a certificate for `::1` (`ca-server.pem`, with
/// `ca-server.key`) and one for another machine (`ca-elsewhere.pem`). It goes with the value.
pub(crate) struct Authorities(PathBuf);

impl Drop for Authorities {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

impl Authorities {
    /// `name` tells the folder from that of another test.
    pub(crate) fn new(name: &str) -> Self {
        let name = format!("sextant-{name}-{}", std::process::id());
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

    /// One of its files.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        Path::new(&self.0).join(name)
    }
}
