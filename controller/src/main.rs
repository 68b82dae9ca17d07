//! The `sextant` command.

use clap::Parser;
use sextant_controller::cli::{Cli, Command, DoctorOptions, MetadataOptions, Serve, StoreCommand};
use sextant_controller::logging::{self, Logs};
use sextant_controller::runtime::Again;
use sextant_controller::service_manager::ServiceManager;
use sextant_controller::{config::Config, doctor, metadata, reference, runtime};
use std::path::Path;
use std::process::ExitCode;

/// The exit status if the configuration or the command line is wrong.
const USAGE: u8 = 2;

fn main() -> ExitCode {
    let cli = Cli::parse();
    match cli.command {
        Command::Serve(options) => {
            let logs = match logging::start(cli.json) {
                Ok(logs) => logs,
                Err(error) => return complain(&error),
            };
            match options.configuration() {
                Ok(config) => serve(&config, logs, options),
                Err(error) => fail(&error, USAGE),
            }
        }
        Command::Metadata(options) => serve_metadata(&options, cli.json),
        Command::CheckConfig { file } => check_config(&file, cli.json),
        Command::Doctor(options) => match examine(options, cli.json) {
            Ok(true) => ExitCode::SUCCESS,
            Ok(false) => ExitCode::FAILURE,
            Err(error) => complain(&error),
        },
        Command::Store(command) => match transfer(&command, cli.json) {
            Ok(text) => {
                say(&text);
                ExitCode::SUCCESS
            }
            Err(error) => complain(error.as_ref()),
        },
        Command::Ask(verb) => match verb.run(cli.json, &mut say) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => complain(&error),
        },
        Command::SupportBundle(bundle) => match bundle.write() {
            Ok(said) => {
                say(&said);
                ExitCode::SUCCESS
            }
            Err(error) => complain(&error),
        },
        Command::Reference { page } => {
            say(&reference::page(page));
            ExitCode::SUCCESS
        }
        Command::Completions { shell } => {
            say(&reference::completions(shell));
            ExitCode::SUCCESS
        }
        Command::Man { dir: None } => {
            say(&reference::man());
            ExitCode::SUCCESS
        }
        Command::Man { dir: Some(dir) } => match reference::write_man(&dir) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => complain(&error),
        },
    }
}

fn serve(config: &Config, logs: Logs, options: Serve) -> ExitCode {
    logs.set(&config.log);
    let manager = ServiceManager::of_environment();
    let again = Again {
        options,
        logs,
        manager,
    };
    match runtime::run(config, again) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error, 1),
    }
}

fn serve_metadata(options: &MetadataOptions, json: bool) -> ExitCode {
    let logs = match logging::start(json) {
        Ok(logs) => logs,
        Err(error) => return complain(&error),
    };
    let config = match options.configuration() {
        Ok(config) => config,
        Err(error) => return fail(&error, USAGE),
    };
    logs.set(&config.log);
    match metadata::run(&config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error, 1),
    }
}

fn check_config(file: &Path, json: bool) -> ExitCode {
    let faults = Config::faults_of(file);
    say(&reference::verdict(file, &faults, json));
    match faults.is_empty() {
        true => ExitCode::SUCCESS,
        false => ExitCode::from(USAGE),
    }
}

/// Whether nothing is wrong.
fn examine(options: DoctorOptions, json: bool) -> std::io::Result<bool> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let hypervisor = options.hypervisor.clone();
    let installation = options.installation();
    let findings = runtime.block_on(doctor::examine(&installation, hypervisor.as_ref()));
    // What waits for somebody who does not answer is left behind.
    runtime.shutdown_background();
    say(&doctor::shown(&findings, json));
    Ok(doctor::is_well(&findings))
}

fn transfer(command: &StoreCommand, json: bool) -> Result<String, Box<dyn std::error::Error>> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    Ok(runtime.block_on(command.run(json))?)
}

fn fail(error: &dyn std::error::Error, code: u8) -> ExitCode {
    tracing::error!("{error}");
    ExitCode::from(code)
}

/// Reports an error to people, on standard error.
fn complain(error: &dyn std::error::Error) -> ExitCode {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "sextant: {error}");
    ExitCode::FAILURE
}

/// Prints to standard output. A reader who closes it early has seen enough.
fn say(text: &str) {
    use std::io::Write;
    let _ = std::io::stdout().write_all(text.as_bytes());
}
