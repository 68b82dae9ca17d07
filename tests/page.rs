//! The page for operators, in a real browser: Debian's Chromium beside the controller.

use serde_json::{Value, json};
use sextant_lab::story::{Failure, Outcome, World, ensure};
use sextant_lab::{Browser, Reply, wait_for};
use std::path::Path;
use std::time::Duration;

const PAGE: &str = "http://[::1]:9699";
const SOON: Duration = Duration::from_secs(30);

fn open(world: &World) -> Result<Browser, Failure> {
    let browser = Browser::start(&world.lab)?;
    browser.open(PAGE)?;
    browser.wait_text("From the outside in")?;
    Ok(browser)
}

/// Goes to a view.
fn view(browser: &Browser, place: &str) -> Outcome {
    browser.open(&format!("{PAGE}/#/{place}"))?;
    Ok(())
}

#[test]
fn the_cloud_is_seen_and_everything_in_it_is_found() -> Outcome {
    let mut world = World::start()?;
    world.addressed()?;
    let guests = world.plugged().expect("guests");
    let browser = open(&world)?;
    let text = browser.wait_text("All 2 are connected.")?;
    for words in [
        "router1",
        "slaac",
        "stateful",
        "stateless",
        "Hypervisors (2)",
    ] {
        ensure(text.contains(words), || format!("{words}: {text}"))?;
    }

    let one = &guests.stateful1;
    let (id, mac, address) = (&one.port.id, &one.port.mac, one.address().to_string());
    let name = one.port.body["name"].as_str().expect("a name");
    for meant in [id, mac, &address, name] {
        browser.script(&format!(
            "const field = document.getElementById('text'); field.value = {}; field.form.requestSubmit(); return true",
            json!(meant)
        ))?;
        browser.wait_text(&format!("“{meant}”"))?;
        let found = browser.text()?;
        ensure(found.contains(id.as_str()), || format!("{meant}: {found}"))?;
    }
    browser.click(name)?;
    browser.wait_text("Sextant sees nothing wrong")?;

    for (place, words) in [
        ("hypervisors", "2001:db8:77:1::2"),
        ("networks", "dhcpv6-stateless"),
        ("routers", "2001:db8:b::"),
        ("ports", mac),
        ("prefixes", "Subnets of prefix delegation"),
        ("outside", "Neighbors on external networks"),
        ("drops", "Packets that no flow took"),
        ("hypervisor/h1", "Networks with guests here"),
    ] {
        view(&browser, place)?;
        browser.wait_text(words)?;
    }
    leases_are_shown(&world, &browser, id)?;
    view(&browser, "hypervisor/h9")?;
    browser.wait_text("there is no hypervisor h9")?;
    loads_nothing_from_elsewhere(&browser)
}

#[test]
fn of_many_networks_some_are_drawn_and_all_are_a_button_away() -> Outcome {
    let world = World::start_configured("[quotas]\nquota_network = -1\n")?;
    let networks: Vec<_> = (0..101)
        .map(|number| json!({"name": format!("many{number}")}))
        .collect();
    let (status, answer) = world
        .lab
        .api()
        .post("/v2.0/networks", &json!({"networks": networks}))?;
    ensure(status == 201, || answer.to_string())?;
    let browser = open(&world)?;
    browser.wait_script("return document.querySelectorAll('svg a').length === 14")?;
    browser.wait_script("return document.querySelector('svg').textContent.includes('and more')")?;
    view(&browser, "networks")?;
    browser.wait_script("return document.querySelectorAll('tbody tr').length === 100")?;
    browser.click("100 more")?;
    browser
        .wait_script("return document.querySelectorAll('tbody tr').length === 101")
        .map_err(Failure::from)
}

/// A guest that leased its address just now has it for another day.
fn leases_are_shown(world: &World, browser: &Browser, port: &str) -> Outcome {
    let rows = world.controller.ask(&["ports", "--json"])?.stdout;
    let rows = rows
        .lines()
        .map(|row| serde_json::from_str::<Value>(row).expect("a row is JSON"));
    let mut rows = rows.filter(|row| row["port_id"] == port);
    let row = rows.next().expect("the port");
    let lease = &row["leases"][0];
    let (left, ago) = (lease["valid_for"].as_i64(), lease["renewed_ago"].as_i64());
    let whole = left.zip(ago).map(|(left, ago)| left + ago);
    ensure(
        lease["protocol"] == "dhcpv6" && whole == Some(86_400),
        || row.to_string(),
    )?;
    view(browser, "ports")?;
    // Less than a day is left.
    browser.wait_text("DHCPv6 23 h")?;
    Ok(())
}

fn loads_nothing_from_elsewhere(browser: &Browser) -> Outcome {
    let loaded = browser.script(
        "return performance.getEntriesByType('resource').map((one) => new URL(one.name).origin)",
    )?;
    let origins = loaded.as_array().cloned().unwrap_or_default();
    ensure(
        !origins.is_empty() && origins.iter().all(|origin| origin == PAGE),
        || loaded.to_string(),
    )?;
    let complaints = browser.complaints()?;
    ensure(complaints.is_empty(), || format!("{complaints:#?}"))
}

#[test]
fn a_ports_story_is_told_as_it_happens_and_goes_on_after_an_interruption() -> Outcome {
    let mut world = World::start()?;
    world.addressed()?;
    let port = world.plugged().expect("guests").slaac1.port.clone();
    let browser = open(&world)?;
    view(&browser, &format!("port/{}", port.id))?;
    browser.wait_text("Live.")?;
    browser.wait_text("flows confirmed")?;

    disable(&world, &port.id, false)?;
    browser.wait_script("return [...document.querySelectorAll('[data-number]')].length > 2")?;
    let before = browser.script("return document.querySelectorAll('[data-number]').length")?;

    world.controller.kill();
    browser.wait_text("Interrupted")?;
    world.controller.start_again()?;
    browser.wait_text("Live.")?;
    disable(&world, &port.id, true)?;
    world.wait_status(&port, "ACTIVE")?;
    browser.wait_text("flows confirmed")?;
    // The port's flows are new, so only what the guest sends from now on is counted.
    let guest = &world.plugged().expect("guests").slaac1.guest;
    guest.run(&["rdisc6", "-1", "eth0"])?;
    browser.wait_text("router_solicitation")?;
    println!("{before} events before the interruption");

    view(&browser, "")?;
    browser.wait_text("From the outside in")?;
    view(&browser, &format!("port/{}", port.id))?;
    browser.wait_text("Sextant sees nothing wrong")?;
    Ok(())
}

fn disable(world: &World, port: &str, up: bool) -> Outcome {
    let body = json!({"port": {"admin_state_up": up}});
    let (status, answer) = world.lab.api().put(&format!("/v2.0/ports/{port}"), &body)?;
    ensure(status == 200, || answer.to_string())
}

#[test]
fn what_is_wrong_is_said_in_words_and_what_tenants_write_is_text() -> Outcome {
    let mut world = World::start()?;
    world.addressed()?;
    let guest = &world.plugged().expect("guests").slaac2;
    let hostile = "<img src=x onerror=alert(1)><script>document.title='taken'</script>";
    let body = json!({"port": {"name": hostile, "admin_state_up": false}});
    let path = format!("/v2.0/ports/{}", guest.port.id);
    let (status, answer) = world.lab.api().put(&path, &body)?;
    ensure(status == 200, || answer.to_string())?;

    let browser = open(&world)?;
    view(&browser, &format!("port/{}", guest.port.id))?;
    browser.wait_text("is disabled (admin_state_up is false)")?;
    browser.wait_text("Do: openstack port set --enable")?;
    let text = browser.text()?;
    ensure(text.contains("<img src=x"), || text)?;
    view(&browser, "ports")?;
    browser.wait_text("<img src=x")?;
    let title = browser.script("return [document.title, document.images.length]")?;
    ensure(title == json!(["Ports – Sextant", 0]), || {
        title.to_string()
    })
}

#[test]
fn the_keyboard_is_enough_and_everything_has_a_name() -> Outcome {
    let mut world = World::start()?;
    world.addressed()?;
    let browser = open(&world)?;
    browser.script("document.querySelector('.skip').focus(); return true")?;
    // After the skip link come the name of the page and the views.
    browser.press(&["Tab", "Tab", "Tab", "Enter"])?;
    browser.wait_script("return location.hash === '#/hypervisors'")?;
    browser.wait_text("Silent tunnels")?;
    let heard = browser.script("return document.activeElement.id")?;
    ensure(heard == "main", || format!("the focus is on {heard}"))?;
    browser.press(&["Tab", "Tab", "Enter"])?;
    browser.wait_text("Networks with guests here")?;

    for place in ["", "networks", "ports", "drops"] {
        view(&browser, place)?;
        browser.wait_script("return document.querySelector('main h1') !== null")?;
        let nameless = browser.script(NAMELESS)?;
        ensure(nameless == json!([]), || format!("{place}: {nameless}"))?;
    }
    Ok(())
}

/// What a screen reader could not name: fields without a label, tables without a caption, heads without a text, links
/// without a text, and content without a heading.
const NAMELESS: &str = "
    const without = (selector, name) => [...document.querySelectorAll(selector)].filter((one) => !name(one)).map((one) => one.outerHTML);
    return [
        ...without('input', (one) => one.labels.length > 0),
        ...without('main table', (one) => one.caption?.textContent || one.closest('[aria-label]')),
        ...without('th', (one) => one.textContent.trim() && one.scope),
        ...without('a', (one) => one.textContent.trim() || one.getAttribute('aria-label')),
        ...without('svg', (one) => one.getAttribute('aria-label')),
        ...(document.querySelectorAll('h1').length === 1 ? [] : ['h1']),
        ...(document.documentElement.lang ? [] : ['lang']),
    ]";

fn ask(world: &World, headers: &[(&str, &str)], body: &str) -> Result<Reply, Failure> {
    let url = format!("{PAGE}/ask");
    Ok(world.lab.api().request("POST", &url, headers, body)?)
}

#[test]
fn only_administrators_see_it_and_nobody_changes_anything() -> Outcome {
    let mut world = World::start_configured("auth = 'headers'\n")?;
    world.join()?;
    let status = r#"{"status":{}}"#;
    let user = |roles| {
        [
            ("x-user-id", "u"),
            ("x-project-id", "p"),
            ("x-roles", roles),
        ]
    };
    for (headers, expected) in [
        (&[][..], 401),
        (&user("member")[..], 403),
        (&user("admin")[..], 200),
    ] {
        let reply = ask(&world, headers, status)?;
        ensure(reply.status == expected, || {
            format!("{headers:?}: {reply:?}")
        })?;
    }
    let (api, events) = (
        world.lab.api(),
        format!("{PAGE}/events?port=00000000-0000-4000-8000-000000000000"),
    );
    let reply = api.request("GET", &events, &[], "")?;
    ensure(reply.status == 401, || format!("{reply:?}"))?;
    let reply = api.request("GET", &events, &user("admin"), "")?;
    ensure(reply.status == 404, || format!("{reply:?}"))?;

    let browser = Browser::start(&world.lab)?;
    browser.open(PAGE)?;
    browser.wait_script("return document.getElementById('login').open")?;
    Ok(())
}

#[test]
fn what_does_not_come_from_the_page_is_refused() -> Outcome {
    let mut world = World::start()?;
    world.join()?;
    let status = r#"{"status":{}}"#;
    let long = format!(r#"{{"search":{{"text":"{}"}}}}"#, "x".repeat(70_000));
    for (headers, body, expected) in [
        (&[][..], status, 200),
        (&[("host", "localhost:9699")][..], status, 200),
        (&[("host", "evil.example")][..], status, 403),
        (&[("sec-fetch-site", "cross-site")][..], status, 403),
        (&[("content-type", "text/plain")][..], status, 415),
        (&[][..], "", 415),
        (&[][..], "{", 400),
        (&[][..], r#"{"reboot":{}}"#, 422),
        (&[][..], r#"{"status":{"more":1}}"#, 422),
        (&[][..], r#"{"neighbors":{"action":"flush"}}"#, 403),
        (&[][..], &long, 413),
    ] {
        let reply = ask(&world, headers, body)?;
        let shown: String = body.chars().take(60).collect();
        ensure(reply.status == expected, || {
            format!("{headers:?} {shown}: {} {}", reply.status, reply.text)
        })?;
        let policy = reply.header("content-security-policy");
        ensure(
            policy.is_some_and(|policy| policy.contains("default-src 'none'")),
            || format!("{reply:?}"),
        )?;
    }
    let reply = ask(&world, &[], r#"{"why":{"port":"nobody"}}"#)?;
    ensure(reply.text.contains("no port has 'nobody'"), || reply.text)?;
    let get = world
        .lab
        .api()
        .request("GET", &format!("{PAGE}/ask"), &[], "")?;
    ensure(get.status == 405, || format!("{get:?}"))
}

#[test]
fn stories_have_places_and_give_them_back() -> Outcome {
    /// As in `controller/src/web.rs`.
    const STORIES: usize = 32;
    let mut world = World::start()?;
    world.guests()?;
    let id = &world.plugged().expect("guests").slaac1.port.id;
    let url = format!("{PAGE}/events?port={id}");
    let mut followers = Vec::new();
    for _ in 0..STORIES {
        let mut follower = world.lab.spawn_in_ctl(&["curl", "-sN", &url])?;
        follower.wait_line("its first event", SOON, |line| {
            line.starts_with("id: 1").then_some(())
        })?;
        followers.push(follower);
    }
    let refused = world.lab.api().request("GET", &url, &[], "")?;
    ensure(refused.status == 503, || format!("{refused:?}"))?;
    followers.clear();
    wait_for("a place", SOON, || {
        let asked = world.lab.in_ctl(&[
            "curl",
            "-sN",
            "-m",
            "1",
            "-o",
            "/dev/null",
            "-w",
            "%{http_code}",
            &url,
        ]);
        // It ends by its own time limit.
        let said = format!("{asked:?}");
        match said.contains("200") {
            true => Ok(()),
            false => Err(said),
        }
    })?;
    Ok(())
}

#[test]
#[ignore = "`make pictures` draws the guide's pictures anew"]
fn pictures_of_the_guide() -> Outcome {
    let mut world = World::start()?;
    world.addressed()?;
    let guests = world.plugged().expect("guests");
    disable(&world, &guests.stateful2.port.id, false)?;
    let (good, folder) = (
        &guests.stateful1.port.id,
        Path::new(env!("CARGO_MANIFEST_DIR")),
    );
    let folder = folder.join("../docs/pictures");
    let browser = open(&world)?;
    browser.picture(&folder.join("overview.png"), (1100, 760))?;
    view(&browser, &format!("port/{good}"))?;
    browser.wait_text("Live.")?;
    browser.wait_text("flows confirmed")?;
    browser.picture(&folder.join("port.png"), (1100, 900))?;
    Ok(())
}
