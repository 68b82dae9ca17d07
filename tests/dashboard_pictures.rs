//! The pictures of Grafana's dashboards: a cloud in which much happens, the real Prometheus that scrapes it, and Grafana's own
//! components that draw its answers in Debian's Chromium.

use serde_json::{Value, json};
use sextant_lab::story::site::{Gateway, Site, reaches};
use sextant_lab::story::{Failure, Outcome, Plugged, SOON, ensure};
use sextant_lab::{
    BackgroundPing, Browser, Dashboard, DelegatingServer, DhcpClient, Lifetimes, Network,
    OutsideRouter, PrefixPool, Prometheus, SubnetSpec, wait_for,
};
use std::net::Ipv6Addr;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A host outside.
const FAR: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0xfa, 0, 0, 0, 0, 1);
const INSIDE: &str = "2001:db8:a::/64";
const LEASED: &str = "2001:db8:b::/64";
const CONFIG: &str = "ipv6_pd_enabled = true\n[tunnel]\nbfd = true\n[gateway]\ngone_after = 1\n\
    [external.physnet1]\nipv6_gateway = \"fe80::1\"\n";
const POOL: PrefixPool<'_> = PrefixPool {
    prefix: "2001:db8:2222::/48",
    length: 64,
    lifetimes: Lifetimes {
        renew: 20,
        rebind: 2000,
        preferred: 3000,
        valid: 4000,
    },
};
/// From one request of the background ping to the next: its answers are the story's clock.
const PULSE: Duration = Duration::from_millis(100);
/// How many answers pass from one round of API requests to the next.
const ROUND: u32 = 10;
/// How often the pictures say that Prometheus scrapes, in seconds: rates are taken over four times that.
const SCRAPE: u64 = 2;
/// An address that no port has.
const FOREIGN: &str = "2001:db8:bad::1";
/// Panels that have nothing to show in this cloud.
const EMPTY: [(&str, &str); 0] = [];

/// A cloud with an outside, and what goes on in it all the time.
struct Stage<'s> {
    site: &'s mut Site,
    edge: OutsideRouter,
    _server: DelegatingServer,
    gateway: Gateway,
    inside: Network,
    /// On the first, second and third hypervisor.
    guests: [Plugged; 3],
    leased: Plugged,
    _client: DhcpClient,
    pulse: BackgroundPing,
    round: u32,
}

#[test]
#[ignore = "`make grafana-pictures` draws the dashboards' pictures anew"]
fn pictures_of_the_dashboards() -> Outcome {
    let page = std::env::var_os("SEXTANT_DRAWING").map(PathBuf::from);
    let page = page.ok_or_else(|| {
        Failure::Observed("SEXTANT_DRAWING says where the page is that draws".to_owned())
    })?;
    Site::tell(CONFIG, |site| {
        let prometheus = Prometheus::start(&site.world.lab)?;
        let from = now();
        let mut stage = set(site)?;
        stage.tell()?;
        let source = json!({"prometheus": prometheus.address(), "from": from, "to": now(), "scrape": SCRAPE});
        draw(stage.site, &page, &source)
    })
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap_or_default().as_secs()
}

fn set(site: &mut Site) -> Result<Stage<'_>, Failure> {
    let edge = site.upstream.router("edge", None)?;
    edge.address("fe80::1/64")?;
    edge.far(FAR.into())?;
    let server = DelegatingServer::kea(&edge, &POOL)?;
    let external = site.external(None)?;
    let gateway = site.gateway(&external)?;
    for prefix in [INSIDE, LEASED] {
        edge.route(prefix, Some(gateway.link_local().into()))?;
    }
    let inside = site.segment(&gateway, &[INSIDE])?;
    delegate(site, &gateway)?;
    let guests = site.guests(&inside, [("web", 1), ("mail", 2), ("data", 3)])?;
    let (leased, client) = leased(site, &gateway)?;
    let foreign = format!("{FOREIGN}/128");
    guests[0].guest.run(&[
        "ip", "-6", "address", "add", &foreign, "dev", "eth0", "nodad",
    ])?;
    reaches(guests[2].guest.namespace(), FAR)?;
    let pulse = guests[2].guest.spawn_ping(guests[1].address(), PULSE)?;
    Ok(Stage {
        site,
        edge,
        _server: server,
        gateway,
        inside,
        guests,
        leased,
        _client: client,
        pulse,
        round: 0,
    })
}

/// A network whose subnet has its prefix from the server outside.
fn delegate(site: &Site, gateway: &Gateway) -> Outcome {
    let api = site.world.lab.api();
    let network = api.create_network("delegated")?;
    let pool = json!({"subnetpool_id": "prefix_delegation", "ip_version": 6});
    let spec = SubnetSpec {
        mode: Some("slaac"),
        more: pool.as_object().cloned().unwrap_or_default(),
        ..SubnetSpec::default()
    };
    let subnet = api.create_subnet(&network, &spec)?;
    api.add_interface(&gateway.router, &subnet)?;
    Ok(())
}

/// A guest that has its address by DHCPv6.
fn leased(site: &Site, gateway: &Gateway) -> Result<(Plugged, DhcpClient), Failure> {
    let api = site.world.lab.api();
    let network = api.create_network("leased")?;
    let subnet = api.create_subnet(&network, &SubnetSpec::with_mode(LEASED, "dhcpv6-stateful"))?;
    api.add_interface(&gateway.router, &subnet)?;
    let plugged = site.plug(&network, "leased", 2)?;
    site.world.wait_status(&plugged.port, "ACTIVE")?;
    let (client, _) = plugged.guest.dhclient(SOON)?;
    Ok((plugged, client))
}

impl Stage<'_> {
    /// Quiet first, then one misfortune after the other, with time between them.
    fn tell(&mut self) -> Outcome {
        self.rounds(25)?;
        self.tampering()?;
        self.rounds(15)?;
        self.gateway_moves()?;
        self.rounds(25)?;
        self.site.world.controller.kill();
        self.site.world.controller.start_again()?;
        self.site.world.lab.wait_settled(SOON)?;
        self.rounds(25)?;
        self.tunnel_is_cut()?;
        self.rounds(25)
    }

    fn rounds(&mut self, count: u32) -> Outcome {
        (0..count).try_for_each(|_| self.round())
    }

    /// What tenants and guests do: ports come and go, lists are read, guests ask for routers, and try what does not work.
    fn round(&mut self) -> Outcome {
        self.pulse.wait_answers(ROUND, SOON)?;
        self.round += 1;
        let api = self.site.world.lab.api();
        let busy = 1 + self.round % 7;
        for _ in 0..busy {
            let wanted = json!({"port": {"network_id": self.inside.id}});
            let (status, made) = api.post("/v2.0/ports", &wanted)?;
            ensure(status == 201, || made.to_string())?;
            api.get("/v2.0/ports?limit=20")?;
            let id = made["port"]["id"].as_str().unwrap_or_default();
            api.delete_object("ports", id)?;
        }
        let [web, mail, _] = &self.guests;
        web.guest
            .run(&["rdisc6", "-1", "-r", "1", "-w", "1000", "eth0"])?;
        if self.round.is_multiple_of(3) {
            api.get("/v2.0/networks/00000000-0000-4000-8000-00000000000f")?;
            mail.guest.flush_neighbors()?;
            fails(
                mail,
                &[
                    "ping",
                    "-c",
                    "2",
                    "-W",
                    "1",
                    "-i",
                    "0.2",
                    "-t",
                    "1",
                    &FAR.to_string(),
                ],
            );
            fails(mail, &["ping", "-c", "1", "-W", "1", "2001:db8:a::dead"]);
            fails(
                web,
                &[
                    "ping",
                    "-c",
                    "3",
                    "-i",
                    "0.2",
                    "-W",
                    "1",
                    "-I",
                    FOREIGN,
                    &FAR.to_string(),
                ],
            );
            self.leased.guest.dhclient_info(SOON)?;
        }
        Ok(())
    }

    /// Somebody removes flows by hand, and Sextant puts them back.
    fn tampering(&self) -> Outcome {
        let host = self.site.world.lab.hypervisor(2);
        for table in [0, 3, 12] {
            host.ofctl(&["del-flows", "br-int", &format!("table={table}")])?;
        }
        self.site.world.lab.wait_settled(SOON)?;
        Ok(())
    }

    /// The hypervisor with the gateway goes, and comes back.
    fn gateway_moves(&mut self) -> Outcome {
        let mac = self.gateway.port.mac.clone();
        self.site.wait_heard(&mac, 1)?;
        let host = self.site.world.lab.hypervisor(1);
        host.kill_vswitchd();
        host.kill_ovsdb_server();
        self.site.wait_heard(&mac, 2)?;
        reaches(self.edge.namespace(), self.guests[2].address())?;
        self.while_it_lasts()?;
        let host = self.site.world.lab.hypervisor(1);
        host.start_ovsdb_server()?;
        host.start_vswitchd()?;
        self.site.wait_heard(&mac, 1)?;
        self.site.world.lab.wait_settled(SOON)?;
        Ok(())
    }

    /// The underlay loses what goes to the first hypervisor, for a while.
    fn tunnel_is_cut(&mut self) -> Outcome {
        let lost = format!("{}/128", self.site.world.lab.hypervisor(1).endpoint());
        let router = self.site.world.lab.router();
        router.ip(&["route", "add", "blackhole", &lost])?;
        self.wait_unheard(|count| count > 0)?;
        self.while_it_lasts()?;
        self.site
            .world
            .lab
            .router()
            .ip(&["route", "del", "blackhole", &lost])?;
        self.wait_unheard(|count| count == 0)
    }

    /// As long as a misfortune lasts. These answers are new, whatever the pulse has not told yet.
    fn while_it_lasts(&self) -> Outcome {
        let [_, mail, data] = &self.guests;
        let mut answers = data.guest.spawn_ping(mail.address(), PULSE)?;
        answers.wait_answers(20 * ROUND, SOON * 2)?;
        Ok(())
    }

    fn wait_unheard(&self, wanted: impl Fn(usize) -> bool) -> Outcome {
        wait_for("BFD to notice", SOON, || {
            let page = self
                .site
                .world
                .lab
                .metrics()
                .map_err(|error| error.to_string())?;
            let states = page
                .lines()
                .filter(|line| line.starts_with("sextant_tunnel_bfd_state{"));
            let down: Vec<&str> = states.filter(|line| !line.ends_with(" 3")).collect();
            match wanted(down.len()) {
                true => Ok(()),
                false => Err(format!("{down:?}")),
            }
        })?;
        Ok(())
    }
}

/// Runs what is not to succeed.
fn fails(guest: &Plugged, words: &[&str]) {
    let _ = guest.guest.run(words);
}

/// Draws every dashboard, and fails with the names of all panels that did not come out.
fn draw(site: &Site, page: &Path, source: &Value) -> Outcome {
    let browser = Browser::start(&site.world.lab)?;
    let mut faults = Vec::new();
    for dashboard in Dashboard::all()? {
        let uid = dashboard.uid();
        browser.open(&format!("file://{}", page.display()))?;
        let script = "const [dashboard, source, done] = arguments; \
            drawBoard(dashboard, source).then(done, (error) => done({error: String(error.stack)}));";
        let drawn = browser.script_later(script, &[dashboard.json().clone(), source.clone()])?;
        let (Some(width), Some(height)) = (drawn["width"].as_u64(), drawn["height"].as_u64())
        else {
            return Err(Failure::Observed(format!(
                "{uid}: {drawn} {:?}",
                browser.complaints()?
            )));
        };
        let file = format!("../docs/pictures/grafana-{uid}.png");
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
        browser.whole_picture(&file, (width, height))?;
        faults.extend(unexpected(uid, &drawn["faults"]));
    }
    ensure(faults.is_empty(), || faults.join("\n"))
}

fn unexpected(uid: &str, faults: &Value) -> Vec<String> {
    let faults = faults.as_array().into_iter().flatten();
    faults
        .filter_map(|fault| Some((fault["panel"].as_str()?, fault["fault"].as_str()?)))
        .filter(|(panel, fault)| *fault != "no data" || !EMPTY.contains(&(uid, *panel)))
        .map(|(panel, fault)| format!("{uid}: {panel}: {fault}"))
        .collect()
}
