//! The keys of the configuration file, for people.

/// A key, its default and its meaning.
pub type KeyReference = (&'static str, &'static str, &'static str);

/// A default as the file has it.
pub fn literal(default: &str) -> String {
    let bare = default.parse::<i64>().is_ok()
        || default.parse::<bool>().is_ok()
        || default.starts_with("[\"");
    match bare {
        true => default.to_owned(),
        false => format!("\"{default}\""),
    }
}

/// The sections of the file, with default and meaning of each key, for the reference in `docs/`. A test compares them
/// with [`super::Config`].
pub const KEYS: &[(&str, &[KeyReference])] = &[
    (
        "",
        &[
            (
                "data_dir",
                "/var/lib/sextant",
                "Where data is kept. The default is for root and for the owner of that folder; anybody else's is `./sextant-data`.",
            ),
            (
                "log",
                "info",
                "What is logged, on standard error: `off`, `error`, `warn`, `info`, `debug` or `trace`; after commas also `TARGET=LEVEL`, such as `info,sextant_controller::api=debug`. `SEXTANT_LOG` overrides it. SIGHUP has it read again.",
            ),
            ("api_listen", "[::1]:9696", "Where the Neutron API listens."),
            ("openflow_listen", "[::1]:6653", "Where switches connect."),
            (
                "ovsdb_listen",
                "[::1]:6640",
                "Where hypervisors' ovsdb-servers connect.",
            ),
            (
                "metrics_listen",
                "[::1]:9697",
                "Where Prometheus scrapes, at `/metrics`.",
            ),
            (
                "metrics_per_hypervisor",
                "true",
                "Whether metrics with the label `chassis` have a series for each hypervisor. Otherwise they are sums without that label, `sextant_tunnel_bfd_state` is left out, and of hypervisors' certificates only the first to expire is shown.",
            ),
            (
                "auth",
                "none",
                "Who may use the API: `none`, everyone is admin; `keystone`, whose token Keystone knows; `headers`, whom a trusted proxy names in `X-User-Id`, `X-Project-Id`, `X-Roles`.",
            ),
            (
                "trusted_proxies",
                "[\"127.0.0.0/8\", \"::1/128\"]",
                "Addresses and prefixes from which those headers are believed, with `auth = \"headers\"`.",
            ),
            (
                "audit_file",
                "",
                "File that gets a line of JSON for each write that the API is asked for: who, from where, what, and how it ended ([guide](guides/identity.md#the-audit)). Empty: none, and the log alone has them. SIGHUP has it opened anew.",
            ),
            (
                "policy_file",
                "",
                "File of rules that take the place of Neutron's default policies, as oslo.policy's `policy.yaml`. Empty: none. SIGHUP has it read again.",
            ),
            (
                "allow_plaintext",
                "false",
                "Lets listeners and Keystone be on addresses other than loopback without TLS, and everyone be admin there with `auth = \"none\"`.",
            ),
            (
                "dns_domain",
                "openstacklocal",
                "The domain that DHCP tells guests to search; empty for none.",
            ),
            (
                "ipv6_pd_enabled",
                "false",
                "Whether IPv6 subnets that ask for the default pool get a prefix delegated by the upstream router.",
            ),
            (
                "address_existing_ports",
                "false",
                "Whether a new IPv4 or stateful IPv6 subnet gives the ports of its network an address, as a SLAAC subnet does.",
            ),
        ],
    ),
    (
        "keystone",
        &[
            (
                "auth_url",
                "",
                "URL of Keystone, with `auth = \"keystone\"`: `https://HOST:5000`, with or without `/v3`. All requests to Keystone go there.",
            ),
            (
                "www_authenticate_uri",
                "",
                "URL of Keystone for clients, which `WWW-Authenticate` tells callers without a valid token. Empty: `auth_url`.",
            ),
            (
                "username",
                "",
                "The user who asks Keystone, with the role `service` (or `admin`) in the project below. Or configure an application credential.",
            ),
            (
                "password",
                "",
                "The user's password. Then only Sextant's user should be able to read this file.",
            ),
            (
                "user_domain_name",
                "Default",
                "The name of the user's domain.",
            ),
            ("project_name", "service", "The name of the project."),
            (
                "project_domain_name",
                "Default",
                "The name of the project's domain.",
            ),
            (
                "application_credential_id",
                "",
                "The id of an application credential that asks Keystone, in place of a user and a password.",
            ),
            ("application_credential_secret", "", "Its secret."),
            (
                "cafile",
                "",
                "PEM file with the authorities of Keystone's certificate. Empty: those that the system trusts.",
            ),
            (
                "timeout",
                "5",
                "Seconds for which a caller waits for Keystone at most, all in all, and then gets 503: 1 to 60.",
            ),
            (
                "token_cache_time",
                "300",
                "Seconds for which a token that Keystone knows is believed without asking again, and in which it goes on although it is revoked: 1 to 3600, never past the token's end. -1: every request asks.",
            ),
            (
                "service_token_roles",
                "[\"service\"]",
                "Roles of services: with one of them in `X-Service-Token`, the caller's own token may have expired (for as long as Keystone's `allow_expired_window`).",
            ),
            (
                "service_token_roles_required",
                "true",
                "Whether an `X-Service-Token` without any of those roles is refused.",
            ),
        ],
    ),
    (
        "web",
        &[(
            "listen",
            "[::1]:9699",
            "Where the page for operators is served, over TLS if `[tls]` is configured. Those see it whom the API takes for administrators. Empty: nowhere.",
        )],
    ),
    ("ra", super::ra::KEYS),
    (
        "tunnel",
        &[
            (
                "underlay_mtu",
                "1500",
                "MTU of the network that carries the tunnels, in octets, at least 1280.",
            ),
            (
                "bfd",
                "false",
                "Whether hypervisors watch each other with BFD (RFC 5880), each with every other. Metrics and logs then report tunnels that carry nothing, and a hypervisor that only lost Sextant keeps its gateways.",
            ),
        ],
    ),
    (
        "control",
        &[(
            "socket",
            "/run/sextant/control",
            "Where people on this machine ask Sextant (`sextant facts`, `flows`, `trace`, `neighbors`): a socket for its owner and the owner's group, who need root's or that group's rights to ask. Its folder is made if it is missing. The default is for root and for the owner of that folder; anybody else's is `./sextant-data/control`. Empty: nobody can ask.",
        )],
    ),
    (
        "conntrack",
        &[(
            "zone_limit",
            "50000",
            "How many connections each guest may have at a time on its hypervisor, and all that one router translates to its address; 0 leaves alone what is set there. With Open vSwitch 3.3 or later, whose database takes the limit; one that somebody else has set stays.",
        )],
    ),
    (
        "metadata",
        &[
            (
                "enabled",
                "false",
                "Whether guests reach Nova's metadata service at 169.254.169.254 and fe80::a9fe:a9fe ([guide](guides/metadata.md)): hypervisors get a port `sextant-md`. The controller needs only this key of the section, `sextant metadata` on hypervisors the others.",
            ),
            (
                "nova_url",
                "http://127.0.0.1:8775",
                "Where Nova's metadata API is: `http://HOST:PORT` or `https://HOST:PORT`.",
            ),
            (
                "shared_secret",
                "",
                "Nova's `[neutron] metadata_proxy_shared_secret`. Only Sextant's user should be able to read this file.",
            ),
            (
                "cafile",
                "",
                "PEM file of the authorities of Nova's certificate. Empty: the system's.",
            ),
            (
                "certificate",
                "",
                "PEM file of the certificate that `sextant metadata` shows to Nova. Empty: none.",
            ),
            ("private_key", "", "PEM file of its private key."),
            (
                "timeout",
                "60",
                "Seconds, 1 to 300, for which a guest waits at most for Nova.",
            ),
            (
                "ovsdb",
                "unix:/run/openvswitch/db.sock",
                "The hypervisor's own database.",
            ),
            (
                "metrics_listen",
                "[::1]:9698",
                "Where Prometheus scrapes `sextant metadata`, at `/metrics`, without TLS.",
            ),
        ],
    ),
    (
        "punt",
        &[
            (
                "rate",
                "100",
                "Packets a second that each guest may send to the controller, at least 1.",
            ),
            (
                "burst",
                "200",
                "Packets that each guest may send to the controller at once, at least 1.",
            ),
        ],
    ),
    (
        "nova",
        &[
            (
                "enabled",
                "false",
                "Whether Nova is told what happens to its guests' ports (`os-server-external-events`). Guests of Nova with libvirt need it: they start only once Nova has heard that their ports are plugged in.",
            ),
            (
                "endpoint_override",
                "",
                "URL of Nova with its version: `https://HOST:8774/v2.1`. Empty: the one in Keystone's catalogue.",
            ),
            (
                "region_name",
                "",
                "The region of Nova in the catalogue. Empty: the first that is there.",
            ),
            (
                "valid_interfaces",
                "internal",
                "The interface of Nova in the catalogue: `internal`, `public` or `admin`.",
            ),
            (
                "auth_url",
                "",
                "URL of Keystone, for credentials of Nova's own. Empty: Keystone and the credentials are those in `[keystone]`, whatever `auth` is.",
            ),
            (
                "username",
                "",
                "The user who tells Nova, with the role `service` (or `admin`) in the project below. Or configure an application credential.",
            ),
            ("password", "", "The user's password."),
            (
                "user_domain_name",
                "Default",
                "The name of the user's domain.",
            ),
            ("project_name", "service", "The name of the project."),
            (
                "project_domain_name",
                "Default",
                "The name of the project's domain.",
            ),
            (
                "application_credential_id",
                "",
                "The id of an application credential, in place of a user and a password.",
            ),
            ("application_credential_secret", "", "Its secret."),
            (
                "cafile",
                "",
                "PEM file with the authorities of Nova's and Keystone's certificates. Empty: `cafile` in `[keystone]`.",
            ),
            (
                "timeout",
                "10",
                "Seconds that a request to Nova may take: 1 to 60.",
            ),
        ],
    ),
    (
        "gateway",
        &[(
            "gone_after",
            "5",
            "Seconds without an OpenFlow connection after which a hypervisor counts as gone, and others get its routers' gateways: 1 to 3600.",
        )],
    ),
    (
        "external.PHYSNET",
        &[
            (
                "ipv6_gateway",
                "",
                "Link-local address of the IPv6 next hop on the external networks of this physical network where no subnet has a gateway; it wins over routers that are heard.",
            ),
            (
                "publish",
                "routes",
                "How the outside reaches guests. `routes`: it has routes to the addresses of routers' gateways. `nd-proxy`: it takes guests for neighbours. Then their router answers for those whose prefix was delegated there, or is from a subnet pool or address scope of the external network.",
            ),
            (
                "distributed",
                "false",
                "Whether guests' IPv6 leaves by their own hypervisor where that has a bridge of the physical network, and not by the one with their router's gateway.",
            ),
        ],
    ),
    (
        "store",
        &[
            (
                "kind",
                "embedded",
                "Where the cloud is stored: `embedded`, a file in `data_dir`, for one controller; `etcd`, for several. The keys below are for etcd.",
            ),
            (
                "endpoints",
                "[\"http://localhost:2379\"]",
                "URLs of etcd's members, as `https://HOST:PORT`. One that does not answer is left for the next.",
            ),
            (
                "prefix",
                "/sextant/",
                "What all keys in etcd begin with: a name, and a slash at the end. Controllers with the same prefix serve one cloud.",
            ),
            (
                "ca",
                "",
                "PEM file with the authorities of etcd's certificates, with `https`.",
            ),
            (
                "certificate",
                "",
                "PEM file with the certificate to show etcd, which its `--client-cert-auth` asks for; empty for none.",
            ),
            ("private_key", "", "PEM file with its private key."),
            (
                "user",
                "",
                "The user in etcd, which may read and write all keys with the prefix; empty for none.",
            ),
            (
                "password",
                "",
                "The user's password. Then only Sextant's user should be able to read this file.",
            ),
        ],
    ),
    (
        "controllers",
        &[
            (
                "name",
                "",
                "What this controller is called among several of one store; no two have the same. Empty: its machine's name.",
            ),
            (
                "probe_interval",
                "1",
                "With a store for several controllers: seconds of silence after which a hypervisor's database asks whether its owner lives, and after as long again the next one owns it; 1 to 3600. Where an administrator has set a manager's `inactivity_probe`, it stays. A controller that etcd has missed for three seconds, or twice the interval, loses its hypervisors, too.",
            ),
            (
                "settle_after",
                "10",
                "Seconds for which controllers live before they take their share of the hypervisors from others; 1 to 3600.",
            ),
        ],
    ),
    (
        "tls",
        &[
            (
                "certificate",
                "",
                "PEM file with the certificate of the API and the metrics, and those between it and its authority. SIGHUP has all three files read again.",
            ),
            ("private_key", "", "PEM file with its private key."),
            (
                "client_ca",
                "",
                "PEM file with the authorities of clients' certificates; with it, who has none is turned away.",
            ),
        ],
    ),
    (
        "hypervisor_tls",
        &[
            (
                "certificate",
                "",
                "The same for switches and hypervisors' databases, which then connect by `ssl:`.",
            ),
            ("private_key", "", "PEM file with its private key."),
            (
                "client_ca",
                "",
                "PEM file with the authorities of hypervisors' certificates, which they must have.",
            ),
            (
                "names",
                "certificate",
                "Which `system-id` a hypervisor may have: `certificate`, the common name or a DNS name of its certificate; `any`, any that no other has.",
            ),
        ],
    ),
    (
        "quotas",
        &[
            (
                "default_quota",
                "-1",
                "How many subnet pools a project may have for which no quota was set; -1, here and below, for as many as it likes.",
            ),
            ("quota_network", "100", "How many networks."),
            ("quota_subnet", "100", "How many subnets."),
            ("quota_port", "500", "How many ports."),
            ("quota_router", "10", "How many routers."),
            ("quota_security_group", "10", "How many security groups."),
            (
                "quota_security_group_rule",
                "100",
                "How many rules of security groups.",
            ),
            ("quota_rbac_policy", "10", "How many access policies."),
        ],
    ),
];
