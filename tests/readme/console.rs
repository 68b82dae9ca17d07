//! Boxes of a document that show what to type, and machines on which it is typed.

use sextant_lab::story::Failure;
use sextant_lab::{Hypervisor, Lab, Process};
use std::path::{Path, PathBuf};
use std::process::Command;

/// One box: the commands behind the prompts `$` and `#`.
#[derive(Clone, Debug)]
pub(crate) struct Block(Vec<String>);

impl Block {
    /// The same, with this in place of that.
    pub(crate) fn with(&self, this: &str, that: &str) -> Self {
        let commands = self.0.iter();
        Self(commands.map(|text| text.replace(this, that)).collect())
    }

    /// Its commands, in order.
    pub(crate) fn commands(&self) -> &[String] {
        &self.0
    }

    /// All of it, for one shell.
    pub(crate) fn script(&self) -> String {
        self.0.join("\n")
    }
}

/// The console boxes of the chapter that begins with this line.
pub(crate) fn blocks(document: &str, chapter: &str) -> Vec<Block> {
    let lines = document.lines().skip_while(|line| *line != chapter).skip(1);
    let mut lines = lines.take_while(|line| !line.starts_with("## "));
    let mut blocks = vec![];
    while lines.any(|line| line == "```console") {
        let mut commands: Vec<String> = vec![];
        for line in lines.by_ref().take_while(|line| *line != "```") {
            match line.strip_prefix("$ ").or_else(|| line.strip_prefix("# ")) {
                Some(command) => commands.push(command.to_owned()),
                None => {
                    let last = commands.last_mut().expect("a box begins with a prompt");
                    last.push('\n');
                    last.push_str(line);
                }
            }
        }
        blocks.push(Block(commands));
    }
    blocks
}

/// Where somebody types, as root.
#[derive(Clone, Debug)]
pub(crate) struct Machine {
    namespace: String,
    /// Where its Open vSwitch has its sockets.
    ovs: Option<PathBuf>,
    /// What is `/etc` there.
    etc: PathBuf,
}

impl Machine {
    /// The controller's.
    pub(crate) fn controller(lab: &Lab) -> Self {
        Self {
            namespace: lab.control().name().to_owned(),
            ovs: None,
            etc: lab.home().to_owned(),
        }
    }

    /// A hypervisor's.
    pub(crate) fn hypervisor(host: &Hypervisor) -> Self {
        Self {
            namespace: host.namespace().name().to_owned(),
            ovs: Some(host.run_folder().to_owned()),
            etc: host.run_folder().to_owned(),
        }
    }

    /// What it prints. `ip netns exec` would hide the namespaces that are made in it: this shares the machine's mounts.
    pub(crate) fn types(&self, script: &str) -> Result<String, String> {
        let script = script.replace("/etc/", &format!("{}/", self.etc.display()));
        let mut shell = Command::new("nsenter");
        shell.arg(format!("--net=/run/netns/{}", self.namespace));
        shell.args(["sh", "-ec", &script]);
        let clients = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.venv/bin");
        let path = std::env::var("PATH").unwrap_or_default();
        shell.env("PATH", format!("{}:{path}", clients.display()));
        if let Some(folder) = &self.ovs {
            shell.env("OVS_RUNDIR", folder);
        }
        let output = shell.output().map_err(|error| error.to_string())?;
        let [out, err] = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text));
        match output.status.success() {
            true => Ok(out.into_owned()),
            false => Err(format!("{script}\n{}\n{out}{err}", output.status)),
        }
    }

    /// Types what the box of the controller says, but for the build: the binary that is tested is there already. The last
    /// command stays in the foreground.
    pub(crate) fn serves(&self, lab: &Lab, block: &Block) -> Result<Process, Failure> {
        let built = |command: &&String| {
            !command.starts_with("cargo build ") && !command.starts_with("scripts/setup build")
        };
        let commands: Vec<&String> = block.commands().iter().filter(built).collect();
        let (serve, before) = commands.split_last().expect("sextant serve");
        for command in before {
            self.types(command).map_err(Failure::Observed)?;
        }
        let serve = serve.split(" #").next().unwrap_or_default();
        let binary = sextant_lab::find_binary()?.display().to_string();
        let home = lab.home().display();
        let serve = serve
            .replace("target/release/sextant", &binary)
            .replace("/etc/", &format!("{home}/"));
        let own = format!("{serve} --data-dir {home}/data --control-socket {home}/readme.control");
        Ok(lab.spawn_in_ctl(&own.split_whitespace().collect::<Vec<_>>())?)
    }
}
