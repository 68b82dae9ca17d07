//! Configurations that are read, and those that are refused.

use super::*;
use sextant_model::Counted;

fn refusal(text: &str) -> String {
    let config: Config = toml::from_str(text).unwrap();
    config.check().unwrap_err().to_string()
}

#[test]
fn nothing_need_be_said() {
    let config: Config = toml::from_str("").unwrap();
    assert_eq!(config, Config::default());
    config.check().unwrap();
    assert_eq!(config.settings(), Settings::default());
}

#[test]
fn the_reference_names_every_key_and_its_default() {
    let mut file = String::new();
    for (section, keys) in KEYS {
        if !section.is_empty() {
            file += &format!("[{section}]\n");
        }
        for (key, default, _) in *keys {
            file += &format!("{key} = {}\n", keys::literal(default));
        }
    }
    let mut config: Config = toml::from_str(&file).unwrap();
    let external = config.external.remove("PHYSNET");
    assert_eq!(external, Some(External::default()));
    let data_dir = config.data_dir.clone();
    let control = config.control.clone();
    assert_eq!(
        config,
        Config {
            data_dir,
            control,
            ..Config::default()
        }
    );
    all_keys(config);
    assert_eq!(KEYS.iter().map(|(_, keys)| keys.len()).sum::<usize>(), 101);
}

/// Does not compile with a key that it lacks: whoever adds one adds it to the reference and to the count above.
fn all_keys(config: Config) {
    let Config {
        data_dir: _,
        log: _,
        api_listen: _,
        openflow_listen: _,
        ovsdb_listen: _,
        metrics_listen: _,
        metrics_per_hypervisor: _,
        auth: _,
        keystone: _,
        nova: _,
        allow_plaintext: _,
        dns_domain: _,
        ipv6_pd_enabled: _,
        address_existing_ports: _,
        ra: _,
        tunnel: _,
        control: _,
        web: _,
        conntrack: _,
        metadata: _,
        punt: _,
        gateway: _,
        external: _,
        store: _,
        controllers: _,
        trusted_proxies: _,
        policy_file: _,
        audit_file: _,
        tls: _,
        hypervisor_tls: _,
        quotas: _,
    } = config;
}

#[test]
fn an_unknown_key_is_named_with_its_place() {
    let error = toml::from_str::<Config>("dns_domain = 'a'\n[ra]\nmin_intervall = 3\n")
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("line 3") && error.contains("min_intervall"),
        "{error}"
    );
}

#[test]
fn proxies_are_addresses_or_prefixes() {
    let config: Config =
        toml::from_str("trusted_proxies = ['2001:db8::1', '192.0.2.0/24']").unwrap();
    let expected = ["2001:db8::1/128", "192.0.2.0/24"].map(|text| text.parse().unwrap());
    assert_eq!(config.trusted_proxies, expected);
    let error = toml::from_str::<Config>("trusted_proxies = ['proxy']").unwrap_err();
    assert!(
        error
            .to_string()
            .contains("\"proxy\" is neither an address nor a prefix")
    );
}

#[test]
fn quotas_are_limits_or_none() {
    let config: Config = toml::from_str("[quotas]\nquota_port = -1\nquota_router = 3").unwrap();
    let quotas = config.settings().quotas;
    let limits = [Counted::Port, Counted::Router, Counted::Network].map(|kind| quotas.limit(kind));
    assert_eq!(limits, [None, Some(3), Some(100)]);
}

#[test]
fn what_makes_no_sense_is_refused_by_name() {
    assert!(
        refusal("api_listen = '[::]:9696'")
            .starts_with("api_listen = [::]:9696: not a loopback address")
    );
    assert!(
        refusal("auth = 'headers'\ntrusted_proxies = []")
            .starts_with("trusted_proxies = []: nobody could call")
    );
    assert!(
        refusal("[tls]\nprivate_key = 'key.pem'").starts_with("tls.certificate and private_key")
    );
    assert!(refusal("[ra]\nmax_interval = 2").starts_with("ra.max_interval = 2"));
    assert!(refusal("[ra]\nmin_interval = 90").starts_with("ra.min_interval = 90"));
    assert!(refusal("[ra]\nlifetime = 50").starts_with("ra.lifetime = 50"));
    assert!(refusal("[tunnel]\nunderlay_mtu = 1000").starts_with("tunnel.underlay_mtu = 1000"));
    assert!(refusal("[gateway]\ngone_after = 0").starts_with("gateway.gone_after = 0"));
    assert!(refusal("[gateway]\ngone_after = 3601").ends_with("1 to 3600 seconds"));
    assert!(refusal("log = 'verbose'").contains("log = \"verbose\""));
    assert!(refusal("[punt]\nrate = 0").starts_with("punt = 0"));
}

#[test]
fn everything_that_makes_no_sense_is_named_at_once() {
    let config: Config = toml::from_str(
        "api_listen = '[::]:1'\nlog = 'verbose'\n[ra]\nmax_interval = 2\nlifetime = 1\n[store]\nprefix = '/'\nuser = 'u'\n[tunnel]\nunderlay_mtu = 9\n[gateway]\ngone_after = 0\n",
    )
    .unwrap();
    let faults = config.faults();
    let keys: Vec<String> = faults
        .iter()
        .filter_map(|fault| Some(fault.to_string().split_once(" = ")?.0.to_owned()))
        .collect();
    let expected = [
        "log",
        "api_listen",
        "auth",
        "store.prefix",
        "store.user",
        "ra.max_interval",
        "ra.min_interval",
        "ra.lifetime",
        "tunnel.underlay_mtu",
        "gateway.gone_after",
    ];
    assert_eq!(keys, expected);
}

#[test]
fn etcd_is_reached_as_the_section_says() {
    let config: Config = toml::from_str(
        "[store]\nkind = 'etcd'\nendpoints = ['http://e1:2379', 'http://[::1]:2379']\nprefix = '/cloud-1/'\nuser = 'sextant'\npassword = 'hunter2'\n",
    )
    .unwrap();
    config.check().unwrap();
    assert_eq!(config.store.kind, StoreKind::Etcd);
    assert!(!format!("{config:?}").contains("hunter2"));
}

#[test]
fn a_store_that_cannot_be_reached_is_refused_with_its_key() {
    let wrong = [
        ("endpoints = []", "store.endpoints"),
        ("endpoints = ['e1:2379']", "store.endpoints"),
        (
            "endpoints = ['http://e1:1', 'https://e2:1']",
            "store.endpoints",
        ),
        ("endpoints = ['https://e1:1']", "store.ca"),
        ("ca = '/etc/ca.pem'", "store.ca"),
        (
            "endpoints = ['https://e1:1']\nca = '/no/such/file'",
            "store.ca",
        ),
        ("certificate = '/etc/own.pem'", "store.certificate"),
        ("prefix = '/cloud'", "store.prefix"),
        ("prefix = '/'", "store.prefix"),
        ("user = 'sextant'", "store.user"),
    ];
    for (text, key) in wrong {
        let refusal = refusal(&format!("[store]\nkind = 'etcd'\n{text}\n"));
        assert!(refusal.starts_with(key), "{text}: {refusal}");
    }
}
