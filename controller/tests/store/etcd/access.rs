//! Who is let in: by certificates, by passwords, and within which keys.

use super::member::Member;
use super::settings;
use crate::world::{Folder, everything, put};
use etcd_client::{Client, ConnectOptions, Permission};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use sextant_controller::store::{Etcd, EtcdError, EtcdSettings, Password, Store};
use std::path::PathBuf;

#[tokio::test]
async fn a_user_reaches_the_keys_that_it_may_use_and_a_wrong_password_is_refused() {
    let member = Member::alone();
    let mut client = Client::connect([member.url()], None).await.unwrap();
    client.user_add("root", "root's", None).await.unwrap();
    client.user_grant_role("root", "root").await.unwrap();
    client.user_add("sextant", "secret", None).await.unwrap();
    client.role_add("cloud").await.unwrap();
    let own = Permission::read_write("/cloud/").with_prefix();
    client.role_grant_permission("cloud", own).await.unwrap();
    client.user_grant_role("sextant", "cloud").await.unwrap();
    client.auth_enable().await.unwrap();

    let with = |user: &str, password: &str, prefix: &str| EtcdSettings {
        user: user.to_owned(),
        password: Password(password.to_owned()),
        prefix: prefix.to_owned(),
        ..settings([member.url()])
    };
    let store = Etcd::open(&with("sextant", "secret", "/cloud/"))
        .await
        .unwrap();
    let mut watch = store.watch().await.unwrap();
    watch.next().await.unwrap();
    store.commit(vec![put(1)], vec![]).await.unwrap();
    assert_eq!(watch.next().await.unwrap().changes, [put(1)]);

    for refused in [
        with("sextant", "wrong", "/cloud/"),
        with("sextant", "secret", "/other/"),
        with("", "", "/cloud/"),
    ] {
        let error = Etcd::open(&refused).await.unwrap_err();
        assert!(matches!(error, EtcdError::Refused { .. }), "{error}");
    }

    // Tokens of before are refused once rights have changed. A new one is asked for.
    let options = ConnectOptions::new().with_user("root", "root's");
    let mut root = Client::connect([member.url()], Some(options))
        .await
        .unwrap();
    root.role_add("another").await.unwrap();
    root.user_grant_role("sextant", "another").await.unwrap();
    store.commit(vec![put(2)], vec![]).await.unwrap();
    assert_eq!(watch.next().await.unwrap().changes, [put(2)]);
}

/// An authority, and a certificate of it for everybody.
struct Certificates {
    folder: Folder,
}

impl Certificates {
    fn new(name: &str) -> Self {
        let folder = Folder::new(name);
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let authority = CertifiedIssuer::self_signed(params, key).unwrap();
        let key = KeyPair::generate().unwrap();
        let names = vec!["127.0.0.1".to_owned(), "localhost".to_owned()];
        let own = CertificateParams::new(names).unwrap();
        let own = own.signed_by(&key, &authority).unwrap();
        let write = |file: &str, text: String| std::fs::write(folder.0.join(file), text).unwrap();
        write("ca.pem", authority.pem());
        write("own.pem", own.pem());
        write("own.key", key.serialize_pem());
        Self { folder }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.0.join(name)
    }

    fn path(&self, name: &str) -> String {
        self.file(name).to_str().unwrap().to_owned()
    }
}

#[tokio::test]
async fn with_tls_both_sides_show_certificates() {
    let certificates = Certificates::new("tls");
    let [ca, own, key] = ["ca.pem", "own.pem", "own.key"].map(|name| certificates.path(name));
    let member = Member::with(&[
        "--cert-file",
        &own,
        "--key-file",
        &key,
        "--trusted-ca-file",
        &ca,
        "--client-cert-auth",
    ]);
    let known = EtcdSettings {
        ca: certificates.file("ca.pem"),
        certificate: certificates.file("own.pem"),
        private_key: certificates.file("own.key"),
        ..settings([member.url()])
    };
    let store = Etcd::open(&known).await.unwrap();
    store.commit(vec![put(1)], vec![]).await.unwrap();
    assert_eq!(everything(&store).await.changes, [put(1)]);

    let stranger = EtcdSettings {
        certificate: PathBuf::new(),
        private_key: PathBuf::new(),
        ..known.clone()
    };
    let others = Certificates::new("other-tls");
    let distrustful = EtcdSettings {
        ca: others.file("ca.pem"),
        ..known.clone()
    };
    for turned_away in [stranger, distrustful] {
        let error = Etcd::open(&turned_away).await.unwrap_err();
        assert!(matches!(error, EtcdError::NoAnswer { .. }), "{error}");
    }
    let missing = EtcdSettings {
        ca: certificates.file("missing.pem"),
        ..known
    };
    let error = Etcd::open(&missing).await.unwrap_err();
    assert!(error.to_string().contains("missing.pem"), "{error}");
}
