//! Removes labs that were left running on purpose: those whose names are given, else all.

use std::process::ExitCode;

fn main() -> ExitCode {
    let names: Vec<String> = std::env::args().skip(1).collect();
    match sextant_lab::remove_kept(&names) {
        Ok(labs) if labs.is_empty() => {
            eprintln!("no lab was left running");
            ExitCode::SUCCESS
        }
        Ok(labs) => {
            eprintln!("removed {}", labs.join(", "));
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
