//! The Debian package: what is in it, and how it lives under a real systemd. The container file.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

/// The highest score of `systemd-analyze security`, in tenths, of the controller and of the metadata service: 0 is locked up,
/// 100 is open. The second is root with three capabilities.
const EXPOSURE: [(&str, &str); 2] = [
    ("sextant.service", "20"),
    ("sextant-metadata.service", "30"),
];

/// A folder that is gone with its test.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("sextant-packaging-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn project(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

/// Runs a program to its end. Returns what it printed.
fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let complained = String::from_utf8_lossy(&output.stderr);
    let ended = output.status;
    assert!(
        ended.success(),
        "{command:?}: {ended}\n{said}\n{complained}"
    );
    said
}

/// The package and its debug symbols, of the binary under test.
fn build(folder: &Path, version: &str) -> (PathBuf, PathBuf) {
    let mut command = Command::new(project("packaging/build"));
    command.arg(env!("CARGO_BIN_EXE_sextant")).arg(folder);
    command.env("VERSION", version).env("COMPRESSION", "none");
    let built = run(&mut command);
    let mut files = built.lines().map(PathBuf::from);
    (files.next().unwrap(), files.next().unwrap())
}

/// Mode and owner of each file in a package.
fn contents(package: &Path) -> BTreeMap<String, String> {
    let listed = run(Command::new("dpkg-deb").arg("--contents").arg(package));
    let files = listed.lines().map(|line| {
        let mut words = line.split_whitespace();
        let (mode, owner) = (words.next().unwrap(), words.next().unwrap());
        let name = words.nth(3).unwrap().trim_start_matches('.');
        (name.to_owned(), format!("{mode} {owner}"))
    });
    files.collect()
}

/// A field of a package's description.
fn field(package: &Path, name: &str) -> String {
    let mut command = Command::new("dpkg-deb");
    let said = run(command.arg("--field").arg(package).arg(name));
    said.trim().to_owned()
}

#[test]
fn a_package_has_everything_that_a_controller_needs() {
    let folder = Folder::new();
    let (package, symbols) = build(&folder.0, "1.2.3");
    let files = contents(&package);
    let executable = "-rwxr-xr-x root/root";
    let plain = "-rw-r--r-- root/root";
    for (name, expected) in [
        ("/usr/bin/sextant", executable),
        ("/etc/sextant/sextant.toml", "-rw-r----- root/root"),
        ("/etc/logrotate.d/sextant", plain),
        ("/lib/systemd/system/sextant.service", plain),
        ("/lib/systemd/system/sextant-metadata.service", plain),
        ("/usr/lib/sysusers.d/sextant.conf", plain),
        ("/usr/share/man/man1/sextant.1.gz", plain),
        ("/usr/share/man/man1/sextant-why.1.gz", plain),
        ("/usr/share/man/man1/sextant-store-copy.1.gz", plain),
        ("/usr/share/bash-completion/completions/sextant", plain),
        ("/usr/share/zsh/vendor-completions/_sextant", plain),
        ("/usr/share/fish/vendor_completions.d/sextant.fish", plain),
        ("/usr/share/sextant/grafana/dashboards/sextant.json", plain),
        ("/usr/share/sextant/prometheus/alerts.yml", plain),
        ("/usr/share/doc/sextant/runbooks/SextantDown.md", plain),
        ("/usr/share/doc/sextant/copyright", plain),
        ("/usr/share/doc/sextant/changelog.gz", plain),
        ("/usr/share/doc/sextant/CHANGELOG.md.gz", plain),
        ("/usr/share/doc/sextant/examples/sextant.toml", plain),
    ] {
        assert_eq!(
            files.get(name).map(String::as_str),
            Some(expected),
            "{name}"
        );
    }
    let others = files.values().filter(|file| !file.ends_with(" root/root"));
    assert_eq!(others.count(), 0, "{files:#?}");
    assert!(field(&package, "Depends").contains("libc6 (>= "));
    assert_eq!(field(&symbols, "Depends"), "sextant (= 1.2.3)");
    let root = folder.0.join("root");
    run(Command::new("dpkg-deb").arg("-R").arg(&package).arg(&root));
    let conffiles = std::fs::read_to_string(root.join("DEBIAN/conffiles")).unwrap();
    assert_eq!(
        conffiles,
        "/etc/logrotate.d/sextant\n/etc/sextant/sextant.toml\n"
    );
    let packed = std::fs::read_to_string(root.join("etc/sextant/sextant.toml")).unwrap();
    let page = sextant_controller::cli::Page::Toml;
    assert_eq!(packed, sextant_controller::reference::page(page));
    symbols_fit(&folder.0, &root.join("usr/bin/sextant"), &symbols);
    run(Command::new("rm").arg("-r").arg(&root));
    let again = folder.0.join("again");
    let (second, _) = build(&again, "1.2.3");
    let same = std::fs::read(&package).unwrap() == std::fs::read(&second).unwrap();
    assert!(same, "the same sources give the same package");
}

/// What Debian's own checker says of both packages is nothing, but for what is overridden with a reason.
#[test]
fn lintian_has_no_complaint() {
    /// Tests pack quickly; `make deb` compresses.
    const QUICK: &str =
        "uses-no-compression-for-data-tarball,uses-no-compression-for-control-tarball";
    /// Of symbols alone, without their package.
    const ALONE: &str = "cannot-check-whether-usr-share-doc-symlink-points-to-foreign-package";
    let folder = Folder::new();
    let (package, symbols) = build(&folder.0, "1.2.3");
    let words = ["--allow-root", "--display-info", "--tag-display-limit=0"];
    let mut lintian = Command::new("lintian");
    lintian
        .args(words)
        .args(["--fail-on", "error,warning,info"]);
    lintian.args(["--suppress-tags", &format!("{QUICK},{ALONE}")]);
    let said = run(lintian.arg(package).arg(symbols));
    assert_eq!(said, "");
}

/// The stripped program works, and its build id and link lead to the symbols.
fn symbols_fit(folder: &Path, program: &Path, symbols: &Path) {
    run(Command::new(program).arg("--version"));
    let notes = run(Command::new("readelf").arg("--notes").arg(program));
    let id = notes.split("Build ID: ").nth(1).unwrap();
    let id = id.split_whitespace().next().unwrap();
    let file = format!("/usr/lib/debug/.build-id/{}/{}.debug", &id[..2], &id[2..]);
    assert!(contents(symbols).contains_key(&file), "{file}");
    let sections = run(Command::new("readelf")
        .args(["--sections", "--wide"])
        .arg(program));
    assert!(sections.contains(".gnu_debuglink"), "{sections}");
    assert!(!sections.contains(".debug_info"), "{sections}");
    let root = folder.join("symbols");
    run(Command::new("dpkg-deb").arg("-x").arg(symbols).arg(&root));
    let kept = root.join(file.trim_start_matches('/'));
    let sections = run(Command::new("readelf")
        .args(["--sections", "--wide"])
        .arg(kept));
    assert!(sections.contains(".debug_line"), "{sections}");
}

#[test]
fn the_units_are_right_and_shut_off() {
    let folder = Folder::new();
    let root = folder.0.join("root");
    let units = root.join("lib/systemd/system");
    std::fs::create_dir_all(&units).unwrap();
    for (unit, _) in EXPOSURE {
        let packed = project("packaging/systemd").join(unit);
        std::fs::copy(packed, units.join(unit)).unwrap();
    }
    // `verify` looks for the programs that units start, and for the targets that they name.
    for program in ["bin/kill", "usr/bin/sextant"] {
        let there = root.join(program);
        std::fs::create_dir_all(there.parent().unwrap()).unwrap();
        std::fs::copy("/bin/kill", there).unwrap();
    }
    for target in [
        "basic",
        "multi-user",
        "network-online",
        "shutdown",
        "sysinit",
    ] {
        let unit = root.join(format!("lib/systemd/system/{target}.target"));
        std::fs::write(unit, "[Unit]\nDescription=A target\n").unwrap();
    }
    for (unit, most) in EXPOSURE {
        let path = root.join("lib/systemd/system").join(unit);
        let root = format!("--root={}", root.display());
        let said = Command::new("systemd-analyze")
            .args([&root, "verify", "--man=no", "--recursive-errors=no"])
            .arg(unit)
            .output()
            .unwrap();
        let complaints = String::from_utf8_lossy(&said.stderr);
        assert!(
            said.status.success() && complaints.is_empty(),
            "{unit}: {complaints}"
        );
        let most = format!("--threshold={most}");
        let mut judge = Command::new("systemd-analyze");
        run(judge
            .args(["security", "--no-pager", "--offline=yes", &most])
            .arg(path));
    }
}

#[test]
fn a_container_copies_only_what_exists() {
    let text = std::fs::read_to_string(project("packaging/Containerfile")).unwrap();
    let copies = text.lines().filter_map(|line| line.strip_prefix("COPY "));
    let mut sources = vec![];
    for copy in copies.filter(|copy| !copy.contains("--from=")) {
        let words: Vec<&str> = copy.split_whitespace().collect();
        sources.extend_from_slice(&words[..words.len() - 1]);
    }
    let missing: Vec<_> = sources
        .iter()
        .filter(|path| !project(path).exists())
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
    let workspace = std::fs::read_to_string(project("Cargo.toml")).unwrap();
    let workspace: toml::Table = workspace.parse().unwrap();
    let members = workspace["workspace"]["members"].as_array().unwrap();
    for member in members.iter().filter_map(toml::Value::as_str) {
        assert!(
            sources.contains(&member),
            "{member} is not in the container"
        );
    }
    let port = |address: std::net::SocketAddr| format!(" {}", address.port());
    let config = sextant_controller::config::Config::default();
    let exposed = text
        .lines()
        .find(|line| line.starts_with("EXPOSE "))
        .unwrap();
    for address in [
        config.api_listen,
        config.openflow_listen,
        config.ovsdb_listen,
        config.metrics_listen,
    ] {
        assert!(exposed.contains(&port(address)), "{address}");
    }
}

#[test]
#[ignore = "make test-package: needs root, and minutes for a fresh Debian the first time"]
fn a_package_lives_under_a_real_systemd() {
    let folder = Folder::new();
    let (first, _) = build(&folder.0, "1.2.3");
    let (second, _) = build(&folder.0, "1.2.4");
    let root = folder.0.join("root");
    std::fs::create_dir(&root).unwrap();
    let fresh = run(&mut Command::new(project(
        "controller/tests/packaging/fresh",
    )));
    run(Command::new("tar")
        .args(["-xf", fresh.trim(), "--exclude=./dev/*", "-C"])
        .arg(&root));
    let brought = root.join("brought");
    std::fs::create_dir(&brought).unwrap();
    std::fs::rename(first, brought.join("first.deb")).unwrap();
    std::fs::rename(second, brought.join("second.deb")).unwrap();
    let life = project("controller/tests/packaging/life");
    std::fs::copy(life, brought.join("life")).unwrap();
    let mut boot = Command::new(project("controller/tests/packaging/boot"));
    let said = run(boot.arg(&root));
    assert!(said.contains("\nlife: all is well\n"), "{said}");
}
