//! A real browser beside the controller: Debian's Chromium in the `ctl` namespace or in this process's, driven by WebDriver
//! (W3C).

use crate::api::Api;
use crate::command;
use crate::deadline::wait_for;
use crate::error::LabError;
use crate::free_port::free_port;
use crate::lab::Lab;
use crate::process::Process;
use crate::tools::Tools;
use serde_json::{Value, json};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// Where the driver listens in a lab.
const PORT: u16 = 9515;
const STARTING: Duration = Duration::from_secs(60);
const SOON: Duration = Duration::from_secs(30);
/// The Tab key and the Enter key, as WebDriver names them.
const KEYS: [(&str, &str); 2] = [("Tab", "\u{e004}"), ("Enter", "\u{e007}")];

/// A running browser with one window. Its programs end with it.
#[derive(Debug)]
pub struct Browser {
    api: Api,
    driver: String,
    session: String,
    _driver: Process,
}

impl Browser {
    /// Starts it where the lab's controller runs, and opens an empty window.
    ///
    /// # Errors
    /// [`LabError::MissingTools`] without Debian's `chromium` and `chromium-driver`; [`LabError::Ended`] and
    /// [`LabError::Unexpected`] when one of them does not start.
    pub fn start(lab: &Lab) -> Result<Self, LabError> {
        check_tools()?;
        let driver = lab.spawn_in_ctl(&words(&driver_words(PORT)))?;
        Self::open_window(driver, PORT, lab.api().another()?, lab.home())
    }

    /// Starts it beside this process, with its files in this folder. `api` is a client of the same place.
    ///
    /// # Errors
    /// As [`Browser::start`].
    pub fn beside(api: &Api, folder: &Path) -> Result<Self, LabError> {
        check_tools()?;
        let port = free_port().map_err(LabError::io("find a free port"))?;
        let all = driver_words(port);
        let mut program = command::program(&all[0]);
        program.args(&all[1..]);
        let driver = Process::spawn(&mut program, &folder.join("chromedriver.log"), folder)?;
        Self::open_window(driver, port, api.another()?, folder)
    }

    fn open_window(
        mut driver: Process,
        port: u16,
        api: Api,
        folder: &Path,
    ) -> Result<Self, LabError> {
        driver.wait_line("its ready line", STARTING, |line| {
            line.contains("was started successfully").then_some(())
        })?;
        let profile = format!("--user-data-dir={}", folder.join("chromium").display());
        let options = json!({
            "args": ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", profile],
        });
        let wanted = json!({
            "goog:chromeOptions": options,
            "goog:loggingPrefs": {"browser": "ALL"},
        });
        let asked = json!({"capabilities": {"alwaysMatch": wanted}});
        let address = format!("http://[::1]:{port}");
        let (status, answer) = api.post(&format!("{address}/session"), &asked)?;
        let session = answer["value"]["sessionId"].as_str().map(str::to_owned);
        let session = session.filter(|_| status == 200);
        let session = session.ok_or_else(|| LabError::unexpected("a browser", &answer))?;
        Ok(Self {
            api,
            driver: address,
            session,
            _driver: driver,
        })
    }

    fn command(&self, command: &str, body: &Value) -> Result<Value, LabError> {
        let path = format!("{}/session/{}/{command}", self.driver, self.session);
        let (status, mut answer) = self.api.post(&path, body)?;
        match status {
            200 => Ok(answer["value"].take()),
            _ => Err(LabError::unexpected(command, &answer["value"]["message"])),
        }
    }

    /// Opens an address.
    ///
    /// # Errors
    /// [`LabError::Unexpected`] with the browser's reason.
    pub fn open(&self, url: &str) -> Result<(), LabError> {
        self.command("url", &json!({"url": url})).map(drop)
    }

    /// What a script returns.
    ///
    /// # Errors
    /// [`LabError::Unexpected`] with the script's error.
    pub fn script(&self, script: &str) -> Result<Value, LabError> {
        self.command("execute/sync", &json!({"script": script, "args": []}))
    }

    /// What a script hands to its last argument, a function, some time later.
    ///
    /// # Errors
    /// [`LabError::Unexpected`] with the script's error, or when it takes longer than 30 seconds.
    pub fn script_later(&self, script: &str, arguments: &[Value]) -> Result<Value, LabError> {
        self.command(
            "execute/async",
            &json!({"script": script, "args": arguments}),
        )
    }

    /// The text that is seen.
    ///
    /// # Errors
    /// [`LabError::Unexpected`].
    pub fn text(&self) -> Result<String, LabError> {
        let text = self.script("return document.body.innerText")?;
        Ok(text.as_str().unwrap_or_default().to_owned())
    }

    /// Waits until the text that is seen contains these words.
    ///
    /// # Errors
    /// [`LabError::Timeout`] with the text.
    pub fn wait_text(&self, words: &str) -> Result<String, LabError> {
        wait_for(&format!("'{words}' on the page"), SOON, || {
            let text = self.text().map_err(|error| error.to_string())?;
            match text.contains(words) {
                true => Ok(text),
                false => Err(text),
            }
        })
    }

    /// Waits until a script returns true.
    ///
    /// # Errors
    /// [`LabError::Timeout`] with the text of the page.
    pub fn wait_script(&self, script: &str) -> Result<(), LabError> {
        wait_for(script, SOON, || match self.script(script) {
            Ok(Value::Bool(true)) => Ok(()),
            Ok(other) => Err(format!("{other}: {:?}", self.text())),
            Err(error) => Err(error.to_string()),
        })
    }

    /// Presses keys, one after the other: `Tab`, `Enter`, or a text.
    ///
    /// # Errors
    /// [`LabError::Unexpected`].
    pub fn press(&self, keys: &[&str]) -> Result<(), LabError> {
        let mut actions = Vec::new();
        for key in keys {
            let named = KEYS.iter().find(|(name, _)| name == key);
            let text = named.map_or(*key, |(_, text)| text);
            for letter in text.chars().map(String::from) {
                actions.push(json!({"type": "keyDown", "value": letter}));
                actions.push(json!({"type": "keyUp", "value": letter}));
            }
        }
        let keyboard = json!({"type": "key", "id": "keyboard", "actions": actions});
        self.command("actions", &json!({"actions": [keyboard]}))
            .map(drop)
    }

    /// Follows the link, or presses the button, with this text.
    ///
    /// # Errors
    /// [`LabError::Unexpected`] when there is none.
    pub fn click(&self, text: &str) -> Result<(), LabError> {
        let words = json!(text);
        let script = format!(
            "const found = [...document.querySelectorAll('main a, main button')].find((one) => \
             one.textContent.trim().startsWith({words})); found.dispatchEvent(new MouseEvent('click', {{bubbles: true, \
             cancelable: true}})); return true"
        );
        self.script(&script).map(drop)
    }

    /// What the page complained about: failed requests, refused resources, errors of scripts.
    ///
    /// # Errors
    /// [`LabError::Unexpected`].
    pub fn complaints(&self) -> Result<Vec<String>, LabError> {
        let log = self.command("se/log", &json!({"type": "browser"}))?;
        let entries = log.as_array().cloned().unwrap_or_default();
        let texts = entries.iter().filter_map(|entry| entry["message"].as_str());
        Ok(texts.map(str::to_owned).collect())
    }

    /// Writes what is seen, in a window of this size, as a PNG.
    ///
    /// # Errors
    /// [`LabError::Unexpected`], or [`LabError::Io`] when it cannot be written.
    pub fn picture(&self, file: &Path, (width, height): (u32, u32)) -> Result<(), LabError> {
        self.command("window/rect", &json!({"width": width, "height": height}))?;
        self.screenshot(file)
    }

    /// Writes the page as far as this size, however large the window is, as a PNG.
    ///
    /// # Errors
    /// As [`Browser::picture`].
    pub fn whole_picture(&self, file: &Path, (width, height): (u64, u64)) -> Result<(), LabError> {
        let size =
            json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        let asked = json!({"cmd": "Emulation.setDeviceMetricsOverride", "params": size});
        self.command("goog/cdp/execute", &asked)?;
        self.screenshot(file)
    }

    fn screenshot(&self, file: &Path) -> Result<(), LabError> {
        let path = format!("{}/session/{}/screenshot", self.driver, self.session);
        let (_, answer) = self.api.get(&path)?;
        let text = answer["value"].as_str().unwrap_or_default();
        decode(text, file)
    }
}

fn check_tools() -> Result<(), LabError> {
    Tools::check(&["chromium", "chromedriver", "unshare", "base64"])
}

/// The driver's command line. The browser's processes leave the driver's group. In a PID namespace of their own they end
/// with its first process.
fn driver_words(port: u16) -> Vec<String> {
    let own = [
        "unshare",
        "--fork",
        "--pid",
        "--kill-child",
        "--mount-proc",
        "chromedriver",
    ];
    let port = format!("--port={port}");
    own.into_iter().map(str::to_owned).chain([port]).collect()
}

fn words(all: &[String]) -> Vec<&str> {
    all.iter().map(String::as_str).collect()
}

fn decode(base64: &str, file: &Path) -> Result<(), LabError> {
    let what = format!("write {}", file.display());
    let out = std::fs::File::create(file).map_err(LabError::io(&what))?;
    let mut decoder = Command::new("base64");
    let decoder = decoder.arg("-d").stdin(Stdio::piped()).stdout(out);
    let mut decoder = decoder.spawn().map_err(LabError::io(&what))?;
    if let Some(mut input) = decoder.stdin.take() {
        std::io::Write::write_all(&mut input, base64.as_bytes()).map_err(LabError::io(&what))?;
    }
    let ended = decoder.wait().map_err(LabError::io(&what))?;
    match ended.success() {
        true => Ok(()),
        false => Err(LabError::unexpected("a picture", ended)),
    }
}
