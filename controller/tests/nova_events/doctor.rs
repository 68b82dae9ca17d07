//! `sextant doctor` looks whether Keystone and Nova take the login.

use crate::site::Site;
use serde_json::Value;
use std::process::Command;
use tokio::task::spawn_blocking;

/// What is said of Keystone and Nova, as `STATE CHECK`.
async fn said_of(site: &Site, password: &str) -> Vec<String> {
    let folder = std::env::temp_dir().join(format!("sextant-doctor-nova-{}", std::process::id()));
    let text = format!(
        "data_dir = '{0}/data'\ncontrol.socket = ''\nauth = 'keystone'\n[keystone]\nauth_url = 'http://{1}'\nusername = 'sextant'\npassword = '{password}'\n[nova]\nenabled = true\nregion_name = 'one'\n",
        folder.display(),
        site.keystone.address
    );
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join("sextant.toml");
    std::fs::write(&file, text).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_sextant"));
    command.args(["doctor", "--json", "--config"]).arg(file);
    let output = spawn_blocking(move || command.output()).await.unwrap();
    std::fs::remove_dir_all(folder).unwrap();
    let rows = String::from_utf8(output.unwrap().stdout).unwrap();
    let rows = rows
        .lines()
        .map(|row| serde_json::from_str::<Value>(row).unwrap());
    let text = |row: &Value, key: &str| row[key].as_str().unwrap().to_owned();
    rows.map(|row| format!("{} {}", text(&row, "state"), text(&row, "check")))
        .filter(|line| {
            ["Keystone", "Nova", "clock"]
                .iter()
                .any(|check| line.ends_with(check))
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn keystone_and_nova_are_told_apart() {
    let mut site = Site::silent().await;
    let all_well = ["good Keystone", "good clock", "good Nova"];
    assert_eq!(said_of(&site, "right").await, all_well);
    let refused = ["bad Keystone", "good clock", "bad Nova"];
    assert_eq!(said_of(&site, "wrong").await, refused);
    site.nova.end().await;
    let no_nova = ["good Keystone", "good clock", "bad Nova"];
    assert_eq!(said_of(&site, "right").await, no_nova);
}
