//! How the lab runs a controller and speaks to it, held with a stand-in: this test binary,
//! started again behind a script, which listens where Sextant does and gives fixed answers.

use serde_json::json;
use sextant_lab::{Controller, ControllerOptions, Lab, LabError, LabOptions, PortSpec, SubnetSpec};
use std::error::Error;
use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

type Outcome = Result<(), Box<dyn Error>>;

fn small_lab() -> Result<Lab, LabError> {
    Lab::start(LabOptions {
        hypervisors: 0,
        ..LabOptions::default()
    })
}

/// A `sextant` that is this binary's test of the given name.
fn start(lab: &Lab, test: &str) -> Result<Controller, Box<dyn Error>> {
    let script = lab.home().join("stand-in");
    let me = std::env::current_exe()?;
    let text = format!(
        "#!/bin/sh\necho \"args: $*\" >&2\nexec {} --exact --ignored --nocapture {test}\n",
        me.display()
    );
    fs::write(&script, text)?;
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755))?;
    Ok(lab.start_controller(ControllerOptions {
        binary: Some(script),
        args: vec!["--log-level".to_owned(), "debug".to_owned()],
        env: vec![("STAND_IN".to_owned(), "yes".to_owned())],
        data_dir: None,
    })?)
}

#[test]
fn the_controller_is_started_asked_killed_and_started_again() -> Outcome {
    let lab = small_lab()?;
    assert!(matches!(lab.api().get("/"), Err(LabError::Http { .. })));
    let mut controller = start(&lab, "a_stand_in")?;
    let log = fs::read_to_string(controller.log_path())?;
    assert!(log.contains("args: serve --api-listen [::]:9696 "), "{log}");
    assert!(log.contains(" --log-level debug\n"), "{log}");

    let network = lab.api().create_network("n1")?;
    let spec = SubnetSpec::with_mode("2001:db8:1::/64", "slaac");
    let subnet = lab.api().create_subnet(&network, &spec)?;
    assert_eq!(subnet.gateway, Some("2001:db8:1::1".parse()?));
    assert_eq!(subnet.body["asked"]["ipv6_ra_mode"], "slaac");
    assert_eq!(subnet.body["asked"]["ip_version"], 6);
    let refused = lab.api().create_port(&network, &PortSpec::default());
    let refused = refused.err().map(|error| error.to_string());
    let refused = refused.ok_or("a port was created")?;
    assert!(refused.contains("status 409"), "{refused}");
    assert_eq!(lab.api().delete("/v2.0/networks/x")?, (204, json!(null)));
    lab.api().another()?.delete_object("networks", "x")?;
    assert_eq!(lab.metrics()?, "sextant_switches_connected 0\n");

    let first = controller.pid();
    controller.kill();
    assert!(!controller.is_running());
    assert!(matches!(lab.api().get("/"), Err(LabError::Http { .. })));
    controller.start_again()?;
    assert!(controller.is_running() && controller.pid() != first);
    assert_eq!(lab.api().delete("/v2.0/networks/x")?.0, 204);
    assert!(controller.start_again().is_err());

    let status = controller.terminate()?;
    assert!(!status.success(), "the stand-in dies of SIGTERM");
    Ok(())
}

#[test]
fn a_controller_that_ends_before_it_is_ready_shows_its_log() -> Outcome {
    let lab = small_lab()?;
    let error = start(&lab, "a_stand_in_that_fails").err();
    let text = error.ok_or("it started")?.to_string();
    assert!(text.contains("ended before its ready line"), "{text}");
    assert!(text.contains("no such luck"), "{text}");
    assert!(lab.logs().contains("no such luck"));
    Ok(())
}

#[test]
fn a_missing_binary_is_named() -> Outcome {
    let lab = small_lab()?;
    let options = ControllerOptions {
        binary: Some("/no/such/sextant".into()),
        ..ControllerOptions::default()
    };
    let error = lab.start_controller(options).err();
    let text = error.ok_or("it started")?.to_string();
    assert!(text.contains("/no/such/sextant"), "{text}");
    Ok(())
}

#[test]
#[ignore = "started by the tests above"]
fn a_stand_in_that_fails() {
    eprintln!("no such luck");
    std::process::exit(2);
}

#[test]
#[ignore = "started by the tests above"]
fn a_stand_in() -> Outcome {
    assert_eq!(std::env::var("STAND_IN")?, "yes");
    let api = TcpListener::bind("[::]:9696")?;
    let metrics = TcpListener::bind("[::]:9697")?;
    eprintln!("INFO ready");
    std::thread::spawn(move || {
        for stream in metrics.incoming().flatten() {
            let _ = reply(stream, |_| {
                (200, "sextant_switches_connected 0\n".to_owned())
            });
        }
    });
    for stream in api.incoming() {
        reply(stream?, api_answer)?;
    }
    Ok(())
}

fn api_answer(request: &str) -> (u16, String) {
    let asked = request.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    let asked: serde_json::Value = serde_json::from_str(asked).unwrap_or_default();
    let body = |answer: serde_json::Value| answer.to_string();
    match request.split_whitespace().take(2).collect::<Vec<_>>()[..] {
        ["POST", "/v2.0/networks"] => (201, body(json!({"network": {"id": "n"}}))),
        ["POST", "/v2.0/subnets"] => (
            201,
            body(json!({"subnet": {"id": "s", "gateway_ip": "2001:db8:1::1",
                "asked": asked["subnet"]}})),
        ),
        ["POST", _] => (409, body(json!({"NeutronError": {"type": "Conflict"}}))),
        ["DELETE", _] => (204, String::new()),
        _ => (404, String::new()),
    }
}

/// One request, one answer, one connection.
fn reply(mut stream: TcpStream, answer: impl Fn(&str) -> (u16, String)) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    let (status, body) = answer(&request(&mut stream)?);
    let length = match status {
        204 => String::new(),
        _ => format!("Content-Length: {}\r\n", body.len()),
    };
    let head = format!("HTTP/1.1 {status} -\r\n{length}Connection: close\r\n\r\n");
    stream.write_all((head + &body).as_bytes())
}

fn request(stream: &mut TcpStream) -> std::io::Result<String> {
    let mut text = String::new();
    let mut buffer = [0; 4096];
    loop {
        let read = stream.read(&mut buffer)?;
        text.push_str(&String::from_utf8_lossy(&buffer[..read]));
        if read == 0 || is_whole(&text) {
            return Ok(text);
        }
    }
}

fn is_whole(text: &str) -> bool {
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    let head = head.to_lowercase();
    let length = head
        .split_once("content-length: ")
        .map_or("0", |(_, rest)| rest);
    let length = length.split("\r\n").next().unwrap_or_default();
    length
        .parse()
        .is_ok_and(|length: usize| body.len() >= length)
}
