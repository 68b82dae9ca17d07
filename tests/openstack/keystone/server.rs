//! A real Keystone, and what else runs beside it: programs of the venv that `scripts/setup keystone` makes. Each says on
//! its output where it is, and ends when its input does.

use serde_json::{Value, json};
use sextant_lab::{Api, Loopback, Reply};
use std::error::Error;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// The passwords of all users, by their names.
pub(crate) fn password(user: &str) -> String {
    format!("{user}-hunter2")
}

/// A program that says where it is.
pub(crate) struct Beside {
    child: Child,
    pub(crate) url: String,
}

impl Beside {
    /// Starts a script of this folder.
    pub(crate) fn start(script: &str, words: &[&str]) -> Result<Self, Box<dyn Error>> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("openstack/keystone");
        let mut child = python()?
            .arg(folder.join(script))
            .args(words)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let output = child.stdout.take().ok_or("no output")?;
        let mut beside = Self {
            child,
            url: String::new(),
        };
        BufReader::new(output).read_line(&mut beside.url)?;
        beside.url = beside.url.trim().to_owned();
        match beside.url.starts_with("http://") {
            true => Ok(beside),
            false => Err(format!("{script} does not start").into()),
        }
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The interpreter with Keystone.
fn python() -> Result<Command, String> {
    let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    let target = target.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../target"));
    let python = target.join("keystone/bin/python");
    match python.is_file() {
        true => Ok(Command::new(python)),
        false => Err("no Keystone: run `scripts/setup keystone`".to_owned()),
    }
}

/// A Keystone of its own. Its user `admin` has the role of that name.
pub(crate) struct Keystone {
    server: Beside,
    folder: PathBuf,
}

impl Keystone {
    /// Starts one whose tokens hold for so many seconds.
    pub(crate) fn start(seconds: u32) -> Result<Self, Box<dyn Error>> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("sextant-keystone-{}-{number}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder)?;
        let words = [
            &*folder.to_string_lossy(),
            &password("admin"),
            &seconds.to_string(),
        ];
        let started = Beside::start("serve.py", &words);
        if started.is_err() {
            let log = std::fs::read_to_string(folder.join("keystone.log"));
            eprintln!("{}", log.unwrap_or_default());
            let _ = std::fs::remove_dir_all(&folder);
        }
        Ok(Self {
            server: started?,
            folder,
        })
    }

    pub(crate) fn url(&self) -> &str {
        &self.server.url
    }

    /// A controller whose callers it knows, with more lines in `[keystone]`.
    pub(crate) fn controller(&self, more: &str) -> Result<Loopback, Box<dyn Error>> {
        let (url, password) = (self.url(), password("sextant"));
        let file = self.folder.join("sextant.toml");
        let text = format!(
            "auth = \"keystone\"\n[keystone]\nauth_url = \"{url}\"\nusername = \"sextant\"\npassword = \"{password}\"\n{more}\n"
        );
        std::fs::write(&file, text)?;
        let file = file.to_string_lossy().into_owned();
        Ok(Loopback::start(&["--config", &file])?)
    }

    /// The options with which a user works for a project.
    pub(crate) fn options(&self, user: &str, project: &str) -> String {
        format!(
            "{} --os-project-name {project} --os-project-domain-name Default",
            self.user(user)
        )
    }

    /// The options with which a user says who they are.
    pub(crate) fn user(&self, user: &str) -> String {
        let (url, password) = (self.url(), password(user));
        format!(
            "--os-identity-api-version 3 --os-region-name one --os-auth-url {url} --os-username {user} \
             --os-user-domain-name Default --os-password {password}"
        )
    }

    /// A token of a user for a project.
    pub(crate) fn token(
        &self,
        api: &Api,
        user: &str,
        project: &str,
    ) -> Result<String, Box<dyn Error>> {
        let domain = json!({"name": "Default"});
        let body = json!({"auth": {
            "identity": {"methods": ["password"], "password": {
                "user": {"name": user, "domain": domain, "password": password(user)}}},
            "scope": {"project": {"name": project, "domain": domain}}}});
        let url = format!("{}/auth/tokens", self.url());
        let reply = api.request("POST", &url, &[], &body.to_string())?;
        let token = reply.header("x-subject-token").map(str::to_owned);
        token.ok_or_else(|| format!("no token: {reply:?}").into())
    }

    /// Makes something with the rights of `admin`. Returns it.
    pub(crate) fn make(
        &self,
        api: &Api,
        token: &str,
        kind: &str,
        given: Value,
    ) -> Result<Value, Box<dyn Error>> {
        let url = format!("{}/{kind}s", self.url());
        let headers = [("X-Auth-Token", token)];
        let body = json!({ kind: given }).to_string();
        let reply = api.request("POST", &url, &headers, &body)?;
        expect(&reply, 201)?;
        Ok(reply.json()[kind].clone())
    }

    /// Makes users with a role in a project, which is made as well.
    pub(crate) fn people(
        &self,
        api: &Api,
        people: &[(&str, &str, &str)],
    ) -> Result<(), Box<dyn Error>> {
        let mut projects: Vec<(&str, Value)> = vec![];
        for (user, project, role) in people {
            // Another token each time: they may hold for seconds only.
            let admin = self.token(api, "admin", "admin")?;
            if !projects.iter().any(|(name, _)| name == project) {
                let made = self.make(api, &admin, "project", json!({"name": project}))?;
                projects.push((project, made["id"].clone()));
            }
            let given = json!({"name": user, "password": password(user)});
            let made = self.make(api, &admin, "user", given)?;
            let roles = format!("{}/roles?name={role}", self.url());
            let headers = [("X-Auth-Token", admin.as_str())];
            let roles = api.request("GET", &roles, &headers, "")?.json();
            let project = projects.iter().find(|(name, _)| name == project);
            let id = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let (user, role) = (id(&made["id"]), id(&roles["roles"][0]["id"]));
            let project = project.map(|(_, project)| id(project)).unwrap_or_default();
            let given = format!(
                "{}/projects/{project}/users/{user}/roles/{role}",
                self.url()
            );
            expect(&api.request("PUT", &given, &headers, "")?, 204)?;
        }
        Ok(())
    }
}

fn expect(reply: &Reply, status: u16) -> Result<(), String> {
    match reply.status == status {
        true => Ok(()),
        false => Err(format!("{status} was expected: {reply:?}")),
    }
}

impl Drop for Keystone {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
